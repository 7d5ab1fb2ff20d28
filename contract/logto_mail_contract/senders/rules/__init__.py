"""The rules for senders; importing this package registers all of them."""

from __future__ import annotations

from ..checks import CHECKS
from . import answer, body, redirect, request

__all__ = ["CHECKS", "answer", "body", "redirect", "request"]
