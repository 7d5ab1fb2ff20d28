"""What rules send: cases, the batches that they come in, and the exchanges that came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .attempts import Refusal
    from .requests import RequestMaker

MailNeed = Literal["MUST", "SHOULD", "none"]
"""Whether an accepted message must have its mail; none where no rule says so."""


MIN_TELLING_DIGITS = 4
"""How many different digits a code has that is no usual colour."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One request that rules judge.

    Attributes:
        call: The request.
        type: The template type whose ordinary message must be accepted, or the case says nothing; empty where
            it says something in any case.
        message: The message that the request delivers, or that it was made of; None without one.
        mail: Whether the receiver must mail it once it has accepted it.
        repeats: How often it is sent, one after the other.
        group: The name of the batch that it came in.
        refusal: How the mail server fails for its recipient; None where it does not.
    """

    call: Call
    type: str
    message: Mapping[str, Any] | None = None
    mail: MailNeed = "none"
    repeats: int = 1
    group: str = ""
    refusal: Refusal | None = None

    @property
    def to(self) -> str:
        """The recipient; empty where the message has none."""
        return _text(self.message, "to")

    @property
    def code(self) -> str:
        """The code; empty where the message has none."""
        return _text(self.message and self.message.get("payload"), "code")

    @property
    def has_telling_code(self) -> bool:
        """Whether a mail with the code is a mail of this case; 000000 and its like may be colours."""
        return len(set(self.code)) >= MIN_TELLING_DIGITS

    @property
    def link(self) -> str:
        """The link; empty where the message has none."""
        return _text(self.message and self.message.get("payload"), "link")


def _text(container: Any, name: str) -> str:
    value = container.get(name) if isinstance(container, dict) else None
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """What came of one case.

    Attributes:
        case: The case.
        outcome: The outcome of the request; of the last one, where it was repeated.
        earlier: The outcomes of the requests before the last one.
        started: When it was begun, in seconds of the monotonic clock.
        ended: When the outcome was there, in the same seconds.
        company: How many other requests were under way, at most, that the case did not ask for.
        is_burst: Whether the case asked for the company of others.
    """

    case: Case
    outcome: Outcome
    earlier: tuple[Outcome, ...]
    started: float
    ended: float
    company: int
    is_burst: bool = False


Way = Literal["shared", "alone", "burst", "drawn", "paired"]
"""How the cases of a batch are sent: among all others, apart from those of others, as a burst of many
connections apart from others, among others once Hypothesis has drawn them, or by the rules themselves, each
two on a connection of their own."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Cases that are sent once in a run, however many rules judge them.

    Attributes:
        make: Makes the cases; it sends nothing.
        way: How they are sent.
        domains: The domains of recipients that are known only once they are drawn.
    """

    make: Callable[[RequestMaker], Iterable[Case]]
    way: Way = "shared"
    domains: tuple[str, ...] = ()

    def make_cases(self, maker: RequestMaker) -> list[Case]:
        """Return the cases.

        Args:
            maker: Makes each of them.
        """
        maker.enter(self.name)
        return list(self.make(maker))

    @property
    def name(self) -> str:
        """The name of the group of its cases."""
        return self.make.__name__.strip("_")


def batch(
    way: Way = "shared", *, domains: tuple[str, ...] = ()
) -> Callable[[Callable[[RequestMaker], Iterable[Case]]], Batch]:
    """Return a decorator that makes a batch of the function that makes its cases.

    Args:
        way: How the cases are sent.
        domains: The domains of recipients that are known only once they are drawn.
    """
    return lambda make: Batch(make, way, domains)
