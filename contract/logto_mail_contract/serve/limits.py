"""The bounds on what clients can take of the endpoint's time and memory: one of them, and all together."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..wire.request_reader import ReadLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on clients.

    Attributes:
        request_seconds: Time in which a request must come whole, and in which a client must read on.
        response_seconds: Time in which a client must read a whole response, but for a stream.
        keep_alive_seconds: Time for which a connection stays open without a request.
        half_closed_seconds: Time for which a held request stays open after the client has ended its side.
        drain_seconds: Time without a byte after which a refused client is closed.
        sweep_seconds: Interval at which the others are looked at.
        unread_bytes: Most bytes that are read from a client behind a request that is held.
        turn_seconds: Time for which a turn of the event loop handles what all clients together sent.
        turn_requests: How many requests of a client are handled before others have their turn.
        turn_bytes: How many bytes of a client are read before others have their turn.
        reserved_files: How many more files the process can open when a new client is turned away.
        held_bytes: How many bytes all clients together may have in requests that are not handled yet. Beyond
            it a client with more than ``unread_bytes`` is turned away.
        read: Bounds on a request.
    """

    request_seconds: float = 15.0
    response_seconds: float = 120.0
    keep_alive_seconds: float = 75.0
    half_closed_seconds: float = 0.5
    drain_seconds: float = 1.0
    sweep_seconds: float = 0.5
    unread_bytes: int = 64 * 1024
    turn_seconds: float = 0.003
    turn_requests: int = 8
    turn_bytes: int = 32 * 1024
    reserved_files: int = 16
    held_bytes: int = 256 * 1024 * 1024
    read: ReadLimits = field(default_factory=lambda: ReadLimits(64 * 1024, 2 * 1024 * 1024))
