"""The parser of the command line: every option of every command.

It imports no command: ``mail-contract --help`` must not wait for what the commands need.
"""

from __future__ import annotations

import argparse
import re

from .. import __version__
from ..catalogue import LAYERS
from ..masking import escape_unprintable
from ..program import read_program_name

# As in catalogue: typing is not worth a tenth of the command's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SENDER_JOBS = """\
Have a sender post messages to an endpoint of verify-sender. Judge what arrives, and what the sender
reports about the responses. COMMAND reads jobs from standard input, one a line. It writes one line
for each job:

  job     {"message": {...}, "endpoint": "http://127.0.0.1:...", "authorization": "..."}
  result  {"ok": true}   or   {"ok": false, "error": "..."}

A job without a configured Authorization has no member authorization. COMMAND must log to standard error.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the name of the command is in the attribute ``subcommand`` of what it parses."""
    program = read_program_name()
    parser = _Parser(
        prog=program,
        description="Contract tests for Logto's HTTP email webhook.",
        epilog="Exit codes: 0 passed, 1 failed, 2 wrong use, unreadable input or unwritable output, "
        "3 target not reachable, 4 a fault of mail-contract, 5 nothing failed but something was not judged, "
        "130 interrupted, 143 terminated.",
    )
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    commands = parser.add_subparsers(title="commands", dest="subcommand", required=True, metavar="COMMAND")
    revision, authorization, receiver, seed, rules, run = _shared_options()

    validate = commands.add_parser(
        "validate",
        parents=[revision, _layer("guard")],
        help="judge messages in files",
        description="Judge messages against the contract. A file holds one JSON document; "
        "a file named *.ndjson or *.jsonl holds one a line.",
    )
    validate.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    validate.add_argument(
        "--format", choices=("text", "json"), default="text", help="format of the output (text)"
    )

    verify = commands.add_parser(
        "verify",
        parents=[receiver, authorization, revision, rules, seed, run],
        help="run the rules for receivers at a receiver",
        description="Send a receiver what Logto sends, and faulty requests too, and judge its responses.",
    )
    verify.add_argument(
        "--warn-after",
        type=_seconds,
        default=2.0,
        metavar="S",
        help="seconds after which a response is late (2)",
    )
    verify.add_argument(
        "--fail-after",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds after which a response counts as missing (10)",
    )
    verify.add_argument(
        "--wait",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds to wait for the receiver to listen (10)",
    )
    verify.add_argument(
        "--recipient-domain",
        metavar="DOMAIN",
        help="domain of every recipient (default: example.com and other reserved domains)",
    )
    verify.add_argument(
        "--workers", type=_count, default=32, metavar="N", help="number of connections at once, at most (32)"
    )
    verify.add_argument(
        "--pace",
        type=_rate,
        metavar="N",
        help="requests a second, at most, for a receiver with a limit (default: no limit)",
    )
    verify.add_argument(
        "--smtp-sink",
        type=_whole_number,
        metavar="PORT",
        help="receive the receiver's mails by SMTP at this port of 127.0.0.1, and judge them too",
    )

    sender = commands.add_parser(
        "verify-sender",
        parents=[revision, rules, seed, run],
        help="run the rules for senders at a sender",
        usage=f"{program} verify-sender [options] -- COMMAND...",
        description=_SENDER_JOBS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sender.add_argument(
        "command", nargs="+", metavar="COMMAND", help="the sender: a program and its arguments"
    )
    sender.add_argument(
        "--slow", type=_seconds, default=6.0, metavar="S", help="seconds until a late response comes (6)"
    )
    sender.add_argument(
        "--patience",
        type=_seconds,
        default=20.0,
        metavar="S",
        help="seconds that a job may take besides that (20)",
    )

    serve = commands.add_parser(
        "serve",
        parents=[authorization, revision, _layer("guard")],
        help="run a fake mail endpoint with an inbox",
        description="Receive what Logto's HTTP email connector posts, judge it, and show it in an inbox.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    serve.add_argument(
        "--port", type=_whole_number, default=8025, metavar="N", help="port; 0 chooses a free one (8025)"
    )
    serve.add_argument("--lenient", action="store_true", help="exit with 0 even after an invalid message")
    serve.add_argument("--redact", action="store_true", help="print no codes and no links")
    serve.add_argument(
        "--store", default="memory", metavar="FILE", help="SQLite file for the inbox (default: memory)"
    )
    serve.add_argument(
        "--max-messages",
        type=_count,
        default=10_000,
        metavar="N",
        help="size of the inbox; the oldest messages are dropped first (10000)",
    )
    serve.add_argument("--port-file", metavar="F", help="write the port to this file once it listens")
    serve.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="print text, or one JSON object a line (text)",
    )

    explain = commands.add_parser(
        "rules",
        help="list the rules, or explain one",
        description="List the rules, or explain one: its requirement, what happens in Logto when it fails, "
        "and the source of that claim.",
    )
    explain.add_argument("id", nargs="?", metavar="ID", help="explain this rule")

    sample = commands.add_parser(
        "sample",
        parents=[revision, _layer("emitted"), seed],
        help="print sample messages",
        description="Print sample messages, one a line (NDJSON), as Logto's connector writes them: "
        "first a usual one of each template type, then others with other variables.",
    )
    sample.add_argument("--type", metavar="TYPE", help="only this template type")
    sample.add_argument(
        "--generated", action="store_true", help="print hostile messages too, as the rules draw them"
    )
    sample.add_argument("-n", type=_count, default=1, metavar="N", help="number of messages (1)")

    send = commands.add_parser(
        "send",
        parents=[receiver, authorization],
        help="post one message as Logto does",
        description="Post one message as Logto's connector does, and print the response.",
    )
    send.add_argument("--type", default="SignIn", metavar="TYPE", help="the template type (SignIn)")
    send.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set a member, for example payload.code=012345; VALUE is JSON or else text, "
        "and the digits of a code, link or locale stay text",
    )
    send.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="S", help="seconds to wait for the response (10)"
    )
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser that prints an argument without what a terminal would not show."""

    def error(self, message: str) -> NoReturn:
        super().error(escape_unprintable(message))


