"""The rules as pytest items: one for each, named by its id, with excuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from ..suite.items import conclude, one_test_a_rule
from .receiver import Receiver, Settings, receiver_rules, try_rule

if TYPE_CHECKING:
    from ..suite.results import Result
    from .receiver import Outbox


class ReceiverContract:
    """The rules for receivers; derive a class of tests from it and set ``receiver``.

    Each rule is one test, ``test_rule[<id of the rule>]``. In place of ``receiver`` the fixture
    ``mail_receiver`` can be overridden, to start a server say; the fixture ``mail_outbox`` is overridden to
    turn on the rules ``receiver/deliver/*``.

    Attributes:
        receiver: The receiver under test.
        settings: How it is tried.
    """

    receiver: ClassVar[Receiver | None] = None
    settings: ClassVar[Settings] = Settings()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each rule."""
        one_test_a_rule(metafunc, receiver_rules())

    @pytest.fixture
    def mail_contract_result(
        self, mail_contract_rule: str, mail_receiver: Receiver, mail_outbox: Outbox | None
    ) -> Result:
        """What came of the rule; a fixture, so that a fault of ours is an error and no failure of theirs."""
        __tracebackhide__ = True
        return try_rule(mail_contract_rule, mail_receiver, self.settings, mail_outbox)

    def test_rule(self, mail_contract_result: Result, request: pytest.FixtureRequest) -> None:
        """Tell what came of one rule."""
        __tracebackhide__ = True
        conclude(mail_contract_result, request.node, strict=self.settings.strict)
