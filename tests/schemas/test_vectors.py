"""The vectors: their form, the agreement of both engines with them, and their coverage of the schemas."""

from __future__ import annotations

import copy
import json
import re
from decimal import Decimal
from typing import Any, NoReturn

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.schemas.contract_files import (
    Schema,
    at,
    deep_recursion,
    index,
    layers,
    load,
    python_errors,
    rust_errors,
    schema,
    subschemas,
    vectors,
)

ASSERTIONS = frozenset(
    {
        *("type", "enum", "required", "additionalProperties", "propertyNames", "not"),
        *("pattern", "minLength", "maxLength"),
    }
)
NOT_JUDGED_ALONE = frozenset({"if", "not", "propertyNames"})


def file_of(revision: str, layer: str) -> Any:
    """Return the parsed vector file."""
    [entry] = [entry for entry in index()["revisions"] if entry["id"] == revision]
    return load(entry["vectors"][layer])


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_each_vector_file_has_its_form(revision: str, layer: str) -> None:
    """The file has its form, its ids are unique, and its groups name the schema that they test."""
    document = file_of(revision, layer)
    assert python_errors(Draft202012Validator(load("vectors.schema.json")), document) == []
    ids = [test["id"] for group in document for test in group["tests"]]
    assert len(ids) == len(set(ids)), {name for name in ids if ids.count(name) > 1}
    titles = [group["description"] for group in document]
    assert len(titles) == len(set(titles))
    assert {group["schema"]["$ref"] for group in document} == {schema(revision, layer)["$id"]}


GOOD = {"id": "missing-to", "description": "to is required.", "about": "schema", "valid": False, "data": {}}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"keyword": "required"}, ("required", "/0/tests/0")),
        ({"keyword": "required", "pointer": "to"}, ("pattern", "/0/tests/0/pointer")),
        ({"keyword": "oneOf", "pointer": ""}, ("enum", "/0/tests/0/keyword")),
        ({"keyword": "required", "pointer": "", "text": "{}"}, ("not", "/0/tests/0/text")),
        ({"keyword": "required", "pointer": "", "valid": True}, ("not", "/0/tests/0/keyword")),
        ({"keyword": "required", "pointer": "", "id": "Missing to"}, ("pattern", "/0/tests/0/id")),
        ({"keyword": "required", "pointer": "", "skip": True}, ("additionalProperties", "/0/tests/0")),
        ({"keyword": "required", "pointer": "", "about": "parser"}, ("required", "/0/tests/0")),
        (
            {"keyword": "required", "pointer": "", "difficulty": "depth"},
            ("not", "/0/tests/0/difficulty"),
        ),
        (
            {"keyword": "required", "pointer": "", "about": "parser", "difficulty": "x"},
            ("enum", "/0/tests/0/difficulty"),
        ),
    ],
)
def test_an_ill_formed_vector_is_refused(change: dict[str, object], error: tuple[str, str]) -> None:
    """The vectors' own schema refuses an ill-formed test."""
    group = {
        "description": "x",
        "schema": {"$ref": "urn:logto-mail-contract:schema:1.35:guard"},
        "tests": [GOOD | change],
    }
    assert error in python_errors(Draft202012Validator(load("vectors.schema.json")), [group])


def difficulties(text: str) -> set[str]:
    """Return what a parser must read as JavaScript does to read ``text``; 500 levels are called deep."""
    found = set()

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            found.add("duplicate")
        return dict(pairs)

    def read_number(digits: str) -> float:
        if Decimal(digits) != Decimal(repr(float(digits))):
            found.add("number")
        return float(digits)

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        with deep_recursion():
            value = json.loads(
                text,
                object_pairs_hook=read_object,
                parse_int=read_number,
                parse_float=read_number,
                parse_constant=refuse,
            )
            decoded = json.dumps(value, ensure_ascii=False)
            deepest = max(map(len, places(value)), default=0)
    except ValueError:
        return {"syntax"}
    if re.search("[\ud800-\udfff]", decoded):
        found.add("surrogate")
    if deepest > 500:
        found.add("depth")
    return found


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_each_vector_names_its_difficulty(revision: str, layer: str) -> None:
    """A vector is about the parser if, and only if, its text has a difficulty, and it names that one."""
    wrong = {}
    for group in file_of(revision, layer):
        for test in group["tests"]:
            text = test["text"] if "text" in test else json.dumps(test["data"])
            stated = {test["difficulty"]} if test["about"] == "parser" else set()
            if difficulties(text) != stated:
                wrong[test["id"]] = (stated, difficulties(text))
    assert wrong == {}


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_jsonschema_gives_the_stated_verdict(revision: str, layer: str) -> None:
    """Python's jsonschema reports exactly the one stated error, and none where the message is valid."""
    validator = Draft202012Validator(schema(revision, layer))
    wrong = {}
    for vector in vectors(revision, layer):
        reported = python_errors(validator, vector.value) if vector.readable else [("syntax", "")]
        if reported != vector.errors:
            wrong[vector.id] = (vector.errors, reported)
    assert wrong == {}


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_jsonschema_rs_gives_the_stated_verdict(revision: str, layer: str) -> None:
    """jsonschema-rs reports the same error wherever it can read the value."""
    validator = jsonschema_rs.Draft202012Validator(schema(revision, layer))
    wrong, unread = {}, set()
    for vector in vectors(revision, layer):
        if not vector.readable:
            continue
        with deep_recursion():
            reported = rust_errors(validator, vector.value)
        if reported is None:
            unread.add(vector.difficulty)
        # The engine leaves an empty member name out of its path.
        elif reported != [(keyword, place.removesuffix("/")) for keyword, place in vector.errors]:
            wrong[vector.id] = (vector.errors, reported)
    assert wrong == {}
    assert unread <= {"surrogate", "depth"}


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_every_type_has_valid_and_invalid_vectors(revision: str, layer: str) -> None:
    """Every template type of the schema has valid and invalid messages."""
    shown = {
        (vector.value["type"], vector.error is None) for vector in vectors(revision, layer) if plain(vector)
    }
    names = schema(revision, layer)["properties"]["type"]["enum"]
    assert {(name, True) for name in names} <= shown
    if layer != "guard":
        assert {(name, False) for name in names} <= shown


