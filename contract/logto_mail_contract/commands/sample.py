"""The command ``mail-contract sample``: prints sample messages."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..judging.javascript_json import stringify
from .exit_codes import PASSED, WrongUse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: There is no such revision, layer or type.
    """
    messages: Iterable[dict[str, Any]]
    if options.generated:
        messages = generate_messages(
            options.n, seed=options.seed, revision=options.revision, layer=options.layer, type=options.type
        )
    else:
        messages = islice(_make_messages(options), options.n)
    for message in messages:
        sys.stdout.write(stringify(message).decode() + "\n")
    return PASSED


def _make_messages(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    from ..judging.plausible import generate_plausible

    try:
        revision = catalogue.resolve_revision(options.revision)
        types = tuple(catalogue.schema(revision, options.layer)["properties"]["type"]["enum"])
    except (catalogue.UnknownRevision, catalogue.UnknownLayer) as problem:
        raise WrongUse(str(problem)) from None
    if options.type is not None and options.type not in types:
        raise WrongUse(
            f"revision {revision}, layer {options.layer}, has no template type {options.type!r}: "
            f"its types are {', '.join(types)}"
        )
    chosen = types if options.type is None else (options.type,)
    return generate_plausible(chosen, revision, options.layer, options.seed)


def generate_messages(
    number: int,
    *,
    seed: int = 0,
    revision: str | None = None,
    layer: str = "emitted",
    type: str | None = None,
) -> list[dict[str, Any]]:
    """Return generated messages, hostile ones too; the same arguments give the same messages.

    Args:
        number: How many.
        seed: Seed of the generator.
        revision: A contract revision or Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        type: A template type of the revision; any when None.

    Raises:
        WrongUse: There is no such revision, layer or type.
    """
    # Here: Hypothesis takes longer than the plausible messages.
    from ..suite.search import draw_examples, keep_storage_apart

    with keep_storage_apart():
        from ..strategies import messages

        try:
            strategy = messages(revision=revision, layer=layer, types=None if type is None else [type])
        except (catalogue.UnknownRevision, catalogue.UnknownLayer, ValueError) as problem:
            raise WrongUse(str(problem)) from None
        return draw_examples(strategy, number, seed)
