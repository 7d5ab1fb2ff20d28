"""Code that generators make of the schemas reads all that a receiver must read."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.generators import families
from tests.generators.families import CHEAP, Sources
from tests.generators.readings import CONTEXT, RECEIVER, Loss, Reading, Result
from tests.generators.rows import GENERATORS, TABLE_MESSAGES, generator_row
from tests.logto.node import require_packages
from tests.support.receiver_messages import MESSAGES, OTHER_RELEASES, SENT, Message
from tests.support.tool_tables import PAGE, replace_rows, rows_on_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    require_packages(families.FOLDER, "tests/generators")


@pytest.mark.parametrize("family", CHEAP, ids=lambda family: family.__name__)
def test_the_rows_of_the_page_are_current(family: Callable[..., dict[str, Result]], tmp_path: Path) -> None:
    page = dict(zip(GENERATORS, rows_on_page("generators", PAGE.read_text(encoding="utf-8")), strict=True))
    results = family(Sources(), tmp_path, TABLE_MESSAGES)
    rows = {name: generator_row(name, result) for name, result in results.items()}
    assert rows == {name: page[name] for name in CHEAP[family]}


def test_the_page_has_a_row_for_each_generator() -> None:
    rows = rows_on_page("generators", PAGE.read_text(encoding="utf-8"))
    titles = [row.split(" | ")[:2] for row in rows]
    assert titles == [[f"| {each.title}", each.version] for each in GENERATORS.values()]


def test_a_table_is_replaced_alone() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = {name: rows_on_page(name, page) for name in ("generators", "validators")}
    changed = replace_rows("generators", page, ["| x |"])
    assert rows_on_page("generators", changed) == ["| x |"]
    assert rows_on_page("validators", changed) == rows["validators"]
    assert replace_rows("generators", changed, rows["generators"]) == page


def test_the_messages_are_those_of_the_page() -> None:
    assert (len(MESSAGES), len(OTHER_RELEASES)) == (36, 151)
    assert sum(message.may_be_refused for message in TABLE_MESSAGES) == 6
    assert len(SENT) > 900
    assert not any("\n" in message.text for message in [*TABLE_MESSAGES, *SENT])


# Controls: what one fault in the schema does to the code, and how a result shows it.


def with_fault(folder: Path, change: Callable[[dict[str, Any]], object]) -> Sources:
    """Return the sources with a change in the receiver's schema."""
    schema = copy.deepcopy(RECEIVER)
    change(schema)
    path = folder / "receiver.schema.json"
    path.write_text(json.dumps(schema), encoding="utf-8")
    return Sources(receiver=path)


def test_a_closed_type_refuses_the_unknown_one(tmp_path: Path) -> None:
    sources = with_fault(tmp_path, lambda schema: schema["properties"]["type"].update(enum=TYPES))
    [result] = families.dataclasses(sources, tmp_path, MESSAGES).values()
    assert [label.partition(":")[0] for label in result.wrongly_refused] == ["an unknown type"]
    with pytest.raises(AssertionError, match="quicktype-python refuses"):
        generator_row("quicktype-python", result)


def test_a_context_object_without_a_type_is_lost(tmp_path: Path) -> None:
    sources = with_fault(tmp_path, lambda schema: schema["properties"]["payload"]["properties"].pop("user"))
    messages = [message for message in MESSAGES if not message.may_be_refused]
    [result] = families.dataclasses(sources, tmp_path, messages).values()
    assert result.context_lost == [
        message.label for message in messages if "user" in message.value["payload"]
    ]
    with pytest.raises(AssertionError, match="quicktype-python loses context"):
        generator_row("quicktype-python", result)


def test_a_schema_that_names_no_other_members_loses_them(tmp_path: Path) -> None:
    sources = with_fault(tmp_path, lambda schema: schema["properties"]["payload"].pop("additionalProperties"))
    [result] = families.pydantic(sources, tmp_path, MESSAGES).values()
    assert Loss.UNNAMED in result.losses
    with pytest.raises(AssertionError, match="datamodel-code-generator loses"):
        generator_row("datamodel-code-generator", result)


def test_code_without_the_types_of_a_receiver_does_not_compile(tmp_path: Path) -> None:
    sources = with_fault(tmp_path, lambda schema: schema["properties"]["payload"]["properties"].pop("user"))
    name = "json-schema-to-typescript"
    result = families.typescript(sources, tmp_path, MESSAGES, [name])[name]
    with pytest.raises(AssertionError, match=f"{name}: its code does not compile:\nerror TS"):
        generator_row(name, result)


TYPES = RECEIVER["properties"]["type"]["examples"]
USER = {"id": "x", "name": None}
GIVEN = {"to": "a", "type": "SignIn", "payload": {"code": "031415", "user": USER, "risk": {"level": 3}}}


@pytest.mark.parametrize(
    ("written", "losses"),
    [
        (GIVEN, set()),
        ({**GIVEN, "ip": None}, {Loss.ADDED}),
        ({**GIVEN, "ip": ""}, {Loss.CHANGED}),
        ({**GIVEN, "type": "Generic"}, {Loss.CHANGED}),
        ({"to": "a", "payload": GIVEN["payload"]}, {Loss.NAMED}),
        ({**GIVEN, "payload": {"code": "031415", "user": USER}}, {Loss.UNNAMED}),
        (
            {**GIVEN, "payload": {"code": "031415", "user": {"id": "x"}, "risk": {"level": 3.0}}},
            {Loss.NULL, Loss.CHANGED},
        ),
    ],
)
def test_every_difference_is_a_loss(written: object, losses: set[Loss]) -> None:
    reading = Reading(Message("x", json.dumps(GIVEN)), None, {}, json.dumps(written))
    assert reading.losses == losses


@pytest.mark.parametrize(
    ("context", "payload", "is_lost"),
    [
        ({"code": "031415", "user": USER, "inviter": None}, {"user": USER}, False),
        ({"code": "031415", "user": {"id": "x"}}, {"user": {}}, False),
        ({"user": USER}, {"user": USER}, True),
        ({"code": "031415"}, {"user": USER}, True),
        ({"code": "031415", "user": {"id": "y"}}, {"user": USER}, True),
        ({"code": "031415", "user": USER}, {}, True),
    ],
)
def test_context_that_is_not_read_or_not_written_is_lost(
    context: dict[str, Any], payload: dict[str, Any], is_lost: bool
) -> None:
    reading = Reading(Message("x", json.dumps(GIVEN)), None, context, json.dumps({"payload": payload}))
    assert reading.has_lost_context is is_lost


def test_a_reason_without_a_loss_is_an_error() -> None:
    readings = [Reading(message, None, context_of(message), message.text) for message in TABLE_MESSAGES]
    with pytest.raises(AssertionError, match=r"quicktype-go loses \{\}"):
        generator_row("quicktype-go", Result(readings))


def context_of(message: Message) -> dict[str, Any]:
    """Return what a reader reads of a message without a loss."""
    payload = message.value["payload"]
    context = {name: payload[name] for name in ("code", *CONTEXT) if name in payload}
    return {
        name: {key: part.get(key) for key in ("id", "name")} if isinstance(part, dict) else part
        for name, part in context.items()
    }
