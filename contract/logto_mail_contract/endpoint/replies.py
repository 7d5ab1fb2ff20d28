"""The scripted replies of a fake endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire.replies import Endless, Garbage, Reset, Script, scripted_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..wire.replies import Reply


class ScriptedReplies:
    """The replies that a test scripts in the place of an endpoint's own 200."""

    def __init__(self) -> None:
        self._script = Script()

    def take_reply(self) -> Reply | None:
        """Return the reply to the next accepted request and use it up; None when nothing is scripted."""
        return self._script.take_next()

    def reply(
        self,
        status: int = 200,
        body: str | bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        times: int | None = None,
    ) -> None:
        """Respond to accepted requests with a status and body from now on.

        Requests that the endpoint refuses (400, 401, 405, 415) get their refusal and use no reply up.

        Args:
            status: The HTTP status.
            body: The body; text is sent as UTF-8.
            headers: Extra header lines.
            delay: Seconds before the response; ``math.inf`` never responds.
            times: For how many requests, after the replies already scripted; None until ``reset_replies``.

        Raises:
            ValueError: ``delay`` is negative, ``times`` less than 1, ``status`` not of three digits, or a
                header line cannot be sent.
        """
        self._script.add(scripted_response(status, body, headers, delay=delay), times)

    def reply_redirect(self, location: str, status: int = 307, *, times: int | None = None) -> None:
        """Respond to accepted requests with a redirect from now on.

        Args:
            location: The value of ``Location``.
            status: The HTTP status; Logto's connector posts again on 301, 302, 307 and 308, and gets on 303.
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1, ``status`` not of three digits, or ``location`` no header.
        """
        self.reply(status, headers={"Location": location}, times=times)

    def reply_reset(self, *, times: int | None = None) -> None:
        """End the connection of accepted requests with a TCP reset from now on.

        Args:
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._script.add(Reset(), times)

    def reply_endless(self, *, times: int | None = None) -> None:
        """Respond to accepted requests with a 200 whose body never ends from now on.

        Args:
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._script.add(Endless(), times)

    def reply_garbage(self, data: bytes = b"\0\1garbage\xff\r\n\r\n", *, times: int | None = None) -> None:
        """Respond to accepted requests with bytes that are no HTTP from now on, and close.

        Args:
            data: The bytes.
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._script.add(Garbage(data), times)

    def reply_drip(
        self, status: int = 200, body: str | bytes = b"", *, interval: float = 0.1, times: int | None = None
    ) -> None:
        """Respond to accepted requests byte by byte from now on.

        Args:
            status: The HTTP status.
            body: The body; text is sent as UTF-8.
            interval: Seconds between two bytes, of the head too.
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``interval`` is negative, ``times`` less than 1 or ``status`` not of three digits.
        """
        self._script.add(scripted_response(status, body, drip=interval), times)

    def reset_replies(self) -> None:
        """Remove every scripted reply; those being sent go on."""
        self._script.reset()
