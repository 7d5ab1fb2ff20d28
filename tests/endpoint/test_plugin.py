"""The pytest plugin, each behaviour in a pytest run of its own."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

# Import these before the runs below: each run removes the modules that it imported itself. A compiled module
# can be loaded only once, and repeated imports would be slow.
import hypothesis.core  # noqa: F401
import pytest
import trustme  # noqa: F401

import logto_mail_contract.endpoint.server  # noqa: F401
from logto_mail_contract.catalogue import explain_newer_release

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

SENDER = """
import http.client
import json
from urllib.parse import urlsplit

GOOD = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}
INVALID = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": 990137}}
ONLY_GUARD = {"to": "foo@example.com", "type": "Generic", "payload": {"code": "1"}}

def post(url, message=GOOD, context=None, **headers):
    parts = urlsplit(url)
    make = http.client.HTTPSConnection if context else http.client.HTTPConnection
    connection = make(parts.netloc, timeout=10, **({"context": context} if context else {}))
    try:
        headers = {"Content-Type": "application/json", **headers}
        connection.request("POST", parts.path, json.dumps(message), headers)
        return connection.getresponse().status
    finally:
        connection.close()
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest on the source of a test file."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("CI", raising=False)  # pytest shortens its summary lines only outside of CI
    pytester.makeini("[pytest]\nfilterwarnings = error\n")

    def run_source(source: str, *options: str, subprocess: bool = False) -> pytest.RunResult:
        pytester.makepyfile(sender=SENDER, test_it="import pytest\nfrom sender import *\n\n" + source)
        runner = pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess
        return runner("-p", "no:cacheprovider", "-p", "no:randomly", *options)

    return run_source


def printed(result: pytest.RunResult) -> str:
    return result.stdout.str()


# A path, an inbox and settings for each test.


def test_each_test_has_a_url_and_an_inbox_of_its_own(run: Run) -> None:
    run(
        """
        urls = []

        @pytest.mark.parametrize("number", range(3))
        def test_it(mail_endpoint, number):
            assert mail_endpoint.url not in urls
            urls.append(mail_endpoint.url)
            mail_endpoint.inbox.assert_empty()
            assert mail_endpoint.authorization is None
            assert post(mail_endpoint.url) == 200
            mail_endpoint.authorization = "x"
            mail_endpoint.reply(503)
            assert len(mail_endpoint.inbox) == 1
        """.replace("\n        ", "\n")
    ).assert_outcomes(passed=3)


def test_a_late_request_is_404_and_fails_no_test(run: Run) -> None:
    run(
        """
before = []

def test_first(mail_endpoint):
    before.append(mail_endpoint.url)

def test_second(mail_endpoint):
    assert post(before[0], INVALID) == 404
    assert len(mail_endpoint.inbox) == 0
    with pytest.raises(AssertionError, match="POST /"):
        mail_endpoint.inbox.wait_for(timeout=0)

def test_third():
    assert post(before[0], INVALID) == 404
"""
    ).assert_outcomes(passed=3)


def test_a_pending_reply_ends_with_its_test(run: Run) -> None:
    run(
        """
import math, threading
statuses = []
threads = []

def send(url):
    try:
        statuses.append(post(url))
    except http.client.RemoteDisconnected:
        statuses.append("disconnected")

def test_first(mail_endpoint):
    mail_endpoint.reply(delay=math.inf)
    threads.append(threading.Thread(target=send, args=(mail_endpoint.url,)))
    threads[0].start()
    mail_endpoint.inbox.wait_for()

def test_second():
    threads[0].join(10)
    assert statuses == ["disconnected"]
"""
    ).assert_outcomes(passed=2)


def test_fixed_host_port_and_path_reach_the_running_test(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run(
        f"""
URL = "http://127.0.0.1:{port}/hook"

def test_first(mail_endpoint):
    assert mail_endpoint.url == URL
    assert post(URL) == 200
    assert len(mail_endpoint.inbox) == 1

def test_second():
    assert post(URL, INVALID) == 400

def test_third(mail_endpoint):
    assert len(mail_endpoint.inbox) == 0
""",
        "--mail-contract-host=127.0.0.1",
        f"--mail-contract-port={port}",
        "--mail-contract-path=/hook",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_second *"])


def test_a_rerun_item_has_a_new_endpoint(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        item._initrequest()  # as pytest-rerunfailures does: pytest has no public way to run an item again
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
    )
    run(
        """
urls = []

def test_it(mail_endpoint):
    assert len(mail_endpoint.inbox) == 0
    assert mail_endpoint.url not in urls
    urls.append(mail_endpoint.url)
    post(mail_endpoint.url, INVALID if len(urls) == 1 else GOOD)
"""
    ).assert_outcomes(passed=1, failed=1)


def test_the_fixture_can_be_asked_for_by_name(run: Run) -> None:
    run(
        """
@pytest.mark.mail_contract(authorization="x")
def test_first(request):
    mail_endpoint = request.getfixturevalue("mail_endpoint")
    assert post(mail_endpoint.url, Authorization="x") == 200

def test_second(request):
    mail_endpoint = request.getfixturevalue("mail_endpoint")
    assert len(mail_endpoint.inbox) == 0
    assert post(mail_endpoint.url) == 200
"""
    ).assert_outcomes(passed=2)


def test_unittest_cases_can_use_it(run: Run) -> None:
    result = run(
        """
import unittest

class Test(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def endpoint(self, mail_endpoint):
        self.mail = mail_endpoint

    def test_good(self):
        assert post(self.mail.url) == 200
        assert self.mail.inbox.code == "042137"

    def test_invalid(self):
        post(self.mail.url, INVALID)

    def test_own_failure(self):
        post(self.mail.url, INVALID)
        self.fail("my own")

    def test_skipped(self):
        post(self.mail.url, INVALID)
        self.skipTest("my own")

    @pytest.mark.xfail
    def test_xfailed(self):
        post(self.mail.url, INVALID)
        self.fail("my own")

    @unittest.expectedFailure
    def test_expected_failure(self):
        post(self.mail.url, INVALID)
        self.fail("my own")

    def test_skipped_without_violation(self):
        self.skipTest("my own")

    def test_raised_by_a_call(self):
        post(self.mail.url, INVALID)
        self.mail.inbox.latest()

    def test_caught(self):
        post(self.mail.url, INVALID)
        with self.assertRaises(AssertionError):
            self.mail.inbox.latest()

    def test_expected(self):
        with self.mail.expect_violation("message/guard/code"):
            post(self.mail.url, INVALID)
        self.mail.inbox.latest()
"""
    )
    result.assert_outcomes(passed=2, failed=5, skipped=1, xfailed=2)
    assert printed(result).count("mail_endpoint received what breaks the contract") == 5
    result.stdout.fnmatch_lines(["E  *AssertionError: my own", "Beside that, mail_endpoint received*"])


# Verification at the end of a test.


def test_a_violation_fails_the_test_at_its_end(run: Run) -> None:
    result = run("def test_it(mail_endpoint):\n    post(mail_endpoint.url, INVALID)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   *ContractViolation: mail_endpoint received what breaks the contract:",
            '*delivery 1, * UTC: "SignIn" to "foo@example.com", response 400; breaks message/guard/code',
            "*message/guard/code  MUST",
            "*where     /payload/code (layer guard)",
            "*expected  a string",
            "*actual    a number (masked)",
            "*in Logto  ?*",
            '*to accept    with mail_endpoint.expect_violation("message/guard/code"): *',
            "*to silence   @pytest.mark.mail_contract(lenient=True), or lenient=True for this endpoint",
            "*No line of the test raised this: it is reported at the end of the test.",
        ],
        consecutive=False,
    )
    assert "990137" not in printed(result)
    assert "plugin.py" not in printed(result)


def test_a_violation_is_raised_from_the_users_own_line(run: Run) -> None:
    result = run(
        """
def test_waiting(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    mail_endpoint.inbox.wait_for(timeout=5)

def test_recording(mail_endpoint):
    with mail_endpoint.recording():
        post(mail_endpoint.url, INVALID)
""",
        "--tb=short",
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "test_it.py:*: in test_waiting",
            "    mail_endpoint.inbox.wait_for(timeout=5)",
            "*ContractViolation: *",
            "test_it.py:*: in test_recording",
            "    with mail_endpoint.recording():",
            "*ContractViolation: *",
        ]
    )
    for module in (
        "inbox.py",
        "endpoint.py",
        "plugin.py",
        "contextlib.py",
        "violations.py",
        "core.py",
        "at the end",
    ):
        assert module not in printed(result)


