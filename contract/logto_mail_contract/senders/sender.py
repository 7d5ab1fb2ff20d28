"""A sender under test: how it is asked to send, and how it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import catalogue
from .driver import CallableDriver, CommandDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .driver import Driver, Send


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How a sender is tried.

    Attributes:
        examples: How many messages are generated for a rule that generates some.
        seed: What they are generated from; the same seed, the same messages.
        strict: Whether a failed SHOULD counts as failed.
        slow: Seconds until a response that is late but still in time; Logto's sign-in page waits 10.
        patience: Seconds that a sender has for one message, besides those of a late response.
        settle: Seconds to wait for a request that should not come.
    """

    examples: int = 25
    seed: int = 0
    strict: bool = False
    slow: float = 6.0
    patience: float = 20.0
    settle: float = 0.5


class Sender:
    """A sender under test; made by ``Sender.calling`` or ``Sender.command``.

    Attributes:
        driver: How it is asked to send.
        revision: The contract revision whose messages it is given.
        arguments: The program and its arguments; None for a callable.
    """

    def __init__(self, driver: Driver, revision: str | None, arguments: Sequence[str] | None = None) -> None:
        self.driver = driver
        self.revision = catalogue.resolve_revision(revision)
        self.arguments = arguments

    @classmethod
    def calling(cls, send: Send, *, revision: str | None = None) -> Sender:
        """Return a callable as a sender.

        Args:
            send: Gets the message, the URL of the endpoint, and the value of ``Authorization`` (None when
                none is configured); returns when the message was accepted and raises when it was not.
            revision: A contract revision or Logto release; the current revision when None.

        Raises:
            catalogue.UnknownRevision: There is no such revision or release.
        """
        return cls(CallableDriver(send), revision)

    @classmethod
    def command(cls, arguments: Sequence[str], *, revision: str | None = None) -> Sender:
        """Return a command as a sender; it is started for the first message.

        Args:
            arguments: The program and its arguments. It reads jobs from standard input, a line of JSON each:
                ``{"message": …, "endpoint": …, "authorization": …}``, the last absent where none is
                configured. It writes a line for each: ``{"ok": true}`` or ``{"ok": false, "error": …}``.
            revision: A contract revision or Logto release; the current revision when None.

        Raises:
            catalogue.UnknownRevision: There is no such revision or release.
        """
        return cls(CommandDriver(arguments), revision, tuple(arguments))

    def close(self) -> None:
        """End what runs."""
        self.driver.close()
