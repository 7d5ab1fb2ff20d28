"""The inbox of a fake endpoint: what was delivered, and waiting for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..findings import ContractViolation, Finding
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse
from ..judging.message import Message
from ..masking import format_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..judging.requests import Verdict
    from ..wire.requests import Request

MAX_DELIVERIES = 10_000
"""How many deliveries an inbox keeps; the oldest go first, and ``Inbox.dropped`` counts them."""

_MOST_TOLD = 10


class MailNotReceived(AssertionError):
    """What the test waited or asked for is not in the inbox, or what should not be there is."""


class Delivery:
    """One HTTP request that reached the endpoint, with its verdict.

    Attributes:
        number: Its place in the order of arrival, from 1.
        request: The request as it came: method, target, headers, body.
        status: The status that the judgement asks for: 200, 400, 401, 405 or 415.
        findings: What it breaks, of every level.
        answered: What it was answered with, for a person to read.
    """

    __slots__ = ("__dict__", "_arrived", "_verdict", "answered", "number", "request")

    def __init__(
        self, number: int, request: Request, verdict: Verdict, answered: str, arrived: float
    ) -> None:
        self.number = number
        self.request = request
        self.answered = answered
        self._verdict = verdict
        self._arrived = arrived

    @property
    def status(self) -> int:
        """The status that the judgement asks for, before any scripted reply."""
        return self._verdict.status

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the request and its message break, of every level."""
        return self._verdict.findings

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings that count as violations: those of level MUST."""
        return self._verdict.violations

    @property
    def time(self) -> datetime:
        """When the request had come in whole, in UTC."""
        return datetime.fromtimestamp(self._arrived, UTC)

    @property
    def body(self) -> bytes:
        """The raw body."""
        return self.request.body

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header lines as they came on the wire: order, case and duplicates kept."""
        return self.request.headers

    @cached_property
    def json(self) -> Any:
        """The body's JSON value; None also where the body is not JSON."""
        try:
            return parse(self.body)
        except (NotUtf8, NotJson, TooDeep):
            return None

    @property
    def message(self) -> Message:
        """The message.

        Raises:
            ContractViolation: The body is not a JSON object; its findings say what it is.
        """
        __tracebackhide__ = True
        if not isinstance(self.json, dict):
            raise ContractViolation(self.findings, f"Delivery {self.number} has no message")
        return Message(self.json)

    @property
    def code(self) -> str:
        """The message's verification code.

        Raises:
            MailNotReceived: The message has none.
        """
        __tracebackhide__ = True
        return self._variable("code")

    @property
    def link(self) -> str:
        """The message's link.

        Raises:
            MailNotReceived: The message has none.
        """
        __tracebackhide__ = True
        return self._variable("link")

    def _variable(self, name: str) -> str:
        __tracebackhide__ = True
        value = self.message.payload.get(name)
        if not isinstance(value, str):
            raise MailNotReceived(
                f"This delivery has no {name}; its payload is {format_value(self.json.get('payload'))}.\n"
                f"  {self}"
            )
        return value

    def __str__(self) -> str:
        document = self.json if isinstance(self.json, dict) else None
        what = (
            f"{self.request.method[:20]} with {len(self.body)} bytes that are no message"
            if document is None
            else f"{format_value(document.get('type'))} to {format_value(document.get('to'))}"
        )
        return f"{self.number}, {self.time:%H:%M:%S.%f} UTC: {what}, answered {self.answered}"

    def __repr__(self) -> str:
        return f"<Delivery {self}>"


@dataclass(frozen=True, slots=True)
class _Wanted:
    to: str | None = None
    type: str | None = None
    payload: Mapping[str, Any] | None = None

    def mismatch(self, delivery: Delivery) -> str | None:
        """Return why a delivery is not what is wanted, None when it is."""
        if self.to is None and self.type is None and self.payload is None:
            return None
        if not isinstance(delivery.json, dict):
            return "it is no message"
        for name, wanted in (("to", self.to), ("type", self.type)):
            if wanted is not None and delivery.json.get(name) != wanted:
                return f"its {name} is {format_value(delivery.json.get(name))}"
        if self.payload is None:
            return None
        return _difference(delivery.json.get("payload"), self.payload, "payload")

    def __str__(self) -> str:
        parts = [
            f"{name} {format_value(value)}"
            for name, value in (("to", self.to), ("type", self.type))
            if value is not None
        ]
        if self.payload is not None:
            parts += [f"payload {name} {_wanted_text(name, value)}" for name, value in self.payload.items()]
        return f"message with {', '.join(parts)}" if parts else "message"


