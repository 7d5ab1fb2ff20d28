"""What is drawn is valid, or broken in the one way that is named, and everything that is named is drawn."""

from __future__ import annotations

import io
import json
import re
import string
import subprocess
import sys
from collections import Counter
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from logto_mail_contract import catalogue
from logto_mail_contract.connector.encoding import encode_body
from logto_mail_contract.judging.javascript_json import parse, walk
from logto_mail_contract.judging.message import TemplateType
from logto_mail_contract.judging.requests import judge_request
from logto_mail_contract.judging.validation import validate
from logto_mail_contract.strategies import _messages as message_strategies
from logto_mail_contract.strategies import _mutations as mutation_strategies
from logto_mail_contract.strategies import (
    break_request,
    http_requests,
    messages,
    mutate,
    mutation_names,
    mutations,
    request_names,
)
from logto_mail_contract.wire.requests import read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

LAYERS = [
    (revision, layer)
    for revision in catalogue.revisions()
    for layer in catalogue.LAYERS
    if layer != "documented" or revision == catalogue.current_revision()
]
EVERY_LAYER = pytest.mark.parametrize(("revision", "layer"), LAYERS, ids=["-".join(pair) for pair in LAYERS])

RESERVED = re.compile(r"@(?:.+\.)?(?:example\.(?:com|org|net)|test|example|invalid)", re.IGNORECASE)
# What zod 3 takes for an address, which Logto asks of those whom it invites.
ZOD_EMAIL = re.compile(
    r"(?!\.)(?!.*\.\.)([A-Z0-9_'+\-\.]*)[A-Z0-9_+-]@([A-Z0-9][A-Z0-9\-]*\.)+[A-Z]{2,}",
    re.IGNORECASE | re.ASCII,
)


def drawn(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """Return so many examples, the same ones each time."""
    examples: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: object) -> None:
        examples.append(example)

    collect()
    return examples


