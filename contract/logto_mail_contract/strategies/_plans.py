"""The plan of a template type: the features of its messages, and how to build a message from some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import DrawFn


class Plan:
    """How to draw messages of one template type.

    Args:
        features: The names of the optional features, simple ones first. A name that is listed twice is drawn
            more often.
        build: Builds a message that has the given features.
    """

    def __init__(self, features: Iterable[str], build: Callable[[DrawFn, set[str]], dict[str, Any]]) -> None:
        self.features = tuple(features)
        self.build = build


# Features without effect. Without them most messages of a type with few features would have them all.
PLAIN = ("plain",) * 7


def has_any(on: set[str], features: tuple[str, ...]) -> bool:
    return not on.isdisjoint(features)