def _difference(actual: Any, wanted: Any, place: str) -> str | None:
    if isinstance(wanted, dict) and isinstance(actual, dict):
        for name, value in wanted.items():
            if name not in actual:
                return f"its {place} has no {name}"
            difference = _difference(actual[name], value, f"{place}.{name}")
            if difference:
                return difference
        return None
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        differences = (
            _difference(one, other, f"{place}[{number}]")
            for number, (one, other) in enumerate(zip(actual, wanted, strict=True))
        )
        return next(filter(None, differences), None)
    # In JSON true is no number, though in Python it equals 1.
    if isinstance(actual, bool) == isinstance(wanted, bool) and actual == wanted:
        return None
    return f"its {place} is {_masked(place, actual)}"


def _wanted_text(name: str, value: Any) -> str:
    return _masked(name, value) if name in ("code", "link") else format_value(value, whole=True)


def _masked(place: str, value: Any) -> str:
    return format_value(value, secret=place.removeprefix("payload.") in ("code", "link"))


def tell(
    violations: Sequence[ContractViolation], failure: BaseException | None = None, note: str | None = None
) -> None:
    """Raise violations, or add them as notes to the failure that ends a test or block by itself.

    Args:
        violations: What to tell.
        failure: What ends the test or block, if anything; a skip counts as nothing, for nobody reads it.
        note: What to add to the violation that is raised.

    Raises:
        ContractViolation: The first one, with the others as notes.
    """
    __tracebackhide__ = True
    if not violations:
        return
    if failure is not None and not _is_skip(failure):
        for violation in violations:
            failure.add_note(f"Beside that, {violation}")
        return
    first, *others = violations
    for text in [*map(str, others), *([note] if note else [])]:
        first.add_note(text)
    raise first from None


def _is_skip(failure: BaseException) -> bool:
    import unittest

    import pytest

    return isinstance(failure, (pytest.skip.Exception, unittest.SkipTest))


