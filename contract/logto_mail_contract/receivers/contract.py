"""The rules for receivers as a class of pytest tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from ..suite.checks import list_rule_ids
from ..suite.engine import run_rule
from ..suite.items import collect_excuses, conclude, parametrize_rules
from .receiver import Receiver, Settings
from .run import ReceiverRun

if TYPE_CHECKING:
    from ..suite.results import Result
    from .run import Outbox

_RUN = pytest.StashKey[ReceiverRun]()


class ReceiverContract:
    """The rules for receivers; derive a class of tests from it and set ``receiver``.

    Each rule is one test, ``test_rule[<id of the rule>]``. In place of ``receiver`` the fixture
    ``mail_receiver`` can be overridden, for example to start a server. Override the fixture ``mail_outbox``
    to turn on the rules ``receiver/deliver/*``.

    Attributes:
        receiver: The receiver under test.
        settings: How it is tried.
    """

    receiver: ClassVar[Receiver | None] = None
    settings: ClassVar[Settings] = Settings()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each rule."""
        parametrize_rules(metafunc, list_rule_ids("receiver"))

    @pytest.fixture
    def mail_contract_result(
        self,
        mail_contract_rule: str,
        mail_receiver: Receiver,
        mail_outbox: Outbox | None,
        request: pytest.FixtureRequest,
    ) -> Result:
        """The rule's result. It is a fixture, so that pytest shows a fault of ours as an error."""
        __tracebackhide__ = True
        run = _find_run(request, mail_receiver, self.settings)
        run.outbox = mail_outbox
        return run_rule(run, mail_contract_rule, collect_excuses(request.node).get(mail_contract_rule))

    def test_rule(self, mail_contract_result: Result) -> None:
        """Report the result of one rule."""
        __tracebackhide__ = True
        conclude(mail_contract_result)


def _find_run(request: pytest.FixtureRequest, receiver: Receiver, settings: Settings) -> ReceiverRun:
    """Return the run that the tests of one class share, as long as they have the same receiver."""
    owner = request.node.getparent(pytest.Class)
    run: ReceiverRun | None = owner.stash.get(_RUN, None)
    if run is None or run.receiver is not receiver or run.settings != settings:
        run = owner.stash[_RUN] = ReceiverRun(receiver, settings)
        owner.addfinalizer(run.close)
    return run
