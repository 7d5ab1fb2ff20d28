"""Runs server programs that print the origin at which they listen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@contextmanager
def serving_program(
    *command: str | Path, environment: Mapping[str, str] | None = None, output: list[str] | None = None
) -> Iterator[str]:
    """Run a server program and yield its origin, for example ``http://127.0.0.1:3000``.

    Args:
        command: The program and its arguments. It prints a URL of 127.0.0.1 as soon as it listens.
        environment: Variables to set for it, beside those of this process.
        output: Gets each line that it prints, on standard output or standard error.

    Raises:
        RuntimeError: The program ended before it listened. The message has its output.
    """
    with subprocess.Popen(
        [str(argument) for argument in command],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        lines = server.stdout
        printed = [] if output is None else output
        drain: threading.Thread | None = None
        try:
            for line in lines:
                printed.append(line)
                if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                    # Drain the output: a full pipe would block the program.
                    drain = threading.Thread(target=printed.extend, args=(lines,), daemon=True)
                    drain.start()
                    yield match[0]
                    return
            raise RuntimeError(f"{command} ended:\n{''.join(printed)}")
        finally:
            # The whole group: PHP's server has workers.
            os.killpg(server.pid, signal.SIGKILL)
            if drain is not None:
                # It reads the pipe, which is closed next.
                drain.join()
