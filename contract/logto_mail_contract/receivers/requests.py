"""Makes the requests of rules: each message valid as claimed, with a recipient and a code of its own."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from ..connector.encoding import connector_call
from ..judging.javascript_json import stringify
from ..judging.typical import CODE, LINK, RECIPIENT, typical
from ..judging.validation import validate
from ..suite.results import OwnFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..wire.calls import Call
    from .receiver import Receiver, Settings


class RequestMaker:
    """Makes the requests of one rule.

    Args:
        rule: The rule's id.
        receiver: The receiver that they are for.
        settings: How it is tried.
        numbers: Makes recipients unique: other numbers in each run.
    """

    def __init__(self, rule: str, receiver: Receiver, settings: Settings, numbers: Iterator[int]) -> None:
        self._rule = rule
        self._receiver = receiver
        self._settings = settings
        self._numbers = numbers
        self._made = 0

    def make_typical(self, type: str, revision: str | None = None, **changed: Any) -> dict[str, Any]:
        """Return an ordinary message as ``judging.typical`` does, with a code or link of its own.

        Args:
            type: One of the template types of the revision.
            revision: A contract revision; the receiver's when None.
            changed: Variables to set in the payload, and ``to`` for the recipient.
        """
        return self.make_fresh(typical(type, revision or self._receiver.revision, **changed))

    def make_fresh(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message with a code and a link of its own, in the place of those of ``judging.typical``.

        So a receiver that accepts no message twice fails the rule about that, and no other.
        """
        self._made += 1
        number = f"{zlib.crc32(f'{self._rule} {self._made}'.encode()) % 900_000 + 100_000}"
        own = {CODE: number, LINK: LINK.replace("n4c1x", f"n4c{number}")}
        payload = {
            name: own.get(value, value) if name in ("code", "link") else value
            for name, value in message["payload"].items()
        }
        return {**message, "payload": payload}

    def make_call(
        self, message: Mapping[str, Any], *, layer: str | None = "emitted", revision: str | None = None
    ) -> Call:
        """Return the request that delivers a message, after a check that it is what it should be.

        Args:
            message: The message; its recipient becomes what ``set_recipient`` makes of it.
            layer: The layer in which it is valid; None for one that is not valid in any.
            revision: The revision in which it is valid; the receiver's when None.

        Raises:
            OwnFault: The message is not what it should be.
        """
        findings = validate(dict(message), revision or self._receiver.revision, layer or "guard")
        if bool(findings) == (layer is not None):
            problem = (
                "; ".join(f"{finding.rule} at {finding.pointer!r}" for finding in findings) or "it is valid"
            )
            raise OwnFault(f"{self._rule} wanted a message for layer {layer}, but: {problem}: {message}")
        return self.make_raw_call(stringify(self.set_recipient(message)))

    def make_raw_call(self, body: bytes) -> Call:
        """Return a request with any body, otherwise as the connector writes it."""
        return connector_call(self._receiver.target, body, self._receiver.authorization)

    def make_call_with_authorization(self, message: Mapping[str, Any], authorization: str | None) -> Call:
        """Return the request that delivers a message with another authorization; without one when None."""
        return connector_call(self._receiver.target, stringify(self.set_recipient(message)), authorization)

    def set_recipient(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return a message whose recipient is in the recipient domain of the settings.

        In the place of the recipient of ``judging.typical`` it gets one of its own.
        """
        domain = self._settings.recipient_domain
        address = message.get("to")
        if address == RECIPIENT:
            return {**message, "to": self.make_recipient(RECIPIENT)}
        if domain is None or not isinstance(address, str) or "@" not in address:
            return dict(message)
        return {**message, "to": f"{address.rpartition('@')[0]}@{domain}"}

    def make_recipient(self, address: str) -> str:
        """Return an address like another one that nothing was sent to before.

        Args:
            address: The other one; it stays within the limits of mail servers and of Logto's database.
        """
        local, _, domain = address.rpartition("@")
        # Before a tag: to some receivers, what follows the plus sign makes no other recipient.
        name, plus, tag = local.partition("+")
        number = str(next(self._numbers))
        room = min(64, max(128, len(address)) - len(domain) - 1) - len(plus + tag + number)
        return f"{name[: max(room, 0)]}{number}{plus}{tag}@{self._settings.recipient_domain or domain}"
