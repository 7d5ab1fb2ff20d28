"""The rules for senders as a class of pytest tests."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ..suite.checks import list_rule_ids
from ..suite.engine import run_rule
from ..suite.items import collect_excuses, conclude, parametrize_rules
from .destination import Destination
from .driver import SenderUnusable
from .run import SenderRun
from .sender import Sender, SenderSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..suite.results import Result


class SenderContract:
    """The rules for senders; derive a class of tests from it and define ``send`` or set ``command``.

    Each rule is one test, ``test_rule[<id of the rule>]``. A rule may be excused, like those for receivers,
    with ``@pytest.mark.mail_contract_excuse("<id of the rule>", reason="…")``.

    Attributes:
        command: A program and its arguments that send in place of ``send``; see ``Sender.command``.
        revision: The contract revision or Logto release whose messages are sent; the current one when None.
        settings: How the sender is tried.
    """

    command: ClassVar[Sequence[str] | None] = None
    revision: ClassVar[str | None] = None
    settings: ClassVar[SenderSettings] = SenderSettings()

    def send(self, message: dict[str, Any], endpoint: str, authorization: str | None) -> object:
        """Send a message with the sender under test; return when it was accepted, raise when it was not.

        Args:
            message: The message.
            endpoint: The URL to send it to.
            authorization: The value of ``Authorization``; None where none is configured.
        """
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each rule."""
        parametrize_rules(metafunc, list_rule_ids("sender"))

    @pytest.fixture
    def mail_contract_result(
        self, mail_contract_rule: str, request: pytest.FixtureRequest
    ) -> Result | SenderUnusable:
        """The rule's result. It is a fixture, so that pytest shows a fault of ours as an error."""
        __tracebackhide__ = True
        run = _find_bench(request, self).run
        if self.command is None:
            # Each test has an instance of its own, and so a method of its own.
            run.sender = Sender.calling(self.send, revision=self.revision)
        try:
            return run_rule(run, mail_contract_rule, collect_excuses(request.node).get(mail_contract_rule))
        except SenderUnusable as problem:
            return problem  # a fault of the sender, so its test fails

    def test_rule(self, mail_contract_result: Result | SenderUnusable) -> None:
        """Report the result of one rule."""
        __tracebackhide__ = True
        if isinstance(mail_contract_result, SenderUnusable):
            pytest.fail(f"mail-contract: {mail_contract_result}", pytrace=False)
        conclude(mail_contract_result)


class _Bench:
    """The destination and the run that the tests of one class share.

    Attributes:
        run: The run; it remembers when the sender cannot be driven.
    """

    def __init__(self, suite: SenderContract) -> None:
        self._destination = Destination()
        self._destination.__enter__()
        sender = (
            Sender.command(suite.command, revision=suite.revision)
            if suite.command
            else Sender.calling(suite.send, revision=suite.revision)
        )
        self.run = SenderRun(sender, self._destination, suite.settings)
        if suite.command:
            with suppress(SenderUnusable):
                self.run.require_usable()

    def close(self) -> None:
        self.run.sender.close()
        self._destination.close()


_BENCH = pytest.StashKey[_Bench]()


def _find_bench(request: pytest.FixtureRequest, suite: SenderContract) -> _Bench:
    if suite.command is None and type(suite).send is SenderContract.send:
        pytest.fail(
            "mail-contract: there is no sender to test. Define the method send(self, message, endpoint, "
            'authorization), or set the class attribute `command`, for example ["node", "harness.mjs"].',
            pytrace=False,
        )
    owner = request.node.getparent(pytest.Class)
    bench: _Bench | None = owner.stash.get(_BENCH, None)
    if bench is None:
        bench = owner.stash[_BENCH] = _Bench(suite)
        owner.addfinalizer(bench.close)
    return bench
