"""The command ``mail-contract``."""

from __future__ import annotations

import sys

from .exit_codes import INTERRUPTED, OWN_FAULT, WRONG_USE, WrongUse, say
from .parser import build_parser
from .streams import guard_streams

# As in catalogue: typing is not worth a tenth of the command's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: The arguments after the command's name; those of this process when None.

    Raises:
        SystemExit: argparse ends the command itself, after ``--help`` or an argument that it does not know.
    """
    with guard_streams():
        try:
            try:
                code = _run(build_parser().parse_args(arguments))
            finally:
                # Also after --help: what is left at the end of Python ends in a code of its own.
                sys.stdout.flush()
        except WrongUse as problem:
            say(str(problem))
            code = WRONG_USE
        except KeyboardInterrupt:
            say("interrupted")
            code = INTERRUPTED
        except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours has an exit code of its own
            import traceback

            traceback.print_exc()
            say("this is a fault of mail-contract itself; please report it with the lines above")
            code = OWN_FAULT
    return code


def _run(options: argparse.Namespace) -> int:
    if getattr(options, "revision", None) is not None:
        from ..catalogue import explain_newer_release

        newer = explain_newer_release(options.revision)
        if newer is not None:
            say(newer)
    # Only the module of the command that runs is imported: some take a second.
    match options.subcommand:
        case "validate":
            from .validate import run
        case "verify":
            from .verify import run
        case "verify-sender":
            from .verify_sender import run
        case "serve":
            from .serve import run
        case "rules":
            from .rules import run
        case "sample":
            from .sample import run
        case "send":
            from .send import run
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
