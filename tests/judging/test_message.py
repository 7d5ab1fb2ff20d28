"""The typed view of a message."""

from __future__ import annotations

from typing import Any

import pytest

from logto_mail_contract import Message, TemplateType
from logto_mail_contract.catalogue import index


def test_every_part_is_read() -> None:
    message = Message(
        {
            "to": "foo@example.com",
            "type": "SignIn",
            "payload": {"code": "012345", "link": "https://x.test", "locale": "de", "uiLocales": "de en"},
            "ip": "::1",
        }
    )
    assert (message.to, message.ip) == ("foo@example.com", "::1")
    assert message.type == TemplateType.SIGN_IN
    assert (message.code, message.link, message.locale) == ("012345", "https://x.test", "de")
    assert message.ui_locales == "de en"
    assert message.payload["code"] == "012345"


@pytest.mark.parametrize(
    "raw", [{}, {"to": None, "type": 1, "payload": [], "ip": {}}, {"payload": {"code": 1}}]
)
def test_a_missing_or_mistyped_part_is_none(raw: dict[str, Any]) -> None:
    message = Message(raw)
    read = (
        message.to,
        message.type,
        message.ip,
        message.code,
        message.link,
        message.locale,
        message.ui_locales,
    )
    assert set(read) == {None}


def test_the_template_types_equal_those_of_the_current_revision() -> None:
    assert {str(member) for member in TemplateType} == set(index()["revisions"][-1]["templateTypes"])
