"""Draws examples from the strategies, and looks into messages."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from logto_mail_contract import catalogue
from logto_mail_contract.strategies import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy


LAYERS = [
    (revision, layer)
    for revision in catalogue.revisions()
    for layer in catalogue.LAYERS
    if layer != "documented" or revision == catalogue.current_revision()
]


EVERY_LAYER = pytest.mark.parametrize(("revision", "layer"), LAYERS, ids=["-".join(pair) for pair in LAYERS])


def draw_examples(strategy: SearchStrategy[Any], count: int, seed: int = 0) -> list[Any]:
    """Return ``count`` examples, the same ones each time."""
    examples: list[Any] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: object) -> None:
        examples.append(example)

    collect()
    return examples


def find_shortest(strategy: SearchStrategy[Any], shows: Callable[[Any], bool], seed: int = 0) -> Any:
    """Return the example that Hypothesis shrinks to among those for which ``shows`` is true."""
    options = settings(
        database=None, max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return find(strategy, shows, settings=options, random=Random(seed))


@cache
def draw_sample(revision: str, layer: str) -> tuple[dict[str, Any], ...]:
    """Return messages that several tests share; do not change them."""
    return tuple(draw_examples(messages(revision, layer), 300))


def get_payload(message: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of a message."""
    payload: dict[str, Any] = message["payload"]
    return payload


def get_member(message: dict[str, Any], *path: str) -> Any:
    """Return the value at a path, None if there is none."""
    value: Any = message
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def is_invitation(message: dict[str, Any]) -> bool:
    """Return whether a message has the type OrganizationInvitation."""
    return bool(message["type"] == "OrganizationInvitation")
