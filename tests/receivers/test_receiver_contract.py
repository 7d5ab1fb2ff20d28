"""The rules as pytest items: names, excuses, levels, and who is at fault."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

# Import here: each run below drops the modules that it imports first.
import hypothesis.core  # noqa: F401
import pytest

import logto_mail_contract.endpoint.server
import logto_mail_contract.receivers.contract  # noqa: F401
from logto_mail_contract.suite.checks import list_rule_ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]

HEAD = """
import json
import pytest
from logto_mail_contract import Receiver, ReceiverContract, Settings

KNOWN = {"SignIn", "Register", "ForgotPassword", "OrganizationInvitation", "Generic", "MfaVerification",
         "BindMfa", "UserPermissionValidation", "BindNewIdentifier"}

def make(refused=(), closed=False, crashes=False):
    def app(environ, start_response):
        def respond(status):
            start_response(status, [])
            return [b"x"]
        if environ["REQUEST_METHOD"] != "POST":
            return respond("405 No")
        try:
            message = json.loads(environ["wsgi.input"].read())
            to, type, payload = message["to"], message["type"], message["payload"]
            assert isinstance(to, str) and isinstance(type, str) and isinstance(payload, dict)
        except (ValueError, RecursionError, TypeError, KeyError, AssertionError):
            return respond("400 No")
        if type in refused or closed and type not in KNOWN:
            return respond("400 No")
        return respond("200 OK")
    return app

"""
ONE = "-k", "receiver/accept/sign-in"
RULES = list_rule_ids("receiver")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest on the source of a test file."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run_source(source: str, *options: str, ini: str = "") -> pytest.RunResult:
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(test_it=HEAD + source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:randomly", *options)

    return run_source


GOOD = """
class TestMine(ReceiverContract):
    receiver = Receiver.wsgi(make(), "/hook")
    settings = Settings(examples=3, warn_after=3)
"""
CLOSED = GOOD.replace("make()", "make(closed=True)")
NO_MFA = GOOD.replace("make()", "make(refused={'BindMfa'})")
NO_WIRE_RULES = {
    *(rule for rule in RULES if "/auth/" in rule or "/deliver/" in rule),
    *(
        "receiver/accept/pieces",
        "receiver/respond/framing",
        "receiver/respond/keep-alive",
        "receiver/respond/keep-alive-after-error",
    ),
}


def lines(result: pytest.RunResult, start: str) -> list[str]:
    return [line for line in result.outlines if re.match(rf"{start}\b", line)]


def test_the_class_has_one_test_for_each_rule(run: Run) -> None:
    result = run(GOOD, "-v")
    result.assert_outcomes(passed=len(RULES) - len(NO_WIRE_RULES), skipped=len(NO_WIRE_RULES))
    named = re.findall(r"^test_it\.py::TestMine::test_rule\[(\S+)\] ", result.stdout.str(), re.MULTILINE)
    assert named == list(RULES)


def test_rules_are_selected_by_name(run: Run) -> None:
    run(GOOD, *ONE).assert_outcomes(passed=1, deselected=len(RULES) - 1)
    run(GOOD, "test_it.py::TestMine::test_rule[receiver/accept/bind-mfa]").assert_outcomes(passed=1)


def test_rules_are_distributed_over_processes(run: Run) -> None:
    pytest.importorskip("xdist")
    result = run(NO_MFA, "-n", "2", "-p", "xdist")
    expected = len(RULES) - len(NO_WIRE_RULES) - 1
    result.assert_outcomes(passed=expected, failed=1, skipped=len(NO_WIRE_RULES))


def test_the_junit_report_names_the_rules(run: Run, pytester: pytest.Pytester) -> None:
    run(NO_MFA, "--junitxml", "out.xml")
    cases = ElementTree.parse(pytester.path / "out.xml").getroot().iter("testcase")
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    assert failed == {"test_rule[receiver/accept/bind-mfa]"}


def test_a_failed_rule_prints_its_finding(run: Run) -> None:
    result = run(NO_MFA, "-k", "bind-mfa")
    result.assert_outcomes(failed=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(
        [
            "*The receiver breaks the contract",
            "*receiver/accept/bind-mfa  MUST",
            "*expected  any 2xx",
            "*actual    400 Bad Request after * ms, body: x",
            '*message   {"to":"foo*@example.com","type":"BindMfa",*',
            "*in Logto  *",
            "*reproduce pytest -k receiver/accept/bind-mfa",
            '*excuse    @pytest.mark.mail_contract_excuse("receiver/accept/bind-mfa", reason="…")',
        ]
    )
    # The traceback has the user's lines only.
    assert "items.py" not in result.stdout.str()


def test_a_failed_should_is_reported_and_fails_when_strict(run: Run) -> None:
    result = run(CLOSED, "-rx", "-k", "receiver/accept/unknown-type")
    result.assert_outcomes(xfailed=1, passed=1, deselected=len(RULES) - 2)
    result.stdout.fnmatch_lines(["*SHOULD: A receiver accepts a template type * Came: 400 Bad Request *"])
    strict = CLOSED.replace("examples=3", "strict=True, examples=3")
    run(strict, "-k", "receiver/accept/unknown-type").assert_outcomes(
        failed=1, passed=1, deselected=len(RULES) - 2
    )


@pytest.mark.parametrize("way", ["mark on the class", "mark on the module", "ini"])
def test_an_excused_rule_is_an_expected_failure(run: Run, way: str) -> None:
    mark = 'pytest.mark.mail_contract_excuse("receiver/accept/bind-mfa", reason="no MFA here")'
    source, ini = NO_MFA, ""
    if way == "mark on the class":
        source = f"@{mark}{NO_MFA}"
    elif way == "mark on the module":
        source = f"pytestmark = {mark}\n{NO_MFA}"
    else:
        ini = "mail_contract_excuses =\n    receiver/accept/bind-mfa: no MFA here: really\n"
    result = run(source, "-rx", "-k", "bind-mfa", "--strict-markers", ini=ini)
    result.assert_outcomes(xfailed=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*excused: no MFA here*; 400 Bad Request after *"])


def test_an_excuse_that_is_not_needed_fails(run: Run) -> None:
    result = run(GOOD, "-k", "bind-mfa", ini="mail_contract_excuses = receiver/accept/bind-mfa: old\n")
    result.assert_outcomes(failed=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*receiver/accept/bind-mfa passed, so its excuse is not needed: old"])


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (
            '("receiver/accept/bind-mfaa", reason="x")',
            "There is no rule 'receiver/accept/bind-mfaa' to excuse. Did you mean receiver/accept/bind-mfa?",
        ),
        ('("zzz", reason="x")', "There is no rule 'zzz' to excuse."),
        (
            '("receiver/accept/bind-mfa", reason=" ")',
            "The excuse of receiver/accept/bind-mfa gives no reason",
        ),
        (
            '("receiver/accept/bind-mfa")',
            'An excuse is mail_contract_excuse("<id of a rule>", reason="<why>")*',
        ),
        ('(rule="receiver/accept/bind-mfa", reason="x")', "An excuse is mail_contract_excuse(*"),
        ("(3, reason=4)", "There is no rule '3' to excuse."),
    ],
)
def test_an_invalid_excuse_is_an_error(run: Run, mark: str, expected: str) -> None:
    result = run(f"@pytest.mark.mail_contract_excuse{mark}{GOOD}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{expected}"])


@pytest.mark.parametrize("line", ["receiver/accept/nothing: x", "receiver/accept/bind-mfa", "x"])
def test_an_invalid_excuse_in_the_ini_file_is_an_error(run: Run, line: str) -> None:
    result = run(GOOD, ini=f"mail_contract_excuses = {line}\n")
    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines([".*(There is no rule '.*' to excuse|The excuse of .* gives no reason)"])


def test_a_rule_that_is_not_applicable_is_skipped_with_its_reason(run: Run) -> None:
    result = run(GOOD, "-rs", "-k", "framing")
    result.assert_outcomes(skipped=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*not applicable: the receiver runs in this process*"])


def test_an_excuse_of_a_rule_that_is_not_applicable_is_reported(run: Run) -> None:
    result = run(GOOD, "-rs", "-k", "framing", ini="mail_contract_excuses = receiver/respond/framing: old\n")
    result.assert_outcomes(skipped=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*not applicable: *; its excuse was not needed: old"])


def test_a_missing_receiver_is_an_error_that_says_what_to_do(run: Run) -> None:
    result = run("class TestMine(ReceiverContract): pass", *ONE)
    result.assert_outcomes(errors=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*there is no receiver to test. Set the class attribute `receiver`*"])


def test_the_receiver_and_the_outbox_may_be_fixtures(run: Run) -> None:
    result = run(
        """
