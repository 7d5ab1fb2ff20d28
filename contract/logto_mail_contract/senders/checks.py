"""The register of the rules for senders; ``senders.rules`` fills it by importing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..suite.checks import Checks

if TYPE_CHECKING:
    from .trial import SenderTrial

CHECKS: Checks[SenderTrial] = Checks("sender")

check = CHECKS.register
