"""The schemas and the vectors in Ajv, the validator that most teams without Python will use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.logto.node import NodeWorker

SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA_FILES = sorted(SCHEMAS.rglob("*.schema.json"))
VECTOR_FILES = sorted((SCHEMAS / "vectors").rglob("*.json"))


def name_of(path: Path) -> str:
    """Return the path below ``schemas/``, to name a test."""
    return path.relative_to(SCHEMAS).as_posix()


def text_of(test: dict[str, Any]) -> str:
    """Return the JSON text of a vector."""
    text = test["text"] if "text" in test else json.dumps(test["data"])
    assert isinstance(text, str)
    return text


def read_verdict(result: dict[str, Any]) -> tuple[bool, list[tuple[str, str]]]:
    """Return a verdict of Ajv and its errors, without those that only report that an ``if`` applied."""
    errors = [(error["keyword"], error["pointer"]) for error in result["errors"] if error["keyword"] != "if"]
    return result["valid"], errors


def test_every_revision_has_schemas_and_vectors() -> None:
    """Each revision has a guard and an emitted schema, each schema of a revision has vectors."""
    revisions = [entry["id"] for entry in json.loads((SCHEMAS / "index.json").read_bytes())["revisions"]]
    schemas = {name_of(path) for path in SCHEMA_FILES}
    vectors = {name_of(path) for path in VECTOR_FILES}
    for revision in revisions:
        assert f"{revision}/send-message-data.schema.json" in schemas
        assert f"vectors/{revision}/guard.json" in vectors
        for layer in ("emitted", "documented"):
            has_layer = f"{revision}/{layer}.schema.json" in schemas
            assert has_layer == (f"vectors/{revision}/{layer}.json" in vectors)


@pytest.mark.parametrize("path", SCHEMA_FILES, ids=name_of)
def test_every_schema_compiles_in_strict_mode(path: Path, ajv: NodeWorker) -> None:
    """Ajv, which refuses in strict mode what it does not know, compiles the schema."""
    reference = {"$ref": json.loads(path.read_bytes())["$id"]}
    (result,) = ajv.ask([{"schema": reference, "text": "null"}])
    assert "refused" not in result, result


@pytest.mark.parametrize("path", VECTOR_FILES, ids=name_of)
def test_ajv_gives_each_vector_its_stated_verdict(path: Path, ajv: NodeWorker) -> None:
    """Each vector has its verdict; an invalid one has one error, with its keyword and at its place."""
    cases = [(group["schema"], test) for group in json.loads(path.read_bytes()) for test in group["tests"]]
    results = ajv.ask([{"schema": schema, "text": text_of(test)} for schema, test in cases])
    assert len(results) == len(cases) > 0
    wrong = []
    for (_, test), result in zip(cases, results, strict=True):
        stated = (test["valid"], [] if test["valid"] else [(test["keyword"], test["pointer"])])
        if "refused" in result or read_verdict(result) != stated:
            wrong.append(f"{test['id']}: stated {stated}, Ajv says {result}")
    assert not wrong, "\n".join(wrong)


def test_the_worker_reports_a_schema_that_ajv_refuses(ajv: NodeWorker) -> None:
    """A schema that strict mode refuses is reported, so a test that compiles one can fail."""
    schemas = [
        {"unheard-of": 1},
        {"$ref": "urn:unheard-of"},
        {"format": "email"},
        {"type": "array", "minItems": "1"},
    ]
    results = ajv.ask([{"schema": schema, "text": "null"} for schema in schemas])
    assert [list(result) for result in results] == [["refused"]] * len(schemas)


def test_the_worker_reports_every_error(ajv: NodeWorker) -> None:
    """Errors have keyword and pointer. Text that is no JSON has one error with the keyword ``syntax``."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {}},
        "required": ["b"],
        "propertyNames": {"maxLength": 1},
    }
    results = ajv.ask(
        [{"schema": schema, "text": text} for text in ('{"a":1}', '{"b":1}', '{"b":1,"cc":1}', "{")]
    )
    assert [read_verdict(result) for result in results] == [
        (False, [("required", ""), ("type", "/a")]),
        (True, []),
        (False, [("propertyNames", "")]),
        (False, [("syntax", "")]),
    ]
