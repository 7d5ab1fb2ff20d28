"""What a test asked an endpoint for and never used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..inbox.core import MAX_LISTED_DELIVERIES
from ..inbox.matching import Query

if TYPE_CHECKING:
    from .endpoint import MailEndpoint


class UnusedCall(AssertionError):
    """A test scripted a reply that no request used, or made a wait that it never awaited."""


def take_unused(endpoint: MailEndpoint) -> UnusedCall | None:
    """Return as one failure the finite replies and the waits that were never used, and forget them.

    Replies of a lenient endpoint need not be used. A wait must be awaited there too.
    """
    lines: list[str] = []
    if (replies := endpoint.take_unused_replies()) and not endpoint.lenient:
        lines += [
            f"No request used what was scripted for {endpoint.label}:",
            *_shorten(replies),
            endpoint.inbox.list_arrivals(Query(accepted=True)),
            "to allow     optional=True where the reply is scripted",
            "to silence   @pytest.mark.mail_contract(lenient=True), or lenient=True for this endpoint",
        ]
    if waits := endpoint.waits.take_unawaited():
        lines += [
            f"The test never awaited a wait for {endpoint.label}:",
            *_shorten(waits),
            "Such a wait looks at nothing. Write `await` before it.",
        ]
    return UnusedCall("\n".join(lines)) if lines else None


def _shorten(lines: list[str]) -> list[str]:
    shown = [f"  {line}" for line in lines[:MAX_LISTED_DELIVERIES]]
    more = len(lines) - len(shown)
    return [*shown, f"  … {more} more"] if more else shown
