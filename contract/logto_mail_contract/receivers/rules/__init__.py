"""The rules for receivers; importing this package registers all of them."""

from __future__ import annotations

from ..checks import CHECKS
from . import (
    accept,
    auth,
    concurrent,
    connection,
    deliver,
    injection,
    mail_format,
    mail_links,
    mail_text,
    reject,
    respond,
    templates,
)

__all__ = [
    "CHECKS",
    "accept",
    "auth",
    "concurrent",
    "connection",
    "deliver",
    "injection",
    "mail_format",
    "mail_links",
    "mail_text",
    "reject",
    "respond",
    "templates",
]
