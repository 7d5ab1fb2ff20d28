"""Builds the vector files under the paths that they have below ``schemas/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .documented import build_documented
from .emitted import build_emitted
from .guard import build_guard
from .values import CURRENT, REVISIONS

if TYPE_CHECKING:
    from ..files import Json


def build_vectors() -> dict[str, list[Json]]:
    """Return the groups of every vector file under its path below ``schemas/``."""
    suites = [build(revision) for revision in REVISIONS for build in (build_guard, build_emitted)]
    suites.append(build_documented(CURRENT))
    return {f"vectors/{suite.revision}/{suite.layer}.json": suite.build() for suite in suites}