def test_missing_mail_is_reported_at_the_users_own_line(run: Run) -> None:
    result = run(
        """
import asyncio

def test_it(mail_endpoint):
    post(mail_endpoint.url)
    mail_endpoint.inbox.wait_for(to="bar@example.com", timeout=0)

def test_async(mail_endpoint):
    async def main():
        await mail_endpoint.inbox.wait_for_async(timeout=0)
    asyncio.run(main())
"""
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            ">   *mail_endpoint.inbox.wait_for(to=*",
            'E       *MailNotReceived: No message with to "bar@example.com" arrived within 0 s.',
            "E       1 in the inbox of mail_endpoint:",
            'E         1, * "SignIn" to "foo@example.com", response 200 (its to is "foo@example.com")',
            "E       mail_endpoint listens at http://127.0.0.1:*/mail",
        ]
    )
    assert "inbox.py:" not in printed(result).split("test_async")[0]


PHASES: dict[str, tuple[str, dict[str, int], list[str]]] = {
    "own failure": (
        """
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    assert 1 == 2, 'my own'
""",
        {"failed": 1},
        ["E       AssertionError: my own", "E       Beside that, mail_endpoint received what*"],
    ),
    "raised by a call": (
        """
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    mail_endpoint.inbox.code
""",
        {"failed": 1},
        [">*mail_endpoint.inbox.code", "E  *received what breaks the contract:"],
    ),
    "skip": (
        """
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    pytest.skip('my own')
""",
        {"failed": 1},
        ["E  *received what breaks the contract:"],
    ),
    "skip without violation": (
        """
def test_it(mail_endpoint):
    post(mail_endpoint.url)
    pytest.skip('my own')
""",
        {"skipped": 1},
        [],
    ),
    "xfail": (
        """
@pytest.mark.xfail
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
""",
        {"xfailed": 1},
        [],
    ),
    "xfail for another reason": (
        """
@pytest.mark.xfail(raises=OSError)
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
""",
        {"failed": 1},
        ["E  *received what breaks the contract:"],
    ),
    "in setup": (
        """
@pytest.fixture
def sent(mail_endpoint):
    post(mail_endpoint.url, INVALID)

def test_it(sent):
    pass
""",
        {"failed": 1},
        ["E  *received what breaks the contract:"],
    ),
    "in a setup that fails": (
        """
@pytest.fixture
def sent(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    1 / 0

def test_it(sent):
    pass
""",
        {"errors": 2},
        ["E  *ZeroDivisionError*", "E  *received what breaks the contract:"],
    ),
    "in teardown": (
        """
@pytest.fixture
def late(mail_endpoint):
    yield
    post(mail_endpoint.url, INVALID)

def test_it(late):
    pass
""",
        {"passed": 1, "errors": 1},
        ["*ERROR at teardown of test_it*", "E  *received what breaks the contract:"],
    ),
    "in a teardown that fails": (
        """
@pytest.fixture
def late(mail_endpoint):
    yield
    post(mail_endpoint.url, INVALID)
    1 / 0

def test_it(late):
    pass
""",
        {"passed": 1, "errors": 1},
        ["E  *ZeroDivisionError*", "E       Beside that, mail_endpoint received what*"],
    ),
    "raised by a call of a setup": (
        """
@pytest.fixture
def sent(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    mail_endpoint.inbox.latest()

def test_it(sent):
    pass
""",
        {"errors": 1},
        [">*mail_endpoint.inbox.latest()", "E  *received what breaks the contract:"],
    ),
    "raised by a recording": (
        """
def test_it(mail_endpoint):
    with mail_endpoint.recording():
        post(mail_endpoint.url, INVALID)
""",
        {"failed": 1},
        [">*with mail_endpoint.recording():", "E  *received what breaks the contract:"],
    ),
    "raised by a recording of a setup": (
        """
@pytest.fixture
def sent(mail_endpoint):
    with mail_endpoint.recording():
        post(mail_endpoint.url, INVALID)

def test_it(sent):
    pass
""",
        {"errors": 1},
        [">*with mail_endpoint.recording():", "E  *received what breaks the contract:"],
    ),
    "in a recording of a fixture": (
        """
@pytest.fixture
def inbox(mail_endpoint):
    with mail_endpoint.recording() as inbox:
        yield inbox

def test_it(mail_endpoint, inbox):
    post(mail_endpoint.url, INVALID)
""",
        {"failed": 1},
        ["E  *received what breaks the contract:"],
    ),
    "raised in a recording of a fixture": (
        """
@pytest.fixture
def inbox(mail_endpoint):
    with mail_endpoint.recording() as inbox:
        yield inbox

def test_it(mail_endpoint, inbox):
    post(mail_endpoint.url, INVALID)
    len(inbox)
""",
        {"failed": 1},
        [">*len(inbox)", "E  *received what breaks the contract:"],
    ),
    "in the teardown of a fixture that records": (
        """
@pytest.fixture
def inbox(mail_endpoint):
    with mail_endpoint.recording() as inbox:
        yield inbox
        post(mail_endpoint.url, INVALID)

def test_it(inbox):
    pass
""",
        {"passed": 1, "errors": 1},
        ["*ERROR at teardown of test_it*", "E  *received what breaks the contract:"],
    ),
    "behind a recording that never ends": (
        """
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    mail_endpoint.recording().__enter__()
""",
        {"failed": 1},
        ["E  *received what breaks the contract:"],
    ),
    "behind a recording that another test ends": (
        """
@pytest.fixture(scope="module")
def inbox(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    with mail_endpoint.recording() as inbox:
        yield inbox

def test_invalid(mail_endpoint, inbox):
    assert len(inbox) == 0

def test_good(mail_endpoint, inbox):
    assert post(mail_endpoint.url) == 200
    assert len(mail_endpoint.inbox) == 1
""",
        {"failed": 1, "passed": 1},
        ["*_ test_invalid _*", "E  *received what breaks the contract:"],
    ),
    "caught in a setup that skips": (
        """
@pytest.fixture
def sent(mail_endpoint):
    with pytest.raises(AssertionError), mail_endpoint.recording():
        post(mail_endpoint.url, INVALID)
    pytest.skip('my own')

def test_it(sent):
    pass
""",
        {"skipped": 1, "errors": 1},
        ["*ERROR at teardown of test_it*", "E  *received what breaks the contract:"],
    ),
    "raised in a group": (
        """
import asyncio

def test_it(mail_endpoint):
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(mail_endpoint.inbox.wait_for_async())

    post(mail_endpoint.url, INVALID)
    asyncio.run(main())
""",
        {"failed": 1},
        ["*ExceptionGroup: *", "*ContractViolation: mail_endpoint received what breaks the contract:"],
    ),
    "expected": (
        """
def test_it(mail_endpoint):
    with mail_endpoint.expect_violation('message/guard/code') as deliveries:
        post(mail_endpoint.url, INVALID)
        assert mail_endpoint.inbox.wait_for(timeout=5) == deliveries[0]
    assert len(mail_endpoint.inbox) == 1
""",
        {"passed": 1},
        [],
    ),
    "another one expected": (
        """
def test_it(mail_endpoint):
    with mail_endpoint.expect_violation('message/guard/type', 'message/guard/to') as deliveries:
        post(mail_endpoint.url, INVALID)
        post(mail_endpoint.url, {**GOOD, "type": "NewTemplate"})
""",
        {"failed": 1},
        ["E  *received what breaks the contract:", "*delivery 1, *; breaks message/guard/code"],
    ),
    "expected in vain": (
        """
def test_it(mail_endpoint):
    with mail_endpoint.expect_violation('message/guard/code'):
        post(mail_endpoint.url)
""",
        {"failed": 1},
        [
            ">*with mail_endpoint.expect_violation(*",
            "E  *No delivery broke message/guard/code within the block*",
        ],
    ),
    "lenient": (
        """
@pytest.mark.mail_contract(lenient=True)
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    assert len(mail_endpoint.inbox) == 1
""",
        {"passed": 1},
        [
            "*mail-contract: tolerated violations (lenient)*",
            "test_it.py::test_it: message/guard/code at /payload/code: a number (masked)",
        ],
    ),
    "lenient from within": (
        """
def test_it(mail_endpoint):
    mail_endpoint.lenient = True
    post(mail_endpoint.url, INVALID)
""",
        {"passed": 1},
        ["test_it.py::test_it: message/guard/code at /payload/code: a number (masked)"],
    ),
    "lenient and recorded": (
        """
@pytest.mark.mail_contract(lenient=True)
def test_it(mail_endpoint):
    for _ in range(3):
        with mail_endpoint.recording():
            post(mail_endpoint.url, INVALID)
""",
        {"passed": 1},
        ["test_it.py::test_it: message/guard/code at /payload/code: a number (masked)"],
    ),
    "lenient and begun again": (
        """
@pytest.mark.mail_contract(lenient=True)
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    mail_endpoint.begin()
""",
        {"passed": 1},
        ["test_it.py::test_it: message/guard/code at /payload/code: a number (masked)"],
    ),
    "lenient and failing": (
        """
@pytest.mark.mail_contract(lenient=True)
def test_it(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    assert False, 'my own'
""",
        {"failed": 1},
        ["E       AssertionError: my own", "test_it.py::test_it: message/guard/code at *"],
    ),
    "unauthorized": (
        """
@pytest.mark.mail_contract(authorization='Bearer s3cret')
def test_it(mail_endpoint):
    assert post(mail_endpoint.url, Authorization='Bearer g' + 'uess') == 401
""",
        {"failed": 1},
        ["*actual    another value: Bearer and 5 more characters (masked)"],
    ),
}


