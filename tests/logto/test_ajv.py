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
    identifier = json.loads(path.read_bytes()).get("$id")
    schema = {"schema": {"$ref": identifier}} if identifier else {"file": str(path)}
    (result,) = ajv.ask([{**schema, "text": "null"}])
    assert "refused" not in result, result


@pytest.mark.parametrize("path", VECTOR_FILES, ids=name_of)
def test_ajv_gives_each_vector_its_stated_verdict(path: Path, ajv: NodeWorker) -> None:
    """Each vector has its verdict; an invalid one has one error, with its keyword and at its place."""
    cases = [(group["schema"], test) for group in json.loads(path.read_bytes()) for test in group["tests"]]
    results = ajv.ask([{"schema": schema, "text": text_of(test)} for schema, test in cases])
    assert len(results) == len(cases) > 0
    assert_stated([test for _, test in cases], results)


@pytest.mark.parametrize(("name", "layer"), [("send-message-data", "guard"), ("emitted", "emitted")])
def test_ajv_for_draft_07_gives_each_vector_its_stated_verdict(
    name: str, layer: str, ajv: NodeWorker
) -> None:
    """Each vector that is about the schema has its verdict in Ajv's default export, which reads draft-07."""
    current = json.loads((SCHEMAS / "index.json").read_bytes())["current"]
    groups = json.loads((SCHEMAS / f"vectors/{current}/{layer}.json").read_bytes())
    tests = [test for group in groups for test in group["tests"] if test["about"] == "schema"]
    file = str(SCHEMAS / f"draft-07/{name}.schema.json")
    results = ajv.ask([{"file": file, "text": text_of(test)} for test in tests])
    assert_stated(tests, results)


@pytest.mark.parametrize("name", ["receiver.schema.json", "draft-07/receiver.schema.json"])
def test_ajv_reads_with_the_receiver_schema_what_core_sends(name: str, ajv: NodeWorker) -> None:
    """In 2020-12 and in draft-07 the receiver's schema refuses the listed overrides and nothing else."""
    current = json.loads((SCHEMAS / "index.json").read_bytes())["current"]
    groups = json.loads((SCHEMAS / f"vectors/{current}/emitted.json").read_bytes())
    tests = [test for group in groups for test in group["tests"] if test["valid"]]
    results = ajv.ask([{"file": str(SCHEMAS / name), "text": text_of(test)} for test in tests])
    refused = [test["id"] for test, result in zip(tests, results, strict=True) if not result["valid"]]
    assert refused == json.loads((SCHEMAS / "receiver-exceptions.json").read_bytes())["vectors"][current]


def assert_stated(tests: list[dict[str, Any]], results: list[dict[str, Any]]) -> None:
    """Assert that each test has its stated verdict and error."""
    wrong = []
    for test, result in zip(tests, results, strict=True):
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
