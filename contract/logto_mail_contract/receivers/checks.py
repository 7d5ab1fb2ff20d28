"""The register of the rules for receivers; ``receivers.rules`` fills it by importing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..suite.checks import Checks

if TYPE_CHECKING:
    from .trial import ReceiverTrial

CHECKS: Checks[ReceiverTrial] = Checks("receiver")
"""Needs are ``wire``, ``authorization`` and ``outbox``."""

check = CHECKS.register
