"""Long names: a receiver may cut them, and splits no character."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.support.broken_receivers import TOKEN, wsgi
from tests.support.runs import has_failed, try_rules
from tests.support.templated_receivers import change_name

from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.suite.checks import list_rule_ids

if TYPE_CHECKING:
    from collections.abc import Callable

RULES = [rule for rule in list_rule_ids("receiver") if rule.startswith("receiver/deliver/")]
IMPATIENT = Settings(warn_after=0.9, fail_after=1)


def cut_bytes(name: str, size: int) -> str:
    return name.encode("utf-8", "replace")[:size].decode("utf-8", "replace")


def cut_units(name: str, size: int) -> str:
    """Cut a name after UTF-16 units, as JavaScript, Java and C# do."""
    return name.encode("utf-16-le", "replace")[: 2 * size].decode("utf-16-le", "replace")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda name: name, set()),
        (lambda name: name[:40], set()),
        (lambda name: f"{name[:30]}…" if len(name) > 30 else name, set()),
        (lambda name: cut_bytes(name, 40), {"text-intact"}),
        (lambda name: cut_bytes(name, 255), {"text-intact"}),
        (lambda name: cut_units(name, 50), {"text-intact"}),
    ],
    ids=["whole", "40 characters", "ellipsis", "40 bytes", "255 bytes", "50 units"],
)
def test_a_name_that_is_cut_within_a_character_is_damaged(
    change: Callable[[str], str], expected: set[str]
) -> None:
    receiver = change_name(change)()
    with closing(Receiver.wsgi(wsgi(receiver), authorization=TOKEN)) as subject:
        results = try_rules(RULES, subject, IMPATIENT, lambda: receiver.mails, quiet_seconds=0.01)
    failed = {result.rule.id.rpartition("/")[2]: result for result in results if has_failed(result)}
    assert set(failed) == expected
    for result in failed.values():
        assert "a replacement character" in result.findings[0].actual
