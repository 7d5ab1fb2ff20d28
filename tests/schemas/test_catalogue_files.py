"""The catalogue, the rules and the OpenAPI document: their form, and that they agree with the schemas."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from tests.schemas.contract_files import SCHEMAS, index, layers, load, python_errors, schema, vectors

SHARED = ["object", "to", "type", "payload", "code", "link", "locale", "ui-locales", "ip"]
SLUGS = {
    "guard": {*SHARED, "values"},
    "emitted": {*SHARED, "application", "organization", "user", "values"},
    "documented": {*SHARED, "application", "organization", "user", "inviter"},
}
OTHER_RULES = {
    "message/text/json",
    "message/text/utf-8",
    "message/text/depth",
    "sender/request/method",
    "sender/request/content-type",
    "sender/request/authorization",
    "sender/request/framing",
    "sender/body/unique-keys",
}
UNLISTED = {
    "README.md",
    "receiver.schema.json",
    "receiver-exceptions.json",
    "draft-07/receiver.schema.json",
    "draft-07/send-message-data.schema.json",
    "draft-07/emitted.schema.json",
    "index.json",
    "rules.json",
    "openapi.json",
    "inbox-api.openapi.json",
    "index.schema.json",
    "rules.schema.json",
    "validation-report.schema.json",
    "verification-report.schema.json",
    "vectors.schema.json",
    "send-message-data.schema.json",
    "emitted.schema.json",
    "documented.schema.json",
}


def rules() -> list[dict[str, Any]]:
    """Return the rules."""
    found: list[dict[str, Any]] = load("rules.json")["rules"]
    return found


@pytest.mark.parametrize("name", ["index", "rules"])
def test_each_file_is_valid_in_its_own_schema(name: str) -> None:
    """The file has the form that its schema demands, and names that schema."""
    document = load(f"{name}.json")
    assert document["$schema"] == f"./{name}.schema.json"
    assert python_errors(Draft202012Validator(load(f"{name}.schema.json")), document) == []


@pytest.mark.parametrize("name", ["index", "rules"])
def test_missing_empty_and_surplus_members_are_refused(name: str) -> None:
    """The control: each member that is missing, empty or surplus in an entry is refused."""
    validator = Draft202012Validator(load(f"{name}.schema.json"))
    document = load(f"{name}.json")
    [key] = [key for key, value in document.items() if isinstance(value, list)]
    for member in document[key][0]:
        for change in ("drop", "empty"):
            changed = copy.deepcopy(document)
            if change == "drop":
                del changed[key][0][member]
            else:
                changed[key][0][member] = type(document[key][0][member])()
            # The first revision has no difference.
            assert validator.is_valid(changed) is ((member, change) == ("differences", "empty")), (
                member,
                change,
            )
    surplus = copy.deepcopy(document)
    surplus[key][0]["x"] = "y"
    assert not validator.is_valid(surplus)


def test_revisions_are_listed_in_order() -> None:
    """Oldest first, named after their first release, the current one last."""
    ids = [entry["id"] for entry in index()["revisions"]]
    assert ids == ["1.22", "1.25", "1.31", "1.32", "1.35"]
    assert index()["current"] == ids[-1]
    for entry in index()["revisions"]:
        assert entry["releases"][0].startswith(f"{entry['id']}.")


def test_every_release_is_listed_in_one_revision() -> None:
    """No release is listed twice, they stand in order, and no minor version is left out."""
    releases = [release for entry in index()["revisions"] for release in entry["releases"]]
    numbers = [tuple(map(int, release.split("."))) for release in releases]
    assert numbers == sorted(set(numbers))
    minors = {minor for _, minor, _ in numbers}
    assert minors == set(range(22, max(minors) + 1))
    assert len(releases) > 25


def test_a_kit_version_is_listed_in_one_revision() -> None:
    """A connector-kit version is listed once: the guard is in it."""
    kits = [kit for entry in index()["revisions"] for kit in entry["connectorKit"]]
    assert len(kits) == len(set(kits))


def test_the_catalogue_lists_every_file() -> None:
    """Every listed file exists, and every file is listed."""
    listed = {
        path
        for entry in index()["revisions"]
        for kind in ("files", "vectors")
        for path in entry[kind].values()
    }
    found = {path.relative_to(SCHEMAS).as_posix() for path in SCHEMAS.rglob("*") if path.is_file()}
    assert found == listed | UNLISTED


def test_the_catalogue_agrees_with_the_guard() -> None:
    """Template types and typed variables are those of the guard schema."""
    for entry in index()["revisions"]:
        guard = schema(entry["id"], "guard")
        assert entry["templateTypes"] == guard["properties"]["type"]["enum"]
        payload = guard["properties"]["payload"]
        assert entry["typedVariables"] == list(payload["properties"])
        assert guard["additionalProperties"] is True
        assert (payload["additionalProperties"] is not True) is (entry["id"] == "1.22")
        assert ("ip" in guard["properties"]) is (entry["id"] == "1.35")
        assert ("documented" in entry["files"]) is (entry["id"] == "1.35")
        emitted = schema(entry["id"], "emitted")["properties"]["type"]["enum"]
        assert emitted == [name for name in entry["templateTypes"] if name != "Test"]


def test_the_rules_cover_every_place_of_each_layer() -> None:
    """The ids are unique, and the messages' rules cover exactly the places of each layer."""
    ids = [rule["id"] for rule in rules()]
    assert len(ids) == len(set(ids))
    due = {f"message/{layer}/{name}" for layer, names in SLUGS.items() for name in names}
    assert {name for name in ids if not name.startswith("receiver/")} >= due | OTHER_RULES
    assert {name for name in ids if re.match("message/(guard|emitted|documented)/", name)} == due