def plain(vector: Any) -> bool:
    """Return whether the message is an object with a type that is text."""
    return isinstance(vector.value, dict) and isinstance(vector.value.get("type"), str)


def written(document: Schema, path: Any) -> tuple[str, ...]:
    """Return where a reported keyword is written: references are followed to their definition."""
    location: tuple[str, ...] = ()
    for step in map(str, path):
        part = at(document, location)
        while isinstance(part, dict) and "$ref" in part and step not in part:
            location = tuple(part["$ref"].removeprefix("#/").split("/"))
            part = at(document, location)
        location = (*location, step)
    return location


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_every_keyword_refuses_a_vector(revision: str, layer: str) -> None:
    """Every keyword that can refuse a message refuses a vector, at every place where it stands."""
    document = schema(revision, layer)
    below_not = set(re.findall(r'"not": \{"\$ref": "#/\$defs/(\w+)"', json.dumps(document)))
    demands = {
        (*location, keyword)
        for location, part in subschemas(document)
        for keyword in ASSERTIONS & set(part)
        if not NOT_JUDGED_ALONE & set(without_names(location))
        if location not in {("$defs", name) for name in below_not}
        if keyword != "additionalProperties" or part[keyword] is False
    }
    validator = Draft202012Validator(document)
    reached = set()
    for vector in vectors(revision, layer):
        if vector.readable and vector.error:
            with deep_recursion():
                paths = [list(error.absolute_schema_path) for error in validator.iter_errors(vector.value)]
            for path in paths:
                cut = path.index("propertyNames") + 1 if "propertyNames" in path else len(path)
                reached.add(written(document, path[:cut]))
    assert demands - reached == set()


def without_names(location: tuple[str, ...]) -> list[str]:
    """Return a location's keywords, without the names of properties and definitions."""
    steps: list[str] = []
    after_name = False
    for step in location:
        if not after_name:
            steps.append(step)
        after_name = not after_name and step in ("properties", "$defs")
    return steps


@pytest.mark.parametrize(("revision", "layer"), [pair for pair in layers() if pair[1] != "guard"])
def test_guard_accepts_the_vectors_that_other_layers_accept(revision: str, layer: str) -> None:
    """Guard accepts each vector that emitted or documented accepts."""
    guard = Draft202012Validator(schema(revision, "guard"))
    for vector in vectors(revision, layer):
        if vector.error is None:
            assert python_errors(guard, vector.value) == [], vector.id


JUNK = st.sampled_from(
    [None, True, 0, 1.5, "", "x", "000000", "a@b.c", [], ["x"], {}, {"id": "x"}, {"id": "x", "name": "y"}]
)
NAMES = st.sampled_from(["to", "type", "payload", "ip", "code", "link", "locale", "uiLocales", "user", "x"])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part of a value but the value itself."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@pytest.mark.parametrize(("revision", "layer"), [pair for pair in layers() if pair[1] != "guard"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_guard_accepts_changed_messages_that_other_layers_accept(
    revision: str, layer: str, data: st.DataObject
) -> None:
    """The same holds after one or two changes to a valid message: removed, replaced or added parts."""
    valid = [
        vector.value
        for vector in vectors(revision, layer)
        if vector.error is None and vector.difficulty != "depth"
    ]
    value = copy.deepcopy(data.draw(st.sampled_from(valid)))
    for _ in range(data.draw(st.integers(1, 2))):
        *steps, last = data.draw(st.sampled_from(places(value) or [("x",)]))
        parent = value
        for step in steps:
            parent = parent[step]
        change = data.draw(st.sampled_from(["drop", "replace", "add"]))
        if change == "drop":
            parent.pop(last, None) if isinstance(parent, dict) else parent.pop(last)
        elif change == "replace" or not isinstance(parent, dict):
            parent[last] = copy.deepcopy(data.draw(JUNK))
        else:
            parent[data.draw(NAMES)] = copy.deepcopy(data.draw(JUNK))
    part = Draft202012Validator(schema(revision, layer))
    if part.is_valid(value):
        assert python_errors(Draft202012Validator(schema(revision, "guard")), value) == []
