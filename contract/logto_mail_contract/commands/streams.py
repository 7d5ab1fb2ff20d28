"""The standard streams of a command, any of which may be closed, full or left by its reader."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import cast

from .exit_codes import OutputBroken

# As in catalogue: typing is not worth a tenth of the command's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class _Output:
    """Standard output; what cannot be written raises OutputBroken."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as problem:
            raise _break_output(self._stream, problem) from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as problem:
            raise _break_output(self._stream, problem) from None

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _Errors:
    """Standard error; what cannot be written is lost, since nobody could be told."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _discard(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _discard(self._stream)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def guard_streams() -> Iterator[None]:
    """Make the standard streams safe to use during a block, whatever they are.

    In the block a write to standard output may raise OutputBroken, and one to standard error raises nothing.
    """
    _open_missing()
    output, errors = sys.stdout, sys.stderr
    if hasattr(output, "reconfigure"):
        # A terminal or pipe that cannot encode a character must not end the command.
        output.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = cast("TextIO", _Output(output)), cast("TextIO", _Errors(errors))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = output, errors


def _open_missing() -> None:
    """Give a closed stream a descriptor that refuses to be used.

    Python has None for such a stream. The first file that is opened would get its number, and lines in it.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # it gets the lowest number that is free, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it lasts as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as above
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - as above


def _break_output(stream: TextIO, problem: OSError) -> OutputBroken:
    _discard(stream)
    return OutputBroken(f"standard output cannot be written: {problem.strerror or problem}")


def _discard(stream: TextIO) -> None:
    # Without this, Python complains while it ends, with a code of its own: it writes what is left.
    with suppress(OSError, ValueError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
