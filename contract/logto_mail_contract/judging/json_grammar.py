"""Says whether a text is JSON, however deep it nests; it builds no value.

The parser of Python fails where its stack ends. This one is slower, and for texts that nest too deep only.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder

_BLANKS = re.compile(r"[ \t\n\r]*+")
# A run at once: a hostile text is a million brackets.
_ARRAYS = re.compile(r"\[(?:[ \t\n\r]*+\[)*+")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+"')
_OTHER_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null")
_CLOSING = {"[": "]", "{": "}"}


def require_json(text: str) -> None:
    """Read a text to its end.

    Raises:
        JSONDecodeError: It is not JSON; message and position are those of Python's own parser.
    """
    reader = _Reader(text)
    reader.read_value()
    while reader.read_ends():
        reader.read_value()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._open: list[str] = []
        self._skip(_BLANKS)

    @property
    def _mark(self) -> str:
        return self._text[self._place : self._place + 1]

    def read_value(self) -> None:
        """Read to the end of the first value that holds no other."""
        while True:
            start = self._place
            if self._skip(_ARRAYS):
                self._open += "[" * self._text.count("[", start, self._place)
            elif self._mark == "{":
                self._place += 1
                self._open.append("{")
            elif self._skip(_OTHER_SCALAR):
                return
            elif self._mark == '"':
                self._read_string()
                return
            else:
                raise JSONDecodeError("Expecting value", self._text, start)
            self._skip(_BLANKS)
            if self._mark == _CLOSING[self._open[-1]]:
                return
            if self._open[-1] == "{":
                self._read_key()

    def read_ends(self) -> bool:
        """Read what ends behind a value and a comma, and return whether another value follows."""
        self._skip(_BLANKS)
        while self._open and self._mark == _CLOSING[self._open[-1]]:
            self._open.pop()
            self._place += 1
            self._skip(_BLANKS)
        if not self._open:
            if self._mark:
                raise JSONDecodeError("Extra data", self._text, self._place)
            return False
        if self._mark != ",":
            raise JSONDecodeError("Expecting ',' delimiter", self._text, self._place)
        self._place += 1
        self._skip(_BLANKS)
        if self._open[-1] == "{":
            self._read_key()
        return True

    def _read_key(self) -> None:
        if self._mark != '"':
            problem = "Expecting property name enclosed in double quotes"
            raise JSONDecodeError(problem, self._text, self._place)
        self._read_string()
        self._skip(_BLANKS)
        if self._mark != ":":
            raise JSONDecodeError("Expecting ':' delimiter", self._text, self._place)
        self._place += 1
        self._skip(_BLANKS)

    def _read_string(self) -> None:
        if not self._skip(_STRING):
            JSONDecoder().raw_decode(self._text, self._place)  # it says what is wrong

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._place)
        if found is None or not found[0]:
            return False
        self._place = found.end()
        return True
