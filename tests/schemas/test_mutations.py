"""Makes every small change to every schema and shows that a vector fails for each change."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from tests.schemas.contract_files import (
    Error,
    Schema,
    at,
    deep_recursion,
    layers,
    rust_errors,
    schema,
    subschemas,
    vectors,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SILENT = frozenset({"$schema", "$id", "$defs", "title", "description", "examples"})
Mutant = tuple[str, Schema]


def change_keyword(document: Schema, location: tuple[str, ...], keyword: str, value: Any = None) -> Schema:
    """Return a copy in which ``keyword`` at ``location`` has another value, or with None is removed."""
    mutant = copy.deepcopy(document)
    part = at(mutant, location)
    if value is None:
        del part[keyword]
    else:
        part[keyword] = value
    return mutant


def mutants(document: Schema, known: Collection[str] = ()) -> Iterator[Mutant]:
    """Yield the schema with each small change, and the description of the change.

    Args:
        document: The schema.
        known: Patterns whose characters are left alone.
    """
    for location, part in subschemas(document):
        where = "/".join(location)
        # Empty properties only name members, for Ajv's strict mode.
        named = [name for name, inner in part.get("properties", {}).items() if inner != {}]
        silent = SILENT if named else SILENT | {"properties"}
        for keyword in sorted(set(part) - silent):
            # True is the default, written for generators of types.
            if keyword == "additionalProperties" and part[keyword] is True:
                continue
            yield f"{where}: {keyword} dropped", change_keyword(document, location, keyword)
        for keyword in ("required", "enum", "allOf"):
            for number, entry in enumerate(part.get(keyword, [])):
                rest = [*part[keyword][:number], *part[keyword][number + 1 :]]
                yield f"{where}: {keyword} without {entry}", change_keyword(document, location, keyword, rest)
        for name in named:
            fewer = {key: value for key, value in part["properties"].items() if key != name}
            yield f"{where}: property {name} dropped", change_keyword(document, location, "properties", fewer)
            if name not in part.get("required", []) and "then" not in location and "if" not in location:
                more = [*part.get("required", []), name]
                yield f"{where}: {name} made required", change_keyword(document, location, "required", more)
        for keyword in ("maxLength", "minLength"):
            if keyword in part:
                for step in (-1, 1):
                    longer = part[keyword] + step
                    yield f"{where}: {keyword} {longer}", change_keyword(document, location, keyword, longer)
        pattern = part.get("pattern", "")
        for number, character in enumerate("" if pattern in known else pattern):
            shorter = pattern[:number] + pattern[number + 1 :]
            if compiles(shorter):
                description = f"{where}: pattern without {character!r} at {number}"
                yield description, change_keyword(document, location, "pattern", shorter)
        if "enum" in part:
            yield (
                f"{where}: enum wider",
                change_keyword(document, location, "enum", [*part["enum"], "MagicLink"]),
            )
        is_open = part.get("additionalProperties", True) is True
        if is_open and "properties" in part and not {"if", "then"} & {*location}:
            yield f"{where}: closed", change_keyword(document, location, "additionalProperties", value=False)
        yield from other_types(document, location, part, where)


def compiles(pattern: str) -> bool:
    """Return whether a shortened pattern is still a pattern."""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except jsonschema_rs.ValidationError:
        return False
    return True


def other_types(document: Schema, location: tuple[str, ...], part: Schema, where: str) -> Iterator[Mutant]:
    """Yield the schema with a nullable type narrowed, or another widened by null."""
    kind = part.get("type")
    if isinstance(kind, list):
        yield f"{where}: null refused", change_keyword(document, location, "type", kind[0])
    elif isinstance(kind, str) and "not" not in location and "if" not in location:
        yield f"{where}: null accepted", change_keyword(document, location, "type", [kind, "null"])


SAME_MEANING = {
    # In revision 1.22 every variable is a string, named or not: the names are there for the reader.
    ("1.22", "guard"): {
        "properties/payload: properties dropped",
        "properties/payload: property code dropped",
        "properties/payload: property link dropped",
    },
    ("1.22", "emitted"): {
        "$defs/InvitationPayload: properties dropped",
        "$defs/InvitationPayload: property code dropped",
        "$defs/InvitationPayload: property link dropped",
    },
    # The member is only described here and judged by type; Ajv's strict mode wants required members named.
    ("1.35", "documented"): {": property payload dropped"},
}
"""Mutants that accept the same messages as the schema."""

# Six digits among at most six characters are all of them: the anchors are there for the reader.
BOUNDED = {
    "$defs/VerificationCode/then: pattern without '^' at 0",
    "$defs/VerificationCode/then: pattern without '$' at 9",
}

# jsonschema-rs escapes a bracket within a class itself; other engines take it for a class within the class.
ESCAPED = {r"$defs/BrandingUrl/then/not: pattern without '\\' at 42"}


def fails_a_vector(mutant: Schema, cases: list[tuple[Any, list[Error]]]) -> bool:
    """Return whether any vector has another verdict than stated, or other errors."""
    validator = jsonschema_rs.Draft202012Validator(mutant)
    for value, stated in cases:
        if validator.is_valid(value) is bool(stated):
            return True
    return any(rust_errors(validator, value) != stated for value, stated in cases)


def cases_of(revision: str, layer: str) -> list[tuple[Any, list[Error]]]:
    """Return the vectors that the compiled engine can read, as it reports them."""
    original = jsonschema_rs.Draft202012Validator(schema(revision, layer))
    cases = []
    for vector in vectors(revision, layer):
        if vector.readable and vector.difficulty != "depth":
            with deep_recursion():
                reported = rust_errors(original, vector.value)
            if reported is not None:
                assert bool(reported) is bool(vector.errors)
                cases.append((vector.value, reported))
    return cases


def earlier_patterns(revision: str, layer: str) -> set[str]:
    """Return the patterns of earlier revisions. The vectors of all revisions have the same texts for them."""
    earlier = [name for name, _ in layers() if float(name) < float(revision)]
    documents = [schema(name, layer) for name in earlier if (name, layer) in layers()]
    return {part.get("pattern", "") for document in documents for _, part in subschemas(document)}


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_every_change_to_a_schema_fails_a_vector(revision: str, layer: str) -> None:
    """A schema with one keyword dropped, loosened or tightened fails at least one vector."""
    cases = cases_of(revision, layer)
    made = dict(mutants(schema(revision, layer), earlier_patterns(revision, layer)))
    assert len(made) > 20
    unnoticed = {name for name, mutant in made.items() if not fails_a_vector(mutant, cases)}
    alike = SAME_MEANING.get((revision, layer), set())
    if layer == "emitted":
        alike |= {"1.22": BOUNDED, "1.25": ESCAPED}.get(revision, set())
    assert unnoticed == alike


def test_the_unchanged_schema_fails_no_vector() -> None:
    """The control of the control: an unchanged schema fails no vector."""
    for revision, layer in layers():
        assert not fails_a_vector(copy.deepcopy(schema(revision, layer)), cases_of(revision, layer))
