"""The endpoint of ``serve``: judges requests, records them, and picks the scripted reply.

No HTTP here: a server hands in requests and sends the response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import read_time
from ..inbox.core import MAX_LISTED_DELIVERIES, InboxCore
from ..inbox.matching import Query, to_near_key
from ..inbox.store import StoreProblem
from ..judging.message import condense, text_member
from ..judging.requests import Verdict, judge
from ..judging.validation import validator
from ..wire.replies import Reply, Script
from .worker import MAX_INLINE_BYTES, Worker

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..inbox.core import Event
    from ..inbox.recorded import Recorded
    from ..inbox.store import Store
    from ..wire.requests import Request


class Log(Protocol):
    """Prints what happens."""

    def delivery(self, recorded: Recorded, message: Any, verdict: Verdict) -> None:
        """Report a delivery.

        Args:
            recorded: The delivery.
            message: The body's JSON value, whole or condensed; None where there is none.
            verdict: The result of judging it.
        """

    def problem(self, text: str) -> None:
        """Report a fault of this side, or bytes that are no request."""


OnRecorded = Callable[[Verdict | StoreProblem, Reply | None], None]


class Stopping(Exception):
    """The endpoint is about to stop, so there is nothing to wait for."""


class StandingEndpoint:
    """An endpoint with an inbox and scripted replies; for one event loop.

    Args:
        store: Keeps the deliveries.
        log: Prints what happens.
        revision: A contract revision or Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        lenient: Whether any template type can be asked for.
        authorization: The exact value that ``Authorization`` must have; None when it is not looked at.

    Attributes:
        inbox: The deliveries, their listeners, and waiting for them.
        log: Prints what happens.
        revision: The contract revision that messages are judged by.
        layer: The layer that messages are judged by.
        authorization: The exact value that ``Authorization`` must have.
        lenient: Whether any template type can be asked for.
        violations: How many invalid deliveries came since the start.
        problem: Why the last delivery could not be stored; None when it was.
        worker: Does what would hold up the event loop.

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
        lenient: bool = False,
    ) -> None:
        self.inbox = InboxCore(store)
        self.revision = validator(revision, layer).revision
        self.layer = layer
        self.authorization = authorization
        self.lenient = lenient
        self.violations = 0
        self.problem: str | None = None
        self.log = log
        self.worker = Worker()
        self._scripts: dict[Query, Script] = {}
        # Made once for each script: all of them are compared with each delivery.
        self._near_keys: dict[Query, str | None] = {}
        # For each script: recipients of deliveries that did not use it, each another way to write its own.
        self._near: dict[Query, set[str]] = {}

    @property
    def store(self) -> Store:
        """Keeps the deliveries."""
        return self.inbox.store

    # Deliveries.

    def record(self, request: Request, on_recorded: OnRecorded) -> None:
        """Judge a request and record it.

        Args:
            request: The request.
            on_recorded: Called when it is recorded, with its verdict and the scripted reply, if any; with the
                problem in the place of the verdict when it cannot be recorded. The calls are in the order of
                the requests.
        """
        self._record_judged(request, *self._judge(request), on_recorded)

    def _judge(self, request: Request) -> tuple[Verdict, Any]:
        return judge(request, self.revision, self.layer, self.authorization)

    def _judge_apart(self, request: Request) -> tuple[Verdict, Any]:
        verdict, message = self._judge(request)
        return verdict, condense(message)

    def _record_judged(
        self, request: Request, verdict: Verdict, message: Any, on_recorded: OnRecorded
    ) -> None:
        reply = None
        if self._scripts and verdict.status == 200:
            reply = self._take_reply(text_member(message, "to") if isinstance(message, dict) else None)

        def on_stored(recorded: Recorded | StoreProblem) -> None:
            if isinstance(recorded, StoreProblem):
                if self.problem is None:
                    self.log.problem(str(recorded))
                self.problem = str(recorded)
                on_recorded(recorded, None)
                return
            self.problem = None
            self.violations += not recorded.valid
            self.log.delivery(recorded, message, verdict)
            on_recorded(verdict, reply)

        response = f"{reply} (scripted)" if reply else str(verdict.status)
        self.inbox.record(request, verdict, message, response, read_time(), on_stored)

    async def deliver(self, request: Request) -> tuple[Verdict, Reply | None]:
        """Judge a request and record it; return its verdict, and the scripted reply if there is one.

        A large one is judged in the thread of ``worker``.

        Args:
            request: The request.

        Raises:
            StoreProblem: It cannot be recorded.
        """
        outcome: asyncio.Future[tuple[Verdict | StoreProblem, Reply | None]]
        outcome = asyncio.get_running_loop().create_future()
        is_small = len(request.body) <= MAX_INLINE_BYTES
        judged = self._judge(request) if is_small else await self.worker.run(self._judge_apart, request)
        self._record_judged(request, *judged, lambda verdict, reply: outcome.set_result((verdict, reply)))
        verdict, reply = await outcome
        if isinstance(verdict, StoreProblem):
            raise verdict
        return verdict, reply

    async def latest(self, query: Query, wait: float) -> Recorded | None:
        """Return the newest wanted delivery, waiting until one arrives; None when none does.

        Args:
            query: Which deliveries are wanted.
            wait: Seconds to wait.

        Raises:
            Stopping: The endpoint stops meanwhile.
            StoreProblem: The store cannot be read.
        """

        def check(found: Recorded | None) -> None:
            if found is None and wait and self.inbox.stopping:
                raise Stopping

        # The loop's own timers: a thread for each held request would be too much.
        set_alarm = asyncio.get_running_loop().call_later
        return await self.inbox.wait_async(query, wait, check, newest=True, set_alarm=set_alarm)

    def listening(self, listener: Callable[[Event], None]) -> AbstractContextManager[None]:
        """Have a listener called with each event during a block, as ``InboxCore.listening`` does."""
        return self.inbox.listening(listener)

    def stop(self) -> None:
        """End every wait."""
        self.inbox.stop()

    # Scripted replies.

    def script(self, key: Query, reply: Reply, times: int | None) -> None:
        """Respond to valid deliveries with a reply from now on.

        Args:
            key: The recipient whose deliveries get it. When it names none: all deliveries that have no reply
                of their own.
            reply: The reply.
            times: For how many deliveries, after the replies already scripted; None until it is deleted.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        script = self._scripts.get(key) or Script()
        script.add(reply, times)
        self._scripts[key] = script
        self._near_keys[key] = None if key.to is None else to_near_key(key.to)

    @property
    def has_script(self) -> bool:
        """Whether any reply is scripted."""
        return bool(self._scripts)

    def scripted(self) -> list[tuple[Query, Reply, int | None]]:
        """Return what is scripted: for whom, the reply, and for how many deliveries."""
        return [(key, reply, times) for key, script in self._scripts.items() for reply, times in script.due()]

    def list_near(self) -> list[str]:
        """Return recipients of deliveries that used no reply, as it is for another way to write them."""
        return sorted({to for near in self._near.values() for to in near})[:MAX_LISTED_DELIVERIES]

    def unscript(self, query: Query) -> tuple[int, list[str]]:
        """Forget what is scripted for the wanted recipient, everything when none is named.

        Returns:
            How much there was. When there was nothing, also the other ways to write the recipient for which
            something is scripted.
        """
        before = len(self.scripted())
        for key in [key for key in self._scripts if query.wants_recipient(key.to)]:
            self._forget(key)
        deleted = before - len(self.scripted())
        near: list[str] = []
        if query.to is not None and not deleted:
            near = [key.to for key in self._find_near(query.to) if key.to is not None]
        return deleted, near[:MAX_LISTED_DELIVERIES]

    def _take_reply(self, to: str | None) -> Reply | None:
        self._note_near(to)
        ignoring_case = [key for key in self._scripts if key.ignore_case and key.wants_recipient(to)]
        for key in [Query(to), *ignoring_case, Query()]:
            script = self._scripts.get(key)
            if script is not None:
                reply = script.take_next()
                if not script.due():
                    self._forget(key)
                return reply
        return None

    def _note_near(self, to: str | None) -> None:
        if to is None:
            return
        for key in self._find_near(to):
            near = self._near.get(key, set())
            if len(near) < MAX_LISTED_DELIVERIES and not key.wants_recipient(to):
                self._near[key] = near | {to}

    def _find_near(self, to: str) -> list[Query]:
        """Return the keys of scripts whose recipient is written as another one is, or in another way."""
        wanted = to_near_key(to)
        return [key for key, its in self._near_keys.items() if its is not None and its == wanted]

    def _forget(self, key: Query) -> None:
        del self._scripts[key], self._near_keys[key]
        self._near.pop(key, None)
