"""The tests that ``mail-contract verify`` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ..receivers.contract import ReceiverContract

if TYPE_CHECKING:
    from ..receivers.receiver import Outbox, Receiver
    from .verify import Verification

RUN: pytest.StashKey[Verification] = pytest.StashKey()
"""Where the command leaves what to verify, and how."""


class TestReceiver(ReceiverContract):
    """The rules, at the receiver of the command line."""

    @pytest.fixture
    def mail_receiver(self, request: pytest.FixtureRequest) -> Receiver:
        """The receiver of the command line."""
        run = request.config.stash[RUN]
        cls: Any = request.cls
        cls.settings = run.settings
        return run.receiver

    @pytest.fixture
    def mail_outbox(self, pytestconfig: pytest.Config) -> Outbox | None:
        """The outbox of the command line."""
        return pytestconfig.stash[RUN].outbox
