"""Excuses from lines of a file."""

from __future__ import annotations

import pytest

from logto_mail_contract.suite.excuses import InvalidExcuse, read_excuse_lines

LINES = """\
# Known until the new template engine is there.

receiver/accept/bind-mfa: no MFA: see #12
  receiver/accept/unicode :  later\t
    # receiver/accept/register: not this one
"""


def test_lines_are_parsed_and_comments_and_blank_lines_left_out() -> None:
    assert read_excuse_lines(LINES.splitlines(), "excuses.txt") == {
        "receiver/accept/bind-mfa": "no MFA: see #12",
        "receiver/accept/unicode": "later",
    }


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("receiver/accept/bind-mfa", "The excuse of receiver/accept/bind-mfa gives no reason"),
        ("receiver/accept/bind-mfa=why", "There is no rule 'receiver/accept/bind-mfa=why' to excuse"),
        ("receiver/accept/bind-mfa:  ", "The excuse of receiver/accept/bind-mfa gives no reason"),
        (
            "receiver/accept/bind-mfaa: x",
            "There is no rule 'receiver/accept/bind-mfaa' to excuse. Did you mean",
        ),
        (": x", "There is no rule ''"),
    ],
)
def test_an_error_names_file_and_line(line: str, part: str) -> None:
    with pytest.raises(InvalidExcuse) as raised:
        read_excuse_lines(["# one", "", line], "ci/excuses.txt")
    assert str(raised.value).startswith("ci/excuses.txt, line 3: ")
    assert part in str(raised.value)
