"""The rules for receivers; importing this package registers all of them."""

from __future__ import annotations

from ..checks import CHECKS
from . import (
    accept,
    addresses,
    auth,
    concurrent,
    connection,
    context,
    deliver,
    injection,
    mail_format,
    mail_links,
    mail_server,
    mail_text,
    pieces,
    reject,
    respond,
    templates,
)

__all__ = [
    "CHECKS",
    "accept",
    "addresses",
    "auth",
    "concurrent",
    "connection",
    "context",
    "deliver",
    "injection",
    "mail_format",
    "mail_links",
    "mail_server",
    "mail_text",
    "pieces",
    "reject",
    "respond",
    "templates",
]
