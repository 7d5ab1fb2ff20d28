"""What a template type may send: its features, and what makes a message of those that were drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import DrawFn


class Plan:
    """What messages of one template type may have beside what they always have.

    Args:
        features: The names of what may come or not, the simple ones first. One that stands twice is drawn
            more often.
        build: Makes the message of the features that were drawn.
    """

    def __init__(self, features: Iterable[str], build: Callable[[DrawFn, set[str]], dict[str, Any]]) -> None:
        self.features = tuple(features)
        self.build = build


# What does nothing, for types with so few features that most of their messages would have them all.
PLAIN = ("plain",) * 7


def has_any(on: set[str], features: tuple[str, ...]) -> bool:
    return not on.isdisjoint(features)
