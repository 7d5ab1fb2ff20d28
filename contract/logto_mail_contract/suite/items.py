"""Rules as pytest items: one for each, named by its id, with excuses."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest

from .. import catalogue
from ..findings import ContractViolation
from .results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULT = pytest.StashKey[Result]()
"""Where an item keeps what came of its rule."""


def one_test_a_rule(metafunc: pytest.Metafunc, rules: Sequence[str]) -> None:
    """Parametrize ``mail_contract_rule`` with rules.

    Args:
        metafunc: As pytest hands it to ``pytest_generate_tests``.
        rules: The ids of the rules.

    Raises:
        pytest.Collector.CollectError: An excuse names no rule, or gives no reason.
    """
    if "mail_contract_rule" in metafunc.fixturenames:
        _excuses(metafunc.definition)
        metafunc.parametrize("mail_contract_rule", rules, ids=rules)


def conclude(result: Result, item: pytest.Item, *, strict: bool) -> None:
    """Turn what came of a rule into the outcome of its test.

    Args:
        result: What came of the rule.
        item: The test.
        strict: Whether a broken SHOULD fails the test; else it is told as an expected failure.

    Raises:
        ContractViolation: The rule is broken and not excused.
        pytest.fail.Exception: The rule is excused and kept.
    """
    __tracebackhide__ = True
    item.stash[RESULT] = result
    rule = result.rule
    excuse = _excuses(item).get(rule.id)
    if result.outcome == "not applicable":
        unused = "" if excuse is None else f"; its excuse was not needed: {excuse}"
        pytest.skip(f"not applicable: {result.reason}{unused}")
    if result.outcome == "kept":
        if excuse is not None:
            pytest.fail(f"{rule.id} is kept, so its excuse is no longer needed: {excuse}", pytrace=False)
        return
    if excuse is not None:
        pytest.xfail(f"excused: {excuse}; {result.findings[0].actual}")
    if not result.counts(strict=strict):
        pytest.xfail(f"{rule.level}: {rule.requirement} Came: {result.findings[0].actual}")
    raise ContractViolation(
        result.findings,
        "The receiver breaks the contract" if rule.role == "receiver" else "The sender breaks the contract",
        [f'  excuse    @pytest.mark.mail_contract_excuse("{rule.id}", reason="…")'],
    )


def _excuses(item: pytest.Item) -> dict[str, str]:
    """Return the reasons by rule, from the ini key and from markers."""
    excuses = {}
    for line in item.config.getini("mail_contract_excuses"):
        rule, _, reason = line.partition(":")
        excuses[rule.strip()] = reason.strip()
    for marker in item.iter_markers("mail_contract_excuse"):
        if len(marker.args) != 1 or set(marker.kwargs) != {"reason"}:
            raise pytest.Collector.CollectError(
                'An excuse is mail_contract_excuse("<id of a rule>", reason="<why>"); '
                f"it was mail_contract_excuse{(*marker.args,)} with {marker.kwargs}"
            )
        excuses[str(marker.args[0])] = str(marker.kwargs["reason"]).strip()
    for rule, reason in excuses.items():
        if rule not in catalogue.rules():
            near = difflib.get_close_matches(rule, catalogue.rules(), 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise pytest.Collector.CollectError(f"There is no rule {rule!r} to excuse.{hint}")
        if not reason:
            raise pytest.Collector.CollectError(f"The excuse of {rule} gives no reason")
    return excuses
