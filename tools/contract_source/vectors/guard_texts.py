"""Vectors of the guard layer that depend on how JSON text is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .suite import Error, Suite


def add_guard_texts(suite: Suite, *, strings_only: bool) -> None:
    """Add messages that only JSON text can carry from one language to another."""
    suite.group = "Messages that depend on how JSON text is read"
    of_x: Error | None = ("type", "/payload/x") if strings_only else None
    proto: Error | None = ("type", "/payload/__proto__") if strings_only else None
    texts: dict[str, tuple[str, str, Error | None]] = {
        "surrogate-in-to": ("to", '{"to":"\\ud800","type":"SignIn","payload":{}}', None),
        "surrogate-in-value": (
            "a value",
            '{"to":"a","type":"SignIn","payload":{"code":"\\udc00\\ud800"}}',
            None,
        ),
        "surrogate-in-name": ("a name", '{"to":"a","type":"SignIn","payload":{"\\ud800":"x"}}', None),
        "surrogate-in-type": ("type", '{"to":"a","type":"SignIn\\ud800","payload":{}}', ("enum", "/type")),
        "surrogate-beside-fault": (
            "to",
            '{"to":"\\ud800","type":"SignIn","payload":[]}',
            ("type", "/payload"),
        ),
    }
    for name, (where, text, error) in texts.items():
        suite.add_text(name, f"A lone surrogate in {where}.", text, error, difficulty="surrogate")
    twice: dict[str, tuple[str, Error | None]] = {
        "to-bad-then-good": ('{"to":1,"to":"a","type":"SignIn","payload":{}}', None),
        "to-good-then-bad": ('{"to":"a","to":1,"type":"SignIn","payload":{}}', ("type", "/to")),
        "payload-bad-then-good": ('{"to":"a","type":"SignIn","payload":null,"payload":{}}', None),
        "code-good-then-bad": (
            '{"to":"a","type":"SignIn","payload":{"code":"1","code":1}}',
            ("type", "/payload/code"),
        ),
        "code-by-escape": (
            '{"to":"a","type":"SignIn","payload":{"code":"1","\\u0063ode":1}}',
            ("type", "/payload/code"),
        ),
    }
    for name, (text, error) in twice.items():
        description = "The last of duplicate keys counts."
        suite.add_text(f"duplicate-{name}", description, text, error, difficulty="duplicate")
    numbers = {
        "zero": "0",
        "minus-zero": "-0",
        "beyond-double": "1e400",
        "below-double": "-1e400",
        "big-integer": "12345678901234567890",
        "huge-integer": "1" * 400,
        "tiny": "1e-400",
        "fraction": "0.1",
    }
    for name, number in numbers.items():
        suite.add_text(
            f"number-{name}",
            "A number is no string, however large." if strings_only else "Any number is tolerated.",
            f'{{"to":"a","type":"SignIn","payload":{{"x":{number}}}}}',
            of_x,
            difficulty=None if name in ("zero", "minus-zero", "fraction") else "number",
        )
    suite.add_text(
        "number-beyond-double-as-to",
        "A number is no string, however large.",
        '{"to":1e400,"type":"SignIn","payload":{}}',
        ("type", "/to"),
        difficulty="number",
    )
    for name, brackets in {"arrays": ("[", "]"), "objects": ('{"a":', "}")}.items():
        deep = brackets[0] * 1000 + "1" + brackets[1] * 1000
        suite.add_text(
            f"depth-1000-{name}",
            "A value nested a thousand levels deep.",
            f'{{"to":"a","type":"SignIn","payload":{{"x":{deep}}}}}',
            of_x,
            difficulty="depth",
        )
    for name, value, error in (
        ("string", '"x"', None),
        ("object", '{"code":1}', proto),
        ("null", "null", proto),
    ):
        suite.add_text(
            f"proto-{name}",
            "A variable named __proto__ is an ordinary variable and supplies nothing.",
            f'{{"to":"a","type":"SignIn","payload":{{"__proto__":{value}}}}}',
            error,
        )
    suite.add_text(
        "proto-extra-member",
        "A member named __proto__ is an ordinary unknown member.",
        '{"to":"a","type":"SignIn","payload":{},"__proto__":{"to":1}}',
    )
    suite.add_text(
        "proto-supplies-nothing",
        "A member named __proto__ does not stand in for a missing one.",
        '{"type":"SignIn","payload":{},"__proto__":{"to":"a"}}',
        ("required", ""),
    )
    suite.add_text(
        "white-space-around",
        "JSON's own white space around the message is valid.",
        ' \t\r\n{ "to" : "a" ,\n"type":"SignIn","payload":{}}\n',
    )