@pytest.mark.parametrize(("source", "outcome", "lines"), PHASES.values(), ids=PHASES.keys())
def test_a_violation_is_reported_once_in_every_phase(
    run: Run, source: str, outcome: dict[str, int], lines: list[str]
) -> None:
    result = run(source)
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(lines)
    # Reported exactly once.
    assert printed(result).count("received what breaks the contract") == sum(
        "received what" in line for line in lines
    ) + ("Bearer" in source)
    assert ("tolerated violations" in printed(result)) == ("lenient" in source)
    assert "990137" not in printed(result)
    assert "guess" not in printed(result).replace("'uess'", "")


def test_every_endpoint_of_a_test_is_reported(run: Run) -> None:
    result = run(
        """
def test_it(make_mail_endpoint, mail_endpoint):
    for endpoint in (mail_endpoint, make_mail_endpoint(), make_mail_endpoint(label="the other")):
        post(endpoint.url, INVALID)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *mail_endpoint received what breaks the contract:",
            "*mail endpoint 1 received what breaks the contract:",
            "*the other received what breaks the contract:",
        ]
    )


def test_tolerated_violations_are_in_the_report_file(run: Run, pytester: pytest.Pytester) -> None:
    run(PHASES["lenient"][0], "--junitxml=report.xml").assert_outcomes(passed=1)
    report = (pytester.path / "report.xml").read_text(encoding="utf-8")
    assert '<property name="mail_contract_tolerated" value="message/guard/code at /payload/code' in report


# What a test asked for and never used.

NEVER_USED: dict[str, tuple[str, list[str]]] = {
    "nothing came": (
        """
    mail_endpoint.reply(503, "down", times=2)
""",
        [
            "*  503, scripted at test_it.py:7, would go to the next 2 accepted requests",
            "*Nothing is in the inbox of mail_endpoint.",
        ],
    ),
    "with a delay": (
        """
    mail_endpoint.reply(delay=3, times=1)
""",
        ["*  200 after 3 s, scripted at test_it.py:7, would go to the next accepted request"],
    ),
    "redirect": (
        """
    mail_endpoint.reply_redirect("/x", times=1)
""",
        ["*  307, scripted at test_it.py:7, would go to the next accepted request"],
    ),
    "reset": (
        """
    mail_endpoint.reply_reset(times=1)
""",
        ["*  a reset, scripted at test_it.py:7, would go to the next accepted request"],
    ),
    "endless": (
        """
    mail_endpoint.reply_endless(times=1)
""",
        ["*  a body without end, scripted at test_it.py:7, would go to *"],
    ),
    "garbage": (
        """
    mail_endpoint.reply_garbage(times=1)
""",
        ["*  garbage, scripted at test_it.py:7, would go to *"],
    ),
    "drip": (
        """
    mail_endpoint.reply_drip(times=1)
""",
        ["*  200, byte by byte, scripted at test_it.py:7, would go to *"],
    ),
    "scripted too late": (
        """
    post(mail_endpoint.url)
    mail_endpoint.reply(503, times=1)
""",
        [
            "*  503, scripted at test_it.py:8, would go to the next accepted request",
            '*  1, * "SignIn" to "foo@example.com", response 200',
        ],
    ),
    "behind another one": (
        """
    mail_endpoint.reply(503, times=3)
    mail_endpoint.reply(503, times=1)
    post(mail_endpoint.url)
""",
        [
            "*  503, scripted at test_it.py:8, would go to the next accepted request, behind 2 others",
            "*  1, *, response 503 (scripted)",
        ],
    ),
    "only a refused request came": (
        """
    mail_endpoint.reply(503, times=1)
    with mail_endpoint.expect_violation("message/guard/code"):
        post(mail_endpoint.url, INVALID)
""",
        ["*  503, scripted at test_it.py:7, *", "*  1, * response 400 (it was refused with 400)"],
    ),
    "only another path was asked for": (
        """
    mail_endpoint.reply(503, times=1)
    post(mail_endpoint.url + "s")
""",
        ["*  503, scripted at test_it.py:7, *", "*mail_endpoint listens at *", "*  POST /*/mails"],
    ),
    "removed": (
        """
    mail_endpoint.reply(503, times=1)
    mail_endpoint.reset_replies()
    post(mail_endpoint.url)
""",
        [
            "*  503, scripted at test_it.py:7, was removed by reset_replies() or begin()",
            "*  1, *, response 200",
        ],
    ),
    "begun again": (
        """
    mail_endpoint.reply(503, times=1)
    mail_endpoint.begin()
    post(mail_endpoint.url)
""",
        ["*  503, scripted at test_it.py:7, was removed by reset_replies() or begin()"],
    ),
    "by a helper of the test": (
        """
    def fail_once():
        mail_endpoint.reply(503, times=1)

    fail_once()
""",
        ["*  503, scripted at test_it.py:8, *"],
    ),
    "in a subtest": (
        """
    import unittest

    with unittest.TestCase().subTest():
        mail_endpoint.reply(503, times=1)
""",
        ["*  503, scripted at test_it.py:10, *"],
    ),
}


@pytest.mark.parametrize(("body", "lines"), NEVER_USED.values(), ids=NEVER_USED.keys())
def test_a_finite_reply_that_no_request_used_fails_the_test(run: Run, body: str, lines: list[str]) -> None:
    source = f"def test_it(mail_endpoint):\n    pass\n{body}"
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *UnusedCall: No request used what was scripted for mail_endpoint:",
            *lines,
            "*optional=True where the reply is scripted",
            "*@pytest.mark.mail_contract(lenient=True), or lenient=True for this endpoint",
        ]
    )
    assert printed(result).count("No request used what was scripted") == 1
    loosened = {
        "optional": source.replace("times=1", "times=1, optional=True").replace("=2", "=2, optional=True"),
        "lenient by marker": f"@pytest.mark.mail_contract(lenient=True)\n{source}",
        "lenient at the end": f"{source}    mail_endpoint.lenient = True\n",
    }
    for changed in loosened.values():
        run(changed).assert_outcomes(passed=1)


def test_the_report_of_many_unused_calls_is_short(run: Run) -> None:
    result = run(
        """
def test_it(mail_endpoint):
    for _ in range(13):
        mail_endpoint.reply(503, times=1)
        mail_endpoint.inbox.wait_for_async()
"""
    )
    result.assert_outcomes(failed=1)
    assert printed(result).count("  503, scripted at test_it.py:7, ") == 10
    assert printed(result).count("  wait_for_async for a message, made at test_it.py:8") == 10
    assert printed(result).count("  … 3 more") == 2


def test_every_endpoint_reports_its_unused_replies(run: Run) -> None:
    result = run(
        """
def test_it(make_mail_endpoint, mail_endpoint):
    make_mail_endpoint(label="the other").reply(503, times=1)
    mail_endpoint.reply(502, times=1)
    make_mail_endpoint(lenient=True, label="a third").reply(501, times=1)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *scripted for mail_endpoint:", "*scripted for the other:", "*503, *"])
    assert "a third" not in printed(result)


USED: dict[str, str] = {
    "all used": """
def test_it(mail_endpoint):
    mail_endpoint.reply(503, times=2)
    assert [post(mail_endpoint.url) for _ in range(2)] == [503, 503]
""",
    "partly used": """
def test_it(mail_endpoint):
    mail_endpoint.reply(503, times=5)
    assert post(mail_endpoint.url) == 503
""",
    "equal replies": """
def test_it(mail_endpoint):
    mail_endpoint.reply(503, times=1)
    mail_endpoint.reply(503, times=1)
    assert [post(mail_endpoint.url) for _ in range(2)] == [503, 503]
""",
    "standing": """
def test_it(mail_endpoint):
    mail_endpoint.reply(503)
""",
    "refused when it was scripted": """
def test_it(mail_endpoint):
    with pytest.raises(ValueError):
        mail_endpoint.reply(503, times=0)
    with pytest.raises(ValueError):
        mail_endpoint.reply(99, times=1)
""",
    "scripted by a fixture": """
@pytest.fixture
def failing(mail_endpoint):
    mail_endpoint.reply(503, times=1)

def test_it(mail_endpoint, failing):
    assert post(mail_endpoint.url) == 503
""",
    "used in a recording": """
def test_it(mail_endpoint):
    mail_endpoint.reply(503, times=1)
    with mail_endpoint.recording():
        assert post(mail_endpoint.url) == 503
""",
    "by every example of Hypothesis": """
from hypothesis import given, settings, strategies as st

@settings(database=None, deadline=None, max_examples=10)
@given(number=st.integers())
def test_it(mail_endpoint, number):
    with mail_endpoint.recording():
        mail_endpoint.reply(503, times=1)
        assert post(mail_endpoint.url) == 503
""",
    "awaited": """
import asyncio

def test_it(mail_endpoint):
    async def main():
        inbox = mail_endpoint.inbox
        await inbox.assert_empty_async()
        coroutine = inbox.wait_for_async()
        task = asyncio.create_task(inbox.wait_for_async())
        await asyncio.to_thread(post, mail_endpoint.url)
        await coroutine
        await task
        await asyncio.gather(inbox.wait_for_async(), asyncio.wait_for(inbox.wait_for_async(), 5))
        async with asyncio.TaskGroup() as group:
            group.create_task(inbox.wait_for_async())

    asyncio.run(main())
    asyncio.run(mail_endpoint.inbox.wait_for_async())
""",
    "a wait that fails": """
import asyncio

def test_it(mail_endpoint):
    with pytest.raises(AssertionError):
        asyncio.run(mail_endpoint.inbox.wait_for_async(timeout=0))
""",
    "a wait that is cancelled": """
import asyncio

def test_it(mail_endpoint):
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mail_endpoint.inbox.wait_for_async(), 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mail_endpoint.inbox.wait_for_async(), 0.01)

    asyncio.run(main())
""",
}


@pytest.mark.parametrize("source", USED.values(), ids=USED.keys())
def test_a_reply_or_wait_that_was_used_fails_nothing(run: Run, source: str) -> None:
    result = run(f"{source}\ndef test_after(mail_endpoint):\n    pass\n", "-W", "error")
    result.assert_outcomes(passed=2)


SKIPPED: dict[str, str] = {
    "in the test": """
def test_it(mail_endpoint):
    mail_endpoint.reply(503, times=1)
    mail_endpoint.inbox.wait_for_async()
    pytest.skip("no sender here")
""",
    "in the setup": """
@pytest.fixture
def sender(mail_endpoint):
    mail_endpoint.reply(503, times=1)
    pytest.skip("no sender here")

def test_it(sender):
    pass
""",
    "in a TestCase": """
import unittest

class Test(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def endpoint(self, mail_endpoint):
        self.mail = mail_endpoint

    def test_it(self):
        self.mail.reply(503, times=1)
        self.skipTest("no sender here")
""",
    "with the first endpoint in the test": """
def test_it(request):
    request.getfixturevalue("mail_endpoint").reply(503, times=1)
    pytest.skip("no sender here")
""",
}


@pytest.mark.parametrize("source", SKIPPED.values(), ids=SKIPPED.keys())
def test_a_skipped_test_need_not_use_what_it_prepared(run: Run, source: str) -> None:
    result = run(f"{source}\ndef test_after(mail_endpoint):\n    pass\n", "-W", "error")
    result.assert_outcomes(skipped=1, passed=1)


def test_a_failed_setup_is_the_only_failure_of_its_test(run: Run) -> None:
    run(
        """
@pytest.fixture
def sender(mail_endpoint):
    mail_endpoint.reply(503, times=1)
    1 / 0

def test_it(sender):
    pass
"""
    ).assert_outcomes(errors=1)


def test_an_unused_reply_is_a_note_of_a_failure_of_the_tests_own(run: Run) -> None:
    result = run(
        """
def test_it(mail_endpoint):
    mail_endpoint.reply(503, times=1)
    assert 1 == 2, "my own"

@pytest.mark.xfail
def test_expected(mail_endpoint):
    mail_endpoint.reply(503, times=1)
"""
    )
    result.assert_outcomes(failed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "E       AssertionError: my own",
            "E  *Beside that, No request used what was scripted for mail_endpoint:",
        ]
    )


