"""The endpoint that stands by itself: judges, records, answers by script, and tells whoever listens.

No HTTP here: a server hands in requests and sends what comes back.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..judging.message import text_member
from ..judging.requests import Verdict, judge
from ..judging.validation import validator
from ..wire.replies import Reply, Script
from .store import Recorded, StoreProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..wire.requests import Request
    from .store import Query, Store


class Log(Protocol):
    """Is told what happens."""

    def delivery(self, recorded: Recorded, message: Any, verdict: Verdict) -> None:
        """Tell a delivery.

        Args:
            recorded: The delivery.
            message: The body's JSON value; None where there is none.
            verdict: What it is worth.
        """

    def problem(self, text: str) -> None:
        """Tell what went wrong on this side, or came and is no request."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted: the deliveries to a recipient, all of them where ``to`` is None."""

    to: str | None


Taken = Callable[[Verdict | StoreProblem, Reply | None], None]
Event = Recorded | Deleted | None


class Stopping(Exception):
    """The endpoint is about to stop, so there is nothing to wait for."""


class StandingEndpoint:
    """An endpoint with a store, scripted replies and listeners; for one event loop.

    Args:
        store: Keeps the deliveries.
        log: Is told what happens.
        revision: A contract revision or Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        authorization: The exact value that ``Authorization`` must have; None when it is not looked at.

    Attributes:
        store: Keeps the deliveries.
        log: Is told what happens.
        revision: The contract revision that messages are held to.
        layer: The layer that messages are held to.
        authorization: The exact value that ``Authorization`` must have.
        violations: How many deliveries broke the contract since the start.
        stopping: Whether it is about to stop.
        problem: Why the last delivery could not be kept; None when it was.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
    """

    def __init__(
        self,
        store: Store,
        log: Log,
        *,
        revision: str | None = None,
        layer: str = "guard",
        authorization: str | None = None,
    ) -> None:
        self.store = store
        self.revision = validator(revision, layer).revision
        self.layer = layer
        self.authorization = authorization
        self.violations = 0
        self.problem: str | None = None
        self.log = log
        self._last = store.last
        self._scripts: dict[str | None, Script] = {}
        self._listeners: set[Callable[[Event], None]] = set()
        self.stopping = False

    # Deliveries.

    def take(self, request: Request, taken: Taken) -> None:
        """Judge a request and record it.

        Args:
            request: The request.
            taken: Called when it is recorded, with its verdict, and the scripted reply if there is one; with
                what is wrong in the place of the verdict when it cannot be recorded. The calls are in the
                order in which requests are taken.
        """
        verdict, message = judge(request, self.revision, self.layer, self.authorization)
        to = type = None
        if isinstance(message, dict):
            to, type = text_member(message, "to"), text_member(message, "type")
        reply = self._next_reply(to) if self._scripts and verdict.status == 200 else None
        findings = json.dumps([finding.entry() for finding in verdict.findings]) if verdict.findings else ""
        self._last += 1
        recorded = Recorded(
            self._last,
            time.time(),
            verdict.status,
            bool(findings and verdict.violations),
            to,
            type,
            f"{reply} (scripted)" if reply else str(verdict.status),
            request.method,
            request.target,
            request.headers,
            findings,
            request.body,
        )

        def kept(problem: StoreProblem | None) -> None:
            if problem is not None:
                if self.problem is None:
                    self.log.problem(str(problem))
                self.problem = str(problem)
                taken(problem, None)
                return
            self.problem = None
            self.violations += recorded.broken
            self.log.delivery(recorded, message, verdict)
            self._tell(recorded)
            taken(verdict, reply)

        self.store.add(recorded, kept)

    async def deliver(self, request: Request) -> tuple[Verdict, Reply | None]:
        """Judge a request and record it; return its verdict, and the scripted reply if there is one.

        Args:
            request: The request.

        Raises:
            StoreProblem: It cannot be recorded.
        """
        outcome: asyncio.Future[tuple[Verdict | StoreProblem, Reply | None]]
        outcome = asyncio.get_running_loop().create_future()
        self.take(request, lambda verdict, reply: outcome.set_result((verdict, reply)))
        verdict, reply = await outcome
        if isinstance(verdict, StoreProblem):
            raise verdict
        return verdict, reply

    # What is kept.

    def delete(self, to: str | None) -> int:
        """Delete the deliveries to a recipient, all of them when None, and return how many there were.

        Raises:
            StoreProblem: The store cannot be written.
        """
        deleted = self.store.delete(to)
        self._tell(Deleted(to))
        return deleted

    async def latest(self, query: Query, wait: float) -> Recorded | None:
        """Return the newest delivery that is wanted, waiting until one arrives; None when none does.

        Args:
            query: What is wanted.
            wait: Seconds to wait.

        Raises:
            Stopping: The endpoint stops meanwhile.
            StoreProblem: The store cannot be read.
        """
        found = self.store.select(query, 1, newest=True)
        if found or not wait:
            return found[0] if found else None
        arrived: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()

        def listen(event: Event) -> None:
            if arrived.done():
                return
            if event is None:
                arrived.set_exception(Stopping())
            elif isinstance(event, Recorded) and query.matches(event):
                arrived.set_result(event)

        with self.listening(listen):
            try:
                return await asyncio.wait_for(arrived, wait)
            except TimeoutError:
                return None

    @contextmanager
    def listening(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Have a listener called with each event during a block.

        Args:
            listener: Called with a delivery that was recorded, with what was deleted, and with None when
                the endpoint stops; at once when it has.
        """
        self._listeners.add(listener)
        if self.stopping:
            listener(None)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    def stop(self) -> None:
        """Let go of everyone who waits."""
        self.stopping = True
        self._tell(None)

    def _tell(self, event: Event) -> None:
        if self._listeners:
            for listener in tuple(self._listeners):
                listener(event)

    # Scripted replies.

    def script(self, to: str | None, reply: Reply, times: int | None) -> None:
        """Answer valid deliveries with a reply from now on.

        Args:
            to: Only deliveries to this recipient, before what is scripted for all; all of them when None.
            reply: The reply.
            times: For how many deliveries, after those already scripted; None until it is deleted.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        script = self._scripts.get(to) or Script()
        script.add(reply, times)
        self._scripts[to] = script

    @property
    def has_script(self) -> bool:
        """Whether any reply is scripted."""
        return bool(self._scripts)

    def scripted(self) -> list[tuple[str | None, Reply, int | None]]:
        """Return what is scripted: the recipient, the reply, and for how many deliveries."""
        return [(to, reply, times) for to, script in self._scripts.items() for reply, times in script.due()]

    def unscript(self, to: str | None) -> int:
        """Forget what is scripted for a recipient, everything when None, and return how much there was."""
        before = len(self.scripted())
        if to is None:
            self._scripts.clear()
        else:
            self._scripts.pop(to, None)
        return before - len(self.scripted())

    def _next_reply(self, to: str | None) -> Reply | None:
        for key in dict.fromkeys((to, None)):
            script = self._scripts.get(key)
            if script is not None:
                reply = script.next()
                if not script.due():
                    del self._scripts[key]
                return reply
        return None
