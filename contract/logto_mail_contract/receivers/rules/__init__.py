"""The rules for receivers; importing this package registers all of them."""

from __future__ import annotations

from ..checks import CHECKS
from . import accept, auth, concurrent, connection, context, deliver, injection, pieces, reject, respond

__all__ = [
    "CHECKS",
    "accept",
    "auth",
    "concurrent",
    "connection",
    "context",
    "deliver",
    "injection",
    "pieces",
    "reject",
    "respond",
]
