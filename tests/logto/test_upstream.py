"""Tests ``make upstream`` with patched copies of the installed packages, without npm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.logto.node import WorkerError, require_packages
from tests.support.logto_packages import CONNECTOR, KIT, PHRASES, SCHEMAS, make_packages, patch_package
from tools.upstream.__main__ import compare, main
from tools.upstream.changes import Change
from tools.upstream.packages import read_facts
from tools.upstream.proofs import TESTS, ProofError, run_proofs
from tools.upstream.report import format_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GUARD = "lib/types/passwordless.js"
MAX_SCREEN_LINES = 40
MAX_PROOF_SECONDS = 60


def add_program(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """Make a shell script the one program of its name on the path."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return a folder with the installed packages, for a test to patch."""
    require_packages()
    return make_packages(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command and returns exit code, output and errors."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_contract_holds_for_the_installed_packages(
    packages: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, output, errors = run("--packages", packages, "--tests")
    assert (code, errors) == (0, "")
    first, second = output.splitlines()[:2]
    assert first.startswith("compared with @logto/connector-kit 5.")
    assert second == "The contract holds."


def test_a_kit_with_one_type_more_is_reported(
    packages: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    patch_package(
        packages,
        KIT,
        GUARD,
        (
            'TemplateType["BindMfa"] = "BindMfa";',
            'TemplateType["BindMfa"] = "BindMfa"; TemplateType["New"] = "New";',
        ),
    )
    code, output, _ = run("--packages", packages, "--tests")
    assert code == 1
    assert output.splitlines()[1:-1] == [
        "Logto changed: 1 difference.",
        "1. template type New is new",
        "   Logto     accepts it",
        "   contract  refuses it",
        '   message   {"to":"foo@example.com","type":"New","payload":{}}',
        "   edit      tools/contract_source/schemas/revisions.py, tests/logto/rule.py",
    ]


@pytest.mark.parametrize(
    ("variable", "message", "accepted"),
    [
        ("code: z.string().nullable().optional()", '{"code":null}', "a string, a long string, null, nothing"),
        ("code: z.coerce.string().optional()", '{"code":null}', "a string, a long string, null, a number"),
    ],
)
def test_a_kit_with_a_variable_typed_otherwise_is_reported(
    variable: str, message: str, accepted: str, packages: Path
) -> None:
    patch_package(packages, KIT, GUARD, ("code: z.string().optional()", variable))
    changes = {change.what: change for change in compare(packages)}
    change = changes.pop("typed variable code is typed otherwise")
    assert change.message == f'{{"to":"foo@example.com","type":"SignIn","payload":{message}}}'
    assert change.logto.startswith(f"accepts {accepted}")
    assert change.contract == "accepts a string, a long string, nothing"
    assert not changes


def test_a_connector_with_one_member_more_is_reported(
    packages: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    patch_package(packages, CONNECTOR, "lib/index.js", ("...ip && { ip }", '...ip && { ip }, messageId: "1"'))
    test = "tests/logto/test_connector.py::test_the_worker_accepts_a_message_as_a_value"
    code, output, _ = run("--packages", packages, "--tests", test)
    assert code == 1
    lines = output.splitlines()
    assert lines[1:6] == [
        "Logto changed: 2 differences.",
        "1. the body has the new member messageId",
        '   Logto     posts {"to":"foo@example.com","type":"SignIn","payload":{},"messageId":"1"}',
        '   contract  posts {"to":"foo@example.com","type":"SignIn","payload":{}}',
        '   message   {"to":"foo@example.com","type":"SignIn","payload":{}}',
    ]
    # The test of the wire ran with the same packages, and tells too.
    assert lines[7] == f"2. {test}"
    assert '"messageId":"1"' in lines[8]


def test_other_changes_are_reported(packages: Path) -> None:
    patch_package(
        packages,
        KIT,
        GUARD,
        ("uiLocales: z.string().optional(),", "theme: z.string().optional(),"),
        ("ip: z.string().optional(),", "ip: z.string().nullish(), time: z.number().optional(),"),
        ('TemplateType["BindMfa"] = "BindMfa";', ""),
    )
    patch_package(
        packages,
        CONNECTOR,
        "lib/index.js",
        ('"Content-Type": "application/json"', '"Content-Type": "application/json", "X-Event": type'),
        ("...ip && { ip }", "ip"),
        ("json: {", "methodRewriting: true, maxRedirects: 5, json: {"),
    )
    patch_package(
        packages,
        SCHEMAS,
        "index.js",
        ("zoneinfo locale", "zoneinfo locale pronouns"),
        ("region postalCode", "postalCode"),
        (" darkFavicon", ""),
        ("avatar: optional(2048)", "avatar: text(2048)"),
        ("displayName: optional(256)", "displayName: optional(300)"),
        ("code: text(6)", "code: text(8)"),
        ("email: optional(128)", "email: optional(64)"),
        ("invitee: text(256)", "invitee: z.string()"),
    )
    patch_package(packages, PHRASES, "index.js", ('"en"', '"en", ""'))
    changes = {change.what: change for change in compare(packages)}
    start = '{"to":"foo@example.com","type":"SignIn","payload":{'
    # The changes of the guard, with the smallest message for each.
    assert {what: changes.pop(what).message for what in [*changes][:5]} == {
        "template type BindMfa is gone": '{"to":"foo@example.com","type":"BindMfa","payload":{}}',
        "typed variable uiLocales is gone": f'{start}"uiLocales":null}}}}',
        "typed variable theme is new": f'{start}"theme":null}}}}',
        "top-level member ip is typed otherwise": f'{start}}},"ip":null}}',
        "top-level member time is new": f'{start}}},"time":""}}',
    }
    # The changes of the connector.
    assert "new header line 'x-event: SignIn'" in changes
    assert changes["the body has the new member ip"].message.endswith('"ip":""}')
    assert changes["after redirect 302"].logto.endswith("then GET /there with authorization")
    assert changes["after more than ten redirects"].logto.startswith("fails after 6 requests")
    # The changes of the tables.
    assert [*changes][-9:] == [
        "key pronouns of Profile is new",
        "key region of Address is gone",
        "key darkFavicon of Branding is gone",
        "ApplicationSignInExperience.displayName holds 300 characters",
        "OrganizationInvitation.invitee holds 4096 characters",
        "Passcode.code holds 8 characters",
        "Passcode.email holds no 65 characters",
        "User.avatar holds no null",
        "language  is no tag that the contract knows",
    ]
    assert changes["key pronouns of Profile is new"].message.endswith('"profile":{"pronouns":"x"}}}}')
    assert changes["Passcode.email holds no 65 characters"].message.startswith('{"to":"x…53 times@example')


def test_packages_of_another_form_are_reported(packages: Path) -> None:
    patch_package(packages, KIT, GUARD, ("export const sendMessageDataGuard", "export const renamedGuard"))
    (change,) = compare(packages)
    assert change.what == "the packages have another form"
    assert "TypeError" in change.logto
    assert change.files == ("tools/upstream/facts.mjs",)


def test_many_long_changes_fit_on_one_screen() -> None:
    change = Change("x" * 1000, "y\n" * 500, "z" * 1000, "m" * 1000, ("f" * 1000,))
    lines = format_report({"@logto/schemas": "1.42.0"}, [change] * 30, None).splitlines()
    assert len(lines) <= MAX_SCREEN_LINES
    assert max(map(len, lines)) <= 300
    assert "and 25 more" in lines


def test_a_version_that_the_catalogue_does_not_list_is_named() -> None:
    report = format_report({"@logto/schemas": "99.0.0", "@logto/connector-kit": "5.1.1"}, [], 7)
    assert "The contract holds. 7 tests passed with these packages." in report
    assert "@logto/schemas 99.0.0 is not in the catalogue yet" in report
    assert "@logto/connector-kit 5.1.1 is not" not in report


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({}, "cannot compare: node is missing: install Node 20 or later, with npm"),
        ({"node": "echo v22.0.0"}, "cannot compare: npm is missing: install Node 20 or later, with npm"),
        (
            {"node": "echo v18.20.8", "npm": "exit 1"},
            "cannot compare: Node v18.20.8 is too old: install Node 20 or later",
        ),
        (
            {"node": "echo v22.0.0", "npm": "echo 'npm error code ENOTFOUND' >&2; exit 7"},
            "cannot compare: npm failed with exit code 7: npm error code ENOTFOUND",
        ),
    ],
    ids=["no-node", "no-npm", "old-node", "no-network"],
)
def test_what_is_missing_is_named_in_one_line(
    programs: dict[str, str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., tuple[int, str, str]],
) -> None:
    for name, script in programs.items():
        add_program(tmp_path, monkeypatch, name, script)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run() == (3, "", f"{reason}\n")


def test_an_npm_that_fails_and_prints_nothing_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str, str]]
) -> None:
    add_program(tmp_path, monkeypatch, "node", "echo v22.0.0")
    add_program(tmp_path, monkeypatch, "npm", "exit 1")
    assert run() == (3, "", "cannot compare: npm failed with exit code 1: it printed no error\n")


