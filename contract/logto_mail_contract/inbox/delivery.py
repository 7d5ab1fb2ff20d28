"""A delivery as a test reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..findings import ContractViolation
from ..judging.message import Message
from ..masking import format_value
from .matching import parse_body
from .recorded import read_findings

if TYPE_CHECKING:
    from ..findings import Finding
    from ..wire.requests import Request
    from .recorded import Recorded


class MailNotReceived(AssertionError):
    """The inbox lacks the delivery that a test asked for, or has one that a test excluded."""


class Delivery:
    """One HTTP request that reached the endpoint, with its verdict.

    Two of the same request are equal; each call of an inbox may return another one.

    Args:
        recorded: What the inbox stores of it.
    """

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def __eq__(self, other: object) -> bool:
        return self._recorded == other._recorded if isinstance(other, Delivery) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._recorded)

    @property
    def number(self) -> int:
        """Its place in the order of arrival, from 1."""
        return self._recorded.id

    @cached_property
    def request(self) -> Request:
        """The request as it came: method, target, headers, body."""
        return self._recorded.request

    @property
    def response(self) -> str:
        """How it was responded to, for a person to read: ``503 (scripted)`` for example."""
        return self._recorded.response

    @property
    def status(self) -> int:
        """The status that the judgement asks for, before any scripted reply: 200, 400, 401, 405 or 415."""
        return self._recorded.status

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings about the request and its message, of every level."""
        return read_findings(self._recorded)

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings that count as violations: those of level MUST."""
        return tuple(finding for finding in self.findings if finding.level == "MUST")

    @property
    def time(self) -> datetime:
        """When the request had come in whole, in UTC."""
        return datetime.fromtimestamp(self._recorded.arrived, UTC)

    @property
    def body(self) -> bytes:
        """The raw body."""
        return self._recorded.body

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header lines as they came on the wire: with their order, case and duplicates."""
        return self._recorded.headers

    @cached_property
    def json(self) -> Any:
        """The body's JSON value; None also where the body is not JSON."""
        return parse_body(self.body)

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
        return f"{self.number}, {self.time:%H:%M:%S.%f} UTC: {what}, response {self.response}"

    def __repr__(self) -> str:
        return f"<Delivery {self}>"
