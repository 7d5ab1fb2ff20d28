"""JSON as JavaScript reads and writes it; ``tests/logto`` compares the same functions with Node itself."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract.judging.javascript_json import (
    MAX_DEPTH,
    MAX_DUPLICATES,
    Duplicate,
    NotJson,
    NotUtf8,
    TooDeep,
    parse,
    parse_with_duplicates,
    stringify,
    walk,
)
from logto_mail_contract.judging.json_grammar import require_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@UNHURRIED
@given(JSON)
def test_json_that_python_writes_is_read(value: object) -> None:
    assert parse(json.dumps(value, ensure_ascii=True)) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expecting value at line 1, column 1"),
        ("{", "line 1, column 2"),
        ("[1 2]", "line 1, column 4"),
        ('{"a":NaN}', "NaN is no JSON value at line 1, column 6"),
        ('{"NaN":\n -Infinity}', "-Infinity is no JSON value at line 2, column 2"),
        ('["Infinity", Infinity]', "Infinity is no JSON value at line 1, column 14"),
        ("\ufeff{}", "byte order mark"),
        ("{}x", "extra data at line 1, column 3"),
        ("01", "extra data"),
        ("'a'", "expecting value"),
        ("/**/{}", "expecting value"),
        ('"\t"', "invalid control character at line 1, column 2"),
        ('"', "unterminated string at line 1, column 1"),
        ('{"a":1}\n{"a":1}', "extra data at line 2, column 1"),
        ("\x0b1", "expecting value"),
        ("\u00a01", "expecting value"),
        ("\u0661", "expecting value"),
    ],
)
def test_text_that_javascript_refuses_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(NotJson) as caught:
        parse(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a":"\xff"}', "byte 0xff at offset 6"),
        (b'"\xed\xa0\x80"', "byte 0xed at offset 1"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"a":1}'.encode("utf-16"), "UTF-16"),
        ('{"a":1}'.encode("utf-16-le"), "UTF-16"),
        ('{"a":1}'.encode("utf-32"), "UTF-16 or UTF-32"),
    ],
)
def test_bytes_that_are_not_utf_8_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(NotUtf8, match=problem):
        parse(data)


def test_integers_of_any_length_are_read() -> None:
    limit = sys.get_int_max_str_digits()
    assert parse("1" * limit) == int("1" * limit)
    assert parse("1" * (limit + 1)) == float("inf")
    assert parse(f"-{'1' * 5000}") == float("-inf")
    assert parse("1e400") == float("inf")


def test_the_last_of_duplicate_keys_is_used_and_all_are_reported() -> None:
    text = '{"a":1,"b":{"c":1,"\\u0063":2},"a":{"x/~":[{"d":1,"d":2}]}}'
    value, duplicates, more = parse_with_duplicates(text)
    assert value == {"a": {"x/~": [{"d": 2}]}, "b": {"c": 2}}
    assert set(duplicates) == {Duplicate("/b", "c"), Duplicate("/a/x~1~0/0", "d"), Duplicate("", "a")}
    assert more == 0
    assert parse_with_duplicates('{"a":{"a":1}}') == ({"a": {"a": 1}}, (), 0)


def test_each_duplicate_key_is_reported_once_up_to_a_maximum() -> None:
    assert parse_with_duplicates('{"a":1,"a":2,"a":3}') == ({"a": 3}, (Duplicate("", "a"),), 0)
    members = ",".join(f'"{number}":1' for number in [*range(300), *range(300)])
    for text, total in ((f"{{{members}}}", 300), (f"[{{{members}}},{{{members}}}]", 600)):
        _, duplicates, more = parse_with_duplicates(text)
        assert (len(duplicates), more) == (MAX_DUPLICATES, total - MAX_DUPLICATES)


def test_duplicate_keys_beside_a_long_key_use_little_memory() -> None:
    text = f'{{"a":1,"a":{{"{"k" * 10_000}":[{"{}," * 5000}{{}}]}}}}'
    tracemalloc.start()
    try:
        assert parse_with_duplicates(text).duplicates == (Duplicate("", "a"),)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_an_object_with_many_indices_is_written_quickly() -> None:
    began = time.thread_time()
    assert stringify({str(number): 0 for number in reversed(range(30_000))}).startswith(b'{"0":0,"1":0,')
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_json_is_read_up_to_the_maximum_depth(brackets: str) -> None:
    def nested(depth: int) -> str:
        opening = "[" if brackets == "[]" else '{"a":'
        return opening * (depth - 1) + brackets + brackets[1] * (depth - 1)

    value = parse(nested(MAX_DEPTH))
    assert len(walk(value)) == MAX_DEPTH
    assert stringify(value).decode() == nested(MAX_DEPTH)
    with pytest.raises(TooDeep, match="500 levels"):
        parse(nested(MAX_DEPTH + 1))
    with pytest.raises(TooDeep):
        parse(nested(100_000))


@pytest.mark.parametrize(
    ("opening", "text", "closing", "problem"),
    [
        ("[", "", "", "expecting value at line 1, column 1001"),
        ("[", "0]", "", "expecting ',' delimiter at line 1, column 1003"),
        ("[", "", "]", None),
        ("[ ", '1,\n[true, {"a": -1.5e3, "": null}] ', " ] ", None),
        ("[", "]", "]", "extra data at line 1, column 2001"),
        ("[", "1}", "]", "expecting ',' delimiter at line 1, column 1002"),
        ("[", "01", "]", "expecting ',' delimiter at line 1, column 1002"),
        ("[", "NaN", "]", "expecting value at line 1, column 1001"),
        ("[", '"a\n"', "]", "invalid control character at line 1, column 1003"),
        ("[", '"\\u12"', "]", "invalid \\uXXXX escape at line 1, column"),
        ("[", '"a', "]", "unterminated string at line 1, column 1001"),
        ("\ufeff[", "", "]", "a byte order mark (U+FEFF) is before the JSON text at line 1, column 1"),
        ('{"a":', "{}", "}", None),
        ('{"a":', "{", "}", "extra data at line 1"),
        ('{"a":', '{"b" 1}', "}", "expecting ':' delimiter at line 1, column 5006"),
        ('{"a":', "{1: 1}", "}", "expecting property name enclosed in double quotes at line 1, column 5002"),
        ('{"a":', '{"b": 1,}', "}", "at line 1, column 50"),
        ('{"a":', "]", "}", "expecting value at line 1, column 5001"),
    ],
)
def test_text_beyond_the_maximum_depth_is_too_deep_only_if_it_is_json(
    opening: str, text: str, closing: str, problem: str | None
) -> None:
    """Of what is not JSON the place is told; that it nests deep does not matter to ``JSON.parse``."""
    levels = 1000
    first = opening if opening[0] != "\ufeff" else opening[1]
    deep = opening + first * (levels - 1) + text + closing * (levels if text != "{" else levels + 2)
    with pytest.raises(TooDeep if problem is None else NotJson) as raised:
        parse(deep)
    assert (problem or "500 levels") in str(raised.value)


@UNHURRIED
@given(
    st.recursive(
        st.sampled_from(
            ['"a"', '"\\n"', "0", "-1.5e+3", "true", "null", "1 ", '"', "01", "tru", "", ":", "}", "\t"]
        ),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
            | st.lists(inner, max_size=3).map(lambda parts: "{" + ",".join(f'"k": {p}' for p in parts) + "}")
            | st.tuples(inner, st.sampled_from("[]{},: ")).map("".join)
        ),
        max_leaves=12,
    )
)
def test_deep_text_is_read_as_pythons_parser_reads_it(text: str) -> None:
    try:
        json.loads(text, parse_constant=float)
        expected = None
    except json.JSONDecodeError as problem:
        expected = problem.pos
    try:
        require_json(text)
        found = None
    except json.JSONDecodeError as problem:
        found = problem.pos
    # From Python 3.13 on, its parser has another place for a comma before the end.
    assert found == expected or (found is not None and expected is not None and "," in text)


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    assert parse(json.dumps(['["' * 1000, "\\" * 1000, "{" * 1000])) == ['["' * 1000, "\\" * 1000, "{" * 1000]
    assert parse(f"[{','.join(['[]'] * 1000)}]") == [[]] * 1000


def test_invalid_text_full_of_brackets_is_refused_quickly() -> None:
    with pytest.raises(NotJson):
        parse('"' + "[\\" * 300_000)
    with pytest.raises(NotJson):
        parse("[" * 1_000_000)
    with pytest.raises(NotJson):
        parse('{"a":[' * 100_000 + '"')


def test_reading_on_a_nearly_full_stack_does_not_crash() -> None:
    def descend(levels: int) -> str:
        if levels:
            return descend(levels - 1)
        try:
            return str(parse("[" * 400 + "]" * 400))
        except TooDeep as problem:
            return str(problem)

    # From Python 3.12 on, the parser has a separate limit and reads the text.
    expected = {"[" * 400 + "]" * 400, "The text nests deeper than this call stack can read"}
    assert descend(sys.getrecursionlimit() - 300) in expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"to": "a", "payload": {"n": 1.0, "x": [True, None]}},
            '{"to":"a","payload":{"n":1,"x":[true,null]}}',
        ),
        (float("inf"), "null"),
        (10**400, "null"),
        (-0.0, "0"),
        (12345678901234567890, "12345678901234567000"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (-123.456, "-123.456"),
        ("\ud800é\u2028\x7f\x01", '"\\ud800é\u2028\x7f\\u0001"'),
        ({"b": 1, "10": 2, "9": 3, "01": 4, "4294967295": 5}, '{"9":3,"10":2,"b":1,"01":4,"4294967295":5}'),
    ],
)
def test_values_are_written_as_javascript_writes_them(value: object, text: str) -> None:
    assert stringify(value).decode() == text


def test_writing_a_value_that_json_lacks_raises() -> None:
    with pytest.raises(TypeError, match="JSON has no bytes"):
        stringify({"a": b""})


@UNHURRIED
@given(JSON)
def test_written_values_are_read_back_the_same(value: object) -> None:
    assert stringify(parse(stringify(value))) == stringify(value)


def test_walking_a_value_that_contains_itself_raises() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TooDeep):
        walk(endless)
