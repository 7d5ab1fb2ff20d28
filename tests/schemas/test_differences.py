"""The differences of each revision in ``index.json``: that they are true, and that none is missing."""

from __future__ import annotations

import copy
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator
from tests.schemas.contract_files import deep_recursion, index, load, schema, vectors

if TYPE_CHECKING:
    from jsonschema import ValidationError

Cause = tuple[str, str]
"""The kind and the name of a difference."""
PAIRS = [
    (older, newer, layer)
    for older, newer in pairwise(entry["id"] for entry in index()["revisions"])
    for layer in ("guard", "emitted")
]
# The kind of each difference by the keyword that refuses a message: for a receiver, and for a sender.
KINDS = {
    ("enum", "/type"): ("type-added", "type-removed"),
    ("additionalProperties", ""): ("member-added", "member-removed"),
    ("additionalProperties", "/payload"): ("variable-added", "variable-removed"),
    ("required", "/payload"): ("variable-optional", "variable-required"),
    ("type", "value"): ("value-widened", "value-narrowed"),
}


def listed(revision: str, layer: str) -> list[dict[str, Any]]:
    """Return the differences that the catalogue lists."""
    [entry] = [entry for entry in index()["revisions"] if entry["id"] == revision]
    return [difference for difference in entry["differences"] if difference["layer"] == layer]


def read_causes(error: ValidationError, breaks: str) -> set[Cause]:
    """Return the differences that an error shows; ``breaks`` says whom."""
    path = [str(step) for step in error.absolute_path]
    place = "value" if error.validator == "type" else "".join(f"/{step}" for step in path)
    kind = KINDS[str(error.validator), place][breaks == "sender"]
    message, refusing, demanded = (
        cast("Any", part) for part in (error.instance, error.schema, error.validator_value)
    )
    match error.validator:
        case "additionalProperties":
            names = set(message) - set(refusing["properties"])
        case "required":
            names = set(demanded) - set(message)
        case "enum":
            names = {message}
        case _:
            names = {path[-1]}
    return {(kind, name) for name in names}


def compare(older: str, newer: str, layer: str, value: Any) -> tuple[str | None, set[Cause]]:
    """Return whom a message shows to be broken, and by which differences; None if by none."""
    with deep_recursion():
        before, after = (
            list(Draft202012Validator(schema(revision, layer)).iter_errors(value))
            for revision in (older, newer)
        )
    if bool(before) is bool(after):
        return None, set()
    breaks = "receiver" if before else "sender"
    return breaks, {cause for error in before or after for cause in read_causes(error, breaks)}


def find_differences(older: str, newer: str, layer: str) -> dict[Cause, set[str]]:
    """Return each difference that the vectors show, with the types of their messages."""
    known = {(difference["kind"], difference["name"]) for difference in listed(newer, layer)}
    before, after = (jsonschema_rs.Draft202012Validator(schema(one, layer)) for one in (older, newer))
    found: dict[Cause, set[str]] = defaultdict(set)
    for vector in (*vectors(older, layer), *vectors(newer, layer)):
        # The compiled engine is quick, but does not read what parsers find difficult.
        is_equal = vector.difficulty is None and before.is_valid(vector.value) is after.is_valid(vector.value)
        if vector.readable and not is_equal:
            for kind, name in compare(older, newer, layer, vector.value)[1]:
                is_other = kind.startswith("value-") and (kind, name) not in known
                found[kind, "*" if is_other else name].add(vector.value["type"])
    return found


def test_the_first_revision_has_no_difference() -> None:
    first, *others = index()["revisions"]
    assert first["differences"] == []
    assert all(entry["differences"] for entry in others)


def test_an_ill_formed_difference_is_refused() -> None:
    """The control: a difference that lacks a member, or has one of another form, is no difference."""
    validator = Draft202012Validator(load("index.schema.json"))
    changes: list[dict[str, Any]] = [{"kind": "x"}, {"breaks": "both"}, {"types": []}, {"surplus": 1}]
    for change in changes:
        document = copy.deepcopy(index())
        document["revisions"][-1]["differences"][0] |= change
        assert not validator.is_valid(document), change
    for member in ("layer", "kind", "name", "breaks", "witness"):
        document = copy.deepcopy(index())
        del document["revisions"][-1]["differences"][0][member]
        assert not validator.is_valid(document), member


@pytest.mark.parametrize(("older", "newer", "layer"), PAIRS)
def test_each_witness_shows_its_difference(older: str, newer: str, layer: str) -> None:
    """For a receiver the message is valid only in the newer revision, for a sender only in the older."""
    by_id = {vector.id: vector for vector in vectors(newer, layer)}
    for difference in listed(newer, layer):
        witness = by_id[difference["witness"]]
        assert (witness.error is None) is (difference["breaks"] == "receiver"), difference
        assert "beside" not in difference or difference["beside"] in witness.value["payload"]
        breaks, causes = compare(older, newer, layer, witness.value)
        assert breaks == difference["breaks"], difference
        names = {name for kind, name in causes if kind == difference["kind"]}
        assert names if difference["name"] == "*" else difference["name"] in names, (difference, causes)


@pytest.mark.parametrize(("older", "newer", "layer"), PAIRS)
def test_every_difference_that_the_vectors_show_is_listed(older: str, newer: str, layer: str) -> None:
    """Each vector with another verdict shows listed differences, and no other difference is listed."""
    found = find_differences(older, newer, layer)
    by_cause = {(difference["kind"], difference["name"]): difference for difference in listed(newer, layer)}
    assert len(by_cause) == len(listed(newer, layer))
    assert set(by_cause) == set(found)
    for cause, difference in by_cause.items():
        if "types" in difference:
            assert set(difference["types"]) == found[cause], difference
        else:
            assert layer == "guard" or cause[0].startswith("type-"), difference