def test_a_folder_without_packages_is_named(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    require_packages()
    code, output, errors = run("--packages", tmp_path / "none")
    assert (code, output) == (3, "")
    assert f"the Node packages of {tmp_path}/none are not installed" in errors


def test_a_package_that_is_missing_is_named(packages: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    (packages / "node_modules" / KIT).unlink()
    code, output, errors = run("--packages", packages, "--tests")
    assert (code, output) == (3, "")
    assert errors.startswith("cannot compare: the package kit-newest is missing: install kit-newest, @logto/")


def test_nothing_is_written_into_the_folder_of_the_packages(
    packages: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    before = sorted(packages.iterdir())
    assert run("--packages", packages, "--tests")[0] == 0
    assert sorted(packages.iterdir()) == before


def test_a_crash_of_the_comparison_is_a_fault(
    packages: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    (packages / "package-lock.json").write_text("{", encoding="utf-8")
    code, output, errors = run("--packages", packages, "--tests")
    assert (code, output) == (4, "")
    assert errors.startswith("the comparison itself failed: Traceback")


def test_packages_that_take_too_long_are_a_fault(packages: Path) -> None:
    with pytest.raises(WorkerError, match=r"facts\.mjs gave no result within 0 s"):
        read_facts(packages, seconds=0)


def test_a_node_that_is_killed_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_program(tmp_path, monkeypatch, "node", "kill -9 $$")
    with pytest.raises(WorkerError, match=r"facts\.mjs was ended by signal 9"):
        read_facts(tmp_path)


def test_a_skipped_test_counts_as_no_proof(tmp_path: Path) -> None:
    test = tmp_path / "test_proof.py"
    skip = "import pytest\ndef test_a(): pytest.skip('why not')\n"
    test.write_text(f"{skip}def test_b(): pass\n", encoding="utf-8")
    assert run_proofs(tmp_path, [str(test)], MAX_PROOF_SECONDS) == (1, [])
    test.write_text(skip, encoding="utf-8")
    with pytest.raises(ProofError, match="every test was skipped"):
        run_proofs(tmp_path, [str(test)], MAX_PROOF_SECONDS)


def test_tests_that_take_too_long_hide_no_change(
    packages: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    patch_package(packages, KIT, GUARD, ("to: z.string(),", "to: z.number(),"))
    code, output, errors = run("--packages", packages, "--seconds", "0")
    assert code == 1
    assert "1. top-level member to is typed otherwise" in output
    assert errors == "the tests did not end within the 0 s that were left\n"


def test_tests_that_take_too_long_are_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="the tests did not end within the 0 s that were left"):
        run_proofs(tmp_path, TESTS, 0)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("var createHttpMailConnector", "var other", "ReferenceError"),
        (
            "index_default as default",
            "index_default as create",
            "TypeError: createConnector is not a function",
        ),
        (
            'import { got, HTTPError } from "got"',
            'import { got, HTTPError } from "got5"',
            "Cannot find package",
        ),
        (
            "return {\n    metadata",
            "throw new Error('not here');\n  return {\n    metadata",
            "Error: not here",
        ),
    ],
    ids=["broken", "other-export", "other-library", "throws"],
)
def test_a_connector_that_cannot_be_made_is_reported(
    old: str, new: str, problem: str, packages: Path
) -> None:
    patch_package(packages, CONNECTOR, "lib/index.js", (old, new))
    (change,) = compare(packages)
    assert change.what == "the connector has another form"
    assert problem in change.logto
    assert change.files == ("tests/logto/connector.mjs", "tools/upstream/facts.mjs")


@pytest.mark.parametrize(
    "limit",
    [
        "timeout: { request: 100000 }",
        "timeout: { response: 30000 }",
        "timeout: { socket: 60000 }",
        "signal: AbortSignal.timeout(120000)",
    ],
)
def test_a_connector_with_a_time_out_is_reported(limit: str, packages: Path) -> None:
    patch_package(packages, CONNECTOR, "lib/index.js", ("json: {", f"{limit}, json: {{"))
    (change,) = compare(packages)
    assert change.what == "the connector no longer waits for a silent endpoint"
    assert change.logto.startswith("ends the send: ")
    assert change.files == ("schemas/rules.json",)


def test_one_change_of_the_kit_is_no_other_one(packages: Path) -> None:
    patch_package(packages, KIT, GUARD, ("to: z.string(),", "to: z.string().email(),"))
    (change,) = compare(packages)
    assert change.what == "top-level member to is typed otherwise"
    assert change.logto == "accepts none of these"
    assert change.message == '{"to":"","type":"SignIn","payload":{}}'


@pytest.mark.parametrize(
    ("old", "new", "what", "logto", "message"),
    [
        (
            "code: z.string().optional(),",
            "code: z.string(),",
            "typed variable code is typed otherwise",
            "accepts a string, a long string",
            '{"to":"foo@example.com","type":"SignIn","payload":{}}',
        ),
        (
            "to: z.string(),",
            "to: z.number(),",
            "top-level member to is typed otherwise",
            "accepts a number",
            '{"to":"","type":"SignIn","payload":{}}',
        ),
        (
            "to: z.string(),",
            "to: z.string(), time: z.number(),",
            "top-level member time is new",
            "accepts a number",
            '{"to":"foo@example.com","type":"SignIn","payload":{},"time":""}',
        ),
    ],
    ids=["variable", "type", "member"],
)
def test_what_a_kit_requires_is_reported_once(
    old: str, new: str, what: str, logto: str, message: str, packages: Path
) -> None:
    patch_package(packages, KIT, GUARD, (old, new))
    (change,) = compare(packages)
    assert (change.what, change.logto, change.message) == (what, logto, message)


@pytest.mark.parametrize(
    ("old", "new", "what", "message"),
    [
        (
            "ip: z.string().optional(),\n})",
            "ip: z.string().optional(),\n}).strict()",
            "a top-level member that no one knows is typed otherwise",
            '{"to":"foo@example.com","type":"SignIn","payload":{},"unheardOf":""}',
        ),
        (
            ".catchall(z.unknown())",
            ".strict()",
            "a variable that no one knows is typed otherwise",
            '{"to":"foo@example.com","type":"SignIn","payload":{"unheardOf":""}}',
        ),
        (
            "to: z.string(),",
            "to: z.string().max(256),",
            "top-level member to is typed otherwise",
            '{"to":"x…4096 times","type":"SignIn","payload":{}}',
        ),
        (
            "link: z.string().optional()",
            "link: z.string().max(2048).optional()",
            "typed variable link is typed otherwise",
            '{"to":"foo@example.com","type":"SignIn","payload":{"link":"x…4096 times"}}',
        ),
    ],
    ids=["strict-message", "strict-payload", "long-recipient", "long-link"],
)
def test_a_stricter_guard_is_reported(old: str, new: str, what: str, message: str, packages: Path) -> None:
    patch_package(packages, KIT, GUARD, (old, new))
    (change,) = compare(packages)
    assert (change.what, change.message) == (what, message)


@pytest.mark.parametrize(
    ("member", "what", "payload"),
    [
        ("...payload.locale && { locale: 1 }", "the body has the new member locale", '{"locale":"en"}'),
        ("...payload.link && { to: payload.link }", "the body is written otherwise", '{"link":"https'),
        ("...payload.user && { user: 1 }", "the body has the new member user", '{"user":{"id":"'),
        (
            "...payload.code && payload.locale && { a: 1 }",
            "the body has the new member a",
            '{"code":"031415",',
        ),
    ],
)
def test_a_member_that_depends_on_a_variable_is_reported(
    member: str, what: str, payload: str, packages: Path
) -> None:
    patch_package(packages, CONNECTOR, "lib/index.js", ("...ip && { ip }", f"...ip && {{ ip }}, {member}"))
    (change,) = compare(packages)
    assert change.what == what
    assert f'"payload":{payload}' in change.message
