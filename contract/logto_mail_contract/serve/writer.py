"""The writing side of a connection of ``serve``."""

from __future__ import annotations

import asyncio
import socket
import struct

_MAX_JOINED_WRITES = 100
_NO_LINGER = struct.pack("ii", 1, 0)


class ResponseWriter:
    """A transport whose writes within one turn of the event loop are joined.

    Each write wakes the client, which costs more than judging does. Written at once, a response would also
    have a fast client's next request read before those of others.

    Args:
        transport: The transport of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting: list[bytes] = []
        self._call_soon = asyncio.get_running_loop().call_soon
        self._writable = asyncio.Event()
        self._writable.set()
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._call_soon(self._flush)
        self._waiting.append(data)
        if len(self._waiting) > _MAX_JOINED_WRITES:
            # Flush now: backpressure only sees bytes already handed to the transport.
            self._flush()

    def pause(self) -> None:
        """Have ``wait_until_writable`` wait: the client does not read what was sent."""
        self._writable.clear()

    def resume(self) -> None:
        """Wake every coroutine that waits to write."""
        self._writable.set()

    async def wait_until_writable(self) -> None:
        """Wait while the client does not read what was sent; also returns when the connection ends."""
        await self._writable.wait()

    def write_eof(self) -> None:
        """Send what waits, then the end; the client can still send."""
        self._flush()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Send what waits, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close and discard what waits."""
        self._waiting.clear()
        self._transport.abort()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        if self._transport.is_closing():  # the client was faster
            return
        accepted = self._transport.get_extra_info("socket")
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.abort()

    def _flush(self) -> None:
        # The client may have left since.
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()
