"""What ends a run early: a deadline, and the signals of Ctrl-C and of a CI system."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from logto_mail_contract.commands.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reasons:
    """Records why a run was ended."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.threads: set[threading.Thread] = set()
        self._came = threading.Semaphore(0)

    def end(self, reason: str) -> None:
        self.reasons.append(reason)
        self.threads.add(threading.current_thread())
        self._came.release()

    def wait(self) -> None:
        """Wait for one more reason."""
        assert self._came.acquire(timeout=20)


@pytest.fixture
def reasons() -> Iterator[Reasons]:
    """Record why a run was ended, and hold that the handlers of signals are as before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield Reasons()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_ends_the_run_from_a_thread(number: signal.Signals, reason: str, reasons: Reasons) -> None:
    """A handler may find any lock taken, so that it must not end the run itself."""
    with Ending(reasons.end, None) as ending:
        signal.raise_signal(number)
        reasons.wait()
        assert ending.signal is number
    assert reasons.reasons == [reason]
    assert threading.main_thread() not in reasons.threads


def test_a_second_signal_raises_at_once(reasons: Reasons) -> None:
    with Ending(reasons.end, None):
        signal.raise_signal(signal.SIGINT)
        reasons.wait()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_deadline_ends_the_run_and_signals_count_still(reasons: Reasons) -> None:
    start = time.monotonic()
    with Ending(reasons.end, 0.2) as ending:
        reasons.wait()
        assert time.monotonic() - start >= 0.2
        assert ending.signal is None
        signal.raise_signal(signal.SIGINT)
        reasons.wait()
    assert reasons.reasons == ["--max-time 0.2 is over", "interrupted"]


def test_a_run_that_ends_by_itself_is_not_ended(reasons: Reasons) -> None:
    with Ending(reasons.end, 60):
        pass
    assert reasons.reasons == []


def test_an_ignored_signal_stays_ignored(reasons: Reasons) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Ending(reasons.end, None) as ending:
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert ending.signal is None
    finally:
        signal.signal(signal.SIGINT, before)
    assert reasons.reasons == []


def test_outside_the_main_thread_only_the_deadline_ends_the_run(reasons: Reasons) -> None:
    def run() -> None:
        with Ending(reasons.end, 0.05):
            reasons.wait()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert reasons.reasons == ["--max-time 0.05 is over"]
