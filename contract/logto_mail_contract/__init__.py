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
    from .endpoint import EndpointNotStarted, MailEndpoint, MailServer
    from .findings import ContractViolation, Finding, Rule
    from .inbox import Delivery, Inbox, MailNotReceived
    from .message import Message, TemplateType
    from .outbox import Mail, SmtpSink
    from .receiver import Receiver, Settings
    from .sender import Sender, SenderSettings
    from .sender_suite import SenderContract
    from .sending import SenderUnusable
    from .suite import ReceiverContract
    from .validation import check, validate

__version__ = "0.1.0"

__all__ = [
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
    "validate",
]

_MODULES = {
    "ContractViolation": "findings",
    "Delivery": "inbox",
    "EndpointNotStarted": "endpoint",
    "Finding": "findings",
    "Inbox": "inbox",
    "Mail": "outbox",
    "MailEndpoint": "endpoint",
    "MailNotReceived": "inbox",
    "MailServer": "endpoint",
    "Message": "message",
    "Receiver": "receiver",
    "ReceiverContract": "suite",
    "Rule": "findings",
    "Sender": "sender",
    "SenderContract": "sender_suite",
    "SenderSettings": "sender",
    "SenderUnusable": "sending",
    "Settings": "receiver",
    "SmtpSink": "outbox",
    "TemplateType": "message",
    "UnknownLayer": "catalogue",
    "UnknownRevision": "catalogue",
    "check": "validation",
    "validate": "validation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
