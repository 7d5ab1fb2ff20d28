"""Contract tests for Logto's HTTP email webhook.

Everything public is here; each name is imported from its module when it is first used, since pytest imports
this package in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalogue import UnknownLayer, UnknownRevision
    from .endpoint import EndpointNotStarted, MailEndpoint, MailServer
    from .findings import ContractViolation, Finding
    from .inbox import Delivery, Inbox, MailNotReceived
    from .message import Message, TemplateType
    from .validation import check, validate

__version__ = "0.1.0"

__all__ = [
    "ContractViolation",
    "Delivery",
    "EndpointNotStarted",
    "Finding",
    "Inbox",
    "MailEndpoint",
    "MailNotReceived",
    "MailServer",
    "Message",
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
    "MailEndpoint": "endpoint",
    "MailNotReceived": "inbox",
    "MailServer": "endpoint",
    "Message": "message",
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