def test_every_rule_has_role_revision_and_sentences() -> None:
    """A rule's id begins with its role, its revision exists, and its texts are sentences."""
    revisions = {entry["id"] for entry in index()["revisions"]}
    for rule in rules():
        assert rule["id"].startswith(f"{rule['role']}/")
        assert rule["since"] in revisions
        assert rule["requirement"].endswith(".")
        assert rule["consequence"].endswith(".")


def rule_of(layer: str, keyword: str, pointer: str) -> str:
    """Return the rule that fails at a refusal, when no required member is missing."""
    steps = pointer.split("/")[1:]
    if not steps or steps[0] not in ("to", "type", "payload", "ip"):
        return f"message/{layer}/object"
    if steps[0] != "payload":
        return f"message/{layer}/{steps[0]}"
    if len(steps) == 1:
        return f"message/{layer}/{'payload' if keyword == 'type' else 'values'}"
    name = re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", steps[1])
    return f"message/{layer}/{name if name in SLUGS[layer] else 'values'}"


@pytest.mark.parametrize(("revision", "layer"), layers())
def test_every_invalid_vector_fails_a_rule(revision: str, layer: str) -> None:
    """Each invalid vector leads to a rule, which applies to that revision already."""
    by_id = {rule["id"]: rule for rule in rules()}
    order = [entry["id"] for entry in index()["revisions"]]
    for vector in vectors(revision, layer):
        if vector.error and vector.error[0] not in ("required", "syntax"):
            rule = by_id[rule_of(layer, *vector.error)]
            typed_by_all = revision == "1.22" and vector.error[0] in ("type", "additionalProperties")
            closed = vector.error[0] == "additionalProperties"
            assert order.index(rule["since"]) <= order.index(revision) or typed_by_all or closed, vector.id


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("openapi.json", ("/logto-mail", "post", "responses", "4XX")),
        ("inbox-api.openapi.json", ("/api/messages", "get", "responses", "200")),
    ],
)
def test_the_openapi_document_is_valid(name: str, response: tuple[str, ...]) -> None:
    """The document is OpenAPI 3.1. The validator refuses one with a mistake."""
    document = load(name)
    validate(document, cls=OpenAPIV31SpecValidator)
    changed = copy.deepcopy(document)
    place = changed["paths"]
    for step in response:
        place = place[step]
    del place["description"]
    assert list(OpenAPIV31SpecValidator(changed).iter_errors())


def test_the_openapi_document_contains_the_receiver_schema() -> None:
    """The body's schema is ``receiver.schema.json``, with its definitions among the components."""
    receiver = load("receiver.schema.json")
    schemas = {"MailMessage": {key: value for key, value in receiver.items() if key[0] != "$"}}
    text = json.dumps(schemas | receiver["$defs"]).replace("#/$defs/", "#/components/schemas/")
    assert load("openapi.json")["components"]["schemas"] == json.loads(text)


def test_the_openapi_examples_are_valid_messages() -> None:
    """There is an example of each template type, and each is what Logto sends."""
    body = load("openapi.json")["paths"]["/logto-mail"]["post"]["requestBody"]["content"]["application/json"]
    assert list(body["examples"]) == index()["revisions"][-1]["templateTypes"]
    for name, example in body["examples"].items():
        assert example["value"]["type"] == name
        for layer in ("guard", "emitted"):
            assert python_errors(Draft202012Validator(schema("1.35", layer)), example["value"]) == []


def test_the_openapi_document_describes_every_kind_of_response() -> None:
    """Every response that has a meaning for Logto is there."""
    responses = load("openapi.json")["paths"]["/logto-mail"]["post"]["responses"]
    assert {"2XX", "303", "304", "3XX", "401", "4XX", "5XX"} == set(responses)
    for status in ("401", "4XX", "5XX"):
        content = responses[status]["content"]
        assert list(content) == ["application/json", "text/plain", "*/*"]
        # Any body is an error's: a receiver may answer with what it likes.
        assert content["application/json"]["schema"] == content["*/*"]["schema"] == {}
        assert all("example" in content[media] for media in ("application/json", "text/plain"))


def test_the_openapi_document_leaves_authorization_optional_and_names_an_origin() -> None:
    """Logto sends the header only if it is configured. The path is not a part of the server."""
    document = load("openapi.json")
    ((path, item),) = document["paths"].items()
    assert path == "/logto-mail"
    assert item["post"]["security"] == [{"authorization": []}, {}]
    (server,) = document["servers"]
    assert server["url"] == "{origin}"
    assert re.fullmatch("https://[a-z.]+", server["variables"]["origin"]["default"])