def shortest(strategy: SearchStrategy[Any], shows: Callable[[Any], bool], seed: int = 0) -> Any:
    options = settings(
        database=None, max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return find(strategy, shows, settings=options, random=Random(seed))


@cache
def sample(revision: str, layer: str) -> tuple[dict[str, Any], ...]:
    """Return messages that are drawn once for several tests, none of which changes them."""
    return tuple(drawn(messages(revision, layer), 300))


def offences(revision: str, layer: str, examples: Iterable[dict[str, Any]]) -> list[str]:
    """Return what is wrong with messages, as they are and as they stand on the wire."""
    found = []
    for message in examples:
        for value in (message, encode_body(message)):
            found += [f"{finding.rule} at {finding.pointer}" for finding in validate(value, revision, layer)]
    return found


@EVERY_LAYER
def test_every_message_is_valid_in_its_layer(revision: str, layer: str) -> None:
    assert offences(revision, layer, sample(revision, layer)) == []


@pytest.mark.parametrize(
    ("pool", "wrong", "layer", "told"),
    [
        ("_CODES", 10**8, "emitted", "message/emitted/code at /payload/code"),
        ("_LOCALE", st.just(""), "emitted", "message/emitted/locale at /payload/locale"),
        ("_PHONE", st.just("+15550001"), "emitted", "message/emitted/user at /payload/user/primaryPhone"),
        ("_USERNAME", st.just("foo-bar"), "emitted", "message/emitted/user at /payload/user/username"),
        ("_URL", st.just(0), "emitted", "message/emitted/user at /payload/user/avatar"),
        (
            "_APPLICATION_ID",
            st.just("x" * 22),
            "emitted",
            "message/emitted/application at /payload/application/id",
        ),
        ("_LINK", st.just(0), "guard", "message/guard/link at /payload/link"),
        ("_ANY_RECIPIENT", st.none(), "guard", "message/guard/to at /to"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("_") else "",
)
def test_one_wrong_value_in_a_pool_is_seen(
    monkeypatch: pytest.MonkeyPatch, pool: str, wrong: Any, layer: str, told: str
) -> None:
    monkeypatch.setattr(message_strategies, pool, wrong)
    assert told in offences("1.35", layer, drawn(messages("1.35", layer), 300))


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_what_logto_emits_arrives_as_it_was_drawn(revision: str) -> None:
    for message in sample(revision, "emitted"):
        assert parse(encode_body(message)) == message


def test_surrogates_that_meet_are_one_character() -> None:
    assert message_strategies._as_parsed("a\ud83d\ude00") == "a😀"
    assert message_strategies._as_parsed("\ude00\ud83d") == "\ude00\ud83d"
    for text in drawn(wild_texts(), 500):
        assert json.loads(json.dumps(text)) == text


@st.composite
def wild_texts(draw: st.DrawFn) -> str:
    return message_strategies._WILD.draw(draw)


@EVERY_LAYER
def test_recipients_are_in_reserved_domains(revision: str, layer: str) -> None:
    for message in sample(revision, layer):
        for address in (
            re.findall(r"[^\s<>,]@[^\s<>,]+\.[^\s<>,]+", message["to"]) if layer == "emitted" else ()
        ):
            assert RESERVED.fullmatch(address[address.rindex("@") :]), message["to"]


def test_those_who_are_invited_have_addresses_that_zod_takes() -> None:
    invited = drawn(messages(layer="emitted", types=["OrganizationInvitation"]), 300)
    assert [message["to"] for message in invited if not ZOD_EMAIL.fullmatch(message["to"])] == []
    assert len({message["to"] for message in invited}) > 10


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_one_flow_is_not_mixed_with_another(revision: str) -> None:
    for message in sample(revision, "emitted"):
        payload = message["payload"]
        if message["type"] == "OrganizationInvitation":
            continue
        # The account's flows know no organization and send no ip, those of a visitor know no user.
        assert "user" not in payload or not ({"organization"} & payload.keys() or "ip" in message)
        assert "uiLocales" not in payload or payload.get("locale")
        assert len(message["to"]) <= 128 or (message["type"], payload["code"]) == ("Generic", "000000")


# What is drawn


def payload_of(message: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = message["payload"]
    return payload


def member(message: dict[str, Any], *path: str) -> Any:
    value: Any = message
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def texts(value: Any) -> str:
    return "\t\t".join(part for _, part in walk(value) if isinstance(part, str))


def names(message: dict[str, Any]) -> str:
    found = [
        member(message, "payload", variable, key)
        for variable in ("application", "organization", "user", "inviter")
        for key in ("name", "displayName")
    ]
    return "\t\t".join(name for name in found if isinstance(name, str))


def is_invitation(message: dict[str, Any]) -> bool:
    return bool(message["type"] == "OrganizationInvitation")


def lone(text: str) -> bool:
    return re.search("[\ud800-\udfff]", text) is not None


def wrong_context(message: dict[str, Any], key: str) -> bool:
    return key in payload_of(message) and not isinstance(payload_of(message)[key], dict)


COMMON: dict[str, Callable[[dict[str, Any]], bool]] = {
    "no application": lambda message: "application" not in payload_of(message),
    "no organization": lambda message: "organization" not in payload_of(message),
    "no user": lambda message: message["type"] == "BindNewIdentifier" and "user" not in payload_of(message),
    "application without branding": lambda message: (
        isinstance(member(message, "payload", "application"), dict)
        and "branding" not in payload_of(message)["application"]
    ),
    "empty branding": lambda message: (
        member(message, "payload", "application", "branding") == {}
        or member(message, "payload", "organization", "branding") == {}
    ),
    "branding that runs a script": lambda message: (
        "javascript:" in texts(member(message, "payload", "organization", "branding"))
    ),
    "a name with markup": lambda message: "<" in names(message),
    "a name with a script": lambda message: "<script>" in names(message),
    "a name with a quotation mark": lambda message: '"' in names(message),
    "a name with an apostrophe": lambda message: "'" in names(message),
    "a name with an ampersand": lambda message: "&" in names(message),
    "a name with a line break": lambda message: re.search(r"[\r\n]", names(message)) is not None,
    "a name with a header": lambda message: "\r\nBcc:" in names(message),
    "a name with a bidirectional control": lambda message: (
        re.search("[\u202e\u2066\u200f]", names(message)) is not None
    ),
    "a name beyond the basic plane": lambda message: max(names(message), default="") > "\uffff",
    "a name of 128 characters": lambda message: any(
        len(name) == 128 for name in names(message).split("\t\t")
    ),
    "a name of 256 characters": lambda message: any(
        len(name) >= 256 for name in names(message).split("\t\t")
    ),
    "a user with a name": lambda message: isinstance(member(message, "payload", "user", "name"), str),
    "a user with a profile": lambda message: bool(member(message, "payload", "user", "profile")),
    "a user with an address": lambda message: (
        "address" in (member(message, "payload", "user", "profile") or ())
    ),
    "a code with a leading zero": lambda message: str(payload_of(message).get("code", "")).startswith("0"),
    "the code 000000": lambda message: payload_of(message).get("code") == "000000",
    "a code without a leading zero": lambda message: (
        re.match("[1-9]", payload_of(message).get("code", "")) is not None
    ),
    "no ip": lambda message: "ip" not in message,
    "a mapped ip": lambda message: str(message.get("ip")).startswith("::ffff:"),
    "an ip that is markup": lambda message: "<script>" in str(message.get("ip")),
    "an ip that is any text": lambda message: (
        re.search("[\u00a1-\u00ff]", str(message.get("ip"))) is not None
    ),
    "an address with markup": lambda message: '"><svg/onload=1>@' in message["to"],
    "an address with a comma": lambda message: "," in message["to"],
    "an address with quotes": lambda message: '"' in message["to"] or "'" in message["to"],
    "an address with a plus": lambda message: "+" in message["to"],
    "an address in upper case": lambda message: (
        message["to"].upper() == message["to"] != message["to"].lower() or "EXAMPLE" in message["to"]
    ),
    "an address that is not ASCII": lambda message: not message["to"].isascii(),
    "a long address": lambda message: len(message["to"]) >= 128,
    "uiLocales with markup": lambda message: "<" in str(payload_of(message).get("uiLocales")),
    "another locale": lambda message: payload_of(message).get("locale", "en") != "en",
    "an invitation with a link": lambda message: is_invitation(message) and "link" in payload_of(message),
}
INVITED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "no link": lambda message: "link" not in payload_of(message),
    "nothing at all": lambda message: payload_of(message) == {},
    "an empty link": lambda message: payload_of(message).get("link") == "",
    "an organization that is no object": lambda message: wrong_context(message, "organization"),
    "an inviter that is no object": lambda message: wrong_context(message, "inviter"),
    "an inviter whose fields are null": lambda message: (
        member(message, "payload", "inviter", "id") is not None
        and member(message, "payload", "inviter", "name") is None
    ),
    "a null": lambda message: None in payload_of(message).values(),
    "something nested": lambda message: any(
        isinstance(part, (dict, list)) and pointer.count("/") > 3
        for pointer, part in walk(payload_of(message))
    ),
    "an own to": lambda message: "to" in payload_of(message),
    "an own type": lambda message: "type" in payload_of(message),
    "an own ip": lambda message: "ip" in payload_of(message),
    "an own constructor": lambda message: "constructor" in payload_of(message),
    "an empty key": lambda message: "" in payload_of(message),
    "a lone surrogate": lambda message: lone(texts(payload_of(message))),
    "a lone surrogate in a key": lambda message: any(lone(key) for key in payload_of(message)),
    "a NUL": lambda message: "\0" in texts(payload_of(message)),
    "an odd link": lambda message: (
        re.match("javascript:|foo:|//", payload_of(message).get("link", "")) is not None
    ),
    "a code of its own": lambda message: "code" in payload_of(message),
    "a code that is no code": lambda message: (
        not re.fullmatch("[0-9]{6}", payload_of(message).get("code", "000000"))
    ),
}
# In other layers the guard's members need not have these forms, and the emitted layer has none of them.
GUARD: dict[str, Callable[[dict[str, Any]], bool]] = {
    "an empty payload": lambda message: payload_of(message) == {},
    "no code": lambda message: "code" not in payload_of(message),
    "an empty recipient": lambda message: message["to"] == "",
    "a recipient with a line break": lambda message: "\n" in message["to"],
    "a recipient with a NUL": lambda message: "\0" in message["to"],
    "a recipient with a lone surrogate": lambda message: lone(message["to"]),
    "a recipient that is no address": lambda message: "@" not in message["to"],
    "an unknown member": lambda message: bool(message.keys() - {"to", "type", "payload", "ip"}),
    "a member __proto__": lambda message: "__proto__" in message,
    "a variable __proto__": lambda message: "__proto__" in payload_of(message),
    "an unknown variable": lambda message: "foo" in payload_of(message),
    "a user that is null": lambda message: payload_of(message).get("user", 0) is None,
    "an application that is no object": lambda message: wrong_context(message, "application"),
    "an odd link": lambda message: (
        re.match("javascript:|foo:|//", payload_of(message).get("link", "")) is not None
    ),
    "an empty code": lambda message: payload_of(message).get("code") == "",
    "an empty ip": lambda message: message.get("ip") == "",
    "a name with a NUL": lambda message: "\0" in names(message),
    "a name with a lone surrogate": lambda message: lone(names(message)),
    "a number beyond all doubles": lambda message: any(
        isinstance(part, int) and abs(part) > 10**300 for _, part in walk(payload_of(message))
    ),
    "a value nested deep": lambda message: any(pointer.count("/0") > 50 for pointer, _ in walk(message)),
}
FEATURES: list[tuple[str, str, tuple[str, ...] | None, dict[str, Callable[[dict[str, Any]], bool]]]] = [
    ("1.35", "emitted", None, COMMON),
    ("1.35", "emitted", ("OrganizationInvitation",), INVITED),
    ("1.25", "emitted", ("OrganizationInvitation",), INVITED),
    ("1.35", "guard", None, {**COMMON, **GUARD}),
    (
        "1.35",
        "documented",
        None,
        {
            "an organization without branding": lambda message: (
                member(message, "payload", "organization", "name") is not None
                and member(message, "payload", "organization", "branding") is None
            ),
            "a user with an id alone": lambda message: member(message, "payload", "user") == {"id": "foo"},
            "a code that is no code": GUARD["an empty code"],
            "an unknown member": GUARD["an unknown member"],
            "an unknown variable": GUARD["an unknown variable"],
            "a recipient with a line break": GUARD["a recipient with a line break"],
        },
    ),
    (
        "1.22",
        "guard",
        None,
        {
            "the type Test": lambda message: message["type"] == "Test",
            "a text as application": lambda message: wrong_context(message, "application"),
            "an ip that is no text": lambda message: not isinstance(message.get("ip", ""), str),
        },
    ),
    (
        "1.25",
        "guard",
        None,
        {
            "uiLocales that are no text": lambda message: (
                not isinstance(payload_of(message).get("uiLocales", ""), str)
            )
        },
    ),
]


@pytest.mark.parametrize(
    ("revision", "layer", "types", "features"),
    FEATURES,
    ids=[f"{revision}-{layer}{'-invited' if types else ''}" for revision, layer, types, _ in FEATURES],
)
def test_every_named_feature_is_drawn(
    revision: str,
    layer: str,
    types: Iterable[str] | None,
    features: dict[str, Callable[[dict[str, Any]], bool]],
) -> None:
    count = 2000 if len(features) > len(COMMON) else 1000 if len(features) > 10 else 500
    examples = drawn(messages(revision, layer, types), count)
    counts = {name: sum(map(shows, examples)) for name, shows in features.items()}
    # One in a thousand at least: whoever runs a hundred examples again and again meets it.
    assert {name: number for name, number in counts.items() if number * 1000 < count} == {}


@EVERY_LAYER
def test_every_template_type_is_drawn(revision: str, layer: str) -> None:
    kinds = catalogue.schema(revision, layer)["properties"]["type"]["enum"]
    counts = Counter(message["type"] for message in sample(revision, layer))
    assert set(counts) == set(kinds)
    assert min(counts.values()) > 300 / len(kinds) / 4


@pytest.mark.parametrize("layer", ["guard", "emitted"])
def test_codes_begin_with_any_digit(layer: str) -> None:
    codes = [
        message["payload"].get("code", "") for message in drawn(messages(layer=layer, types=["SignIn"]), 600)
    ]
    first = Counter(code[0] for code in codes if re.fullmatch("[0-9]{6}", code))
    assert set(first) == set(string.digits)
    assert 0.15 < first["0"] / first.total() < 0.5


def test_every_code_can_be_drawn() -> None:
    assert {message_strategies._code_of(number) for number in range(1_250_000)} == {
        f"{n:06d}" for n in range(1_000_000)
    }


def test_messages_differ() -> None:
    written = {json.dumps(message) for message in sample("1.35", "emitted")}
    assert len(written) > 270


@pytest.mark.parametrize("strategy", [messages(), messages(layer="emitted"), mutations(), http_requests()])
def test_the_same_seed_draws_the_same(strategy: SearchStrategy[Any]) -> None:
    assert drawn(strategy, 100) == drawn(strategy, 100)


@pytest.mark.parametrize("layer", catalogue.LAYERS)
def test_what_a_test_does_to_a_message_shows_in_no_other(layer: str) -> None:
    before = [json.dumps(message) for message in drawn(messages(layer=layer), 200)]
    after = []
    for message in drawn(messages(layer=layer), 200):
        after.append(json.dumps(message))
        for _, part in walk(message):
            if isinstance(part, (dict, list)):
                part.clear()
    assert after == before
    assert [json.dumps(message) for message in drawn(messages(layer=layer), 200)] == before


def test_types_and_releases_are_taken() -> None:
    two = messages("v1.42.0", "emitted", [TemplateType.BIND_MFA, "Generic"])
    assert two is messages("1.35", "emitted", ["Generic", "BindMfa"])
    assert {message["type"] for message in drawn(two, 50)} == {"BindMfa", "Generic"}
    assert all(type(message["type"]) is str for message in drawn(two, 50))
    assert messages() is messages("1.35", "guard")


@pytest.mark.parametrize("make", [messages, mutations, http_requests, mutation_names])
def test_wrong_use_is_told(make: Callable[..., object]) -> None:
    with pytest.raises(catalogue.UnknownRevision):
        make("9.9")
    with pytest.raises(catalogue.UnknownLayer):
        make("1.22", "documented")
    with pytest.raises(
        ValueError, match=r"Revision 1\.25, layer guard, has no template type 'BindMfa'\. Its types"
    ):
        make("1.25", types=["SignIn", "BindMfa"])
    with pytest.raises(ValueError, match="no template type 'Test'"):
        make("1.22", "emitted", ["Test"])
    with pytest.raises(ValueError, match="types is empty"):
        make(types=())
    with pytest.raises(TypeError, match=r"for one of them, \['SignIn'\]"):
        make(types=TemplateType.SIGN_IN)


# Shrinking

CODE = {"code": "000000"}
FLOW = {"code": "000000", "locale": "en"}
FOO = {"id": "foo", "name": "Foo"}
ORGANIZATION = {"id": "foo", "name": "Foo", "branding": {}}
NOBODY: dict[str, Any] = {
    "id": "foo",
    "avatar": None,
    "name": None,
    "primaryEmail": None,
    "primaryPhone": None,
    "username": None,
    "profile": {},
}
LINK = "https://example.com"


def minimal_payload(revision: str, layer: str, kind: str) -> dict[str, Any]:
    account = kind in ("UserPermissionValidation", "BindNewIdentifier", "BindMfa")
    if layer == "guard":
        return {}
    if layer == "documented":
        if kind == "OrganizationInvitation":
            return {"organization": FOO, "link": LINK}
        if kind == "Generic":
            return CODE
        return {**CODE, "user": {"id": "foo"}} if account else {**CODE, "application": FOO}
    if kind == "OrganizationInvitation":
        return {}
    return CODE if revision == "1.22" or kind == "Generic" else FLOW


def of_type(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: bool(message["type"] == kind)


@EVERY_LAYER
def test_messages_shrink_to_the_shortest_of_their_type(revision: str, layer: str) -> None:
    kinds = catalogue.schema(revision, layer)["properties"]["type"]["enum"]
    for kind in kinds:
        expected = {"to": "foo@example.com", "type": kind, "payload": minimal_payload(revision, layer, kind)}
        found = shortest(messages(revision, layer), of_type(kind))
        assert found == expected
        # A mutation without a message is made in that one.
        if kind == kinds[0]:
            assert json.loads(mutate("text-cut-off", None, revision, layer).text + "}") == expected


FOUND: list[tuple[str, str, Callable[[dict[str, Any]], bool], dict[str, Any]]] = [
    (
        "emitted",
        "an application",
        lambda message: "application" in payload_of(message),
        {**FLOW, "application": FOO},
    ),
    (
        "emitted",
        "a branded application",
        lambda message: member(message, "payload", "application", "branding") is not None,
        {**FLOW, "application": {**FOO, "branding": {}}},
    ),
    (
        "emitted",
        "an application named in markup",
        lambda message: "<" in str(member(message, "payload", "application", "name")),
        {**FLOW, "application": {"id": "foo", "name": "<b>"}},
    ),
    (
        "emitted",
        "an organization and no application",
        lambda message: (
            isinstance(payload_of(message).get("organization"), dict)
            and "application" not in payload_of(message)
            and not is_invitation(message)
        ),
        {**FLOW, "organization": ORGANIZATION},
    ),
    (
        "emitted",
        "a user without a name",
        lambda message: (
            "user" in payload_of(message)
            and not is_invitation(message)
            and member(message, "payload", "user", "name") is None
        ),
        {**FLOW, "user": NOBODY},
    ),
    (
        "emitted",
        "a user with a name",
        lambda message: isinstance(member(message, "payload", "user", "name"), str),
        {**FLOW, "user": {**NOBODY, "name": "Foo"}},
    ),
    (
        "emitted",
        "uiLocales",
        lambda message: "uiLocales" in payload_of(message),
        {**FLOW, "uiLocales": "pt-BR"},
    ),
    (
        "emitted",
        "an own organization",
        lambda message: isinstance(payload_of(message).get("organization"), str),
        {"organization": "mine"},
    ),
    ("guard", "a code", lambda message: str(payload_of(message).get("code")).isdigit(), CODE),
    (
        "guard",
        "an application",
        lambda message: isinstance(payload_of(message).get("application"), dict),
        {"application": FOO},
    ),
    ("guard", "a null user", lambda message: payload_of(message).get("user", 0) is None, {"user": None}),
]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("layer", "shows", "payload"),
    [(layer, shows, payload) for layer, _, shows, payload in FOUND],
    ids=[f"{layer}: {name}" for layer, name, _, _ in FOUND],
)
def test_what_a_mistake_needs_is_all_that_is_left(
    layer: str, shows: Callable[[dict[str, Any]], bool], payload: dict[str, Any], seed: int
) -> None:
    found = shortest(messages(layer=layer), shows, seed)
    assert found["to"] == "foo@example.com"
    # Shrinking stops where no single step helps; a step or two short of the best is near enough to read.
    assert len(json.dumps(found["payload"])) <= 1.25 * len(json.dumps(payload)) + 8
    if seed == 0:
        assert found["payload"] == payload


def test_what_stands_outside_the_payload_shrinks_too() -> None:
    with_ip = shortest(messages(layer="emitted"), lambda message: "ip" in message)
    assert with_ip == {"to": "foo@example.com", "type": "SignIn", "payload": FLOW, "ip": "::1"}
    odd = shortest(messages(layer="emitted"), lambda message: "<" in message["to"])
    assert odd == {"to": '"><svg/onload=1>@example.com', "type": "SignIn", "payload": FLOW}
    unknown = shortest(messages(), lambda message: len(message) == 4 and "ip" not in message)
    assert unknown == {"to": "foo@example.com", "type": "SignIn", "payload": {}, "foo": None}


# Mutations


@EVERY_LAYER
def test_every_mutation_breaks_its_rule_alone(revision: str, layer: str) -> None:
    found, expected = {}, {}
    for name in mutation_names(revision, layer):
        mutation = mutate(name, None, revision, layer)
        found[name] = [
            (finding.rule, finding.pointer) for finding in validate(mutation.text, revision, layer)
        ]
        expected[name] = [(mutation.rule, mutation.pointer)]
        assert mutation.name == name
        if mutation.message is not None:
            assert parse(mutation.text) == mutation.message
    assert found == expected
    assert len(found) > 60


@EVERY_LAYER
def test_mutations_of_any_message_break_their_rule_alone(revision: str, layer: str) -> None:
    for mutation in drawn(mutations(revision, layer), 100):
        findings = validate(mutation.text, revision, layer)
        assert [(finding.rule, finding.pointer) for finding in findings] == [
            (mutation.rule, mutation.pointer)
        ]


def test_a_mutation_that_changes_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation_strategies, "_WRONG", {**mutation_strategies._WRONG, "number": "foo"})
    mutation_strategies._changes.cache_clear()
    try:
        assert validate(mutate("to-number").text) == ()
    finally:
        mutation_strategies._changes.cache_clear()


@EVERY_LAYER
def test_every_rule_of_a_layer_is_broken_by_some_mutation(revision: str, layer: str) -> None:
    broken = {mutate(name, None, revision, layer).rule for name in mutation_names(revision, layer)}
    since = {rule.id for rule in catalogue.rules().values() if rule.id.startswith(f"message/{layer}/")}
    if layer == "guard":
        since -= {"message/guard/values"} if revision != "1.22" else set()
        since -= {"message/guard/ip"} if revision != "1.35" else set()
        since -= {"message/guard/ui-locales"} if revision in ("1.25", "1.31") else set()
    elif layer == "emitted" and revision == "1.22":
        since -= {
            f"message/emitted/{name}"
            for name in ("locale", "ui-locales", "application", "organization", "user")
        }
    if layer == "emitted" and revision != "1.35":
        since -= {"message/emitted/ip"}
    if layer == "emitted" and revision in ("1.25", "1.31"):
        since -= {"message/emitted/ui-locales"}
    if layer == "documented":
        # Its schema tolerates further members everywhere.
        since -= {"message/documented/values"}
    assert since - broken == set()


def test_mutations_are_drawn_with_all_their_names() -> None:
    some = ("to-missing", "code-null", "type-wrong-case", "payload-array")
    assert {mutation.name for mutation in drawn(mutations(names=some), 80)} == set(some)
    many = mutation_names()[:20]
    assert {mutation.name for mutation in drawn(mutations(names=many), 300)} == set(many)
    assert len({mutation.name for mutation in drawn(mutations(), 200)}) > len(mutation_names()) / 2


def test_a_mutation_leaves_its_message_alone() -> None:
    message = {
        "to": "foo@example.com",
        "type": "BindMfa",
        "payload": {**FLOW, "user": {**NOBODY, "name": "Bar"}},
    }
    before = json.dumps(message)
    mutation = mutate("user-name-missing", message, layer="emitted")
    assert json.dumps(message) == before
    assert mutation.message is not None
    assert "name" not in mutation.message["payload"]["user"]
    assert mutation.pointer == "/payload/user"


def test_mutations_shrink_to_the_shortest_message() -> None:
    mutation = shortest(mutations(), lambda mutation: mutation.name == "code-number")
    assert mutation.text == '{"to":"foo@example.com","type":"SignIn","payload":{"code":0}}'


def test_types_narrow_the_mutations() -> None:
    assert "user-name-missing" in mutation_names(layer="emitted")
    assert "user-name-missing" not in mutation_names(layer="emitted", types=["SignIn"])
    assert "user-name-missing" in mutation_names(layer="emitted", types=["SignIn", "BindMfa"])
    for mutation in drawn(mutations(layer="emitted", types=["Generic"], names=["code-missing"]), 20):
        assert mutation.message["type"] == "Generic"


def test_a_mutation_that_there_is_not_is_told() -> None:
    with pytest.raises(ValueError, match=r"Revision 1\.35, layer guard, has no mutation 'to-gone'"):
        mutate("to-gone")
    with pytest.raises(ValueError, match="'user-missing' is made with the template types User"):
        mutate("user-missing", {"to": "a@b.test", "type": "SignIn", "payload": {}}, layer="documented")
    with pytest.raises(ValueError, match="There is no mutation 'to-gone' here"):
        mutations(names=["to-gone"])
    with pytest.raises(ValueError, match="names is empty"):
        mutations(names=[])
    with pytest.raises(TypeError, match="for one of them"):
        mutations(names="to-missing")


# Broken requests

AUTHORIZATIONS = (None, "Bearer s3cret", "s3cret", "", "Bäsic ß3cret ", "123")


@pytest.mark.parametrize(
    ("authorization", "layer"),
    [*((value, "guard") for value in AUTHORIZATIONS), (None, "emitted"), (None, "documented")],
)
def test_every_broken_request_is_judged_as_it_says(authorization: str | None, layer: str) -> None:
    found, expected = {}, {}
    for name in request_names(authorization):
        broken = break_request(name, authorization=authorization, layer=layer)
        verdict = judge_request(broken.request, None, layer, authorization)
        found[name] = (verdict.status, [finding.rule for finding in verdict.findings])
        expected[name] = (broken.status, [broken.rule])
    assert found == expected
    assert len(found) >= 40


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
def test_the_bytes_of_a_broken_request_are_the_request(authorization: str | None) -> None:
    for name in request_names(authorization):
        broken = break_request(name, url="https://foo.test:8443/a?b=c", authorization=authorization)
        read = read_request(io.BytesIO(broken.raw), lambda: None)
        assert read is not None
        assert read[0] == broken.request
        assert broken.request.target == "/a?b=c"
        assert broken.request.values("host") == ["foo.test:8443"]
        assert len(broken.raw) < 2 * 1024 * 1024


def test_all_but_what_is_broken_is_right() -> None:
    message = {"to": "foo@example.com", "type": "SignIn", "payload": CODE}
    for name in request_names("k"):
        broken = break_request(name, message, authorization="k")
        request = broken.request
        if not name.startswith("method"):
            assert request.method == "POST"
        if not name.startswith("content-type"):
            assert request.values("content-type") == ["application/json"]
        if not name.startswith("authorization"):
            assert request.values("authorization") == ["k"]
        if not name.startswith(("body", "length", "chunk")):
            assert parse(request.body) == message
        assert broken.ends == (name == "length-long")


def test_broken_requests_are_drawn_around_any_message() -> None:
    examples = drawn(http_requests(layer="emitted", authorization="Bearer s3cret"), 250)
    assert len({broken.name for broken in examples}) > 0.9 * len(request_names("Bearer s3cret"))
    for broken in examples:
        verdict = judge_request(broken.request, None, "emitted", "Bearer s3cret")
        assert (verdict.status, [finding.rule for finding in verdict.findings]) == (
            broken.status,
            [broken.rule],
        )
    some = drawn(http_requests(names=["body-cut-off"], types=["Generic"]), 20)
    assert {broken.name for broken in some} == {"body-cut-off"}
    assert not any(broken.request.values("authorization") for broken in some)


def test_without_authorization_none_is_broken() -> None:
    assert not [name for name in request_names() if name.startswith("authorization")]
    assert len([name for name in request_names("Bearer s3cret") if name.startswith("authorization")]) == 10


@pytest.mark.parametrize("made", ["messages()", "mutations(layer='emitted')", "http_requests()"])
def test_what_takes_long_in_a_new_checkout_is_done_before_the_first_draw(tmp_path: Path, made: str) -> None:
    """Hypothesis keeps its table of characters in a folder; making it in a draw fails a test as too slow."""
    code = f"from logto_mail_contract.strategies import *; {made}"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert [file.name for file in (tmp_path / ".hypothesis" / "unicode_data").rglob("*.json.gz")] != []


def test_a_request_that_cannot_be_made_is_told() -> None:
    with pytest.raises(ValueError, match="There is no broken request 'teapot'"):
        break_request("teapot")
    with pytest.raises(ValueError, match="There is no broken request 'teapot'"):
        http_requests(names=["teapot"])
    with pytest.raises(ValueError, match="line break"):
        http_requests(authorization="a\r\nb: c")
    with pytest.raises(ValueError, match="http or https URL"):
        http_requests(url="localhost:80")
    with pytest.raises(ValueError, match="percent-encoded"):
        break_request("body-empty", url="http://localhost/ä")


def test_names_are_slugs() -> None:
    everything = {name for revision, layer in LAYERS for name in mutation_names(revision, layer)}
    everything.update(request_names("Bearer s3cret"))
    assert [
        name for name in everything if not set(name) <= set(string.ascii_lowercase + string.digits + "-")
    ] == []
