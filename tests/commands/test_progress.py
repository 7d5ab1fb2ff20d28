"""Progress on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING

import pytest

from logto_mail_contract.commands import main as cli
from logto_mail_contract.commands.progress import Progress, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUICK = 0.01


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Terminal:
    """A terminal that records what is written to it."""

    def __init__(self) -> None:
        self.text = ""
        self._reading, writing = os.openpty()
        self.stream = os.fdopen(writing, "w", encoding="utf-8")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._reading, 65536):
                self.text += data.decode(errors="replace")
        except OSError:  # its other end is closed
            pass

    def close(self) -> None:
        self.stream.close()
        self._thread.join()
        os.close(self._reading)


@contextmanager
def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "120")
        patch.setattr(sys, "stderr", terminal.stream)
        try:
            yield terminal
        finally:
            terminal.close()


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Step(3, 23), "3 of 23 rules"),
        (Step(0, 1, 0, 1), "0 of 1 rule, 0 of at most 1 request"),
        (Step(3, 76, 40, 900, 12.4), "3 of 76 rules, 40 of at most 900 requests, at most 12 s left"),
    ],
)
def test_a_step_is_described(step: Step, text: str) -> None:
    assert str(step) == text


def test_a_short_run_without_an_estimate_says_nothing() -> None:
    looks: list[int] = []

    def look() -> Step:
        looks.append(1)
        return Step(len(looks), 5)

    with redirect_stderr(io.StringIO()) as stderr, Progress(look, refresh_seconds=QUICK):
        wait_for(lambda: len(looks) > 3)
    assert stderr.getvalue() == ""


def test_a_short_run_with_an_estimate_says_nothing() -> None:
    looks: list[int] = []

    def look() -> Step:
        looks.append(1)
        return Step(len(looks), 5, len(looks), 90, 9.0)

    with redirect_stderr(io.StringIO()) as stderr, Progress(look, refresh_seconds=QUICK):
        wait_for(lambda: len(looks) > 3)
    assert stderr.getvalue() == ""


def test_a_line_comes_now_and_then() -> None:
    done = 0

    def look() -> Step:
        nonlocal done
        done += 1
        return Step(done, 1000)

    quick = Progress(look, plain_seconds=QUICK, refresh_seconds=QUICK)
    with redirect_stderr(io.StringIO()) as stderr, quick:
        wait_for(lambda: stderr.getvalue().count("\n") >= 2)
    first, second = stderr.getvalue().splitlines()[:2]
    assert first.startswith("mail-contract: ")
    assert first.endswith(" of 1000 rules")
    assert first != second


def test_the_first_estimate_is_printed_once_as_soon_as_it_is_known() -> None:
    looks: list[int] = []

    def look() -> Step:
        looks.append(1)
        return Step(1, 5, len(looks), 90, 30.0 if len(looks) > 2 else None)

    with redirect_stderr(io.StringIO()) as stderr, Progress(look, refresh_seconds=QUICK):
        wait_for(lambda: len(looks) > 6)
    assert stderr.getvalue() == "mail-contract: 1 of 5 rules, 3 of at most 90 requests, at most 30 s left\n"


def test_a_broken_standard_error_does_not_end_the_run() -> None:
    tries = threading.Event()

    class Broken(io.StringIO):
        def write(self, text: str) -> int:  # noqa: ARG002 - nothing can be written
            tries.set()
            raise BrokenPipeError

    quick = Progress(lambda: Step(1, 5), plain_seconds=QUICK, refresh_seconds=QUICK)
    with redirect_stderr(Broken()), quick:
        assert tries.wait(20)


def test_a_terminal_shows_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with use_terminal(monkeypatch) as terminal:
        with Progress(lambda: Step(2, 5, 7, 90, 30.0), refresh_seconds=QUICK) as progress:
            wait_for(lambda: "2 of 5 rules, 7 of at most 90 requests, at most 30 s left" in terminal.text)
            with progress.hide():
                terminal.stream.write("a line\n")
                terminal.stream.flush()
        wait_for(lambda: terminal.text.endswith("\x1b[2K"))
    # The bar was erased before the line: nothing of it stands before or after the line.
    before, _, after = terminal.text.replace("\r\n", "\n").partition("a line\n")
    assert before.endswith("\x1b[2K")
    assert after
    assert terminal.text.count("\x1b[?25h") == terminal.text.count("\x1b[?25l")


@pytest.mark.parametrize("why", ["no rich", "dumb"])
def test_a_terminal_without_rich_or_cursor_gets_lines(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with use_terminal(monkeypatch) as terminal:
        if why == "dumb":
            monkeypatch.setenv("TERM", "dumb")
        else:
            monkeypatch.setitem(sys.modules, "rich.console", None)
        with Progress(lambda: Step(2, 5), plain_seconds=QUICK, refresh_seconds=QUICK) as progress:
            wait_for(lambda: terminal.text.count("\n") >= 2)
            with progress.hide():
                pass
    assert terminal.text.startswith("mail-contract: 2 of 5 rules\r\nmail-contract: 2 of 5 rules\r\n")
    assert "\x1b" not in terminal.text


MESSAGE = '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "012345"}}\n'


def test_validate_shows_on_a_terminal_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A pipe, which ends when the terminal shows its first message."""
    pipe = tmp_path / "pipe.ndjson"
    os.mkfifo(pipe)

    with use_terminal(monkeypatch) as terminal:

        def feed() -> None:
            with pipe.open("w") as lines:
                lines.write(f"{MESSAGE}{{\n")
                lines.flush()
                wait_for(lambda: "2 messages judged, 1 invalid" in terminal.text)

        feeding = threading.Thread(target=feed)
        feeding.start()
        assert cli.main(["validate", str(pipe)]) == 1
        feeding.join()
    assert "2 judged, 1 valid, 1 invalid" in capsys.readouterr().out


def test_validate_shows_no_progress_where_standard_error_is_no_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "many.ndjson"
    file.write_text(MESSAGE * 2000)
    assert cli.main(["validate", str(file)]) == 0
    assert capsys.readouterr().err == ""


MEASURE = """
import sys
from logto_mail_contract.commands.main import main
main(["validate", "--format", sys.argv[1], sys.argv[2]])
# Not that of resource: it counts the peak of the process that started this one.
with open("/proc/self/status") as status:
    print(*(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak so")
@pytest.mark.parametrize("format", ["text", "json"])
def test_validate_needs_no_more_memory_for_more_messages(format: str, tmp_path: Path) -> None:
    def measure(messages: int) -> int:
        file = tmp_path / f"{messages}.ndjson"
        file.write_text(MESSAGE.replace('"012345"', "12345") * messages)
        command = [sys.executable, "-c", MEASURE, format, str(file)]
        return int(
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True).stderr
        )

    assert measure(8_000) < measure(100) + 4_000
