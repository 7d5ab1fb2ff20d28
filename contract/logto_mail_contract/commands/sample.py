"""The command ``mail-contract sample``: prints generated messages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..judging.javascript_json import stringify
from .exit_codes import PASSED, WrongUse

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: There is no such revision, layer or type.
    """
    for message in generate_messages(
        options.n, seed=options.seed, revision=options.revision, layer=options.layer, type=options.type
    ):
        sys.stdout.write(stringify(message).decode() + "\n")
    return PASSED


def generate_messages(
    number: int,
    *,
    seed: int = 0,
    revision: str | None = None,
    layer: str = "emitted",
    type: str | None = None,
) -> list[dict[str, Any]]:
    """Return generated messages; the same arguments give the same messages.

    Args:
        number: How many.
        seed: Seed of the generator.
        revision: A contract revision or Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        type: A template type of the revision; any when None.

    Raises:
        WrongUse: There is no such revision, layer or type.
    """
    from ..strategies import messages
    from ..suite.search import draw_examples

    try:
        strategy = messages(revision=revision, layer=layer, types=None if type is None else [type])
    except (catalogue.UnknownRevision, catalogue.UnknownLayer, ValueError) as problem:
        raise WrongUse(str(problem)) from None
    return draw_examples(strategy, number, seed)
