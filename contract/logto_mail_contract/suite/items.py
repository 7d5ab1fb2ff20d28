"""Rules as pytest items: one for each, named by its id, with excuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..findings import ContractViolation
from .excuses import InvalidExcuse, read_excuse_lines, read_excuses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .results import Result


def parametrize_rules(metafunc: pytest.Metafunc, rules: Sequence[str]) -> None:
    """Parametrize ``mail_contract_rule``: one test for each rule.

    Args:
        metafunc: As pytest hands it to ``pytest_generate_tests``.
        rules: The ids of the rules.

    Raises:
        pytest.Collector.CollectError: An excuse names no rule, or gives no reason.
    """
    if "mail_contract_rule" in metafunc.fixturenames:
        collect_excuses(metafunc.definition)
        metafunc.parametrize("mail_contract_rule", rules, ids=rules)


def conclude(result: Result) -> None:
    """Turn the result of a rule into the outcome of its test.

    Raises:
        ContractViolation: The rule failed.
        pytest.fail.Exception: The rule is excused and passed.
    """
    __tracebackhide__ = True
    rule = result.rule
    match result.outcome:
        case "not applicable" | "not judged":
            pytest.skip(f"{result.outcome}: {result.reason}")
        case "excuse not needed":
            pytest.fail(f"{rule.id} passed, so its excuse is not needed: {result.reason}", pytrace=False)
        case "excused":
            pytest.xfail(f"excused: {result.reason}; {result.findings[0].actual}")
        case "warned":
            finding = result.findings[0]
            cause = f" (the same cause as in {finding.cause})" if finding.cause is not None else ""
            pytest.xfail(f"{rule.level}: {rule.requirement} Came: {finding.actual}{cause}")
        case "failed":
            raise ContractViolation(
                result.findings,
                f"The {rule.role} breaks the contract",
                [f'  excuse    @pytest.mark.mail_contract_excuse("{rule.id}", reason="…")'],
            )


def collect_excuses(item: pytest.Item) -> dict[str, str]:
    """Return the reasons by rule, from the ini key ``mail_contract_excuses`` and from markers.

    Raises:
        pytest.Collector.CollectError: An excuse names no rule, or gives no reason.
    """
    pairs = []
    for marker in item.iter_markers("mail_contract_excuse"):
        if len(marker.args) != 1 or set(marker.kwargs) != {"reason"}:
            raise pytest.Collector.CollectError(
                'An excuse is mail_contract_excuse("<id of a rule>", reason="<why>"); '
                f"it was mail_contract_excuse{(*marker.args,)} with {marker.kwargs}"
            )
        pairs.append((str(marker.args[0]), str(marker.kwargs["reason"])))
    try:
        lines = read_excuse_lines(item.config.getini("mail_contract_excuses"), "mail_contract_excuses")
        return lines | read_excuses(pairs)
    except InvalidExcuse as problem:
        raise pytest.Collector.CollectError(str(problem)) from None
