"""The scripted replies of a fake endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..inbox.waits import find_caller
from ..wire.replies import Endless, Garbage, Reset, Script, scripted_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..wire.replies import Reply


class _Scripted(NamedTuple):
    """A finite reply that no request used so far."""

    reply: Reply
    times: int
    place: str

    def __str__(self) -> str:
        return f"{self.reply}, scripted at {self.place},"


class ScriptedReplies:
    """The replies that a test scripts in the place of an endpoint's own 200."""

    def __init__(self) -> None:
        self._script = Script()
        # By the identity of the reply, since two replies of a test may be equal.
        self._unused: dict[int, _Scripted] = {}

    def take_reply(self) -> Reply | None:
        """Return the reply to the next accepted request and use it up; None when nothing is scripted."""
        reply = self._script.take_next()
        self._unused.pop(id(reply), None)
        return reply

    def take_unused_replies(self) -> list[str]:
        """Return which finite replies no request used, a line each, and forget them."""
        unused, self._unused = self._unused, {}
        lines = []
        ahead = 0
        for reply, left in self._script.due():
            scripted = unused.pop(id(reply), None)
            if scripted is not None:
                behind = f", behind {ahead} others" if ahead else ""
                lines.append(f"{scripted} would go to the next {_accepted(scripted.times)}{behind}")
            ahead += left or 0
        removed = [f"{scripted} was removed by reset_replies() or begin()" for scripted in unused.values()]
        return [*removed, *lines]

    def _add(self, reply: Reply, times: int | None, *, optional: bool) -> None:
        if times is not None and times > 0 and not optional:
            # Before the script has it: a request may use it at once.
            self._unused[id(reply)] = _Scripted(reply, times, find_caller())
        self._script.add(reply, times)

    def reply(
        self,
        status: int = 200,
        body: str | bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        times: int | None = None,
        optional: bool = False,
    ) -> None:
        """Respond to accepted requests with a status and body from now on.

        Requests that the endpoint refuses (400, 401, 405, 415) get their refusal and use no reply up.

        Args:
            status: The HTTP status.
            body: The body; text is sent as UTF-8.
            headers: Extra header lines.
            delay: Seconds before the response; ``math.inf`` never responds.
            times: For how many requests, after the replies already scripted; None until ``reset_replies``.
            optional: Whether no request need use the reply. Without it a pytest test fails at its end when no
                request used a reply that has ``times``.

        Raises:
            ValueError: ``delay`` is negative, ``times`` less than 1, ``status`` not of three digits, or a
                header line cannot be sent.
        """
        self._add(scripted_response(status, body, headers, delay=delay), times, optional=optional)

    def reply_redirect(
        self, location: str, status: int = 307, *, times: int | None = None, optional: bool = False
    ) -> None:
        """Respond to accepted requests with a redirect from now on.

        Args:
            location: The value of ``Location``.
            status: The HTTP status; Logto's connector posts again on 301, 302, 307 and 308, and gets on 303.
            times: For how many requests; None until ``reset_replies``.
            optional: As for ``reply``.

        Raises:
            ValueError: ``times`` is less than 1, ``status`` not of three digits, or ``location`` no header.
        """
        self.reply(status, headers={"Location": location}, times=times, optional=optional)

    def reply_reset(self, *, times: int | None = None, optional: bool = False) -> None:
        """End the connection of accepted requests with a TCP reset from now on.

        Args:
            times: For how many requests; None until ``reset_replies``.
            optional: As for ``reply``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._add(Reset(), times, optional=optional)

    def reply_endless(self, *, times: int | None = None, optional: bool = False) -> None:
        """Respond to accepted requests with a 200 whose body never ends from now on.

        Args:
            times: For how many requests; None until ``reset_replies``.
            optional: As for ``reply``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._add(Endless(), times, optional=optional)

    def reply_garbage(
        self, data: bytes = b"\0\1garbage\xff\r\n\r\n", *, times: int | None = None, optional: bool = False
    ) -> None:
        """Respond to accepted requests with bytes that are no HTTP from now on, and close.

        Args:
            data: The bytes.
            times: For how many requests; None until ``reset_replies``.
            optional: As for ``reply``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._add(Garbage(data), times, optional=optional)

    def reply_drip(
        self,
        status: int = 200,
        body: str | bytes = b"",
        *,
        interval: float = 0.1,
        times: int | None = None,
        optional: bool = False,
    ) -> None:
        """Respond to accepted requests byte by byte from now on.

        Args:
            status: The HTTP status.
            body: The body; text is sent as UTF-8.
            interval: Seconds between two bytes, of the head too.
            times: For how many requests; None until ``reset_replies``.
            optional: As for ``reply``.

        Raises:
            ValueError: ``interval`` is negative, ``times`` less than 1 or ``status`` not of three digits.
        """
        self._add(scripted_response(status, body, drip=interval), times, optional=optional)

    def reset_replies(self) -> None:
        """Remove every scripted reply; those being sent go on."""
        self._script.reset()


def _accepted(count: int) -> str:
    return "accepted request" if count == 1 else f"{count} accepted requests"
