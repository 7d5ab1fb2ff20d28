"""The message schemas themselves: their form, their copies, and their agreement with what was observed."""

from __future__ import annotations

import json
import re
from itertools import product

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator
from tests.schemas.contract_files import (
    DATA,
    SCHEMAS,
    at,
    deep_recursion,
    index,
    layers,
    load,
    python_errors,
    read_json,
    rust_errors,
    schema,
    subschemas,
)

FILES = {
    "guard": "send-message-data.schema.json",
    "emitted": "emitted.schema.json",
    "documented": "documented.schema.json",
}
# Those without an $id have tests of their own.
ALL_SCHEMA_FILES = sorted(
    str(path.relative_to(SCHEMAS))
    for path in SCHEMAS.rglob("*.schema.json")
    if path.parent.name != "draft-07" and path.name != "receiver.schema.json"
)
VERDICTS = [
    json.loads(line)
    for line in (DATA / "observed-guard-verdicts.ndjson").read_text(encoding="utf-8").splitlines()
]
RECORDED = [
    json.loads(line)
    for line in (DATA / "recorded-bodies-v1.42.0.ndjson").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("name", ALL_SCHEMA_FILES)
def test_every_file_is_a_valid_schema(name: str) -> None:
    """Each file is a valid 2020-12 schema, named by a URN, that refers to nothing outside itself."""
    document = load(name)
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"].startswith("urn:logto-mail-contract:schema:")
    text = json.dumps(document)
    references = set(re.findall(r'"\$ref": "([^"]*)"', text))
    assert references == {f"#/$defs/{key}" for key in document.get("$defs", {})}, "an unused or foreign $ref"
    for keyword in ("oneOf", "anyOf", "format", "$dynamicRef", "unevaluatedProperties"):
        assert f'"{keyword}":' not in text


def test_schema_ids_are_unique() -> None:
    """No two schemas share an ``$id``."""
    ids = [load(name)["$id"] for name in ALL_SCHEMA_FILES]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_the_id_follows_from_revision_and_layer(revision: str, layer: str) -> None:
    """The ``$id`` follows from the revision and the layer."""
    assert schema(revision, layer)["$id"] == f"urn:logto-mail-contract:schema:{revision}:{layer}"


@pytest.mark.parametrize(("layer", "name"), FILES.items())
def test_the_top_level_schemas_are_copies_of_the_current_revision(layer: str, name: str) -> None:
    """The schemas at the top are the current revision's, letter for letter but for ``$id``."""
    current = index()["current"]
    top = (SCHEMAS / name).read_text(encoding="utf-8")
    own = (SCHEMAS / current / name).read_text(encoding="utf-8")
    assert top != own
    assert top == own.replace(f"schema:{current}:{layer}", f"schema:current:{layer}")
    assert load(name) == {**schema(current, layer), "$id": f"urn:logto-mail-contract:schema:current:{layer}"}


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_every_visible_part_is_described(revision: str, layer: str) -> None:
    """Every visible part has title, description and examples, and every example is valid."""
    document = schema(revision, layer)
    described = [(), *(("$defs", name) for name in document.get("$defs", {}))]
    for location, part in subschemas(document):
        if location in described:
            assert {"title", "description", "examples"} <= set(part), location
        if len(location) == 2 and location[0] == "properties":
            assert "description" in part, location
        for example in part.get("examples", []):
            whole = {**part, "$defs": document.get("$defs", {})}
            assert python_errors(Draft202012Validator(whole), example) == [], (location, example)


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_patterns_mean_the_same_in_every_engine(revision: str, layer: str) -> None:
    """No pattern uses syntax that ECMA-262, Python, Rust and RE2 read differently."""
    for location, part in subschemas(schema(revision, layer)):
        pattern = part.get("pattern", "")
        assert re.sub(r"\\(\.|\[|\\|x00)", "", pattern).count("\\") == 0, location
        assert "(?" not in pattern, location


TEXTS = ["".join(pieces) for size in range(5) for pieces in product(("https:", *"a/ ?@<\n"), repeat=size)]


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_no_dollar_of_a_pattern_matches_before_a_line_break(revision: str, layer: str) -> None:
    """Python's ``$`` matches before a last line break, too: each pattern that has one rules that out."""
    document = schema(revision, layer)
    for location, part in subschemas(document):
        pattern = part.get("pattern", "")
        if "$" not in pattern:
            continue
        parent = at(document, location[:-1])
        if location[-1] == "then" and "maxLength" in parent["if"]:
            assert parent["if"] == {"maxLength": parent["maxLength"]}, location
        elif location[-1] == "then":
            assert parent["if"] == {"not": parent["not"]}, location
            refused = at(document, tuple(parent["not"]["$ref"].split("/")[1:]))
            assert re.search(refused["pattern"], "\n"), location
        else:
            strict = re.compile(pattern.replace("$", r"\Z"))
            wrong = [text for text in TEXTS if bool(strict.search(text)) != bool(re.search(pattern, text))]
            assert wrong == [], location


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict["label"])
def test_every_guard_schema_agrees_with_the_real_guard(verdict: dict[str, object]) -> None:
    """Every guard schema gives the verdict that the real guard gave."""
    text, accepts = verdict["json"], verdict["accepts"]
    assert isinstance(text, str)
    if accepts is None:
        with pytest.raises(ValueError, match=r"."):
            read_json(text)
        return
    assert isinstance(accepts, dict)
    value = read_json(text)
    for revision, accepted in accepts.items():
        document = schema(revision, "guard")
        assert (python_errors(Draft202012Validator(document), value) == []) is accepted, revision
        with deep_recursion():
            errors = rust_errors(jsonschema_rs.Draft202012Validator(document), value)
        assert errors is None or (errors == []) is accepted, revision


def test_the_observations_cover_every_revision_and_verdict() -> None:
    """The observations cover all revisions, with both verdicts in each."""
    assert len(VERDICTS) == 159
    for revision in (entry["id"] for entry in index()["revisions"]):
        assert {entry["accepts"][revision] for entry in VERDICTS if entry["accepts"]} == {True, False}


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["flow"])
def test_recorded_bodies_are_valid_in_guard_and_emitted(entry: dict[str, str]) -> None:
    """The bodies that a real Logto v1.42.0 posted are valid in guard and emitted."""
    value = read_json(entry["body"])
    for layer in ("guard", "emitted"):
        assert python_errors(Draft202012Validator(schema("1.35", layer)), value) == []


def test_the_recorded_bodies_are_of_every_type() -> None:
    """The recordings contain all nine template types of the current revision."""
    types = {json.loads(entry["body"])["type"] for entry in RECORDED}
    assert types == set(index()["revisions"][-1]["templateTypes"])


def test_files_are_plain_ascii() -> None:
    """Every JSON file is ASCII, ends with one line feed and has no carriage return."""
    for path in SCHEMAS.rglob("*.json"):
        content = path.read_bytes()
        assert content.isascii(), path
        assert content.endswith((b"}\n", b"]\n")), path
        assert b"\r" not in content, path
