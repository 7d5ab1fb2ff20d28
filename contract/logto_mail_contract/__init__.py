"""Contract tests for Logto's HTTP email webhook.

Everything public is here; each name is imported from its module when it is first used, since pytest imports
this package in every run. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

# The name is known to type checkers; typing itself is not imported, since every pytest run would pay for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .catalogue import UnknownLayer, UnknownRevision
    from .connector.posting import post
    from .endpoint.endpoint import MailEndpoint
    from .endpoint.server import EndpointNotStarted, MailServer
    from .findings import ContractViolation, Finding, Rule
    from .inbox.delivery import Delivery, MailNotReceived
    from .inbox.inbox import Inbox
    from .judging.message import Message, TemplateType
    from .judging.validation import check, validate
    from .receivers.attempts import Attempt, Refusal
    from .receivers.contract import ReceiverContract
    from .receivers.outbox import Mail, SmtpSink
    from .receivers.receiver import Receiver, Settings
    from .senders.contract import SenderContract
    from .senders.driver import SenderUnusable
    from .senders.sender import Sender, SenderSettings

__version__ = "0.1.0"

__all__ = [
    "Attempt",
    "ContractViolation",
    "Delivery",
    "EndpointNotStarted",
    "Finding",
    "Inbox",
    "Mail",
    "MailEndpoint",
    "MailNotReceived",
    "MailServer",
    "Message",
    "Receiver",
    "ReceiverContract",
    "Refusal",
    "Rule",
    "Sender",
    "SenderContract",
    "SenderSettings",
    "SenderUnusable",
    "Settings",
    "SmtpSink",
    "TemplateType",
    "UnknownLayer",
    "UnknownRevision",
    "check",
    "post",
    "validate",
]

_MODULES = {
    "Attempt": "receivers.attempts",
    "ContractViolation": "findings",
    "Delivery": "inbox.delivery",
    "EndpointNotStarted": "endpoint.server",
    "Finding": "findings",
    "Inbox": "inbox.inbox",
    "Mail": "receivers.outbox",
    "MailEndpoint": "endpoint.endpoint",
    "MailNotReceived": "inbox.delivery",
    "MailServer": "endpoint.server",
    "Message": "judging.message",
    "Receiver": "receivers.receiver",
    "ReceiverContract": "receivers.contract",
    "Refusal": "receivers.attempts",
    "Rule": "findings",
    "Sender": "senders.sender",
    "SenderContract": "senders.contract",
    "SenderSettings": "senders.sender",
    "SenderUnusable": "senders.driver",
    "Settings": "receivers.receiver",
    "SmtpSink": "receivers.outbox",
    "TemplateType": "judging.message",
    "UnknownLayer": "catalogue",
    "UnknownRevision": "catalogue",
    "check": "judging.validation",
    "post": "connector.posting",
    "validate": "judging.validation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
