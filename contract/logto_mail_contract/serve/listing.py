"""The list of deliveries of the inbox API, made and sent in pieces."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ..inbox.store import StoreProblem
from .api_request import HEADERS, PIECE_BYTES, Content, body_part, send_body
from .delivery_documents import summarize

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from ..inbox.store import Store
    from .api_request import ApiRequest

_MAX_KEPT_BYTES = 1024 * 1024


async def send_listing(
    asked: ApiRequest, store: Store, ids: Sequence[int], counts: Mapping[str, Any], turns: asyncio.Lock
) -> Content | None:
    """Return the list of some deliveries as a response, or send it piece by piece if it is long.

    Args:
        asked: The request.
        store: The store.
        ids: The ids of the deliveries; those that are gone when their turn comes are left out.
        counts: The other members of the document.
        turns: Held while a piece is made, so that all requests together make one in a turn of the loop.

    Raises:
        StoreProblem: The store cannot be read, and nothing was sent yet.
    """
    kept: list[bytes] = []
    total = 0
    async for piece in _write_in_turns(store, ids, counts, turns):
        total += len(piece)
        # A thousand of the largest deliveries have gigabytes: a long list is made again while it is sent.
        kept = [*kept, piece] if total <= _MAX_KEPT_BYTES else []
    if kept or asked.scope["method"] == "HEAD":
        return Content(200, "application/json", b"".join(kept))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % total), *HEADERS]
    await asked.send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        async for piece in _write_in_turns(store, ids, counts, turns):
            total -= len(piece)
            await send_body(asked.send, piece, more=True)
    except StoreProblem:
        # The response has begun: ending it before its end says that it is not whole.
        return None
    # Blanks in the place of deliveries that were deleted meanwhile.
    await _send_blanks(asked, total)
    return None


async def _send_blanks(asked: ApiRequest, count: int) -> None:
    """Send blanks, which end the body."""
    while count > PIECE_BYTES:
        count -= PIECE_BYTES
        await asked.send(body_part(b" " * PIECE_BYTES))
        await asyncio.sleep(0)
    await asked.send(body_part(b" " * count, more=False))


async def _write_in_turns(
    store: Store, ids: Sequence[int], counts: Mapping[str, Any], turns: asyncio.Lock
) -> AsyncIterator[bytes]:
    pieces = _write(store, ids, counts)
    while True:
        async with turns:
            piece = next(pieces, None)
            await asyncio.sleep(0)
        if piece is None:
            return
        yield piece


def _write(store: Store, ids: Sequence[int], counts: Mapping[str, Any]) -> Iterator[bytes]:
    waiting, size, separator = [b'{"messages": ['], 0, b""
    for id in ids:
        recorded = store.get(id)
        if recorded is None:
            continue
        waiting += [separator, json.dumps(summarize(recorded)).encode()]
        separator = b", "
        # A store may have to read the body too.
        size += len(waiting[-1]) + len(recorded.body)
        if size > PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    waiting.append(b"], " + json.dumps(counts)[1:].encode())
    yield b"".join(waiting)
