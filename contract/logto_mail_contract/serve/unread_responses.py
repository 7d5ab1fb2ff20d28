"""Large responses that clients have still to read: their bytes are bounded together."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from .api_request import respond

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .api_request import ApiRequest, Content
    from .writer import ResponseWriter


class UnreadResponses:
    """Responses that are made one at a time, and held until their clients have read them.

    A new response always finds room: the client that has read for longest is disconnected for it.

    Args:
        max_bytes: Beyond how many bytes of unread bodies a new response waits for room.
        read_seconds: For how long each client may read before it can be disconnected.
    """

    def __init__(self, max_bytes: int, read_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._read_seconds = read_seconds
        self._making = asyncio.Lock()
        self._freed = asyncio.Event()
        # When each response was made, and the bytes of its body; the oldest first.
        self._unread: dict[ResponseWriter, tuple[float, int]] = {}

    async def send(self, asked: ApiRequest, make: Callable[[], Awaitable[Content]]) -> None:
        """Make a response when its turn comes, and send it.

        Args:
            asked: The request.
            make: Returns the response. What it raises is raised, and nothing was sent yet.
        """
        writer: ResponseWriter = asked.scope["state"]["writer"]
        async with self._making:
            if writer.is_closing():
                return
            await self._make_room()
            content = await make()
            self._unread[writer] = (asyncio.get_running_loop().time(), len(content.body))
        try:
            await respond(asked.send, content, head_only=asked.scope["method"] == "HEAD")
        finally:
            self._unread.pop(writer, None)
            self._freed.set()

    async def _make_room(self) -> None:
        while sum(size for _, size in self._unread.values()) > self._max_bytes:
            writer, (made, _) = next(iter(self._unread.items()))
            left = made + self._read_seconds - asyncio.get_running_loop().time()
            if left > 0:
                self._freed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._freed.wait(), left)
            else:
                del self._unread[writer]
                writer.abort()
