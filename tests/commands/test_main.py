"""The command ``mail-contract``: its small commands, its exit codes, and what it prints where."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from jsonschema import Draft202012Validator

from logto_mail_contract import MailEndpoint, validate
from logto_mail_contract.catalogue import explain_newer_release, load, revisions, rules, schema
from logto_mail_contract.commands import main as cli

GOOD = '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "012345"}}'
BAD = '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": 12345}}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of messages, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("good.json").write_text(GOOD)
    Path("bad.json").write_text(BAD)
    Path("mixed.ndjson").write_text(f"{GOOD}\n\n{BAD}\r\n{{\n{GOOD}")
    Path("empty.ndjson").write_text("\n\n")
    return tmp_path


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Put data on standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.usefixtures("folder")
def test_valid_messages_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "good.json", "good.json"]) == 0
    printed = capsys.readouterr()
    assert printed.out == (
        "good.json: valid\ngood.json: valid\n2 judged, 2 valid, 0 invalid (revision 1.35, layer guard)\n"
    )
    assert printed.err == ""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("validate", "good.json"), 0),
        (("sample", "-n", "1"), 0),
        (("verify", "--ca-file", "none", "https://127.0.0.1:1/"), 2),
        (("verify-sender", "--rule", "none", "--", "none"), 2),
        (("serve", "--authorization-env", "NOT_SET"), 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_newer_release_is_explained_on_standard_error(
    arguments: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = arguments
    problems = []
    for release in ("v1.999.0", "v1.22.1", "1.35"):
        assert cli.main([name, "--revision", release, *rest]) == code
        problems.append(capsys.readouterr().err.splitlines())
    explained, *others = problems
    assert [line for line in explained if "is newer than v" in line] == [
        f"mail-contract: {explain_newer_release('v1.999.0')}"
    ]
    assert "is newer than" not in str(others)


@pytest.mark.usefixtures("folder")
def test_an_invalid_message_exits_1_and_prints_every_fact(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "good.json", "bad.json"]) == 1
    out = capsys.readouterr().out
    for part in ("bad.json: invalid", "message/guard/code  MUST", "/payload/code (layer guard)", "in Logto"):
        assert part in out
    assert out.endswith("2 judged, 1 valid, 1 invalid (revision 1.35, layer guard)\n")


@pytest.mark.usefixtures("folder")
def test_ndjson_has_one_message_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "mixed.ndjson"]) == 1
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("mixed")] == [
        "mixed.ndjson:1: valid",
        "mixed.ndjson:3: invalid",
        "mixed.ndjson:4: invalid",
        "mixed.ndjson:5: valid",
    ]
    assert "at line 4, column 2" in out


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"to":\n "a" 1}', "line 2, column 6"),
        (b"", "line 1, column 1"),
        (b'{"to": NaN}', "line 1, column 8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\0", "UTF-16"),
        (b"[" * 1000 + b"]" * 1000, "500 levels"),
        (b"[" * 1000, "line 1, column 1001"),
    ],
)
def test_text_that_is_no_message_is_invalid_at_its_position(
    text: bytes, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, text)
    assert cli.main(["validate", "-"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("-: invalid\n")
    assert place in out


def test_a_duplicate_key_is_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, b'{"to":1,"to":"a","type":"SignIn","payload":{}}')
    assert cli.main(["validate", "-"]) == 0
    assert (
        'note: the object at the top has "to" more than once; Logto\'s guard uses the last one'
        in capsys.readouterr().out
    )


@pytest.mark.usefixtures("folder")
def test_an_unreadable_file_exits_2_and_the_rest_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "missing.json", ".", "bad.json"]) == 2
    printed = capsys.readouterr()
    assert "mail-contract: missing.json cannot be read: No such file or directory\n" in printed.err
    assert "mail-contract: . cannot be read: Is a directory\n" in printed.err
    assert "bad.json: invalid" in printed.out


@pytest.mark.usefixtures("folder")
def test_no_message_exits_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "empty.ndjson", "--format", "json"]) == 5
    printed = capsys.readouterr()
    assert "there is no message in empty.ndjson" in printed.err
    assert json.loads(printed.out)["valid"] is False
    assert cli.main(["validate", "good.json", "empty.ndjson"]) == 0
    assert "there is no message in empty.ndjson" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validate", "good.json", "--revision", "0.9"], "Revisions: 1.22, 1.25, 1.31, 1.32, 1.35"),
        (
            ["validate", "good.json", "--revision", "1.32", "--layer", "documented"],
            "Only 1.35 has 'documented'",
        ),
        *(
            ([*command, "--revision", ""], "There is no contract revision ''. Revisions: 1.22, 1.25,")
            for command in (
                ["validate", "good.json"],
                ["sample"],
                ["sample", "--generated"],
                ["verify", "https://127.0.0.1:1/"],
                ["serve", "--port", "0"],
            )
        ),
        (["validate", "good.json", "--layer", "gard"], "invalid choice: 'gard'"),
        (["validate"], "the following arguments are required: FILE"),
        (["valdate"], "invalid choice: 'valdate'"),
        ([], "the following arguments are required: COMMAND"),
        (["sample", "-n", "0"], "argument -n: invalid value '0': expected a whole number from 1"),
        (["sample", "-n", "9" * 5000], "expected a whole number from 1"),
        (["sample", "--seed", "1_0"], "argument --seed: invalid value '1_0': expected a whole number"),
        (["sample", "--seed", "٣"], "argument --seed: invalid value '٣': expected a whole number"),
        (
            ["send", "http://localhost/", "--timeout", "1_0"],
            "argument --timeout: invalid value '1_0': expected",
        ),
        (["send", "http://127.0.0.1:1/", "--timeout", "nan"], "'nan': expected a number of seconds above 0"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_use_exits_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = cli.main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_release_and_a_layer_can_be_selected(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "good.json", "--revision", "v1.24.1", "--layer", "emitted"]) == 0
    assert "(revision 1.22, layer emitted)" in capsys.readouterr().out
    assert cli.main(["validate", "good.json", "--layer", "emitted"]) == 1
    assert "message/emitted/locale" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_the_json_report_is_valid_by_its_published_schema(capsys: pytest.CaptureFixture[str]) -> None:
    schema = load("validation-report.schema.json")
    Draft202012Validator.check_schema(schema)
    code = cli.main(["validate", "mixed.ndjson", "missing.json", "good.json", "--format", "json"])
    assert code == 2
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema).validate(report)
    assert [(message["source"], message["line"], message["valid"]) for message in report["messages"]] == [
        ("mixed.ndjson", 1, True),
        ("mixed.ndjson", 3, False),
        ("mixed.ndjson", 4, False),
        ("mixed.ndjson", 5, True),
        ("good.json", None, True),
    ]
    assert report["messages"][1]["findings"][0]["rule"] == "message/guard/code"
    assert report["unreadable"] == [{"source": "missing.json", "problem": "No such file or directory"}]
    assert (report["valid"], report["revision"]) == (False, "1.35")
    del report["messages"][1]["findings"][0]["rule"]
    assert not Draft202012Validator(schema).is_valid(report)


class RaisingInput(io.BytesIO):
    """A standard input that raises an exception when it is read."""

    def __init__(self, problem: BaseException) -> None:
        super().__init__()
        self._problem = problem

    def read(self, size: int | None = -1) -> NoReturn:  # noqa: ARG002 - the signature of the base class
        raise self._problem


def test_an_own_fault_exits_4_and_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(RaisingInput(ZeroDivisionError("a fault"))))
    assert cli.main(["validate", "-"]) == 4
    printed = capsys.readouterr().err
    assert "ZeroDivisionError: a fault" in printed
    assert "a fault of mail-contract itself" in printed


def test_an_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(RaisingInput(KeyboardInterrupt())))
    assert cli.main(["validate", "-"]) == 130
    assert capsys.readouterr().err == "mail-contract: interrupted\n"


def run(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command in its own process."""
    command = [sys.executable, "-m", "logto_mail_contract.commands.main", *arguments]
    return subprocess.run(command, capture_output=True, check=False, **options)


