"""Servers of the standard library and of Werkzeug, each run in a thread of its own."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socketserver
    from collections.abc import Iterator

_POLL_SECONDS = 0.01


@contextmanager
def serving_in_thread(server: socketserver.TCPServer) -> Iterator[str]:
    """Serve until the block ends, then close the server; yield the URL of its hook."""
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
