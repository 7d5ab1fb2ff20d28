"""Commands to copy: the options that are needed to run a rule in the same way."""

from __future__ import annotations

import pytest

from logto_mail_contract.receivers.receiver import Settings
from logto_mail_contract.suite.reproduce import format_options, format_pytest_command

NAMES = ("examples", "seed", "warn_after", "fail_after", "recipient_domain")


@pytest.mark.parametrize(
    ("settings", "revision", "options"),
    [
        (Settings(), "1.35", ""),
        (Settings(strict=True), "1.35", ""),
        (Settings(), "1.25", " --revision 1.25"),
        (Settings(examples=3, seed=-1), "1.35", " --examples 3 --seed -1"),
        (Settings(warn_after=0.5, fail_after=20.0), "1.35", " --warn-after 0.5 --fail-after 20"),
        (
            Settings(recipient_domain="mail.test"),
            "1.22",
            " --recipient-domain mail.test --revision 1.22",
        ),
    ],
)
def test_only_changed_options_are_printed(settings: Settings, revision: str, options: str) -> None:
    assert format_options(settings, NAMES, revision) == options


def test_a_rule_in_a_test_class_is_reproduced_by_pytest() -> None:
    assert format_pytest_command("receiver/accept/sign-in") == "pytest -k receiver/accept/sign-in"
