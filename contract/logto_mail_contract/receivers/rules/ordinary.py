"""The batch that every run begins with: an ordinary message of each template type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...judging.typical import template_types
from ..cases import batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cases import Case
    from ..requests import RequestMaker


@batch()
def ordinary(maker: RequestMaker) -> Iterator[Case]:
    """An ordinary message of each template type."""
    for type in template_types(maker.revision):
        yield maker.make_case(maker.make_typical(type))
