"""Compares our ``JSON.stringify`` in Python with JavaScript's, in the bodies of the real connector."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from tests.logto.documents import documents
from tests.logto.wire import Wire

from logto_mail_contract.judging.javascript_json import parse, stringify

if TYPE_CHECKING:
    from tests.logto.node import NodeWorker

DOCUMENTS = 400
NUMBERS = 4_000
MEMBERS = ("to", "type", "payload")


def draw_values(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Return that many values of a strategy, the same each time."""
    values: list[Any] = []

    @seed(1035)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate])
    @given(strategy)
    def on_each(value: Any) -> None:
        values.append(value)

    on_each()
    return values


def post_messages(connector: NodeWorker, messages: list[str]) -> list[bytes]:
    """Return the bodies that the real connector posts for messages, given as JSON texts."""
    with Wire() as wire:
        for message in messages:
            assert connector.ask({"endpoint": wire.origin, "json": message}) == {"ok": True}
    return [request.body for request in wire.requests]


def has_ip(message: dict[str, Any]) -> bool:
    """Return whether the message's ``ip`` is truthy in JavaScript, where every object is."""
    return isinstance(message.get("ip"), (dict, list)) or bool(message.get("ip"))


def is_object(text: str) -> bool:
    """Return whether a text is JSON and an object."""
    try:
        return isinstance(parse(text), dict)
    except ValueError:
        return False


def test_bodies_of_messages_equal_those_of_the_connector(connector: NodeWorker) -> None:
    """For any message, our bytes equal those of the connector."""
    messages = draw_values(documents().filter(is_object), DOCUMENTS)
    for text, body in zip(messages, post_messages(connector, messages), strict=True):
        message = parse(text)
        members = [*MEMBERS, "ip"] if has_ip(message) else MEMBERS
        assert stringify({name: message[name] for name in members if name in message}) == body, text


def test_numbers_are_written_as_javascript_writes_them(connector: NodeWorker) -> None:
    """Every number is written as JavaScript writes it."""
    numbers = draw_values(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers()), NUMBERS)
    numbers += [
        sign * 10.0**power * digits for sign in (1, -1) for power in range(-12, 26) for digits in (1, 1.5)
    ]
    text = f'{{"to":"x","type":"T","payload":{{"numbers":{json.dumps(numbers)}}}}}'
    (body,) = post_messages(connector, [text])
    ours = stringify(parse(text))
    different = [pair for pair in zip(ours.split(b","), body.split(b","), strict=True) if pair[0] != pair[1]]
    assert different == []
    assert len(body.split(b",")) > NUMBERS