def test_a_terminal_without_unicode_gets_escapes() -> None:
    message = '{"to": "a", "type": "' + "é" * 500 + '", "payload": {}}'
    done = run(["validate", "-"], input=message.encode(), env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"message/guard/type" in done.stdout


def test_a_closed_output_pipe_is_not_a_fault(folder: Path) -> None:
    (folder / "many.ndjson").write_text(f"{BAD}\n" * 2000)
    command = f"'{sys.executable}' -m logto_mail_contract.commands.main validate many.ndjson | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, cwd=folder)
    assert done.stdout == b"many.ndjson:1: invalid\n"
    assert done.stderr == b"mail-contract: standard output cannot be written: Broken pipe\n"


def test_version_and_help_are_printed() -> None:
    assert run(["--version"]).stdout.startswith(b"mail-contract 0.1.0")
    printed = run(["--help"]).stdout
    assert b"validate" in printed
    assert b"Exit codes" in printed


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["--version"], set()),
        (["rules"], {"rules"}),
        (["sample"], {"sample"}),
        (["validate", os.devnull], {"validate"}),
    ],
)
def test_only_the_command_that_runs_is_imported(arguments: list[str], loaded: set[str]) -> None:
    code = (
        "import sys\nfrom logto_mail_contract.commands.main import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.startswith('logto_mail_contract.commands.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name.rpartition(".")[2] for name in done.stdout.splitlines()[-1].split()}
    assert modules - {"main", "parser", "exit_codes", "streams"} == loaded


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("mail-contract")
    done = subprocess.run([command, "validate", "-"], input=GOOD.encode(), capture_output=True, check=False)
    assert done.returncode == 0


def test_rules_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(rules())
    assert any(line.startswith("MUST   receiver/accept/null-user ") for line in listed)
    assert cli.main(["rules", "receiver/accept/null-user"]) == 0
    explained = capsys.readouterr().out
    for part in (
        "receiver/accept/null-user  MUST",
        "requires",
        "expected  any 2xx",
        "in Logto",
        "source",
        "since",
    ):
        assert part in explained
    assert cli.main(["rules", "receiver/accept/nulluser"]) == 2
    assert "did you mean receiver/accept/null-user?" in capsys.readouterr().err
    assert cli.main(["rules", "zzz"]) == 2
    assert "there is no rule 'zzz': mail-contract rules lists them" in capsys.readouterr().err


def sample(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert cli.main(["sample", *arguments]) == 0
    # Not splitlines(): it splits at U+2028 too, which may stand in a JSON string.
    return capsys.readouterr().out.removesuffix("\n").split("\n")


@pytest.mark.parametrize("kind", [(), ("--generated",)])
def test_samples_are_valid_and_the_same_for_the_same_seed(
    kind: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "-n", "30", "--type", "BindMfa", *kind
    messages = sample(capsys, *arguments, "--seed", "7")
    assert len(messages) == 30
    assert all(json.loads(message)["type"] == "BindMfa" for message in messages)
    assert all(validate(message, layer="emitted") == () for message in messages)
    assert sample(capsys, *arguments, "--seed", "7") == messages
    assert sample(capsys, *arguments, "--seed", "8") != messages
    assert len(sample(capsys, *kind)) == 1
    old = sample(capsys, "-n", "10", "--revision", "v1.24.0", "--layer", "guard", *kind)
    assert all(validate(message, "1.22") == () for message in old)


def list_variables(messages: list[str]) -> list[tuple[str, ...]]:
    """Return the type and the variables of each message."""
    documents = map(json.loads, messages)
    return [(document["type"], *sorted(document["payload"])) for document in documents]


LAYERS = [
    *((revision, layer) for revision in revisions() for layer in ("guard", "emitted")),
    ("1.35", "documented"),
]


@pytest.mark.parametrize(("revision", "layer"), LAYERS)
def test_samples_are_a_usual_message_of_each_type_and_then_vary(
    revision: str, layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    types = schema(revision, layer)["properties"]["type"]["enum"]
    messages = sample(capsys, "-n", "60", "--revision", revision, "--layer", layer)
    assert all(validate(message, revision, layer) == () for message in messages)
    kinds = list_variables(messages)
    assert [type for type, *_ in kinds[: len(types)]] == types
    if revision != "1.22":
        # A usual message has the context that a mail shows.
        assert all({"code", "link"} & set(kind) and "locale" in kind for kind in kinds[: len(types)])
    one_type = list_variables(sample(capsys, "-n", "300", "--type", "SignIn", *options_of(revision, layer)))
    for drawn in (kinds, one_type):
        # None comes again while there are others.
        first = drawn[: len(set(drawn))]
        assert len(set(first)) == len(first)
    assert len(set(kinds[:20])) == 20 or revision == "1.22"


def options_of(revision: str, layer: str) -> tuple[str, ...]:
    return "--revision", revision, "--layer", layer


def test_samples_have_every_set_of_variables_that_logto_sends(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--type", "BindNewIdentifier", "-n"
    generated = set(list_variables(sample(capsys, *arguments, "300", "--generated")))
    plausible = list_variables(sample(capsys, *arguments, str(len(generated))))
    assert len(generated) > 4
    assert sorted(plausible) == sorted(generated)


def test_generated_samples_have_what_no_person_would_write(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "javascript:", "<script>", "__proto__"
    assert any(mark in "".join(sample(capsys, "-n", "200", "--generated")) for mark in hostile)
    assert not any(mark in "".join(sample(capsys, "-n", "200")) for mark in hostile)


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample"],
        ["sample", "--generated"],
        ["verify-sender", "--rules", "sender/body/utf-8", "--examples", "3", "--", "false"],
        ["verify", "http://127.0.0.1:1/", "--wait", "0.1"],
    ],
)
def test_no_command_leaves_a_file_behind(arguments: list[str], tmp_path: Path) -> None:
    run(arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--type", "SingIn"], "SingIn"),
        (["--revision", "3"], "Revisions: 1.22"),
        (["--revision", "1.22", "--layer", "documented"], "Only 1.35"),
    ],
)
def test_a_sample_of_an_unknown_type_or_revision_exits_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sample", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_send_posts_one_message(
    mail_endpoint: MailEndpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAIL_AUTHORIZATION", "Bearer s3cret")
    mail_endpoint.authorization = "Bearer s3cret"
    arguments = ["send", mail_endpoint.url, "--authorization-env", "MAIL_AUTHORIZATION"]
    settings = [
        "--set",
        "payload.code=012345",
        "--set",
        "to=bar@example.com",
        "--set",
        'payload.x={"a": [1]}',
    ]
    assert cli.main([*arguments, *settings]) == 0
    mail = mail_endpoint.inbox.latest(to="bar@example.com", type="SignIn", payload={"x": {"a": [1]}})
    assert mail.code == "012345"
    printed = capsys.readouterr()
    assert "200 OK after" in printed.out
    assert mail.body.decode() in printed.out
    assert "s3cret" not in printed.out + printed.err


def test_a_code_of_digits_is_sent_as_text_and_other_values_as_json(mail_endpoint: MailEndpoint) -> None:
    settings = ["--set", "payload.code=123456", "--set", "payload.x=123456", "--set", "payload.y=other"]
    assert cli.main(["send", mail_endpoint.url, *settings]) == 0
    payload = json.loads(mail_endpoint.inbox.latest().body)["payload"]
    assert (payload["code"], payload["x"], payload["y"]) == ("123456", 123456, "other")


@pytest.mark.mail_contract(lenient=True)
def test_send_prints_a_refusal_and_why_the_message_is_invalid(
    mail_endpoint: MailEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["send", mail_endpoint.url, "--type", "NewTemplate", "--set", "ip=1"]) == 1
    printed = capsys.readouterr()
    assert "400 Bad Request" in printed.out
    assert "the message is invalid: message/guard/type at /type; it is sent all the same" in printed.err
    assert "message/guard/ip at /ip" in printed.err


def test_send_to_a_closed_port_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert cli.main(["send", f"http://127.0.0.1:{port}/mail"]) == 3
    assert "no connection" in capsys.readouterr().out


def test_send_reaches_another_machine_only_when_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    """The address is reserved for documentation: nothing responds there."""
    assert cli.main(["send", "http://192.0.2.1:1/", "--allow-remote", "--timeout", "0.2"]) == 3
    assert "no connection" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ftp://example.com"], "http or https"),
        (["http://127.0.0.1:1/", "--set", "x"], "invalid --set 'x': expected PATH=VALUE, for"),
        (["http://127.0.0.1:1/", "--set", "to.x=1"], "to is not an object"),
        (["http://127.0.0.1:1/", "--authorization-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (
            ["https://127.0.0.1:1/", "--ca-file", "no-such-file"],
            "--ca-file no-such-file cannot be used: No such",
        ),
        (["http://192.0.2.1/mail"], "192.0.2.1 is another machine (192.0.2.1), and a receiver may really"),
        (["http://no-such-host.invalid/"], "the host no-such-host.invalid is not known"),
    ],
)
def test_send_refuses_invalid_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["send", *arguments]) == 2
    assert message in capsys.readouterr().err
