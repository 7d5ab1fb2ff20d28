"""The messages that senders are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..judging.typical import minimal, organization, user
from ..judging.validation import validate

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def make_plain_message(revision: str) -> dict[str, Any]:
    """Return a message that no sender finds odd."""
    return minimal("SignIn", revision)


def make_unusual_messages(revision: str | None = None) -> list[dict[str, Any]]:
    """Return messages with values that senders spoil, as far as a revision allows them.

    Args:
        revision: A contract revision; the current one when None.
    """
    texts = (
        *("", " ", " x ", "null", "true", "000000", "1e3", "0x10"),
        *("é", "e\u0301", "ß", "İ", "中文", "שלום", "\u202e", "\u200b", "\u00a0", "\ufeff", "\u2028\u2029"),
        *("😀", "👩\u200d👧", "\uffff", "\ud800", "x\udfff", "\udc00\ud800"),
        *('"', "'", "\\", "/", "</script>", "<b>&amp;", "&lt;", "%41", "+", "{{code}}", "\\u0041"),
        *("2026-01-01T00:00:00Z", "2026-1-1", "yes", "NaN", "None", "undefined", "[object Object]"),
        *("\r\n", "\n", "\t", "\0", "\x1b", "\x7f", "\u0085", "x" * 100_000, "é" * 50_000),
    )
    links = (
        *("https://example.com", "HTTP://Example.COM:80/%7ea/../b?b=2&a=%2f+x#Part", "app://open?x=1&amp;y"),
        *("/invitations/1", "not a link", "https://xn--exmple-cua.com/ä b", "javascript:alert(1)"),
    )
    recipients = (
        *("", "Foo@EXAMPLE.com", " foo@example.com ", "é\ud800@example.com", "foo.bar+tag@example.com"),
        *("ä@exämple.test", '"foo bar"@example.com', "foo@example.com,bar@example.com", "15551234567"),
        *("Foo <foo@example.com>", f"{'x' * 300}@example.com"),
    )
    values: tuple[Any, ...] = (
        *(None, True, False, 0, -1, 1.0, 0.1, -0.0, 1e21, 1e-7, 5e-324, 1.7976931348623157e308),
        *(2**53 - 1, 2**53 + 1, 12345678901234567890, 10**400),
        *({}, [], [None], [[]], {"": {"": {}}}, [{"a": [1, None, True, "1"]}], user(name=None, avatar=None)),
        *(organization(branding={}), {"__proto__": {"x": 1}, "constructor": 0, "toJSON": 0, "10": 0, "2": 0}),
    )
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    keys = ("__proto__", "toJSON", "to", "ip", "0", "é", "\ud800", "a.b/c~d", " ", "code ")
    plain = minimal("SignIn", revision)
    payload = plain["payload"]
    found = [
        *({**plain, "payload": {}} for _ in range(1)),
        *({**plain, "payload": {**payload, "code": text}} for text in texts),
        *({**plain, "payload": {"link": text}} for text in links),
        *({**plain, "to": text} for text in recipients),
        *({**plain, "payload": {**payload, "more": value}} for value in (*values, deep)),
        *({**plain, "payload": {**payload, key: "x"}} for key in keys),
        {**plain, "ip": ""},
        {**plain, "ip": "::ffff:203.0.113.7"},
        {**plain, "ip": "<b>'\""},
    ]
    return [message for message in found if not validate(message, revision, "guard")]


def make_generated_messages(revision: str) -> SearchStrategy[dict[str, Any]]:
    """Return the strategy that generated messages are drawn from."""
    from ..strategies import messages

    return messages(revision, "guard") | messages(revision, "emitted")
