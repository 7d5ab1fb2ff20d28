"""How cases are sent: at once where that helps, apart where a rule needs it, and not without end."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import TOKEN, Good, Request, Served, wsgi
from tests.support.runs import try_rules

from logto_mail_contract.receivers.cases import Batch
from logto_mail_contract.receivers.dispatch import BURST_CLIENTS, Dispatcher
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.requests import RequestMaker
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import Verification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logto_mail_contract.receivers.cases import Case
    from logto_mail_contract.suite.results import Result

RULES = [rule for rule in list_rule_ids("receiver") if "/deliver/" not in rule]


class Watched(Good):
    """Notes how many requests are under way, at most, and when each began."""

    seconds = 0.02

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.active = self.most = 0
        self.times: list[float] = []

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        with self.lock:
            self.times.append(time.monotonic())
            self.active += 1
            self.most = max(self.most, self.active)
        time.sleep(self.seconds)
        try:
            return super().respond(request)
        finally:
            with self.lock:
                self.active -= 1


def make_cases(receiver: Receiver, number: int) -> list[Case]:
    maker = RequestMaker(receiver, Settings(), count(10_000))
    return [maker.make_case(maker.make_typical("SignIn")) for _ in range(number)]


@contextmanager
def dispatching(app: Good, settings: Settings | None = None) -> Iterator[tuple[Dispatcher, Receiver]]:
    receiver = Receiver.wsgi(wsgi(app), "/hook", authorization=TOKEN)
    dispatcher = Dispatcher(receiver, settings or Settings(), restart_seconds=0.1)
    with closing(receiver), closing(dispatcher.lanes):
        yield dispatcher, receiver


def test_a_receiver_that_works_in_parallel_gets_many_cases_at_once() -> None:
    app = Watched()
    with dispatching(app) as (dispatcher, receiver):
        sending = dispatcher.lanes.submit(make_cases(receiver, 200))
        sending.wait()
    assert len(sending.exchanges) == 200
    assert app.most > 8


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_cases_than_workers_are_under_way(workers: int) -> None:
    app = Watched()
    with dispatching(app, Settings(workers=workers)) as (dispatcher, receiver):
        dispatcher.lanes.submit(make_cases(receiver, 40)).wait()
    assert app.most == workers


def test_a_pace_keeps_requests_apart() -> None:
    app = Watched()
    app.seconds = 0.0
    with dispatching(app, Settings(pace=50)) as (dispatcher, receiver):
        dispatcher.lanes.submit(make_cases(receiver, 11)).wait()
    assert app.times[-1] - app.times[0] > 0.19


def test_a_burst_has_connections_of_its_own_even_with_one_worker() -> None:
    app = Watched()
    app.seconds = 0.1
    with dispatching(app, Settings(workers=1)) as (dispatcher, receiver):
        sending = dispatcher.send_burst(make_cases(receiver, 2 * BURST_CLIENTS))
    assert len(sending.exchanges) == 2 * BURST_CLIENTS
    assert app.most > 1
    assert {exchange.company for exchange in sending.exchanges} == {0}


def test_cases_that_are_sent_alone_share_no_moment_with_others() -> None:
    class Sorted(Watched):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002 - as the method that it overrides
            self.seen.append(message["type"])

    app = Sorted()
    with dispatching(app) as (dispatcher, receiver):
        maker = RequestMaker(receiver, Settings(), count(10_000))
        dispatcher.lanes.submit(make_cases(receiver, 60))
        alone = [maker.make_case(maker.make_typical("Register")) for _ in range(5)]
        assert len(dispatcher.send_alone(alone).exchanges) == 5
        assert app.seen[-5:] == ["Register"] * 5
        assert app.active == 0


def test_cases_that_come_while_another_is_sent_alone_wait_for_its_end() -> None:
    app = Watched()
    with dispatching(app) as (dispatcher, receiver):
        dispatcher.lanes.submit(make_cases(receiver, 1)).wait()
        with dispatcher.lanes.alone():
            sending = dispatcher.lanes.submit(make_cases(receiver, 3))
            assert not sending.wait(10 * app.seconds)
            assert len(app.times) == 1
        assert sending.wait(10)


def test_after_a_hang_the_rest_of_a_batch_is_not_sent() -> None:
    app = Watched()
    app.seconds = 0.4
    with dispatching(app, Settings(fail_after=0.1, workers=1)) as (dispatcher, receiver):
        sending = dispatcher.lanes.submit(make_cases(receiver, 50))
        sending.wait()
    assert len(sending.exchanges) == 1
    assert "receiver/respond/within-limit" in sending.unsent[0]


def test_a_receiver_that_hangs_is_left_after_about_two_time_outs() -> None:
    app = Watched()
    app.seconds = 1.5
    start = time.monotonic()
    with closing(Receiver.wsgi(wsgi(app), "/hook", authorization=TOKEN)) as receiver:
        results = try_rules(RULES, receiver, Settings(fail_after=0.5, warn_after=0.3))
    assert time.monotonic() - start < 3 * 0.5 + 1
    failed = {result.rule.id for result in results if result.outcome == "failed"}
    assert "receiver/respond/within-limit" in failed
    assert {rule.split("/")[1] for rule in failed} == {"accept", "respond"}
    assert {result.outcome for result in results} == {"failed", "not judged", "not applicable"}


def test_a_receiver_of_one_connection_at_a_time_is_not_blamed_for_ours() -> None:
    class Keeps(Good):
        """Keeps its one connection open until the client closes it."""

    with (
        Served(Keeps(), threads=False) as served,
        closing(Receiver.url(served.url, authorization=TOKEN)) as receiver,
    ):
        rules = [rule for rule in RULES if rule != "receiver/concurrent/burst"]
        results = try_rules(rules, receiver, Settings(examples=5))
    assert {result.rule.id: result.findings for result in results if result.findings} == {}


def test_an_interrupt_ends_every_wait() -> None:
    app = Watched()
    app.seconds = 0.3
    receiver = Receiver.wsgi(wsgi(app), "/hook", authorization=TOKEN)
    with closing(receiver), closing(ReceiverRun(receiver, Settings(workers=1))) as run:
        verification = Verification(run, RULES)
        timer = threading.Timer(0.5, verification.end, ["the time is over"])
        timer.start()
        start = time.monotonic()
        results = list(verification)
        assert time.monotonic() - start < 10
        timer.join()
    assert len(results) == len(RULES)
    assert results[-1].outcome == "not judged"
    assert results[-1].reason == "the time is over"
    assert not verification.passed


def test_an_interrupt_ends_the_first_request_at_once() -> None:
    begun, released = threading.Event(), threading.Event()

    class Hangs(Good):
        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            begun.set()
            released.wait(60)
            return super().respond(request)

    with Served(Hangs()) as served, closing(Receiver.url(served.url, authorization=TOKEN)) as receiver:
        with closing(ReceiverRun(receiver, Settings(fail_after=60))) as run:
            verification = Verification(run, RULES)
            results: list[Result] = []
            thread = threading.Thread(target=lambda: results.extend(verification))
            thread.start()
            assert begun.wait(10)
            verification.end("the time is over")
            thread.join(20)
            # Not yet answered: the wait was ended, and nothing is said of the receiver.
            assert not released.is_set()
            assert [result.reason for result in results] == ["the time is over"] * len(RULES)
            assert not verification.diagnosis
            assert not run.dispatcher.ledger
        released.set()
        thread.join()


def test_rules_whose_answers_came_are_judged_before_messages_are_drawn() -> None:
    receiver = Receiver.wsgi(wsgi(Good()), "/hook", authorization=TOKEN)
    with closing(receiver), closing(ReceiverRun(receiver, Settings(examples=5))) as run:
        rules = ["receiver/accept/sign-in", "receiver/accept/generated"]
        results = iter(Verification(run, rules))
        assert next(results).outcome == "passed"
        assert {exchange.case.group for exchange in run.dispatcher.ledger} == {"ordinary"}
        assert next(results).cases == 5


def test_a_plan_counts_at_least_what_is_sent() -> None:
    app = Watched()
    app.seconds = 0.0
    receiver = Receiver.wsgi(wsgi(app), "/hook", authorization=TOKEN)
    with closing(receiver), closing(ReceiverRun(receiver, Settings(examples=5))) as run:
        plan = run.plan(RULES)
        assert {result.outcome for result in Verification(run, RULES)} == {"passed", "not applicable"}
        estimate = run.estimate()
    assert plan.requests >= len(app.times) == estimate.sent
    assert plan.requests < 2 * len(app.times)
    assert "example.com" in plan.domains


def test_a_fault_of_ours_in_a_worker_ends_the_run_and_leaves_no_rule_waiting() -> None:
    class Broken:
        on_wire = False
        scheme, host, path = "http", "localhost", "/"

        def open(self) -> Any:
            raise RuntimeError("no way")

        def close(self) -> None:
            """Nothing is open."""

    receiver = Receiver.wsgi(wsgi(Good()))
    dispatcher = Dispatcher(Receiver(Broken(), None, None), Settings(), restart_seconds=0.1)
    with closing(receiver), closing(dispatcher.lanes):
        sending = dispatcher.lanes.submit(make_cases(receiver, 3))
        sending.wait()
    assert sending.unsent == ["a fault of mail-contract itself: RuntimeError: no way"]
    assert dispatcher.lanes.stopped == sending.unsent[0]


def test_a_fault_of_ours_in_a_worker_is_reported_as_one() -> None:
    receiver = Receiver.wsgi(wsgi(Good()), "/hook", authorization=TOKEN)
    opened = count()
    open_channel = receiver.target.open

    class Breaks:
        """Opens two channels, for the first messages of a run, and then fails."""

        on_wire, scheme, host, path = False, "http", "localhost", "/hook"

        def open(self) -> Any:
            if next(opened) > 2:
                raise RuntimeError("no way")
            return open_channel()

        def close(self) -> None:
            """Nothing is open."""

    receiver.target = Breaks()
    with closing(receiver), closing(ReceiverRun(receiver)) as run:
        verification = Verification(run, RULES)
        results = list(verification)
    assert [fault.problem for fault in verification.faults] == ["RuntimeError: no way"]
    assert "not judged" in {result.outcome for result in results}


def test_a_batch_is_named_by_its_function() -> None:
    receiver = Receiver.wsgi(wsgi(Good()))
    maker = RequestMaker(receiver, Settings(), count(10_000))

    def _quotes(maker: RequestMaker) -> list[Case]:
        return [maker.make_case(maker.make_typical())]

    assert [case.group for case in Batch(_quotes).make_cases(maker)] == ["quotes"]
    receiver.close()
