"""The rules for receivers; importing this package registers all of them."""

from __future__ import annotations

from ..checks import CHECKS
from . import (
    accept,
    addresses,
    auth,
    concurrent,
    connection,
    deliver,
    injection,
    mail_server,
    reject,
    respond,
)

__all__ = [
    "CHECKS",
    "accept",
    "addresses",
    "auth",
    "concurrent",
    "connection",
    "deliver",
    "injection",
    "mail_server",
    "reject",
    "respond",
]
