"""What becomes of a connection after a response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..wire.outcomes import NoResponse, Response

if TYPE_CHECKING:
    from ..wire.outcomes import Outcome
    from .cases import Case


@dataclass(frozen=True, slots=True)
class ConnectionPair:
    """Two requests on one connection.

    Attributes:
        case: The first request; the second is an ordinary message.
        first: The very response to the first, for example a redirect.
        late: The faults of what arrived after it.
        second: The outcome of the second; None where the first response announced the end of the connection.
        right_status: The status that the second should have.
    """

    case: Case
    first: Outcome
    late: tuple[str, ...]
    second: Outcome | None
    right_status: int

    @property
    def is_error(self) -> bool:
        """Whether the first response is an error."""
        return isinstance(self.first, Response) and self.first.status >= 400

    @property
    def is_closed_after_error(self) -> bool:
        """Whether the connection ended after an error, and nothing had announced it."""
        return self.is_error and isinstance(self.second, NoResponse) and self.second.kind == "cut"

    @property
    def is_right(self) -> bool:
        """Whether the second response is that of an ordinary message, or the end was announced.

        Any response is not enough: bytes of the first request may have been read as the second.
        """
        return self.second is None or (
            isinstance(self.second, Response) and self.second.status == self.right_status
        )
