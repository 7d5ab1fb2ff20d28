"""A receiver under test: where it is, what it wants, and how it is tried."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..connector.channel import UrlTarget
from ..connector.encoding import check_authorization

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..connector.channel import Target

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# Logto invites nobody to a domain whose last label has other characters or only one.
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+[A-Za-z]{{2,63}}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a receiver is tried.

    Attributes:
        examples: How many messages are generated for a rule that generates some.
        seed: What they are generated from; the same seed, the same messages, but for
            their recipients: those are new in each run.
        strict: Whether a failed SHOULD counts as failed.
        warn_after: Seconds after which a response is late.
        fail_after: Seconds after which a response counts as never given.
        recipient_domain: The domain of every recipient; reserved domains when None.
        workers: How many requests are under way at once, at most. A burst has 16 of its own.
        pace: How many requests a second are sent, at most; as many as help when None.
    """

    examples: int = 25
    seed: int = 0
    strict: bool = False
    warn_after: float = 2.0
    fail_after: float = 10.0
    recipient_domain: str | None = None
    workers: int = 32
    pace: float | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"invalid number of workers {self.workers}: expected 1 or more")
        if self.pace is not None and not 0 < self.pace < float("inf"):
            raise ValueError(f"invalid pace {self.pace:g}: expected requests a second, more than 0")
        domain = self.recipient_domain
        if domain is not None and not _DOMAIN.fullmatch(domain):
            raise ValueError(
                f"invalid recipient domain {domain!r}: expected a host name, for example example.com"
            )


class Receiver:
    """A receiver under test; made by ``Receiver.url``, ``Receiver.wsgi`` or ``Receiver.asgi``.

    Attributes:
        target: How it is called.
        authorization: The value of ``Authorization`` that it wants; None when it wants none.
        authorization_name: The environment variable that commands to copy read ``authorization`` from.
        ca_file: The file with the authorities to trust for https; None for the system's.
        revision: The contract revision whose messages it must accept.
        no_mails: Why the mails that it sends are not known, for a person to read.
    """

    def __init__(self, target: Target, authorization: str | None, revision: str | None) -> None:
        self.target = target
        self.authorization = check_authorization(authorization)
        self.authorization_name = "AUTHORIZATION"
        self.ca_file: str | None = None
        self.no_mails = "the test gives no outbox with the mails that the receiver sends"
        self.revision = catalogue.resolve_revision(revision)

    @classmethod
    def url(
        cls,
        url: str,
        *,
        authorization: str | None = None,
        revision: str | None = None,
        ca_file: str | Path | None = None,
    ) -> Receiver:
        """Return the receiver at a URL.

        Args:
            url: Its endpoint, http or https.
            authorization: The value of ``Authorization`` that it wants.
            revision: A contract revision or Logto release; the current revision when None.
            ca_file: A PEM file with the authorities to trust for https; the system's when None.

        Raises:
            ValueError: The URL is not one of http or https, or ``authorization`` is what no header can carry.
            catalogue.UnknownRevision: There is no such revision or release.
            OSError: The file cannot be read.
        """
        tls = ssl.create_default_context(cafile=str(ca_file)) if ca_file is not None else None
        target = UrlTarget(url, tls)
        receiver = cls(target, target.authorization or authorization, revision)
        receiver.ca_file = None if ca_file is None else str(ca_file)
        return receiver

    @classmethod
    def wsgi(
        cls,
        app: Callable[..., Any],
        path: str = "/",
        *,
        authorization: str | None = None,
        revision: str | None = None,
    ) -> Receiver:
        """Return a WSGI application as a receiver, called in this process.

        Args:
            app: The application.
            path: The path of its endpoint.
            authorization: The value of ``Authorization`` that it wants.
            revision: A contract revision or Logto release; the current revision when None.

        Raises:
            ValueError: ``authorization`` is what no header can carry.
            catalogue.UnknownRevision: There is no such revision or release.
        """
        from .in_process import WsgiTarget

        return cls(WsgiTarget(app, path), authorization, revision)

    @classmethod
    def asgi(
        cls,
        app: Callable[..., Any],
        path: str = "/",
        *,
        authorization: str | None = None,
        revision: str | None = None,
    ) -> Receiver:
        """Return an ASGI application as a receiver, called in this process; else as ``wsgi``."""
        from .in_process import AsgiTarget

        return cls(AsgiTarget(app, path), authorization, revision)

    @property
    def placeholders(self) -> dict[str, str]:
        """The meaning of each shell variable in commands to copy that the user did not choose."""
        target = self.target
        if not isinstance(target, UrlTarget):
            return {}
        placeholders = {}
        if target.authorization:
            placeholders[self.authorization_name] = (
                "Basic $(printf %s 'USER:PASSWORD' | base64), as in the URL"
            )
        if target.has_query:
            placeholders["ENDPOINT"] = "the whole URL, with its query"
        return placeholders

    def close(self) -> None:
        """Release the threads and event loops of an application in this process."""
        self.target.close()