def _shared_options() -> tuple[_Parser, ...]:
    revision, authorization, receiver, seed, rules, run = (_Parser(add_help=False) for _ in range(6))
    revision.add_argument(
        "--revision", metavar="R", help="contract revision or Logto release (default: the current revision)"
    )
    authorization.add_argument(
        "--authorization-env",
        metavar="NAME",
        help="environment variable that holds the Authorization value (default: no Authorization)",
    )
    receiver.add_argument("url", metavar="URL", help="the receiver's endpoint")
    receiver.add_argument("--ca-file", metavar="FILE", help="authorities to trust for https, PEM")
    receiver.add_argument("--allow-remote", action="store_true", help="allow a receiver on another machine")
    seed.add_argument("--seed", type=_whole_number, default=0, metavar="N", help="seed of the messages (0)")
    rules.add_argument(
        "--rules",
        nargs="+",
        action="extend",
        metavar="GLOB",
        help=f"run only these rules; {read_program_name()} rules lists them",
    )
    rules.add_argument(
        "--exclude", nargs="+", action="extend", metavar="GLOB", default=[], help="do not run these rules"
    )
    rules.add_argument(
        "--examples",
        type=_count,
        default=25,
        metavar="N",
        help="number of generated messages for each rule that generates them (25)",
    )
    rules.add_argument("--strict", action="store_true", help="a failed SHOULD fails the run")
    run.add_argument(
        "--excuse",
        nargs="+",
        action="extend",
        metavar="ID=REASON",
        default=[],
        help="let a rule fail, with the reason; an excuse that is not needed fails",
    )
    run.add_argument(
        "--excuses",
        action="append",
        metavar="FILE",
        default=[],
        help="read excuses from a file, one a line: ID: REASON; those of rules that are not run are left out",
    )
    run.add_argument(
        "--report",
        nargs="+",
        action="extend",
        metavar="FORMAT=PATH",
        default=[],
        help="write a report as text, json or junit; - is standard output, except for junit",
    )
    run.add_argument(
        "--max-time",
        type=_seconds,
        metavar="S",
        help="end the run after this many seconds; what was not judged until then is reported as that",
    )
    run.add_argument(
        "--verbose", action="store_true", help="print each finding, also those with the same cause as another"
    )
    return revision, authorization, receiver, seed, rules, run


def _layer(default: str) -> _Parser:
    parser = _Parser(add_help=False)
    parser.add_argument(
        "--layer", choices=LAYERS, default=default, help=f"layer of the contract (default: {default})"
    )
    return parser


def _seconds(text: str) -> float:
    return _positive(text, "a number of seconds above 0")


def _rate(text: str) -> float:
    return _positive(text, "a number of requests a second above 0")


def _positive(text: str, expected: str) -> float:
    try:
        # float() reads 1_0 and digits of any script too.
        value = float(text) if text.isascii() and "_" not in text else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: expected {expected}")
    return value


def _whole_number(text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: expected a whole number")
    return int(text)


def _count(text: str) -> int:
    if not (re.fullmatch("[0-9]{1,18}", text) and int(text)):
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: expected a whole number from 1")
    return int(text)
