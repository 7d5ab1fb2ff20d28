"""The inbox of a fake endpoint as a test uses it: what was delivered, and waiting for it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..clock import read_monotonic
from ..masking import format_value
from .core import MAX_LISTED_DELIVERIES, InboxCore
from .delivery import Delivery, MailNotReceived
from .matching import Query, check_type, parse_body
from .store import MAX_STORED_BYTES, MemoryStore, StoreProblem
from .violations import ExpectedViolation, Violations
from .waiting import require_seconds
from .waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from ..findings import ContractViolation
    from ..judging.requests import Verdict
    from ..wire.requests import Request
    from .recorded import Recorded

MAX_DELIVERIES = 10_000
"""How many deliveries an inbox keeps; the oldest go first, and ``Inbox.dropped`` counts them."""

_TYPE_RULE = "message/guard/type"
_OTHER_TYPES = (
    'Only a lenient endpoint, or a block of expect_violation("message/guard/type"), waits for others.'
)


class Inbox:
    """The deliveries of one endpoint in order of arrival.

    A delivery that breaks the contract raises ContractViolation from every call, until the test ends. Only
    ``expect_violation``, by the name of the rule, or ``lenient`` accepts it.

    Long because every call of a test is a method here, with what it raises.

    Args:
        label: What the inbox belongs to, for messages.
        lenient: Record violations and raise nothing for them.
        revision: The contract revision whose template types may be asked for; any type may be when None.
        surroundings: Returns lines on what else is known when mail is missing.
        limit: How many deliveries are stored; the oldest go first.
        expectations: The blocks of ``expect_violation`` that are open, where inboxes share them.
        waits: The waits that were not awaited yet, where inboxes share them.
        clock: Returns monotonic seconds, for the deadlines of waits.

    Attributes:
        lenient: As given; may be changed at any time.
    """

    def __init__(
        self,
        label: str = "mail_endpoint",
        *,
        lenient: bool = False,
        revision: str | None = None,
        surroundings: Callable[[], list[str]] = list,
        limit: int = MAX_DELIVERIES,
        expectations: list[ExpectedViolation] | None = None,
        waits: Waits | None = None,
        clock: Callable[[], float] = read_monotonic,
    ) -> None:
        self.lenient = lenient
        self._label = label
        self._revision = revision
        self._surroundings = surroundings
        self._limit = limit
        self._core = InboxCore(MemoryStore(limit), clock)
        self._waits = Waits() if waits is None else waits
        self._violations = Violations(label, limit, [] if expectations is None else expectations)

    # For the endpoint.

    def record(
        self, request: Request, verdict: Verdict, message: object, response: str, arrived: float
    ) -> Delivery:
        """Record a request and wake those who wait.

        Args:
            request: The request as it came.
            verdict: The result of judging it.
            message: The body's JSON value; None where the judgement did not look at it.
            response: How it is responded to, for a person to read.
            arrived: When it had come in whole, in seconds since the epoch.
        """
        # A refused message is found by its recipient too.
        message = parse_body(request.body) if message is None else message
        deliveries: list[Delivery] = []

        def on_recorded(recorded: Recorded | StoreProblem) -> None:
            if isinstance(recorded, StoreProblem):
                raise recorded
            deliveries.append(Delivery(recorded))
            if recorded.findings:
                self._violations.add(deliveries[0])

        self._core.record(request, verdict, message, response, arrived, on_recorded)
        return deliveries[0]

    # Violations.

    def expect_violation(self, *rules: str) -> ExpectedViolation:
        """Accept what breaks a rule during a block: ``with inbox.expect_violation(…) as deliveries:``.

        ``deliveries`` is a list of those that broke a named rule; it grows as they arrive. They stay in the
        inbox and raise nothing for these rules. Any other violation still raises.

        Args:
            rules: The ids of one or more rules; one failed rule among them is enough.

        Raises:
            ValueError: No rule is named, or one that there is not.
            MailNotReceived: At the end of the block, no delivery in it broke any of the rules.
        """
        return ExpectedViolation(self._violations.expectations, rules, self.list_arrivals)

    def verify(self) -> None:
        """Raise the violations that are due, unless lenient.

        Raises:
            ContractViolation: There are some.
        """
        __tracebackhide__ = True
        with self._core.lock:
            self._raise_due()

    def unreported_violation(self) -> ContractViolation | None:
        """Return as one failure the violations due that were not reported, whether lenient or not."""
        with self._core.lock:
            return self._violations.unreported()

    def take_unreported(self, failure: BaseException | None = None) -> ContractViolation | None:
        """Return as one failure the violations due that were not reported, and count them as reported.

        Args:
            failure: What ends the test or block by itself, if anything. What it reports is not returned.
        """
        with self._core.lock:
            return self._violations.take_unreported(failure)

    def note_reported(self, failure: BaseException) -> None:
        """Count as reported the violations that a failure reports."""
        with self._core.lock:
            self._violations.note_reported(failure)

    def _raise_due(self, _: object = None) -> None:
        __tracebackhide__ = True
        if not self.lenient:
            self._violations.raise_due()

    # Looking, without a wait.

    @property
    def waiting(self) -> int:
        """How many wait for a delivery now."""
        return self._core.listener_count

    @property
    def dropped(self) -> int:
        """How many deliveries were dropped to keep within the limit."""
        return self._core.store.dropped

    def __len__(self) -> int:
        __tracebackhide__ = True
        with self._core.lock:
            self._raise_due()
            return self._core.store.total

    def __bool__(self) -> bool:
        __tracebackhide__ = True
        return len(self) > 0

    def __iter__(self) -> Iterator[Delivery]:
        __tracebackhide__ = True
        return iter(self._select(Query()))

    def __getitem__(self, position: int) -> Delivery:
        __tracebackhide__ = True
        try:
            return self._select(Query())[position]
        except IndexError:
            problem = f"There is no delivery {position}.\n{self.list_arrivals()}"
        raise IndexError(problem)

    def count(
        self,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        ignore_case: bool = False,
    ) -> int:
        """Return how many deliveries match; the arguments are those of ``wait_for``.

        Raises:
            MailNotReceived: None matches, but one came to another way to write ``to``, for example in another
                letter case.
            ContractViolation: A delivery broke the contract.
            ValueError: As ``wait_for``.
        """
        __tracebackhide__ = True
        query = self._query(to, type, payload, ignore_case=ignore_case)
        found = self._select(query)
        if not found:
            self._require_none_near(query)
        return len(found)

    def latest(
        self,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        ignore_case: bool = False,
    ) -> Delivery:
        """Return the last delivery that matches; the arguments are those of ``wait_for``.

        Raises:
            MailNotReceived: None matches; it says what did arrive.
            ContractViolation: A delivery broke the contract.
            ValueError: As ``wait_for``.
        """
        __tracebackhide__ = True
        query = self._query(to, type, payload, ignore_case=ignore_case)
        found = self._select(query, 1)
        if not found:
            raise MailNotReceived(
                f"No {query} has arrived.{self._name_near(query)}\n{self.list_arrivals(query)}"
            )
        return found[0]

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

    def clear(self) -> None:
        """Delete every delivery. It accepts no violation.

        Raises:
            ContractViolation: A delivery broke the contract.
        """
        __tracebackhide__ = True
        with self._core.lock:
            self._raise_due()
            self._core.delete(Query())

    def _select(self, query: Query, limit: int | None = None) -> list[Delivery]:
        __tracebackhide__ = True
        with self._core.lock:
            self._raise_due()
            found = self._core.select(query, limit or self._limit, newest=True)
        return [Delivery(recorded) for recorded in found]

    def _query(
        self,
        to: str | None,
        type: str | None,
        payload: Mapping[str, Any] | None,
        after: Delivery | None = None,
        *,
        ignore_case: bool,
    ) -> Query:
        __tracebackhide__ = True
        _require_kinds(to, type, payload)
        if after is not None and after.number > (last := self._core.store.last):
            raise ValueError(
                f"after is delivery {after.number}, and {self._label} has had {last}: it is of another "
                "inbox, for example of before begin()."
            )
        if type is not None and self._revision is not None and not self.lenient:
            with self._core.lock:
                self._raise_due()
                expected = self._violations.expects(_TYPE_RULE)
                if not expected and not self._core.select(Query(type=type), 1, newest=True):
                    check_type(self._revision, type, _OTHER_TYPES)
        return Query(to, type, payload, after=after.number if after else None, ignore_case=ignore_case)

    # Waiting.

    def wait_for(
        self,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        after: Delivery | None = None,
        timeout: float = 5.0,
        ignore_case: bool = False,
    ) -> Delivery:
        """Return the first delivery that matches, waiting for it where it has not arrived.

        Args:
            to: The recipient, exactly.
            type: The template type.
            payload: Variables that the payload must have; objects in it may have more members.
            after: Look only at what arrived after this delivery, for example when a code is asked for again.
            timeout: Seconds to wait, from 0; infinity is allowed.
            ignore_case: Ignore the letter case of the recipient.

        Raises:
            MailNotReceived: None has arrived in time; it says what did arrive.
            ContractViolation: A delivery broke the contract.
            ValueError: The endpoint's revision does not have the template type. A lenient endpoint waits for
                any type, and so does one that expects the violation ``message/guard/type``. Or ``after`` is a
                delivery of another inbox, or ``timeout`` is negative or NaN.
            TypeError: An argument has a wrong type.
        """
        __tracebackhide__ = True
        require_seconds("timeout", timeout)
        query = self._query(to, type, payload, after, ignore_case=ignore_case)
        return self._require(query, timeout, self._core.wait(query, timeout, self._raise_due))

    def wait_for_async(
        self,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        after: Delivery | None = None,
        timeout: float = 5.0,
        ignore_case: bool = False,
    ) -> Coroutine[object, None, Delivery]:
        """Do what ``wait_for`` does without blocking the running loop, of asyncio or trio.

        In pytest a test fails at its end when it did not await the result.

        Raises:
            RuntimeError: When it is awaited in another loop.
        """
        __tracebackhide__ = True
        require_seconds("timeout", timeout)
        query = self._query(to, type, payload, after, ignore_case=ignore_case)
        return self._waits.track(self._wait_async(query, timeout), "wait_for_async", query)

    async def _wait_async(self, query: Query, timeout: float) -> Delivery:
        __tracebackhide__ = True
        return self._require(query, timeout, await self._core.wait_async(query, timeout, self._raise_due))

    def assert_empty(
        self,
        within: float = 0.0,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        ignore_case: bool = False,
    ) -> None:
        """Assert that nothing that matches has arrived, and that nothing arrives for a while.

        Args:
            within: Seconds to watch; 0 looks at what is there.
            to: As for ``wait_for``; deliveries to anyone count when None.
            type: As for ``wait_for``.
            payload: As for ``wait_for``.
            ignore_case: As for ``wait_for``.

        Raises:
            MailNotReceived: Something has arrived, maybe to another way to write ``to``; it says what.
            ContractViolation: A delivery broke the contract.
            ValueError: As ``wait_for``.
        """
        __tracebackhide__ = True
        require_seconds("within", within)
        query = self._query(to, type, payload, ignore_case=ignore_case)
        self._require_none(query, self._core.wait(query, within, self._raise_due))

    def assert_empty_async(
        self,
        within: float = 0.0,
        *,
        to: str | None = None,
        type: str | None = None,
        payload: Mapping[str, Any] | None = None,
        ignore_case: bool = False,
    ) -> Coroutine[object, None, None]:
        """Do what ``assert_empty`` does without blocking the running loop, of asyncio or trio.

        In pytest a test fails at its end when it did not await the result.

        Raises:
            RuntimeError: When it is awaited in another loop.
        """
        __tracebackhide__ = True
        require_seconds("within", within)
        query = self._query(to, type, payload, ignore_case=ignore_case)
        return self._waits.track(self._watch_async(query, within), "assert_empty_async", query)

    async def _watch_async(self, query: Query, within: float) -> None:
        __tracebackhide__ = True
        self._require_none(query, await self._core.wait_async(query, within, self._raise_due))

    def _require(self, query: Query, timeout: float, found: Recorded | None) -> Delivery:
        __tracebackhide__ = True
        if found is None:
            problem = f"No {query} arrived within {timeout:g} s.{self._name_near(query)}"
            raise MailNotReceived(f"{problem}\n{self.list_arrivals(query, 'it came too late')}")
        return Delivery(found)

    def _require_none(self, query: Query, found: Recorded | None) -> None:
        __tracebackhide__ = True
        if found is not None:
            what = "The inbox should be empty." if query == Query() else f"No {query} should have arrived."
            raise MailNotReceived(f"{what}\n{self.list_arrivals(None if query == Query() else query)}")
        self._require_none_near(query)

    def _require_none_near(self, query: Query) -> None:
        __tracebackhide__ = True
        if near := self._name_near(query):
            raise MailNotReceived(f"No {query} has arrived.{near}\n{self.list_arrivals(query)}")

    def _name_near(self, query: Query) -> str:
        near = self._core.find_near(query)
        if not near:
            return ""
        named = " and ".join(map(format_value, near))
        return f" One to {named} has: ask for that, or give ignore_case=True where only letter case differs."

    def list_arrivals(self, query: Query | None = None, otherwise: str = "") -> str:
        """Return what is in the inbox, in lines, and what else is known.

        Args:
            query: What was looked for. The ten deliveries nearest to it are listed, each with why it is not
                the one. The last ten are listed when None.
            otherwise: The reason where nothing in a delivery speaks against it.
        """
        limit = MAX_LISTED_DELIVERIES if query is None else self._limit
        with self._core.lock:
            total = self._core.store.total
            stored = self._core.select(Query(), limit, newest=True)
        reasons: dict[int, str] = {}
        if query is not None:
            stored = heapq.nlargest(
                MAX_LISTED_DELIVERIES, stored, lambda recorded: (query.closeness(recorded), recorded.id)
            )
            stored.sort(key=lambda recorded: recorded.id)
            reasons = {recorded.id: query.mismatch(recorded) or otherwise for recorded in stored}
        lines = [
            f"{total} in the inbox of {self._label}:"
            if total
            else f"Nothing is in the inbox of {self._label}."
        ]
        for recorded in stored:
            why = reasons.get(recorded.id)
            lines.append(f"  {Delivery(recorded)}{f' ({why})' if why else ''}")
        if total > len(stored):
            lines.append(
                f"  … {total - len(stored)} {'earlier' if query is None else 'more, none of them nearer'}"
            )
        if self.dropped:
            lines.append(
                f"{self.dropped} older deliveries were dropped: the inbox keeps {self._limit}, and "
                f"{MAX_STORED_BYTES // 1024**2} MiB."
            )
        return "\n".join([*lines, *self._surroundings()])


def _require_kinds(to: object, type: object, payload: object) -> None:
    __tracebackhide__ = True
    for name, value in (("to", to), ("type", type)):
        if not (value is None or isinstance(value, str)):
            raise TypeError(f"{name} is a text; it was {value!r:.80}.")
    if not (payload is None or isinstance(payload, Mapping)):
        raise TypeError(f"payload is a dict of variables; it was {payload!r:.80}.")
