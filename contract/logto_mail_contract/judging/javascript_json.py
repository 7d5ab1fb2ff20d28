"""JSON as JavaScript reads and writes it.

Logto writes messages with ``JSON.stringify``, and its guard judges what ``JSON.parse`` returns. Python's
``json`` differs at the edges. It accepts ``NaN`` and, in bytes, UTF-16 and a byte order mark. It refuses
integers of thousands of digits, and it writes numbers in another form.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from .json_grammar import require_json

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 500
"""Levels of nesting that are judged; the parsers of Python and of many receivers fail somewhat beyond it."""

MAX_DUPLICATES = 100
"""How many duplicate keys of a text are named; a text of megabytes has any number of them."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]|-?Infinity|NaN', re.DOTALL)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ARRAY_INDEX = re.compile("0|[1-9][0-9]{0,9}")
_ARRAY_INDEX_LIMIT = 2**32 - 1
# JavaScript writes an exponent beyond these places of the decimal point: ECMA-262, Number::toString.
_MAX_PLAIN_DIGITS = 21
_MIN_PLAIN_POINT = -6


class NotUtf8(ValueError):
    """The bytes are not UTF-8, or start with a byte order mark."""


class TooDeep(ValueError):
    """The text nests deeper than MAX_DEPTH levels."""


class NotJson(ValueError):
    """``JSON.parse`` refuses the text.

    Attributes:
        problem: What is wrong, without its place.
        line: The line of the place, from 1. A caller that read a part of a file may add the lines before it.
        column: The column of the place in characters, from 1.
    """

    def __init__(self, problem: str, text: str, position: int) -> None:
        self.problem = problem
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(problem)

    def __str__(self) -> str:
        return f"{self.problem} at line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that one object of a text has more than once.

    Attributes:
        pointer: The JSON pointer of the object; ``""`` also where a later duplicate hides the object.
        key: The key.
    """

    pointer: str
    key: str


class Parsed(NamedTuple):
    """What ``parse_with_duplicates`` returns.

    Attributes:
        value: The value that ``JSON.parse`` reads.
        duplicates: The duplicate keys whose earlier values it ignored: each once, MAX_DUPLICATES at most.
        more: How many more duplicate keys there are.
    """

    value: Any
    duplicates: tuple[Duplicate, ...] = ()
    more: int = 0


class _DuplicateKey(Exception):
    pass


def parse(text: str | bytes) -> Any:
    """Return the value that ``JSON.parse`` reads; of duplicate keys the last counts.

    An integer keeps its digits. One with more digits than Python converts becomes infinity, as in JavaScript.

    Args:
        text: JSON text; bytes are read as UTF-8.

    Raises:
        NotUtf8: The bytes are no UTF-8.
        NotJson: The text is not JSON.
        TooDeep: It nests deeper than MAX_DEPTH levels.
    """
    return parse_with_duplicates(text).value


def parse_with_duplicates(text: str | bytes) -> Parsed:
    """Return what ``parse`` returns, and the duplicate keys whose earlier values it ignored.

    Args:
        text: JSON text; bytes are read as UTF-8.

    Raises:
        NotUtf8: The bytes are no UTF-8.
        NotJson: The text is not JSON.
        TooDeep: It nests deeper than MAX_DEPTH levels.
    """
    if isinstance(text, bytes):
        text = _decode(text)
    try:
        # Count first: a text nests no deeper than it has opening brackets, and the scan is slow.
        if (
            len(text) > MAX_DEPTH
            and text.count("[") + text.count("{") > MAX_DEPTH
            and _measure_depth(text) > MAX_DEPTH
        ):
            require_json(text)
            raise TooDeep(f"The text nests deeper than {MAX_DEPTH} levels")
        try:
            # JSON.stringify puts no space around an object; decode looks for it, which costs a fifth more.
            if text.startswith("{"):
                value, end = _UNIQUE_KEYS.raw_decode(text)
                if end == len(text):
                    return Parsed(value)
            return Parsed(_UNIQUE_KEYS.decode(text))
        except _DuplicateKey:
            return _parse_collecting(text)
    except json.JSONDecodeError as error:
        if text.startswith("\ufeff"):
            raise NotJson("a byte order mark (U+FEFF) is before the JSON text", text, 0) from None
        raise NotJson(_format_problem(error.msg), text, error.pos) from None
    except _Constant as constant:
        position = next(token.start() for token in _TOKEN.finditer(text) if token[0] == constant.args[0])
        raise NotJson(f"{constant.args[0]} is no JSON value", text, position) from None
    except RecursionError:
        raise TooDeep("The text nests deeper than this call stack can read") from None


def stringify(value: Any) -> bytes:
    """Return the bytes that ``JSON.stringify`` and UTF-8 make of a value that ``parse`` returned.

    The text is compact. Keys that are array indices come first, the others keep their order. Lone surrogates
    are escaped, other characters are not. Numbers have the form of JavaScript: ``1.0`` is ``1``,
    infinity is ``null``, an integer is rounded to a double.

    Args:
        value: A value as ``parse`` returns it.

    Raises:
        TypeError: JSON has no type for a part of the value.
    """
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", _write(value)).encode()


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]:
        raise NotUtf8("the bytes look like UTF-16 or UTF-32")
    if data.startswith(b"\xef\xbb\xbf"):
        raise NotUtf8("a byte order mark (EF BB BF) is before the text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotUtf8(f"byte 0x{data[error.start]:02x} at offset {error.start}: {error.reason}") from None


def _measure_depth(text: str) -> int:
    depth = deepest = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in "]}":
            depth -= 1
    return deepest


class _Constant(Exception):
    pass


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)


def _parse_integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return float(digits)


def _require_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKey
    return members


_UNIQUE_KEYS = json.JSONDecoder(
    object_pairs_hook=_require_unique, parse_constant=_refuse_constant, parse_int=_parse_integer
)


def _parse_collecting(text: str) -> Parsed:
    repeated: list[tuple[dict[str, Any], str]] = []
    more = 0

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal more
        members = dict(pairs)
        if len(members) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            found = [key for key, count in counts.items() if count > 1]
            named = found[: MAX_DUPLICATES - len(repeated)]
            repeated.extend((members, key) for key in named)
            more += len(found) - len(named)
        return members

    decoder = json.JSONDecoder(
        object_pairs_hook=collect, parse_constant=_refuse_constant, parse_int=_parse_integer
    )
    value = decoder.decode(text)
    pointers = _find_pointers(value, {id(members) for members, _ in repeated})
    duplicates = tuple(Duplicate(pointers.get(id(members), ""), key) for members, key in repeated)
    return Parsed(value, duplicates, more)


_Path = tuple["_Path", str] | None
"""The way to a part: that to the part around it, and a key or index there."""


def _find_pointers(value: Any, wanted: set[int]) -> dict[int, str]:
    """Return the JSON pointers of the parts with some ids."""
    pointers: dict[int, str] = {}
    # No pointer for each part: below a long key, together they would take the square of the text's length.
    level: list[tuple[Any, _Path]] = [(value, None)]
    while level:
        pointers |= {id(part): _join(path) for part, path in level if id(part) in wanted}
        level = [
            (member, (path, str(key)))
            for part, path in level
            for key, member in (part.items() if isinstance(part, dict) else enumerate(part))
            if isinstance(member, (dict, list))
        ]
    return pointers


def _join(path: _Path) -> str:
    tokens: list[str] = []
    while path is not None:
        path, token = path
        tokens.append(f"/{escape(token)}")
    return "".join(reversed(tokens))


def walk(value: Any) -> list[tuple[str, Any]]:
    """Return every part of a value with its JSON pointer, the whole value first.

    Raises:
        TooDeep: The value nests deeper than MAX_DEPTH levels, or contains itself.
    """
    parts = [("", value)]
    level = parts
    for _ in range(MAX_DEPTH):
        level = [
            (f"{pointer}/{escape(str(key))}", member)
            for pointer, part in level
            if isinstance(part, (dict, list))
            for key, member in (part.items() if isinstance(part, dict) else enumerate(part))
        ]
        if not level:
            return parts
        parts += level
    if not any(isinstance(part, (dict, list)) for _, part in level):
        return parts
    raise TooDeep(f"The value nests deeper than {MAX_DEPTH} levels")


def escape(key: str) -> str:
    """Return a key as one token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _write(value: Any) -> str:
    written: list[str] = []
    # A stack, not recursion: a value may nest deeper than Python's own stack.
    stack: list[tuple[Iterator[tuple[str, Any]], str]] = []
    members, closing = iter([("", value)]), ""
    while True:
        for prefix, member in members:
            written.append(prefix)
            if not isinstance(member, (dict, list)):
                written.append(_write_scalar(member))
                continue
            stack.append((members, closing))
            if isinstance(member, list):
                written.append("[")
                members, closing = _list_members(member), "]"
            else:
                written.append("{")
                members, closing = _object_members(member), "}"
            break
        else:
            written.append(closing)
            if not stack:
                return "".join(written)
            members, closing = stack.pop()


