"""Drawn messages are valid in their layer, differ from each other, and are drawn as the caller chose."""

from __future__ import annotations

import json
import re
import string
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.drawing import EVERY_LAYER, draw_examples, draw_sample, find_shortest

from logto_mail_contract import catalogue
from logto_mail_contract.connector.encoding import encode_body
from logto_mail_contract.judging.javascript_json import parse, walk
from logto_mail_contract.judging.message import TemplateType
from logto_mail_contract.judging.validation import validate
from logto_mail_contract.strategies import http_requests, messages, mutation_names, mutations
from logto_mail_contract.strategies._texts import join_surrogates
from logto_mail_contract.strategies._values import format_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy


RESERVED = re.compile(r"@(?:.+\.)?(?:example\.(?:com|org|net)|test|example|invalid)", re.IGNORECASE)


# What zod 3 accepts as an address: Logto checks the addresses of invitations with it.
ZOD_EMAIL = re.compile(
    r"(?!\.)(?!.*\.\.)([A-Z0-9_'+\-\.]*)[A-Z0-9_+-]@([A-Z0-9][A-Z0-9\-]*\.)+[A-Z]{2,}",
    re.IGNORECASE | re.ASCII,
)


def find_faults(revision: str, layer: str, examples: Iterable[dict[str, Any]]) -> list[str]:
    """Return the findings about messages, as they are and as they are sent."""
    found = []
    for message in examples:
        for value in (message, encode_body(message)):
            found += [f"{finding.rule} at {finding.pointer}" for finding in validate(value, revision, layer)]
    return found


@EVERY_LAYER
def test_every_message_is_valid_in_its_layer(revision: str, layer: str) -> None:
    assert find_faults(revision, layer, draw_sample(revision, layer)) == []


