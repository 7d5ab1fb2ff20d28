"""The command ``mail-contract serve``: the fake mail endpoint that stands by itself, with its inbox."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import queue
import socket
import sys
import threading
import time
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__, catalogue
from ..masking import escape_unprintable
from ..serve.app import StandingApp
from ..serve.endpoint import StandingEndpoint
from ..serve.store import StoreProblem, open_store
from .exit_codes import FAILED, INTERRUPTED, PASSED, WrongUse, authorization_from, counted, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ..judging.requests import Verdict
    from ..serve.store import Recorded

_FLUSH_SECONDS = 0.05
_CLOSE_SECONDS = 1.0
_MOST_BEHIND = 10_000
_MOST_SHOWN = 200


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options name what there is not, or what cannot be used.
    """
    try:
        from ..serve.server import StandingServer
    except ModuleNotFoundError as problem:
        raise WrongUse(
            f"serve needs {problem.name}, which is not installed: pip install 'logto-mail-contract[serve]'"
        ) from None
    authorization = authorization_from(options.authorization_env)
    log = Log(as_json=options.log_format == "json", redact=options.redact)
    with ExitStack() as open_things:
        listening = open_things.enter_context(_listen(options.host, options.port))
        try:
            store = open_things.enter_context(closing(open_store(options.store, options.max_messages)))
            endpoint = StandingEndpoint(
                store, log, revision=options.revision, layer=options.layer, authorization=authorization
            )
        except (StoreProblem, catalogue.UnknownRevision, catalogue.UnknownLayer) as problem:
            raise WrongUse(str(problem)) from None
        host, port = listening.getsockname()[:2]
        app = StandingApp(endpoint, guard_host=_is_loopback(host))
        server = StandingServer(app, lambda: _announce(options, endpoint, log, host, port))
        # What is there now is there until the end: the collector need not look at it again.
        gc.freeze()
        server.run([listening])
        log.close()
    if server.force_exit:
        say("stopped before everything was answered")
        return INTERRUPTED
    if endpoint.violations:
        say(f"{counted(endpoint.violations, 'message')} broke the contract")
    return FAILED if endpoint.violations and not options.lenient else PASSED


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError, UnicodeError) as problem:
        raise WrongUse(
            f"cannot listen at {host} port {port}: {problem}. --port 0 takes a free one, and --port-file "
            "says which."
        ) from None


def _is_loopback(host: str) -> bool:
    return ip_address(host.partition("%")[0]).is_loopback


def _announce(
    options: argparse.Namespace, endpoint: StandingEndpoint, log: Log, host: str, port: int
) -> None:
    anywhere = ip_address(host).is_unspecified
    shown = "localhost" if anywhere else f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    if options.port_file:
        _write_port(Path(options.port_file), port)
    authorization = (
        "not looked at" if endpoint.authorization is None else f"as in {options.authorization_env}"
    )
    store = endpoint.store
    kept = (
        f"{options.store}, {counted(store.total, 'message')} so far"
        if options.store != "memory"
        else "memory"
    )
    lines = [
        f"mail-contract serve {__version__}: revision {endpoint.revision}, layer {endpoint.layer}",
        f"  endpoint for Logto's HTTP email connector  {url}/",
        f"  Authorization                              {authorization}",
        f"  inbox                                      {url}/",
        f"  API                                        {url}/api/openapi.json",
        f"  messages                                   {kept}, at most {options.max_messages}",
    ]
    if options.log_format == "text":
        sys.stdout.write("\n".join(lines) + "\nCtrl-C ends it.\n")
        sys.stdout.flush()
    else:
        log.line({"event": "ready", "url": f"{url}/", "port": port, "revision": endpoint.revision})
    if not _is_loopback(host):
        say(
            f"it listens at {host}, beyond loopback: whoever reaches port {port} can read every code and "
            "link, and script replies"
        )


def _write_port(file: Path, port: int) -> None:
    # Whole at once: whoever waits for the file must not read half a number.
    written = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        written.write_text(f"{port}\n", encoding="ascii")
        written.replace(file)
    except OSError as problem:
        written.unlink(missing_ok=True)
        raise WrongUse(f"the port file {file} cannot be written: {problem.strerror}") from None


