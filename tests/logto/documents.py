"""JSON texts to try a guard with: messages, almost messages and hostile ones, made by Hypothesis.

A text and not a value: equal keys, odd numbers, escapes and what is no JSON at all must reach the real
guard as they are.

Hypothesis draws only bytes, since each draw costs more than all the rest. Each byte is one choice at a fixed
place, and zero is the plainest choice. Hypothesis shrinks bytes towards zero one by one, and so shrinks a
text towards a plain one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from tests.logto.rule import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEEP = 400

NAMES = sorted(set().union(*TYPES.values()))

_TYPES = [
    *[f'"{name}"' for name in NAMES] * 10,
    r'"\u0053ignIn"',  # the same as SignIn
    *(f'"{name.lower()}"' for name in NAMES),
    *(f'"{name.upper()}"' for name in NAMES),
    *(f'"{name} "' for name in NAMES),
    r'"SignIn\u0000"',
    '"NewTemplate"',
    '"organization-invitation"',
    '"__proto__"',
    '"constructor"',
    '""',
]

_STRINGS = [
    '""',
    '"123456"',
    '"foo@example.com"',
    '"en"',
    '"SignIn"',
    '"null"',
    '" "',
    r'"\u0000"',
    r'"\r\nBcc: bar@example.com"',
    r'"\ud800"',
    r'"\udfff\ud800"',
    r'"\ud83d\ude00"',
    '"\U0001f600"',
    '"\u2028\u2029\ufeff"',
    '"\u00e9e\u0301"',
    '"<svg/onload=1>@x.test"',
    '"' + "x" * 1000 + '"',
    '"' + r"\ud800" * 300 + '"',
]

_NO_STRINGS = [
    *["null"] * 8,
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1.5e-7",
    "1e400",
    "-1e400",
    "12345678901234567890",
    "9" * 400,
    "1" + "0" * 4500,
    "[]",
    "[null]",
    '["SignIn"]',
    '[{"code":"1"}]',
    "[" * DEEP + "]" * DEEP,
    "{}",
    '{"code":null}',
    '{"length":0}',
    '{"toString":null,"valueOf":null}',
    '{"toJSON":"x"}',
    '{"__proto__":{"to":"x","type":"SignIn","payload":{}}}',
    '{"__proto__":null}',
    '{"a":[{"b":[1,{"c":null}]}]}',
    '{"":' * DEEP + "null" + "}" * DEEP,
]

_KEYS = [
    '"x"',
    '""',
    '"to"',
    '"type"',
    '"payload"',
    '"ip"',
    '"code"',
    r'"\u0063ode"',  # the same as code
    '"Code"',
    '"code "',
    '"link"',
    '"locale"',
    '"uiLocales"',
    '"uilocales"',
    '"application"',
    '"organization"',
    '"user"',
    '"inviter"',
    '"__proto__"',
    '"constructor"',
    '"prototype"',
    '"toString"',
    '"toJSON"',
    '"then"',
    '"hasOwnProperty"',
    '"0"',
    r'"\u0000"',
    r'"\ud800"',
    '"\U0001f600"',
    '"' + "k" * 500 + '"',
]


_SPACES = ["", "", "", " ", "\n\t\r "]
_BAD = ["wrong", "wrong", "wrong then good", "good then wrong", "other name"]
_REQUIRED = [*["good"] * 60, *_BAD, "absent"]
_OPTIONAL = [*["absent"] * 40, *["good"] * 40, *_BAD]

_SPOILT: dict[str, Callable[[str], str]] = {
    "cut short": lambda text: text[:-1],
    "cut in the middle": lambda text: text[: len(text) // 2],
    "byte order mark": lambda text: "\ufeff" + text,
    "trailing comma": lambda text: text[:-1] + ",}",
    "trailing text": lambda text: text + "x",
    "twice": lambda text: text + text,
    "NaN": lambda text: text.replace(":null", ":NaN"),
    "Infinity": lambda text: text.replace(":true", ":Infinity"),
    "leading zero": lambda text: text.replace(":0", ":00"),
    "bare fraction": lambda text: text.replace("1.5", "1."),
    "plus sign": lambda text: text.replace(":1e4", ":+1e4"),
    "comment": lambda text: text + "/**/",
    "single quotes": lambda text: text.replace('"', "'"),
    "raw line break": lambda text: text.replace(r"\r\n", "\r\n"),
    "vertical tab": lambda text: "\v" + text,
    "no-break space": lambda text: text + "\u00a0",
    "half an escape": lambda text: text.replace(r"\ud800", r"\ud80"),
    "True": lambda text: text.replace("true", "True"),
    "in an array": lambda text: f"[{text}]",
    "as a string": json.dumps,
    "in an object": lambda text: f'{{"payload":{text}}}',
}
_FORMS = [*["message"] * 160, *_SPOILT, "value", "nothing"]

_CHOICES = 51
_LATIN_1 = 2
_UTF_16 = 4
_BYTES = _CHOICES + _LATIN_1 + _UTF_16


class _Choices:
    """Consumes the drawn bytes, one for each choice; the last make a text that may have lone surrogates."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = iter(drawn[:_CHOICES])
        text = drawn[_CHOICES:-_UTF_16].decode("latin-1")
        text += drawn[-_UTF_16:].decode("utf-16-le", "surrogatepass")
        text = text.rstrip("\0")
        texts = [json.dumps(text), json.dumps(text, ensure_ascii=False)]
        self.strings = [*_STRINGS, *texts * 3]
        self.anything = [*_NO_STRINGS, *self.strings]
        self.keys = [*_KEYS, *texts]

    def pick(self, options: Sequence[str]) -> str:
        """Return one of the options; the first for a zero."""
        return options[next(self._drawn) % len(options)]

    def number(self, below: int) -> int:
        """Return a number from 0 on."""
        return next(self._drawn) % below

    def slot(self, hows: Sequence[str], key: str, good: Sequence[str]) -> list[str]:
        """Return the members in the place of the member ``key``: one, none or two."""
        how = self.pick(hows)
        other_name = self.pick(self.keys)
        good_value = self.pick(good)
        wrong_value = self.pick(self.anything)
        members = {
            "absent": [],
            "good": [f"{key}:{good_value}"],
            "wrong": [f"{key}:{wrong_value}"],
            "other name": [f"{other_name}:{good_value}"],
            "wrong then good": [f"{key}:{wrong_value}", f"{key}:{good_value}"],
            "good then wrong": [f"{key}:{good_value}", f"{key}:{wrong_value}"],
        }
        return members[how]

    def object(self, members: Sequence[str]) -> str:
        """Return an object of the members and of unknown ones, in any order and spacing."""
        start = self.number(len(members) + 1)
        several = max(0, self.number(8) - 4)
        extras = [f"{self.pick(self.keys)}:{self.pick(self.anything)}" for _ in range(3)][:several]
        space = self.pick(_SPACES)
        between = f"{space},{space}"
        return f"{{{space}{between.join([*members[start:], *extras, *members[:start]])}{space}}}"

    def message(self) -> str:
        """Return a message or a text that is nearly one."""
        payload = self.object(
            [
                member
                for key in ("code", "link", "locale", "uiLocales")
                for member in self.slot(_OPTIONAL, f'"{key}"', self.strings)
            ]
        )
        return self.object(
            [
                *self.slot(_REQUIRED, '"to"', self.strings),
                *self.slot(_REQUIRED, '"type"', _TYPES),
                *self.slot(_REQUIRED, '"payload"', [payload]),
                *self.slot(_OPTIONAL, '"ip"', self.strings),
            ]
        )

    def document(self) -> str:
        """Return mostly a message, otherwise another value or a text that is no JSON."""
        form = self.pick(_FORMS)
        if form == "nothing":
            return ""
        if form == "value":
            return self.pick(self.anything)
        text = self.message()
        return text if form == "message" else _SPOILT[form](text)


def documents() -> st.SearchStrategy[str]:
    """Return the strategy of the texts."""
    return st.binary(min_size=_BYTES, max_size=_BYTES).map(lambda drawn: _Choices(drawn).document())