def replace_member(message: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Replace the member at a JSON pointer, if the message has it and it is not null."""
    *parents, last = path.split("/")[1:]
    place: Any = message
    for key in parents:
        place = place.get(key) if isinstance(place, dict) else None
    if isinstance(place, dict) and place.get(last) is not None:
        place[last] = value
    return message


@pytest.mark.parametrize(
    ("path", "wrong", "layer", "rule"),
    [
        ("/payload/code", "10000000", "emitted", "code"),
        ("/payload/locale", "", "emitted", "locale"),
        ("/payload/user/primaryPhone", "+15550001", "emitted", "user"),
        ("/payload/user/username", "foo-bar", "emitted", "user"),
        ("/payload/user/avatar", 0, "emitted", "user"),
        ("/payload/application/id", "x" * 22, "emitted", "application"),
        ("/payload/link", 0, "guard", "link"),
        ("/to", None, "guard", "to"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("/") else "",
)
def test_a_wrong_value_in_drawn_messages_is_reported(path: str, wrong: object, layer: str, rule: str) -> None:
    examples = draw_examples(messages("1.35", layer), 300)
    assert find_faults("1.35", layer, examples) == []
    changed = [replace_member(message, path, wrong) for message in examples]
    assert f"message/{layer}/{rule} at {path}" in find_faults("1.35", layer, changed)


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_emitted_messages_are_the_same_after_json(revision: str) -> None:
    for message in draw_sample(revision, "emitted"):
        assert parse(encode_body(message)) == message


def test_adjacent_surrogates_become_one_character() -> None:
    assert join_surrogates("a\ud83d\ude00") == "a😀"
    assert join_surrogates("\ude00\ud83d") == "\ude00\ud83d"


@pytest.mark.parametrize("layer", catalogue.LAYERS)
def test_drawn_texts_are_the_same_after_json(layer: str) -> None:
    for message in draw_sample("1.35", layer):
        assert json.loads(json.dumps(message)) == message


@EVERY_LAYER
def test_recipients_are_in_reserved_domains(revision: str, layer: str) -> None:
    for message in draw_sample(revision, layer):
        for address in (
            re.findall(r"[^\s<>,]@[^\s<>,]+\.[^\s<>,]+", message["to"]) if layer == "emitted" else ()
        ):
            assert RESERVED.fullmatch(address[address.rindex("@") :]), message["to"]


@pytest.mark.parametrize("locale", ["es-MX", "es-419"])
def test_a_rare_language_is_drawn(locale: str) -> None:
    drawn = messages(layer="emitted", types=["SignIn"])
    assert find_shortest(drawn, lambda message: bool(message["payload"]["locale"] == locale))


def test_application_and_user_come_together_from_the_account() -> None:
    drawn = draw_examples(messages(layer="emitted", types=["BindNewIdentifier"]), 300)
    found = {("application" in message["payload"], "user" in message["payload"]) for message in drawn}
    assert found == {(False, False), (False, True), (True, True)}


def test_zod_accepts_the_addresses_of_invitations() -> None:
    invited = draw_examples(messages(layer="emitted", types=["OrganizationInvitation"]), 300)
    assert [message["to"] for message in invited if not ZOD_EMAIL.fullmatch(message["to"])] == []
    assert len({message["to"] for message in invited}) > 10


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_flows_are_not_mixed(revision: str) -> None:
    for message in draw_sample(revision, "emitted"):
        payload = message["payload"]
        if message["type"] == "OrganizationInvitation":
            continue
        # The account's flows send no organization and no ip. The flows of a visitor send no user.
        assert "user" not in payload or not ({"organization"} & payload.keys() or "ip" in message)
        assert "uiLocales" not in payload or payload.get("locale")
        assert len(message["to"]) <= 128 or (message["type"], payload["code"]) == ("Generic", "000000")


@EVERY_LAYER
def test_every_template_type_is_drawn(revision: str, layer: str) -> None:
    kinds = catalogue.schema(revision, layer)["properties"]["type"]["enum"]
    counts = Counter(message["type"] for message in draw_sample(revision, layer))
    assert set(counts) == set(kinds)
    assert min(counts.values()) > 300 / len(kinds) / 4


@pytest.mark.parametrize("layer", ["guard", "emitted"])
def test_codes_begin_with_any_digit(layer: str) -> None:
    codes = [
        message["payload"].get("code", "")
        for message in draw_examples(messages(layer=layer, types=["SignIn"]), 600)
    ]
    first = Counter(code[0] for code in codes if re.fullmatch("[0-9]{6}", code))
    assert set(first) == set(string.digits)
    assert 0.15 < first["0"] / first.total() < 0.5


def test_every_code_can_be_drawn() -> None:
    assert {format_code(number) for number in range(1_250_000)} == {f"{n:06d}" for n in range(1_000_000)}


def test_messages_differ() -> None:
    written = {json.dumps(message) for message in draw_sample("1.35", "emitted")}
    assert len(written) > 270


@pytest.mark.parametrize("strategy", [messages(), messages(layer="emitted"), mutations(), http_requests()])
def test_the_same_seed_draws_the_same(strategy: SearchStrategy[Any]) -> None:
    assert draw_examples(strategy, 100) == draw_examples(strategy, 100)


@pytest.mark.parametrize("layer", catalogue.LAYERS)
def test_a_change_to_a_message_changes_no_other(layer: str) -> None:
    before = [json.dumps(message) for message in draw_examples(messages(layer=layer), 200)]
    after = []
    for message in draw_examples(messages(layer=layer), 200):
        after.append(json.dumps(message))
        for _, part in walk(message):
            if isinstance(part, (dict, list)):
                part.clear()
    assert after == before
    assert [json.dumps(message) for message in draw_examples(messages(layer=layer), 200)] == before


def test_types_and_releases_are_accepted() -> None:
    two = messages("v1.36.0", "emitted", [TemplateType.BIND_MFA, "Generic"])
    assert two is messages("1.35", "emitted", ["Generic", "BindMfa"])
    assert {message["type"] for message in draw_examples(two, 50)} == {"BindMfa", "Generic"}
    assert all(type(message["type"]) is str for message in draw_examples(two, 50))
    assert messages() is messages("1.35", "guard")


@pytest.mark.parametrize("make", [messages, mutations, http_requests, mutation_names])
def test_wrong_use_raises(make: Callable[..., object]) -> None:
    with pytest.raises(catalogue.UnknownRevision):
        make("1.21.0")
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


@pytest.mark.parametrize("made", ["messages()", "mutations(layer='emitted')", "http_requests()"])
def test_the_table_of_characters_is_built_before_the_first_draw(tmp_path: Path, made: str) -> None:
    """Hypothesis stores its table of characters in a folder; building it in a draw exceeds the deadline."""
    code = f"from logto_mail_contract.strategies import *; {made}"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert [file.name for file in (tmp_path / ".hypothesis" / "unicode_data").rglob("*.json.gz")] != []
