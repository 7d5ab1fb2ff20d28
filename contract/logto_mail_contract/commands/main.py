"""The command ``mail-contract``."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from .. import __version__
from ..catalogue import LAYERS
from .exit_codes import FAILED, INTERRUPTED, OWN_FAULT, WRONG_USE, WrongUse, say

# As in catalogue: typing is not worth a tenth of the command's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


_JOBS = """\
Have a sender send messages to an endpoint of ours, and judge what arrives and what the sender makes of the
answers. COMMAND reads jobs from standard input, one a line, and answers each with a line:

  job     {"message": {...}, "endpoint": "http://127.0.0.1:...", "authorization": "..."}
  answer  {"ok": true}   or   {"ok": false, "error": "..."}

The member authorization is absent where none is configured. What COMMAND logs belongs on standard error.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: The words after the command's name; those of this process when None.

    Raises:
        SystemExit: argparse ends the command itself, after ``--help`` or a word that it does not know.
    """
    options = _parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal or pipe that cannot take a character must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    # Each command's module is imported when it is run: --help shall not wait for them.
    module, _, function = options.run.partition(":")
    try:
        code: int = getattr(import_module(f".{module}", __package__), function)(options)
        sys.stdout.flush()
    except WrongUse as problem:
        say(str(problem))
        return WRONG_USE
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough; Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours has an exit code of its own
        import traceback

        traceback.print_exc()
        say("this is a fault of mail-contract itself; please report it with the lines above")
        return OWN_FAULT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mail-contract",
        description="Contract tests for Logto's HTTP email webhook.",
        epilog="Exit codes: 0 kept, 1 broken, 2 wrong use or unreadable input, 3 target not reachable, "
        "4 a fault of mail-contract, 5 nothing to judge, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"mail-contract {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    validate = subparsers.add_parser(
        "validate",
        help="judge messages in files",
        description="Judge messages against the contract: one JSON document a file, or one a line in files "
        "that end in .ndjson or .jsonl.",
    )
    validate.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    validate.add_argument(
        "--revision", metavar="R", help="contract revision or Logto release (default: the current revision)"
    )
    validate.add_argument(
        "--layer", choices=LAYERS, default="guard", help="layer to judge by (default: guard)"
    )
    validate.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    validate.set_defaults(run="validate:run")
    verify = subparsers.add_parser(
        "verify",
        help="hold a receiver to the contract",
        description="Send a receiver what Logto sends, and what goes wrong around it, and judge its answers.",
    )
    verify.add_argument("url", metavar="URL", help="the receiver's endpoint")
    verify.add_argument(
        "--authorization-env",
        metavar="NAME",
        help="environment variable that holds the value of Authorization (default: none is sent)",
    )
    verify.add_argument(
        "--revision", metavar="R", help="contract revision or Logto release (default: current)"
    )
    verify.add_argument(
        "--rules", nargs="+", metavar="GLOB", help="only these rules (see mail-contract rules)"
    )
    verify.add_argument("--exclude", nargs="+", metavar="GLOB", default=[], help="not these rules")
    verify.add_argument(
        "--examples", type=_count, default=25, metavar="N", help="number of generated messages (25)"
    )
    verify.add_argument("--seed", type=int, default=0, metavar="N", help="what they are generated from (0)")
    verify.add_argument("--strict", action="store_true", help="a broken SHOULD counts as broken")
    verify.add_argument(
        "--warn-after",
        type=_seconds,
        default=2.0,
        metavar="S",
        help="seconds after which an answer is late (2)",
    )
    verify.add_argument(
        "--fail-after",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds after which an answer counts as never given (10)",
    )
    verify.add_argument(
        "--wait",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds that the receiver may take to start listening (10)",
    )
    verify.add_argument(
        "--recipient-domain",
        metavar="DOMAIN",
        help="domain of every recipient (default: example.com and other reserved ones)",
    )
    verify.add_argument("--ca-file", metavar="FILE", help="authorities to trust for https, PEM")
    verify.add_argument(
        "--excuse",
        nargs="+",
        metavar="ID=REASON",
        default=[],
        help="a rule that may be broken, and why; fails when it is kept",
    )
    verify.add_argument(
        "--smtp-sink",
        type=int,
        metavar="PORT",
        help="take the receiver's mails by SMTP at this port of 127.0.0.1 and judge them too",
    )
    verify.add_argument(
        "--report",
        nargs="+",
        metavar="FORMAT=PATH",
        default=[],
        help="write a report as text, json or junit; - is standard output, but not for junit",
    )
    verify.add_argument("--allow-remote", action="store_true", help="allow a receiver on another machine")
    verify.set_defaults(run="verify:run")

    sender = subparsers.add_parser(
        "verify-sender",
        help="hold a sender to the contract",
        usage="mail-contract verify-sender [options] -- COMMAND...",
        description=_JOBS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sender.add_argument(
        "command", nargs="+", metavar="COMMAND", help="the sender: a program and its arguments"
    )
    sender.add_argument(
        "--revision", metavar="R", help="contract revision or Logto release (default: current)"
    )
    sender.add_argument(
        "--rules", nargs="+", metavar="GLOB", help="only these rules (see mail-contract rules)"
    )
    sender.add_argument("--exclude", nargs="+", metavar="GLOB", default=[], help="not these rules")
    sender.add_argument(
        "--examples",
        type=_count,
        default=25,
        metavar="N",
        help="number of generated messages for each rule (25)",
    )
    sender.add_argument("--seed", type=int, default=0, metavar="N", help="what they are generated from (0)")
    sender.add_argument("--strict", action="store_true", help="a broken SHOULD counts as broken")
    sender.add_argument(
        "--slow", type=_seconds, default=6.0, metavar="S", help="seconds that a late answer takes (6)"
    )
    sender.add_argument(
        "--patience",
        type=_seconds,
        default=20.0,
        metavar="S",
        help="seconds that one job may take beside that (20)",
    )
    sender.set_defaults(run="verify_sender:run")

    serve = subparsers.add_parser(
        "serve",
        help="stand as a fake mail endpoint with an inbox",
        description="Take what Logto's HTTP email connector posts, judge it, and show it in an inbox.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    serve.add_argument("--port", type=int, default=8025, metavar="N", help="port; 0 takes a free one (8025)")
    serve.add_argument(
        "--authorization-env",
        metavar="NAME",
        help="environment variable that holds the value of Authorization to demand "
        "(default: it is not looked at)",
    )
    serve.add_argument(
        "--revision", metavar="R", help="contract revision or Logto release (default: current)"
    )
    serve.add_argument("--layer", choices=LAYERS, default="guard", help="layer to judge by (default: guard)")
    serve.add_argument(
        "--lenient", action="store_true", help="exit with 0 even when a message broke the contract"
    )
    serve.add_argument("--redact", action="store_true", help="leave codes and links out of what is printed")
    serve.add_argument(
        "--store", default="memory", metavar="FILE", help="SQLite file to keep the inbox in (default: memory)"
    )
    serve.add_argument(
        "--max-messages",
        type=_count,
        default=10_000,
        metavar="N",
        help="how many to keep; the oldest go first (10000)",
    )
    serve.add_argument("--port-file", metavar="F", help="file that the port is written to once it listens")
    serve.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="what is printed: text, or a JSON object a line (default: text)",
    )
    serve.set_defaults(run="serve:run")

    rules = subparsers.add_parser(
        "rules",
        help="list the rules, or explain one",
        description="List the rules, or explain one: what it requires, what follows in Logto when it is "
        "broken, and the source of that.",
    )
    rules.add_argument("id", nargs="?", metavar="ID", help="explain this one")
    rules.set_defaults(run="small:rules")

    sample = subparsers.add_parser(
        "sample",
        help="print generated messages",
        description="Print generated messages, one a line (NDJSON), as Logto's connector writes them.",
    )
    sample.add_argument("--type", metavar="TYPE", help="only this template type")
    sample.add_argument("-n", type=_count, default=1, metavar="N", help="how many (1)")
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="what they are generated from (0)")
    sample.add_argument(
        "--revision", metavar="R", help="contract revision or Logto release (default: current)"
    )
    sample.add_argument(
        "--layer", choices=LAYERS, default="emitted", help="layer to draw from (default: emitted)"
    )
    sample.set_defaults(run="small:sample")

    send = subparsers.add_parser(
        "send",
        help="post one message as Logto does",
        description="Post one message as Logto's connector does, and tell the answer.",
    )
    send.add_argument("url", metavar="URL", help="the receiver's endpoint")
    send.add_argument("--type", default="SignIn", metavar="TYPE", help="the template type (SignIn)")
    send.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set a member, payload.code=012345 say; a value that is JSON is taken as JSON, but for codes",
    )
    send.add_argument(
        "--authorization-env",
        metavar="NAME",
        help="environment variable that holds the value of Authorization (default: none is sent)",
    )
    send.add_argument("--ca-file", metavar="FILE", help="authorities to trust for https, PEM")
    send.add_argument("--allow-remote", action="store_true", help="allow a receiver on another machine")
    send.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for the answer (10)"
    )
    send.set_defaults(run="small:send")
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds is more than 0; it was {text!r}")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"a number of messages is 1 or more; it was {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
