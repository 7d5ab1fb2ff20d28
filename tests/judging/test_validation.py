"""``validate`` and ``check``: verdicts, findings, and the two engines behind them."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.support.generated import UNHURRIED

from logto_mail_contract import ContractViolation, UnknownLayer, UnknownRevision, check, masking, validate
from logto_mail_contract.catalogue import index as catalogue_index
from logto_mail_contract.catalogue import load, revisions, rules, schema
from logto_mail_contract.judging import validation as module
from logto_mail_contract.judging.javascript_json import MAX_DEPTH, TooDeep, parse, stringify

DATA = Path(__file__).parents[1] / "schemas" / "data"
VALID: dict[str, Any] = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "012345"}}
LAYERS = [
    (revision["id"], layer) for revision in catalogue_index()["revisions"] for layer in revision["files"]
]


def changed(pointer: str, value: Any) -> dict[str, Any]:
    """Return the valid message with the member at a pointer replaced."""
    message: dict[str, Any] = json.loads(json.dumps(VALID))
    *path, last = pointer.split("/")[1:]
    target = message
    for token in path:
        target = target[token]
    target[last] = value
    return message


@pytest.mark.parametrize("form", [json.dumps(VALID), json.dumps(VALID).encode(), bytearray(b"{}"), VALID])
def test_text_bytes_and_values_are_accepted(form: Any) -> None:
    assert (validate(form) == ()) == (form != bytearray(b"{}"))


def test_a_string_is_parsed_as_json_text() -> None:
    assert [finding.rule for finding in validate('"SignIn"')] == ["message/guard/object"]
    assert [finding.rule for finding in validate("SignIn")] == ["message/text/json"]


@pytest.mark.parametrize("line", (DATA / "observed-guard-verdicts.ndjson").read_text().splitlines())
def test_verdicts_equal_those_of_the_real_guards(line: str) -> None:
    observed = json.loads(line)
    for revision in revisions():
        findings = validate(observed["json"], revision)
        if observed["accepts"] is None:
            assert [finding.rule for finding in findings] == ["message/text/json"]
        elif [finding.rule for finding in findings] == ["message/text/depth"]:
            with pytest.raises(TooDeep):
                parse(observed["json"])
        else:
            assert (findings == ()) == observed["accepts"][revision]


def test_recorded_bodies_are_valid_in_guard_and_emitted() -> None:
    for line in (DATA / "recorded-bodies-v1.42.0.ndjson").read_text().splitlines():
        body = json.loads(line)["body"]
        assert validate(body) == validate(body, layer="emitted") == ()


def test_recorded_bodies_are_valid_in_the_revision_of_their_release() -> None:
    entries = (DATA / "recorded-bodies-of-releases.ndjson").read_text(encoding="utf-8").splitlines()
    for entry in map(json.loads, entries):
        for layer in ("guard", "emitted"):
            assert validate(entry["body"], entry["release"], layer) == (), entry["flow"]


@pytest.mark.parametrize(
    ("message", "layer", "rule", "pointer", "expected", "actual"),
    [
        ([], "guard", "message/guard/object", "", "an object", "an array of 0"),
        ({}, "guard", "message/guard/to", "", 'a member "to"', "an object without it, its members: none"),
        (changed("/to", None), "guard", "message/guard/to", "/to", "a string", "null"),
        (changed("/type", "Nw"), "guard", "message/guard/type", "/type", '"SignIn"', '"Nw"'),
        (changed("/payload", []), "guard", "message/guard/payload", "/payload", "an object", "an array of 0"),
        (
            changed("/payload", '{"code": "042137"}'),
            "guard",
            "message/guard/payload",
            "/payload",
            "an object",
            r'"{\"xxxx\": \"######\"}" (masked)',
        ),
        (changed("/payload/code", None), "guard", "message/guard/code", "/payload/code", "a string", "null"),
        (
            changed("/payload/code", 123456),
            "guard",
            "message/guard/code",
            "/payload/code",
            "a string",
            "a number (masked)",
        ),
        (
            changed("/payload/uiLocales", 1),
            "guard",
            "message/guard/ui-locales",
            "/payload/uiLocales",
            "a string",
            "1",
        ),
        (
            changed("/ip", {"a": 1}),
            "guard",
            "message/guard/ip",
            "/ip",
            "a string",
            'an object with the members "a"',
        ),
        (
            changed("/payload", {"code": "12a456", "locale": "en"}),
            "emitted",
            "message/emitted/code",
            "/payload/code",
            "text that matches ^[0-9]{6}$",
            '"##x###" (masked)',
        ),
        (
            changed("/payload", {"code": "1234567", "locale": "en"}),
            "emitted",
            "message/emitted/code",
            "/payload/code",
            "at most 6 characters",
            '7 characters: "#######" (masked)',
        ),
        (
            changed("/payload", {"code": "123456", "locale": "en", "x": 1}),
            "emitted",
            "message/emitted/values",
            "/payload",
            'no members but "code", "locale", "uiLocales", "application", "organization"',
            'also "x"',
        ),
        (
            changed("/payload", {"code": "123456"}),
            "documented",
            "message/documented/application",
            "/payload",
            'a member "application"',
            'an object without it, its members: "code"',
        ),
    ],
)
def test_a_finding_names_rule_pointer_expected_and_actual_value(
    message: Any, layer: str, rule: str, pointer: str, expected: str, actual: str
) -> None:
    finding = validate(message, layer=layer)[0]
    assert (finding.rule, finding.layer, finding.pointer) == (rule, layer, pointer)
    assert expected in finding.expected
    assert finding.actual == actual
    assert finding.requirement == rules()[rule].requirement
    assert finding.level == rules()[rule].level
    assert finding.consequence == rules()[rule].consequence


def test_each_mistake_has_its_own_finding() -> None:
    found = {
        (finding.rule, finding.pointer) for finding in validate({"to": 1, "payload": {"code": 1, "link": 1}})
    }
    assert found == {
        ("message/guard/type", ""),
        ("message/guard/to", "/to"),
        ("message/guard/code", "/payload/code"),
        ("message/guard/link", "/payload/link"),
    }
    assert len(validate({})) == 3


def test_a_pointer_is_escaped() -> None:
    message = changed("/payload", {"a/b~c": 1})
    assert [finding.pointer for finding in validate(message, "1.22")] == ["/payload/a~1b~0c"]


def test_the_last_of_duplicate_keys_is_judged() -> None:
    good, bad = '"code":"1"', '"code":1'
    text = '{"to":"a","type":"SignIn","payload":{%s,%s}}'
    assert validate(text % (bad, good)) == ()
    assert [finding.rule for finding in validate(text % (good, bad))] == ["message/guard/code"]


@pytest.mark.parametrize(
    ("text", "rule", "actual"),
    [
        ('{"to":"a"', "message/text/json", "line 1, column 10"),
        ('{"to":"a",\n"x":NaN}', "message/text/json", "NaN is no JSON value at line 2, column 5"),
        ("\ufeff{}", "message/text/json", "byte order mark"),
        (b"\xff\xfe{\0}\0", "message/text/utf-8", "UTF-16"),
        (b'{"to":"\xe9"}', "message/text/utf-8", "byte 0xe9 at offset 7"),
        ("[" * 501 + "]" * 501, "message/text/depth", "500 levels"),
        ("[" * 501, "message/text/json", "expecting value at line 1, column 502"),
    ],
)
def test_text_that_cannot_be_read_is_reported_as_a_finding(text: str | bytes, rule: str, actual: str) -> None:
    (finding,) = validate(text)
    assert (finding.rule, finding.layer, finding.pointer) == (rule, None, "")
    assert actual in finding.actual


def test_long_integers_and_lone_surrogates_are_judged() -> None:
    digits = "1" * 5000
    assert validate(f'{{"to":"a","type":"SignIn","payload":{{"n":{digits}}}}}') == ()
    assert validate('{"to":"a","type":"SignIn","payload":{"\\ud800":"\\udc00"}}') == ()
    assert validate(f'{{"to":{digits},"type":"SignIn","payload":{{}}}}')[0].pointer == "/to"
    for number in (10**5000, -(10**5000)):
        value = {"to": number, "type": "SignIn", "payload": {"x": [{"y": number}]}}
        assert [finding.pointer for finding in validate(value)] == ["/to"]


@pytest.mark.parametrize("innermost", ["[]", "{}", "[0]"])
@pytest.mark.parametrize(
    ("levels", "failed_rules"), [(MAX_DEPTH, []), (MAX_DEPTH + 1, ["message/text/depth"])]
)
def test_depth_is_the_same_for_text_and_value(levels: int, failed_rules: list[str], innermost: str) -> None:
    # The message, its payload and the innermost container are levels too.
    nested = "[" * (levels - 3) + innermost + "]" * (levels - 3)
    text = f'{{"to":"a","type":"SignIn","payload":{{"x":{nested}}}}}'
    with_more_room = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        value = json.loads(text)
    finally:
        sys.setrecursionlimit(with_more_room)
    assert [finding.rule for finding in validate(text)] == failed_rules
    assert [finding.rule for finding in validate(value)] == failed_rules


def test_odd_characters_in_a_pointer_are_printed_escaped() -> None:
    (finding,) = validate('{"to":"a","type":"SignIn","payload":{"\\ud800\\u001b[31m":1}}', "1.22")
    assert finding.pointer == "/payload/\ud800\x1b[31m"
    assert "/payload/\\ud800\\u001b[31m" in str(finding)
    assert str(finding).encode()


def test_values_that_json_lacks_raise() -> None:
    with pytest.raises(TypeError, match=r"at /payload/when is a datetime"):
        validate(changed("/payload/when", datetime.datetime.now(datetime.UTC)))
    with pytest.raises(TypeError, match=r"at /payload/x is a tuple"):
        validate(changed("/payload/x", ()))
    with pytest.raises(TypeError, match=r"object at /payload has a key that is not a str"):
        validate(changed("/payload", {1: "a"}))
    with pytest.raises(TypeError, match=r"At /payload/n is NaN"):
        validate(changed("/payload/n", float("nan")))
    endless: list[Any] = []
    endless.append(endless)
    assert [finding.rule for finding in validate(changed("/payload/x", endless))] == ["message/text/depth"]


def test_check_returns_the_message_or_raises() -> None:
    assert check(json.dumps(VALID)).code == "012345"
    assert check(bytearray(json.dumps(VALID).encode())).to == "foo@example.com"
    assert check(VALID, "v1.30.1").type == "SignIn"
    with pytest.raises(ContractViolation) as caught:
        check(changed("/payload/code", None), "v1.42.0")
    text = str(caught.value)
    assert [finding.rule for finding in caught.value.findings] == ["message/guard/code"]
    for part in (
        "revision 1.35",
        "layer guard",
        "message/guard/code  MUST",
        "/payload/code",
        "a string",
        "null",
    ):
        assert part in text
    assert rules()["message/guard/code"].consequence in text


def test_unknown_revisions_and_layers_raise() -> None:
    with pytest.raises(UnknownRevision):
        validate(VALID, "1.21")
    refused = r'invalid revision 1\.35: expected text such as "1\.35", not float'
    with pytest.raises(UnknownRevision, match=refused):
        validate(VALID, 1.35)  # type: ignore[arg-type]
    with pytest.raises(UnknownLayer):
        validate(VALID, "1.32", "documented")


def test_codes_and_links_are_masked() -> None:
    message = {
        "to": "a",
        "type": "SignIn",
        "payload": {"code": "987654x", "link": ["https://secret.test/abc"]},
    }
    text = "\n".join(map(str, (*validate(message, layer="emitted"), *validate(message))))
    assert "987654" not in text
    assert "secret.test" not in text
    assert '"######x" (masked)' in text


@UNHURRIED
@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_a_value_is_printed_as_one_short_line(value: Any) -> None:
    shown = masking.format_value(value)
    assert len(shown) <= 140
    assert shown.isprintable()


# The two engines judge Logto's own documents and variations of them.

NAMES = [
    "to",
    "type",
    "payload",
    "ip",
    "code",
    "link",
    "locale",
    "uiLocales",
    "user",
    "application",
    "__proto__",
]
NEAR_VALUES = [
    "SignIn",
    "BindMfa",
    "Generic",
    "OrganizationInvitation",
    "Test",
    "123456",
    "a@b.co",
    "",
    "\ud800",
    "\n",
]
VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1.5, float("inf"), 10**30, *NEAR_VALUES])
    | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(st.characters(), max_size=3), inner, max_size=6)
    ),
    max_leaves=12,
)
VECTORS = [
    parse(test["text"]) if "text" in test else test["data"]
    for revision, layer in LAYERS
    for group in load(f"vectors/{revision}/{layer}.json")
    for test in group["tests"]
    if not (test.get("keyword") == "syntax" or len(test.get("text", "")) > 2 * MAX_DEPTH)
]


@st.composite
def near_messages(draw: st.DrawFn) -> Any:
    """A vector of any layer with one place replaced by something else."""
    value = json.loads(json.dumps(draw(st.sampled_from(VECTORS))))
    objects = [value] if isinstance(value, dict) else []
    if isinstance(value, dict):
        objects += [member for member in value.values() if isinstance(member, dict)]
        objects += [
            member
            for outer in list(value.values())
            if isinstance(outer, dict)
            for member in outer.values()
            if isinstance(member, dict)
        ]
    if objects:
        target = draw(st.sampled_from(objects))
        target[draw(st.sampled_from([*target, *NAMES]))] = draw(VALUES)
    return value


@pytest.mark.parametrize(("revision", "layer"), LAYERS)
def test_the_two_engines_agree(revision: str, layer: str) -> None:
    whether = jsonschema_rs.validator_for(dict(schema(revision, layer)))
    what = Draft202012Validator(schema(revision, layer))
    verdicts = set()

    def compare(value: Any) -> None:
        expected = what.is_valid(value)
        verdicts.add(expected)
        try:
            assert whether.is_valid(value) == expected
        except ValueError:
            # jsonschema judges what the compiled engine cannot read.
            assert b"\\ud" in stringify(value)
        assert (module.validator(revision, layer).findings(value) == ()) == expected

    for vector in VECTORS:
        compare(vector)
    UNHURRIED(given(near_messages() | VALUES)(compare))()
    assert verdicts == {True, False}


class UnprintableText(str):
    """A text that nobody may put into a message whole."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise AssertionError("a value was printed whole")


class UnprintableList(list[Any]):
    """An array that nobody may put into a message whole."""

    __repr__ = UnprintableText.__repr__


class UnprintableDict(dict[str, Any]):
    """An object that nobody may put into a message whole."""

    __repr__ = UnprintableText.__repr__


def make_unprintable(value: Any) -> Any:
    """Return a copy of a value of which no part can be put into a message."""
    if isinstance(value, dict):
        return UnprintableDict({name: make_unprintable(member) for name, member in value.items()})
    if isinstance(value, list):
        return UnprintableList(map(make_unprintable, value))
    return UnprintableText(value) if isinstance(value, str) else value


@pytest.mark.parametrize(("revision", "layer"), LAYERS)
def test_no_value_is_put_into_a_message_whole(revision: str, layer: str) -> None:
    judging = module.validator(revision, layer)
    refused = [(vector, found) for vector in VECTORS if (found := judging.findings(vector))]
    assert refused
    for vector, found in refused:
        assert judging.findings(make_unprintable(vector)) == found