def _list_members(part: list[Any]) -> Iterator[tuple[str, Any]]:
    separator = ""
    for member in part:
        yield separator, member
        separator = ","


def _object_members(part: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    separator = ""
    for key in _order_keys(part):
        yield f"{separator}{_write_scalar(key)}:", part[key]
        separator = ","


# Made once: json.dumps makes an encoder for each text.
_write_text = json.JSONEncoder(ensure_ascii=False).encode


def _write_scalar(value: Any) -> str:
    if isinstance(value, str):
        return _write_text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _write_number(value)
    raise TypeError(f"JSON has no {type(value).__name__}")


def _order_keys(members: dict[str, Any]) -> list[str]:
    indices = sorted(
        (key for key in members if _ARRAY_INDEX.fullmatch(key) and int(key) < _ARRAY_INDEX_LIMIT), key=int
    )
    # A dict looks a key up at once: a stranger's message may have thousands of indices.
    return list(dict.fromkeys([*indices, *members])) if indices else list(members)


def _write_number(value: float) -> str:
    try:
        double = float(value)
    except OverflowError:
        return "null"
    if not math.isfinite(double):
        return "null"
    if double == 0:
        return "0"
    mantissa, _, exponent = repr(abs(double)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if double < 0 else ""
    if len(digits) <= point <= _MAX_PLAIN_DIGITS:
        return sign + digits.ljust(point, "0")
    if 0 < point <= _MAX_PLAIN_DIGITS:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _MIN_PLAIN_POINT < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"


def _format_problem(message: str) -> str:
    return (message[:1].lower() + message[1:]).removesuffix(" at").removesuffix(" starting")