def test_an_unused_reply_of_the_first_endpoint_in_a_test_is_reported(run: Run) -> None:
    result = run(
        """
def test_it(request):
    request.getfixturevalue("mail_endpoint").reply(503, times=1)

def test_after(mail_endpoint):
    pass
"""
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*No request used what was scripted for mail_endpoint:*"])


def test_an_unused_reply_of_a_teardown_is_reported(run: Run) -> None:
    result = run(
        """
@pytest.fixture
def late(mail_endpoint):
    yield
    mail_endpoint.reply(503, times=1)

def test_it(late):
    pass
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "*503, scripted at test_it.py:8, *"])


DROPPED: dict[str, tuple[str, str]] = {
    "wait_for_async": (
        'mail_endpoint.inbox.wait_for_async(to="foo@example.com", type="SignIn")',
        '*  wait_for_async for a message with to "foo@example.com" and type "SignIn", made at test_it.py:8',
    ),
    "kept in a variable": (
        'wait = mail_endpoint.inbox.wait_for_async(payload={"code": "990137"})',
        '*  wait_for_async for a message with payload code "######" (masked), made at test_it.py:8',
    ),
    "assert_empty_async": (
        "mail_endpoint.inbox.assert_empty_async(within=5)",
        "*  assert_empty_async for a message, made at test_it.py:8",
    ),
    "of a recording": (
        "with mail_endpoint.recording() as inbox: inbox.wait_for_async()",
        "*  wait_for_async for a message, made at test_it.py:8",
    ),
    "of an inbox that is replaced": (
        "mail_endpoint.inbox.wait_for_async(); mail_endpoint.begin()",
        "*  wait_for_async for a message, made at test_it.py:8",
    ),
    "of a lenient endpoint": (
        "mail_endpoint.lenient = True; mail_endpoint.inbox.wait_for_async()",
        "*  wait_for_async for a message, made at test_it.py:8",
    ),
    "in a loop that ends": (
        "asyncio.run(drop(mail_endpoint.inbox))",
        "*  wait_for_async for a message, made at test_it.py:12",
    ),
}


@pytest.mark.parametrize(("statement", "line"), DROPPED.values(), ids=DROPPED.keys())
@pytest.mark.parametrize("warnings", ["error", "ignore"])
def test_a_wait_that_is_never_awaited_fails_the_test(
    run: Run, statement: str, line: str, warnings: str
) -> None:
    result = run(
        f"""
import asyncio

def test_it(mail_endpoint):
    {statement}
    assert post(mail_endpoint.url) == 200

async def drop(inbox):
    inbox.wait_for_async()

def test_after(mail_endpoint):
    import gc
    gc.collect()
""",
        "-W",
        warnings,
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *UnusedCall: The test never awaited a wait for mail_endpoint:",
            line,
            "*Write `await` before it.",
        ]
    )
    # Python's own warning would be a second report.
    assert "RuntimeWarning" not in printed(result)
    assert "990137" not in printed(result).partition("test_it.py:8")[2].partition("\n")[2]


# A test that catches the exception of a call still fails. Without the violation each would pass.

CAUGHT: dict[str, str] = {
    "len": "assert len(mail_endpoint.inbox) == 1",
    "bool": "assert mail_endpoint.inbox",
    "iter": "assert list(mail_endpoint.inbox)",
    "index": "mail_endpoint.inbox[0]",
    "count": "mail_endpoint.inbox.count()",
    "latest": "mail_endpoint.inbox.latest()",
    "code": "mail_endpoint.inbox.code",
    "link": "mail_endpoint.inbox.link",
    "wait_for": "mail_endpoint.inbox.wait_for(timeout=5)",
    "wait_for_async": "asyncio.run(mail_endpoint.inbox.wait_for_async(timeout=5))",
    "assert_empty": "mail_endpoint.inbox.assert_empty()",
    "assert_empty_async": "asyncio.run(mail_endpoint.inbox.assert_empty_async())",
    "clear": "mail_endpoint.inbox.clear()",
    "inbox.verify": "mail_endpoint.inbox.verify()",
    "verify": "mail_endpoint.verify()",
}


@pytest.mark.parametrize("call", CAUGHT.values(), ids=CAUGHT.keys())
@pytest.mark.parametrize("times", [1, 2])
def test_a_violation_that_the_test_catches_fails_it_at_its_end(run: Run, call: str, times: int) -> None:
    caught = f"    try:\n        {call}\n    except AssertionError:\n        pass\n"
    body = f"    post(mail_endpoint.url, INVALID)\n{caught * times}"
    result = run(f"import asyncio\n\ndef test_it(mail_endpoint):\n{body}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *ContractViolation: mail_endpoint received what breaks the contract:",
            "*The test caught this where it was raised. Only expect_violation or lenient accepts *",
        ]
    )
    run(f"import asyncio\n\ndef test_it(mail_endpoint):\n{body.replace(', INVALID', '')}").assert_outcomes(
        passed=1
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            """
    post(mail_endpoint.url, INVALID)
    with pytest.raises(AssertionError, match="message/guard/code"):
        mail_endpoint.inbox.latest()
""",
            id="pytest.raises",
        ),
        pytest.param(
            """
    with mail_endpoint.expect_violation("message/guard/code"):
        post(mail_endpoint.url, INVALID)
    post(mail_endpoint.url, INVALID)
    with pytest.raises(AssertionError, match="delivery 2"):
        mail_endpoint.inbox.latest()
""",
            id="after the block that expects it",
        ),
        pytest.param(
            """
    for _ in range(3):
        try:
            assert len(mail_endpoint.inbox) == 2
        except AssertionError:
            post(mail_endpoint.url, INVALID)
""",
            id="polling",
        ),
        pytest.param(
            """
    with pytest.raises(AssertionError), mail_endpoint.recording():
        post(mail_endpoint.url, INVALID)
""",
            id="around a recording",
        ),
        pytest.param(
            """
    with pytest.raises(ZeroDivisionError), mail_endpoint.recording():
        post(mail_endpoint.url, INVALID)
        1 / 0
""",
            id="around a recording that fails by itself",
        ),
        pytest.param(
            """
    with pytest.raises(AssertionError), mail_endpoint.recording() as inbox:
        post(mail_endpoint.url, INVALID)
        with pytest.raises(AssertionError):
            inbox.clear()
""",
            id="inside a recording",
        ),
    ],
)
def test_only_expecting_its_name_accepts_a_violation(run: Run, body: str) -> None:
    result = run(f"def test_it(mail_endpoint):\n{body}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *ContractViolation: mail_endpoint received what breaks the contract:",
            "*The test caught this where it was raised. Only expect_violation or lenient accepts *",
        ]
    )


@pytest.mark.parametrize("settings", ["", "lenient=True"])
def test_a_new_test_accepts_no_earlier_violation(run: Run, settings: str) -> None:
    result = run(
        f"""
def test_invalid(mail_endpoint):
    post(mail_endpoint.url, INVALID)
    mail_endpoint.begin({settings})
    assert len(mail_endpoint.inbox) == 0

def test_good(mail_endpoint):
    mail_endpoint.begin()
    assert post(mail_endpoint.url) == 200
"""
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["E  *ContractViolation: mail_endpoint received what breaks the contract:"])


# Recording inside @given.


def test_recording_inside_given(run: Run) -> None:
    run(
        """
from hypothesis import given, settings, strategies as st

@pytest.mark.parametrize("turn", range(2))
@settings(max_examples=10, database=None)
@given(to=st.sampled_from(["a@example.com", "b@example.com"]))
def test_it(mail_endpoint, turn, to):
    with mail_endpoint.recording() as inbox:
        assert post(mail_endpoint.url, {**GOOD, "to": to}) == 200
        assert inbox.wait_for(to=to).number == len(inbox) == 1
"""
    ).assert_outcomes(passed=2)


def test_a_violation_inside_given_is_shrunk_and_reported(run: Run) -> None:
    result = run(
        """
from hypothesis import given, settings, strategies as st

@settings(database=None)
@given(number=st.integers(0, 100), own=st.just(False))
def test_violation(mail_endpoint, number, own):
    with mail_endpoint.recording():
        post(mail_endpoint.url, GOOD if number < 7 else INVALID)

@settings(database=None)
@given(number=st.integers(0, 100))
def test_own_failure(mail_endpoint, number):
    with mail_endpoint.recording():
        post(mail_endpoint.url, GOOD if number < 7 else INVALID)
        assert number < 7
"""
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E  *ContractViolation: mail_endpoint received what breaks the contract:",
            "E  *number=7,*",
            "E  *assert 7 < 7",
            "E  *Beside that, mail_endpoint received what breaks the contract:",
        ]
    )
    # The violations of other examples are not listed again at the end.
    assert printed(result).count("received what breaks the contract") == 2


def test_a_violation_in_an_example_that_is_rejected_is_reported_at_the_end(run: Run) -> None:
    result = run(
        """
from hypothesis import assume, given, settings, strategies as st

@settings(database=None)
@given(number=st.integers(0, 100))
def test_it(mail_endpoint, number):
    with mail_endpoint.recording():
        if number > 50:
            post(mail_endpoint.url, INVALID)
            assume(False)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *ContractViolation: mail_endpoint received what breaks the contract:"])


def test_begin_inside_a_block_says_that_it_ended_the_block(run: Run) -> None:
    result = run(
        """
def test_it(mail_endpoint):
    with mail_endpoint.expect_violation("message/guard/code"):
        mail_endpoint.begin()
        post(mail_endpoint.url, INVALID)

def test_received_before(mail_endpoint):
    with mail_endpoint.expect_violation("message/guard/code") as deliveries:
        post(mail_endpoint.url, INVALID)
        mail_endpoint.begin()
    assert len(deliveries) == 1

def test_in_vain(mail_endpoint):
    with mail_endpoint.expect_violation("message/guard/code"):
        pass
"""
    )
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *No delivery broke message/guard/code within the block. begin() ended the block: *",
            "E  *Beside that, mail_endpoint received what breaks the contract:",
        ]
    )
    assert printed(result).count("begin() ended the block: it accepts nothing that came after. ") == 1