class Inbox:
    """The deliveries of one endpoint in order of arrival.

    Unless it is lenient, every call tells the violations first: a delivery that breaks the contract raises
    ContractViolation from the next call, once.

    Args:
        label: What the inbox belongs to, for messages.
        lenient: Record violations and raise nothing for them.
        surroundings: Returns lines on what else is known when mail is missing.
        limit: How many deliveries are kept.

    Attributes:
        lenient: As given; may be changed at any time.
        dropped: How many deliveries were dropped to keep within the limit.
    """

    def __init__(
        self,
        label: str = "mail_endpoint",
        *,
        lenient: bool = False,
        surroundings: Callable[[], list[str]] = list,
        limit: int = MAX_DELIVERIES,
    ) -> None:
        self.lenient = lenient
        self.dropped = 0
        self._label = label
        self._surroundings = surroundings
        self._limit = limit
        self._arrival = threading.Condition()
        self._wakers: set[Callable[[], None]] = set()
        self._deliveries: deque[Delivery] = deque()
        self._violating: deque[Delivery] = deque()
        self._last_number = 0

    # What the endpoint calls.

    def record(self, request: Request, verdict: Verdict, answered: str, arrived: float) -> Delivery:
        """Record a request and wake those who wait.

        Args:
            request: The request as it came.
            verdict: What it is worth.
            answered: What it is answered with.
            arrived: When it had come in whole, in seconds since the epoch.
        """
        with self._arrival:
            self._last_number += 1
            delivery = Delivery(self._last_number, request, verdict, answered, arrived)
            self._deliveries.append(delivery)
            if len(self._deliveries) > self._limit:
                self._deliveries.popleft()
                self.dropped += 1
            if verdict.findings and verdict.violations and len(self._violating) < self._limit:
                self._violating.append(delivery)
            self._arrival.notify_all()
            for wake in self._wakers:
                wake()
        return delivery

    # Violations.

    def violation(self) -> ContractViolation | None:
        """Return the violations that were not told yet as one failure, and count them as told."""
        with self._arrival:
            return self._untold()

    def tell(self, failure: BaseException | None = None) -> None:
        """Tell the violations that were not told yet, unless lenient.

        Args:
            failure: What ends the test or block by itself, if anything; they are added to it as a note.

        Raises:
            ContractViolation: There are some, and nothing to add them to.
        """
        __tracebackhide__ = True
        if not self.lenient:
            violation = self.violation()
            tell([violation] if violation else [], failure)

    def _untold(self) -> ContractViolation | None:
        if not self._violating:
            return None
        deliveries = list(self._violating)
        self._violating.clear()
        lines = [f"{self._label} received what breaks the contract:"]
        for delivery in deliveries[:_MOST_TOLD]:
            rules = ", ".join(finding.rule for finding in delivery.violations)
            lines.append(f"  delivery {delivery}; breaks {rules}")
        if len(deliveries) > _MOST_TOLD:
            lines.append(f"  … and {len(deliveries) - _MOST_TOLD} more")
        # Each rule and place once: a sender that errs, errs every time.
        findings: dict[tuple[str, str], Finding] = {}
        for delivery in deliveries:
            for finding in delivery.violations:
                findings.setdefault((finding.rule, finding.pointer), finding)
        return ContractViolation(
            findings.values(),
            "\n".join(lines),
            ["to silence: @pytest.mark.mail_contract(lenient=True), or lenient=True for this endpoint"],
        )

    def _tell(self) -> None:
        __tracebackhide__ = True
        if not self.lenient:
            violation = self._untold()
            if violation is not None:
                raise violation

    # What a test calls.

    def __len__(self) -> int:
        __tracebackhide__ = True
        with self._arrival:
            self._tell()
            return len(self._deliveries)

    def __iter__(self) -> Iterator[Delivery]:
        __tracebackhide__ = True
        with self._arrival:
            self._tell()
            return iter(list(self._deliveries))

    def __getitem__(self, position: int) -> Delivery:
        __tracebackhide__ = True
        with self._arrival:
            self._tell()
            try:
                return self._deliveries[position]
            except IndexError:
                raise IndexError(
                    f"There is no delivery {position}.\n{self._what_arrived(_Wanted())}"
                ) from None

    def __bool__(self) -> bool:
        __tracebackhide__ = True
        return len(self) > 0

    def count(
        self, *, to: str | None = None, type: str | None = None, payload: Mapping[str, Any] | None = None
    ) -> int:
        """Return how many deliveries match.

        Args:
            to: The recipient, exactly.
            type: The template type.
            payload: Variables that the payload must have; objects in it may have further members.

        Raises:
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        wanted = _Wanted(to, type, payload)
        return sum(wanted.mismatch(delivery) is None for delivery in self)

    def clear(self) -> None:
        """Forget every delivery.

        Raises:
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        with self._arrival:
            self._tell()
            self._deliveries.clear()

    def latest(
        self, *, to: str | None = None, type: str | None = None, payload: Mapping[str, Any] | None = None
    ) -> Delivery:
        """Return the last delivery that matches.

        Args:
            to: The recipient, exactly.
            type: The template type.
            payload: Variables that the payload must have; objects in it may have further members.

        Raises:
            MailNotReceived: None matches; it tells what did arrive.
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        wanted = _Wanted(to, type, payload)
        with self._arrival:
            self._tell()
            for delivery in reversed(self._deliveries):
                if wanted.mismatch(delivery) is None:
                    return delivery
            raise self._not_received(f"No {wanted} has arrived.", wanted)

    @property
    def code(self) -> str:
        """The verification code of the latest delivery.

        Raises:
            MailNotReceived: Nothing has arrived, or the latest message has no code.
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        return self.latest().code

    @property
    def link(self) -> str:
        """The link of the latest delivery.

        Raises:
            MailNotReceived: Nothing has arrived, or the latest message has no link.
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        return self.latest().link

    def wait_for(
        self,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        after: Delivery | None = None,
        timeout: float = 5.0,
    ) -> Delivery:
        """Return the first delivery that matches, waiting for it where it has not arrived.

        Args:
            to: The recipient, exactly.
            type: The template type.
            payload: Variables that the payload must have; objects in it may have further members.
            after: Look only at what arrived after this delivery, say when a code is asked for again.
            timeout: Seconds to wait.

        Raises:
            MailNotReceived: None has arrived in time; it tells what did arrive.
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        wanted = _Wanted(to, type, payload)
        deadline = time.monotonic() + timeout
        seen = after.number if after else 0
        with self._arrival:
            while True:
                self._tell()
                found, seen = self._first(wanted, seen)
                if found is not None:
                    return found
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise self._not_received(f"No {wanted} arrived within {timeout:g} s.", wanted)
                self._arrival.wait(min(remaining, threading.TIMEOUT_MAX))

    async def wait_for_async(
        self,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        after: Delivery | None = None,
        timeout: float = 5.0,
    ) -> Delivery:
        """Do what ``wait_for`` does without blocking the running asyncio loop.

        Args:
            to: The recipient, exactly.
            type: The template type.
            payload: Variables that the payload must have; objects in it may have further members.
            after: Look only at what arrived after this delivery.
            timeout: Seconds to wait.

        Raises:
            MailNotReceived: None has arrived in time; it tells what did arrive.
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        import asyncio

        wanted = _Wanted(to, type, payload)
        seen = after.number if after else 0
        arrived = asyncio.Event()
        deadline = time.monotonic() + timeout
        with self._waking(asyncio.get_running_loop(), arrived):
            while True:
                arrived.clear()
                remaining = deadline - time.monotonic()
                with self._arrival:
                    self._tell()
                    found, seen = self._first(wanted, seen)
                    if found is not None:
                        return found
                    if remaining <= 0:
                        raise self._not_received(f"No {wanted} arrived within {timeout:g} s.", wanted)
                with suppress(TimeoutError):
                    await asyncio.wait_for(arrived.wait(), remaining)

    def assert_empty(self, within: float = 0.0) -> None:
        """Assert that nothing has arrived and nothing arrives for a while.

        Args:
            within: Seconds to watch; 0 looks at what is there.

        Raises:
            MailNotReceived: Something has arrived; it tells what.
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        deadline = time.monotonic() + within
        with self._arrival:
            while True:
                self._tell()
                self._require_empty()
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return
                self._arrival.wait(min(remaining, threading.TIMEOUT_MAX))

    async def assert_empty_async(self, within: float = 0.0) -> None:
        """Do what ``assert_empty`` does without blocking the running asyncio loop.

        Args:
            within: Seconds to watch; 0 looks at what is there.

        Raises:
            MailNotReceived: Something has arrived; it tells what.
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        import asyncio

        arrived = asyncio.Event()
        with self._waking(asyncio.get_running_loop(), arrived):
            with self._arrival:
                self._tell()
                self._require_empty()
            with suppress(TimeoutError):
                await asyncio.wait_for(arrived.wait(), within)
            with self._arrival:
                self._tell()
                self._require_empty()

    # How the above is done; each is called with the lock held, but for _waking.

    @contextmanager
    def _waking(self, loop: Any, arrived: Any) -> Iterator[None]:
        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed under a waiter that nobody cancelled
                loop.call_soon_threadsafe(arrived.set)

        with self._arrival:
            self._wakers.add(wake)
        try:
            yield
        finally:
            with self._arrival:
                self._wakers.discard(wake)

    def _first(self, wanted: _Wanted, seen: int) -> tuple[Delivery | None, int]:
        # Numbers have no gaps, so what was seen can be passed over without looking at it.
        passed = seen + 1 - self._deliveries[0].number if self._deliveries else 0
        for delivery in islice(self._deliveries, max(passed, 0), None):
            seen = delivery.number
            if wanted.mismatch(delivery) is None:
                return delivery, seen
        return None, seen

    def _require_empty(self) -> None:
        __tracebackhide__ = True
        if self._deliveries:
            raise MailNotReceived(f"The inbox should be empty.\n{self._what_arrived(_Wanted())}")

    def _not_received(self, problem: str, wanted: _Wanted) -> MailNotReceived:
        return MailNotReceived(f"{problem}\n{self._what_arrived(wanted)}")

    def _what_arrived(self, wanted: _Wanted) -> str:
        lines = [f"{len(self._deliveries)} in the inbox of {self._label}:"]
        for delivery in list(self._deliveries)[-_MOST_TOLD:]:
            mismatch = wanted.mismatch(delivery)
            lines.append(f"  {delivery}{f' ({mismatch})' if mismatch else ''}")
        if len(self._deliveries) > _MOST_TOLD:
            lines.insert(1, f"  … {len(self._deliveries) - _MOST_TOLD} earlier")
        if not self._deliveries:
            lines = [f"Nothing is in the inbox of {self._label}."]
        if self.dropped:
            lines.append(f"{self.dropped} older deliveries were dropped: the inbox keeps {self._limit}.")
        return "\n".join([*lines, *self._surroundings()])
