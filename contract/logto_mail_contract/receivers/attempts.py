"""What the SMTP sink answered to each recipient, and which recipients it refuses. It knows no socket."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count
from unicodedata import normalize

import ada_url

CONNECTION_CUT = "connection cut"


class Refusal(Enum):
    """How the sink refuses a recipient. The value is the answer that an attempt shows."""

    TEMPORARY = "451 4.3.0 Try again later"
    PERMANENT = "550 5.1.1 No such mailbox"
    CUT_AT_RCPT = f"{CONNECTION_CUT} at RCPT"
    CUT_AT_DATA = f"{CONNECTION_CUT} at DATA"
    """The client has sent the whole mail, and gets no answer to it."""


@dataclass(frozen=True)
class Attempt:
    """One attempt of a client to send a mail to one recipient.

    Attributes:
        recipient: The address as the client wrote it, without angle brackets. It is empty where the sink
            refused a command that names no recipient, for example ``MAIL FROM:<shop@>``.
        at: When the sink answered last, in seconds of ``clock.read_monotonic``.
        command: The command that the sink answered last: ``MAIL``, ``RCPT`` or ``DATA``; empty for any other.
            ``RCPT`` with a 250 means that the client left without the mail.
        answer: The sink's last answer, for example ``250 OK``, ``553 5.1.3 Error: malformed address`` or
            ``connection cut at DATA``.
    """

    recipient: str
    at: float
    command: str
    answer: str

    @property
    def is_accepted(self) -> bool:
        """Whether the sink has the mail."""
        return self.command == "DATA" and self.answer.startswith("2")


class AttemptLog:
    """The attempts so far and the refusals to come. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count()
        self._attempts: dict[int, Attempt] = {}
        self._by_address: dict[str, list[int]] = {}
        self._refusals: dict[str, tuple[Refusal, int | None]] = {}

    def list_attempts(self, address: str | None = None) -> list[Attempt]:
        """Return the attempts in the order of their RCPT; only those to the address if one is given."""
        with self._lock:
            if address is None:
                return list(self._attempts.values())
            return [self._attempts[number] for number in self._by_address.get(normalize_address(address), ())]

    def clear(self) -> None:
        """Forget the attempts."""
        with self._lock:
            self._attempts.clear()
            self._by_address.clear()

    def refuse(self, address: str, refusal: Refusal, times: int | None) -> None:
        with self._lock:
            self._refusals[normalize_address(address)] = (refusal, times)

    def take_refusal(self, address: str) -> Refusal | None:
        """Return the refusal of this attempt to send to an address, and count the attempt."""
        key = normalize_address(address)
        with self._lock:
            refusal, times = self._refusals.get(key, (None, None))
            if refusal is None or times == 0:
                return None
            if times is not None:
                self._refusals[key] = (refusal, times - 1)
            return refusal

    def record(self, attempt: Attempt) -> int:
        """Add an attempt, and return the number by which it can be revised."""
        key = normalize_address(attempt.recipient)
        with self._lock:
            number = next(self._numbers)
            self._attempts[number] = attempt
            self._by_address.setdefault(key, []).append(number)
        return number

    def revise(self, number: int, *, at: float, command: str, answer: str) -> None:
        """Replace the answer of an attempt by a later one; a cleared attempt stays forgotten."""
        with self._lock:
            if number in self._attempts:
                self._attempts[number] = replace(
                    self._attempts[number], at=at, command=command, answer=answer
                )


def normalize_address(address: str) -> str:
    """Return a form of an address that is the same for all spellings of one mailbox.

    Upper case, quotation marks that need not be, and the Punycode of a domain make no difference.
    """
    local, _, domain = address.strip().rpartition("@")
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    domain = domain.rstrip(".").lower()  # casefold would make ss of ß, another domain
    if domain.isprintable():  # Ada takes no lone surrogate, and ends at a NUL
        # It returns nothing for what is no domain.
        domain = ada_url.idna_to_ascii(domain).decode() or domain
    return f"{normalize('NFC', local).casefold()}@{domain}"