@pytest.fixture(scope="module")
def mail_receiver():
    yield Receiver.wsgi(make())
    print("ENDED")

class TestMine(ReceiverContract):
    settings = Settings(fail_after=0.3)

    @pytest.fixture
    def mail_outbox(self):
        print("ASKED")
        return lambda: []
""",
        "-s",
        "-k",
        "sign-in or unknown-type-carries",
    )
    # Without the outbox the second rule would not be applicable.
    result.assert_outcomes(passed=1, failed=1, deselected=len(RULES) - 2)
    assert result.stdout.str().count("ENDED") == 1
    assert result.stdout.str().count("ASKED") == 2


def test_an_own_fault_is_an_error_and_no_failure(run: Run) -> None:
    """An invalid message of the suite itself does not fail the receiver."""
    result = run(
        f"""
from logto_mail_contract.receivers import requests
{GOOD}
@pytest.fixture(autouse=True)
def send_invalid(monkeypatch):
    monkeypatch.setattr(requests, "typical", lambda type, *_: {{"to": "a", "type": type, "payload": {{}}}})
""",
        *ONE,
    )
    result.assert_outcomes(errors=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*OwnFault: a message for layer emitted was wanted*"])


def test_an_unreachable_receiver_is_an_error(run: Run) -> None:
    result = run(
        """
class TestMine(ReceiverContract):
    receiver = Receiver.url("http://127.0.0.1:1/hook")
""",
        *ONE,
    )
    result.assert_outcomes(errors=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*ReceiverGone: the receiver cannot be reached: Connection refused"])


def test_an_application_that_does_not_start_is_an_error(run: Run) -> None:
    result = run(
        """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
class TestMine(ReceiverContract):
    receiver = Receiver.asgi(app)
""",
        *ONE,
    )
    result.assert_outcomes(errors=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["*NotStarted: The ASGI application did not start: no database"])


def test_two_classes_in_one_module_run_independently(run: Run) -> None:
    other = GOOD.replace("TestMine", "TestOther")
    result = run(GOOD + other, *ONE)
    result.assert_outcomes(passed=2, deselected=2 * len(RULES) - 2)


def test_a_class_may_have_its_own_tests(run: Run, tmp_path: Path) -> None:
    own = GOOD + "    def test_own(self, tmp_path):\n        assert tmp_path\n"
    run(own, "-k", "test_own").assert_outcomes(passed=1, deselected=len(RULES))
    assert tmp_path