class Log:
    """What the command prints while it runs, a line for each delivery.

    Args:
        as_json: Whether a line is a JSON object.
        redact: Whether codes and links are left out.
    """

    def __init__(self, *, as_json: bool, redact: bool) -> None:
        self._as_json = as_json
        self._redact = redact
        self._waiting: list[str] = []
        self._printer = _Printer(self._left_out)
        self._second = 0
        self._told = ""

    def delivery(self, recorded: Recorded, message: Any, verdict: Verdict) -> None:
        """Tell a delivery."""
        payload = message.get("payload") if isinstance(message, dict) and not self._redact else None
        code = link = None
        if isinstance(payload, dict):
            # Of another type, a finding tells of it; JSON cannot write every number that it can read.
            code, link = (
                value if isinstance(value, str) else None
                for value in (payload.get("code"), payload.get("link"))
            )
        if self._as_json:
            self.line(
                {
                    "event": "delivery",
                    "id": recorded.id,
                    "to": recorded.to,
                    "type": recorded.type,
                    **({} if self._redact else {"code": code, "link": link}),
                    "status": recorded.status,
                    "answered": recorded.answered,
                    "broken": recorded.broken,
                    "findings": [finding.entry() for finding in verdict.findings],
                },
                recorded.arrived,
            )
            return
        what = (
            f"{_shown(recorded.type)} to {_shown(recorded.to)}"
            if isinstance(message, dict)
            else f"{_shown(recorded.method)} {_shown(recorded.target)}, no message"
        )
        if code is not None:
            what += f"  code {_shown(code)}"
        if link is not None:
            what += f"  link {_shown(link)}"
        outcome = "broken" if recorded.broken else "noted" if verdict.findings else "kept"
        line = f"{self._clock(recorded.arrived)}  #{recorded.id}  {what}  {recorded.answered}, {outcome}"
        for finding in verdict.findings:
            where = escape_unprintable(finding.pointer) or "the whole message"
            expected = escape_unprintable(" or ".join(finding.expected))
            line += (
                f"\n    {finding.rule}  {finding.level}  at {where}: {escape_unprintable(finding.actual)}; "
            )
            line += f"expected {expected}"
        self._write(line)

    def problem(self, text: str) -> None:
        """Tell what went wrong on this side, or came and is no request."""
        if self._as_json:
            self.line({"event": "problem", "problem": text})
        else:
            self._write(f"{self._clock(time.time())}  {escape_unprintable(text)}")

    def line(self, members: dict[str, Any], at: float | None = None) -> None:
        """Tell a JSON object in a line, with the time."""
        self._write(self._json(members, at))

    def _json(self, members: dict[str, Any], at: float | None = None) -> str:
        when = datetime.fromtimestamp(time.time() if at is None else at, UTC).isoformat()
        return json.dumps({"time": when, **members})

    def _left_out(self, count: int) -> str:
        problem = f"{counted(count, 'line')} left out here, since nobody read on"
        return self._json({"event": "problem", "problem": problem}) if self._as_json else problem

    def _clock(self, seconds: float) -> str:
        second = int(seconds)
        if second != self._second:
            # The local time of a second is worked out once: there may be thousands of lines in it.
            self._second, self._told = second, time.strftime("%H:%M:%S", time.localtime(second))
        return f"{self._told}.{int(seconds % 1 * 1000):03}"

    def _write(self, text: str) -> None:
        if not self._waiting:
            # A write for each line would cost as much as judging a message does.
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._waiting.append(text)

    def flush(self) -> None:
        """Hand what waits to the printer."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._printer.print(waiting)

    def close(self) -> None:
        """Print what waits, unless nobody reads it."""
        self.flush()
        self._printer.close()


class _Printer:
    """Prints in a thread of its own: a reader that stands still must not hold up who posts a mail.

    Args:
        left_out: Makes the line that tells how many were left out, since nobody read on.
    """

    def __init__(self, left_out: Callable[[int], str]) -> None:
        self._told = left_out
        self._batches: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        # Each is counted by one thread alone.
        self._given = self._printed = 0
        self._left_out = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def print(self, lines: list[str]) -> None:
        if self._given - self._printed > _MOST_BEHIND:
            self._left_out += len(lines)
            return
        if self._left_out:
            lines = [self._told(self._left_out), *lines]
            self._left_out = 0
        self._given += len(lines)
        self._batches.put(lines)

    def close(self) -> None:
        self._batches.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        # Not through sys.stdout: while this waits for a reader, nobody else could use it, not even to end.
        # Where nobody reads any more, nothing is printed from then on.
        with suppress(OSError, ValueError):
            output, encoding = sys.stdout.fileno(), sys.stdout.encoding
            while (lines := self._batches.get()) is not None:
                data = ("\n".join(lines) + "\n").encode(encoding, "backslashreplace")
                while data:
                    data = data[os.write(output, data) :]
                self._printed += len(lines)


def _shown(text: str | None) -> str:
    if text is None:
        return "(none)"
    return (
        escape_unprintable(text) if len(text) <= _MOST_SHOWN else f"{escape_unprintable(text[:_MOST_SHOWN])}…"
    )
