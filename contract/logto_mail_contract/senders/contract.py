"""The rules for senders as pytest items: one for each, named by its id, with excuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ..suite.items import conclude, one_test_a_rule
from .sender import (
    Desk,
    Sender,
    SenderSettings,
    SenderUnusable,
    require_usable,
    sender_rules,
    try_sender_rule,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        """Send a message with the sender under test; return when it was taken, raise when it was not.

        Args:
            message: The message.
            endpoint: The URL to send it to.
            authorization: The value of ``Authorization``; None where none is configured.
        """
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each rule."""
        one_test_a_rule(metafunc, sender_rules())

    def test_rule(self, mail_contract_rule: str, request: pytest.FixtureRequest) -> None:
        """Try one rule at the sender."""
        __tracebackhide__ = True
        bench = _bench(request, self)
        if bench.unusable is not None:
            pytest.fail(bench.unusable, pytrace=False)
        sender = bench.sender or Sender.calling(self.send, revision=self.revision)
        sender.memory = bench.memory
        try:
            result = try_sender_rule(mail_contract_rule, sender, self.settings, bench.desk)
        except SenderUnusable as problem:
            bench.unusable = f"mail-contract: {problem}"
            pytest.fail(bench.unusable, pytrace=False)
        # What is INFO is told, and never counts.
        conclude(result, request.node, strict=self.settings.strict and result.rule.level != "INFO")


class _Bench:
    """What the tests of one class share: the endpoint, and the command where the sender is one."""

    def __init__(self, suite: SenderContract) -> None:
        self.desk = Desk()
        self.sender = Sender.command(suite.command, revision=suite.revision) if suite.command else None
        self.unusable: str | None = None
        # Each test has an instance of its own, and so a sender of its own, where that is a method.
        self.memory: dict[Any, Any] = {}

    def begin(self, settings: SenderSettings) -> None:
        self.desk.__enter__()
        if self.sender is not None:
            try:
                require_usable(self.sender, self.desk, settings)
            except SenderUnusable as problem:
                self.unusable = f"mail-contract: {problem}"

    def end(self) -> None:
        if self.sender is not None:
            self.sender.close()
        self.desk.close()


_BENCH = pytest.StashKey[_Bench]()


def _bench(request: pytest.FixtureRequest, suite: SenderContract) -> _Bench:
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
        owner.addfinalizer(bench.end)
        bench.begin(suite.settings)
    return bench