@pytest.mark.parametrize("statement", ["mail.inbox.latest()", "assert 1 == 2, 'my own'"])
@pytest.mark.parametrize("kind", ["TestCase", "fixture"])
def test_a_violation_in_a_subtest_is_reported_once(run: Run, kind: str, statement: str) -> None:
    pytest.importorskip("_pytest.subtests", reason="pytest before 9 has no subtests")
    case = f"""
import unittest

class Test(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def endpoint(self, mail_endpoint):
        self.mail = mail_endpoint

    def test_it(self):
        mail = self.mail
        post(mail.url, INVALID)
        with self.subTest("first"):
            {statement}
        with self.subTest("second"):
            pass
"""
    fixture = f"""
def test_it(mail_endpoint, subtests):
    mail = mail_endpoint
    post(mail.url, INVALID)
    with subtests.test("first"):
        {statement}
    with subtests.test("second"):
        pass
"""
    result = run(case if kind == "TestCase" else fixture, "--tb=short")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*_ *test_it [[]first[]] _*"])
    assert printed(result).count("mail_endpoint received what breaks the contract:") == 1


# Settings.


def test_markers_merge_and_the_nearest_wins(run: Run) -> None:
    run(
        """
pytestmark = pytest.mark.mail_contract(revision="1.32", authorization="module")

@pytest.mark.mail_contract(layer="emitted", authorization="class")
class Test:
    @pytest.mark.mail_contract(authorization="function")
    def test_function(self, mail_endpoint):
        assert (mail_endpoint.revision, mail_endpoint.layer) == ("1.32", "emitted")
        assert mail_endpoint.authorization == "function"

    def test_class(self, mail_endpoint):
        assert (mail_endpoint.revision, mail_endpoint.layer) == ("1.32", "emitted")
        assert mail_endpoint.authorization == "class"

    def test_made(self, make_mail_endpoint):
        made = make_mail_endpoint(layer="guard")
        assert (made.revision, made.layer, made.authorization) == ("1.32", "guard", "class")

def test_module(mail_endpoint):
    assert (mail_endpoint.layer, mail_endpoint.authorization) == ("guard", "module")
"""
    ).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("marker", "line"),
    [
        ("lenent=True", "mail_contract accepts revision=, layer=, *, lenient= by keyword; not lenent"),
        ("'1.35'", "mail_contract accepts revision=, layer=, *, lenient= by keyword; not '1.35'"),
        ("revision='0.7'", "mail-contract: There is no contract revision '0.7'. Revisions: 1.22, 1.25, *"),
        ("revision=''", "mail-contract: There is no contract revision ''. Revisions: 1.22, 1.25, *"),
        ("layer='guarded'", "mail-contract: Revision 1.35 has no layer 'guarded'. Its layers: guard, *"),
        ("revision='1.22', layer='documented'", "mail-contract: Revision 1.22 has no layer 'documented'.*"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_wrong_marker_fails_its_test_alone(run: Run, marker: str, line: str, first: bool) -> None:
    good = "def test_good{}(mail_endpoint):\n    assert post(mail_endpoint.url) == 200\n\n"
    wrong = f"@pytest.mark.mail_contract({marker})\ndef test_wrong(request):\n    pass\n\n"
    asking = wrong.replace("test_wrong", "test_asking").replace("request", "mail_endpoint")
    tests = [asking, wrong, good.format(1), good.format(2)]
    result = run("".join(tests if first else reversed(tests)))
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines([line, line])
    assert "plugin.py" not in printed(result)


def test_options_choose_the_settings(run: Run) -> None:
    result = run(
        """
def test_it(mail_endpoint):
    assert (mail_endpoint.revision, mail_endpoint.layer) == ("1.35", "emitted")
    assert mail_endpoint.url.endswith("/hook")
    assert post(mail_endpoint.url, ONLY_GUARD) == 200
    mail_endpoint.lenient = True
    assert [finding.rule for finding in mail_endpoint.inbox[0].violations] == ["message/emitted/code"]
""",
        "--mail-contract-revision=v1.42.0",
        "--mail-contract-layer=emitted",
        "--mail-contract-path=/hook",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["mail-contract: revision 1.35, layer emitted"])


def test_options_override_ini_keys(run: Run, pytester: pytest.Pytester) -> None:
    source = """
def test_it(mail_endpoint):
    assert mail_endpoint.url == "http://localhost:" + mail_endpoint.url.split(":")[2].split("/")[0] + "/ini"
    assert (mail_endpoint.revision, mail_endpoint.layer) == ("1.32", "emitted")
"""
    pytester.makeini(
        "[pytest]\nmail_contract_revision = 1.25\nmail_contract_layer = emitted\n"
        "mail_contract_host = localhost\nmail_contract_port = 0\nmail_contract_path = /ini\n"
    )
    result = run(source, "--mail-contract-revision=1.34")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["mail-contract: revision 1.32, layer emitted"])
    run(source).assert_outcomes(failed=1)


def test_the_header_shows_the_current_revision(run: Run) -> None:
    result = run("def test_it():\n    pass")
    result.stdout.fnmatch_lines(["mail-contract: revision 1.35, layer guard"])
    result.stdout.no_fnmatch_line("*is newer than*")


@pytest.mark.parametrize("given", ["option", "ini"])
def test_the_header_says_that_a_release_is_newer_than_the_contract(
    given: str, run: Run, pytester: pytest.Pytester
) -> None:
    source = """
import pytest

@pytest.mark.mail_contract(revision="v2.0.0")
def test_marker(mail_endpoint, make_mail_endpoint):
    assert mail_endpoint.revision == make_mail_endpoint(revision="1.999").revision == "1.35"

def test_it(mail_endpoint):
    assert mail_endpoint.revision == "1.35"
"""
    if given == "ini":
        pytester.makeini("[pytest]\nmail_contract_revision = v1.999.0\n")
    result = run(source, *(["--mail-contract-revision=v1.999.0"] if given == "option" else []))
    result.assert_outcomes(passed=2)
    explained = f"mail-contract: {explain_newer_release('v1.999.0')}"
    result.stdout.fnmatch_lines(["mail-contract: revision 1.35, layer guard", explained])


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (
            "revision=0.7",
            "ERROR: mail-contract: There is no contract revision '0.7'. Revisions: 1.22, 1.25, 1.31, *",
        ),
        ("revision=", "ERROR: mail-contract: There is no contract revision ''. Revisions: 1.22, 1.25, *"),
        ("layer=", "ERROR: mail-contract: Revision 1.35 has no layer ''. Its layers: guard, *"),
        ("layer=strict", "ERROR: mail-contract: Revision 1.35 has no layer 'strict'. Its layers: guard, *"),
        ("port=http", "ERROR: mail-contract: a port is a number from 0 to 65535; it was 'http'"),
        ("port=65536", "ERROR: mail-contract: a port is a number from 0 to 65535; it was '65536'"),
        ("port=-1", "ERROR: mail-contract: a port is a number from 0 to 65535; it was '-1'"),
        ("path=hook", "ERROR: mail-contract: *begins with a slash*'hook'"),
        ("path=/a b", "ERROR: mail-contract: *begins with a slash*'/a b'"),
    ],
)
def test_wrong_options_are_usage_errors(run: Run, option: str, line: str) -> None:
    result = run("def test_it():\n    pass", f"--mail-contract-{option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    assert "Traceback" not in result.stderr.str()


def test_wrong_ini_keys_are_usage_errors(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmail_contract_port = x\n")
    assert run("def test_it():\n    pass").ret == pytest.ExitCode.USAGE_ERROR


def test_an_empty_ini_key_is_unset(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmail_contract_revision =\nmail_contract_layer =\nmail_contract_port =\n")
    result = run("def test_it(mail_endpoint):\n    assert mail_endpoint.revision == '1.35'")
    result.assert_outcomes(passed=1)


def test_a_port_in_use_is_reported(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        result = run("def test_it(mail_endpoint):\n    pass", f"--mail-contract-port={port}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"mail-contract: The mail endpoint cannot listen at 127.0.0.1 port {port}: Address already in *"]
    )
    assert "plugin.py" not in printed(result)


def test_the_marker_is_described(run: Run) -> None:
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.mail_contract(revision=..., *"])
    run("def test_it():\n    pass", "--help").stdout.fnmatch_lines(["*--mail-contract-revision=R*"])


# Several endpoints.


def test_several_endpoints_at_once(run: Run) -> None:
    run(
        """
urls = []

def test_first(make_mail_endpoint):
    one, other = make_mail_endpoint(), make_mail_endpoint(authorization="x", revision="1.32", path="/other")
    urls.extend([one.url, other.url])
    assert post(one.url) == 200
    assert post(other.url, Authorization="x") == 200
    assert (other.revision, len(one.inbox), len(other.inbox)) == ("1.32", 1, 1)
    lenient = make_mail_endpoint(lenient=True)
    post(lenient.url, INVALID)

def test_second(make_mail_endpoint):
    assert [post(url) for url in urls] == [404, 404]
    assert make_mail_endpoint(path="/other").url == urls[1]
    with pytest.raises(TypeError, match="make_mail_endpoint accepts https, .* not lenent"):
        make_mail_endpoint(lenent=True)
    with pytest.raises(ValueError, match="There is no contract revision"):
        make_mail_endpoint(revision="0.7")
"""
    ).assert_outcomes(passed=2)


def test_https_is_used_when_requested(run: Run) -> None:
    run(
        """
import ssl

def test_it(make_mail_endpoint):
    mail = make_mail_endpoint(https=True)
    context = ssl.create_default_context(cadata=mail.ca_pem.decode())
    assert post(mail.url, context=context) == 200
    assert mail.inbox.code == "042137"
    assert make_mail_endpoint().url.startswith("http://")
"""
    ).assert_outcomes(passed=1)


# How the plugin is loaded, and how it cleans up.


def test_it_works_with_xdist(run: Run) -> None:
    result = run(
        """
@pytest.mark.parametrize("number", range(8))
def test_good(mail_endpoint, number):
    assert post(mail_endpoint.url) == 200
    assert len(mail_endpoint.inbox) == 1

def test_invalid(mail_endpoint):
    post(mail_endpoint.url, INVALID)

@pytest.mark.mail_contract(lenient=True)
def test_lenient(mail_endpoint):
    post(mail_endpoint.url, INVALID)
""",
        "-n2",
        subprocess=True,
    )
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_lenient: message/guard/code at *"])


def test_it_loads_by_name_when_autoload_is_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    source = "def test_it(mail_endpoint, make_mail_endpoint):\n    assert post(mail_endpoint.url) == 200"
    run(source, "-p", "logto_mail_contract", subprocess=True).assert_outcomes(passed=1)
    run(source, subprocess=True).assert_outcomes(errors=1)


def test_it_is_absent_when_disabled(run: Run) -> None:
    result = run("def test_it(mail_endpoint):\n    pass", "-p", "no:logto_mail_contract")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E *fixture 'mail_endpoint' not found"])
    assert "mail-contract" not in printed(result)


def test_no_resource_stays_open(run: Run) -> None:
    result = run(
        """
import gc

def test_it(mail_endpoint, make_mail_endpoint, request):
    idle = http.client.HTTPConnection(urlsplit(mail_endpoint.url).netloc)
    idle.connect()
    make_mail_endpoint(https=True)
    post(mail_endpoint.url)
    idle.close()
    gc.collect()
""",
        "-W",
        "error",
        subprocess=True,
    )
    result.assert_outcomes(passed=1)
    assert result.stderr.str() == ""


def test_no_thread_outlives_its_session(run: Run) -> None:
    before: list[Any] = threading.enumerate()
    run(
        """
import threading

def test_it(mail_endpoint):
    assert post(mail_endpoint.url) == 200
    assert threading.active_count() > 1
"""
    ).assert_outcomes(passed=1)
    assert threading.enumerate() == before


def test_an_interrupted_session_stops_the_server(run: Run) -> None:
    before = threading.enumerate()
    result = run("def test_it(mail_endpoint):\n    post(mail_endpoint.url)\n    pytest.exit('enough')")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert threading.enumerate() == before


POST_BROKEN = "post(make_mail_endpoint().url, {})"


@pytest.mark.parametrize(
    ("body", "outcomes"),
    [
        pytest.param(f"{POST_BROKEN}", {"failed": 1}, id="passes by itself"),
        pytest.param(f"{POST_BROKEN}; assert 1 == 2", {"failed": 1}, id="fails by itself"),
        pytest.param(f"{POST_BROKEN}; pytest.skip('enough')", {"failed": 1}, id="skips"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["by the fixture", "by getfixturevalue"])
def test_the_first_endpoint_of_a_session_is_watched_too(
    run: Run, body: str, outcomes: dict[str, int], late: bool
) -> None:
    fixture = "request" if late else "make_mail_endpoint"
    asks = "make_mail_endpoint = request.getfixturevalue('make_mail_endpoint')" if late else "pass"
    result = run(f"def test_it({fixture}):\n    {asks}\n    {body}\n")
    result.assert_outcomes(**outcomes)
    assert "message/guard/to" in printed(result)
    assert ("assert 1 == 2" in printed(result)) == ("1 == 2" in body)


@pytest.mark.parametrize("lenient", [False, True])
def test_unusual_characters_of_a_message_reach_the_xdist_controller(run: Run, lenient: bool) -> None:
    message = {"to": "a", "type": "SignIn", "payload": {"\ud800\x1b": 1}}
    result = run(
        f"""
        @pytest.mark.mail_contract(revision="1.22", lenient={lenient})
        def test_it(mail_endpoint):
            post(mail_endpoint.url, {message!r})

        def test_other():
            pass
        """.replace("\n        ", "\n"),
        "-n",
        "2",
        subprocess=True,
    )
    result.assert_outcomes(passed=2 if lenient else 1, failed=0 if lenient else 1)
    assert r"/payload/\ud800\u001b" in result.stdout.str()


@pytest.mark.parametrize(
    ("marker", "problem"),
    [
        ("revision=1.35", 'invalid revision 1.35: expected text such as "1.35", not float'),
        ("authorization=3", "authorization is text or None; it was 3"),
        ("lenient='yes'", "lenient is True or False; it was 'yes'"),
    ],
)
def test_a_marker_of_the_wrong_type_is_reported(run: Run, marker: str, problem: str) -> None:
    result = run(f"@pytest.mark.mail_contract({marker})\ndef test_it(mail_endpoint):\n    pass\n")
    result.assert_outcomes(errors=1)
    assert problem in printed(result)
    assert "Traceback" not in result.stdout.str()


def test_an_unusable_host_is_reported_once(run: Run) -> None:
    result = run("def test_it(mail_endpoint):\n    pass\n", "--mail-contract-host", "192.0.2.1")
    result.assert_outcomes(errors=1)
    assert "cannot listen at 192.0.2.1" in printed(result)
    assert "During handling" not in printed(result)
