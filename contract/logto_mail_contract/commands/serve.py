"""The command ``mail-contract serve``: runs the mail endpoint on its own, with its inbox."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
from contextlib import ExitStack, closing, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__, catalogue
from ..inbox.store import StoreProblem
from ..masking import count_noun, escape_unprintable
from ..program import read_program_name
from ..serve.app import StandingApp
from ..serve.endpoint import StandingEndpoint
from ..serve.log import PrintedLog
from ..serve.store import open_store
from .exit_codes import FAILED, INTERRUPTED, PASSED, WRONG_USE, WrongUse, read_authorization, say
from .loopback import is_loopback

if TYPE_CHECKING:
    import argparse


_MAX_TRIES = 20


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    try:
        from ..serve.server import StandingServer
    except ModuleNotFoundError as problem:
        raise WrongUse(
            f"serve needs {problem.name}, which is not installed: pip install 'logto-mail-contract[serve]', "
            "or run it without an installation: uvx 'logto-mail-contract[serve]' serve"
        ) from None
    authorization = read_authorization(options.authorization_env)
    broken: list[str] = []

    def note_broken(reason: str) -> None:
        broken.append(reason)
        say(f"standard output cannot be written, and it serves on: {reason}")

    log = PrintedLog(as_json=options.log_format == "json", redact=options.redact, on_broken=note_broken)
    with ExitStack() as stack:
        listening = [stack.enter_context(one) for one in _listen(options.host, options.port)]
        try:
            store = stack.enter_context(closing(open_store(options.store, options.max_messages)))
            endpoint = StandingEndpoint(
                store,
                log,
                revision=options.revision,
                layer=options.layer,
                authorization=authorization,
                lenient=options.lenient,
            )
        except (StoreProblem, catalogue.UnknownRevision, catalogue.UnknownLayer) as problem:
            raise WrongUse(str(problem)) from None
        host, port = listening[0].getsockname()[:2]
        app = StandingApp(endpoint, guard_host=is_loopback(host))
        hosts = [one.getsockname()[0] for one in listening]
        server = StandingServer(app, lambda: announce(options, endpoint, log, hosts, port))
        # The objects of now live until the end. Without this, each full collection would visit them.
        gc.freeze()
        server.run(listening)
        log.close()
    if server.force_exit:
        say("stopped before every response was sent")
        return INTERRUPTED
    if broken:
        return WRONG_USE
    if endpoint.violations:
        say(f"{count_noun(endpoint.violations, 'message')} broke the contract")
    return FAILED if endpoint.violations and not options.lenient else PASSED


def announce(
    options: argparse.Namespace, endpoint: StandingEndpoint, log: PrintedLog, hosts: list[str], port: int
) -> None:
    """Print where the endpoint listens, warn beyond loopback, and write the port file.

    Args:
        options: The options of the command.
        endpoint: The endpoint.
        log: Prints the event ``ready``, if it prints JSON.
        hosts: The IP addresses that it listens at; the first one is printed as a URL.
        port: The port that it listens at.

    Raises:
        WrongUse: The port file cannot be written.
    """
    if options.port_file:
        _write_port(Path(options.port_file), port)
    url = _format_url(hosts, port)
    if options.log_format == "json":
        log.event({"event": "ready", "url": url, "port": port, "revision": endpoint.revision})
    else:
        sys.stdout.write(_format_start(options, endpoint, url))
        sys.stdout.flush()
    if not is_loopback(hosts[0]):
        say(
            f"it listens at {' and '.join(hosts)}, beyond loopback: everyone who reaches port {port} "
            "can read every code and link, and can script replies"
        )


def _format_start(options: argparse.Namespace, endpoint: StandingEndpoint, url: str) -> str:
    authorization = "not checked"
    if endpoint.authorization is not None:
        authorization = f"as in {escape_unprintable(options.authorization_env)}"
    messages = escape_unprintable(options.store)
    if options.store != "memory":
        messages += f", {count_noun(endpoint.store.total, 'message')} so far"
    return (
        f"{read_program_name()} serve {__version__}: revision {endpoint.revision}, layer {endpoint.layer}\n"
        f"  endpoint for Logto's HTTP email connector  {url}\n"
        f"  Authorization                              {authorization}\n"
        f"  inbox                                      {url}\n"
        f"  API                                        {url}api/openapi.json\n"
        f"  messages                                   {messages}, at most {options.max_messages}\n"
        "Ctrl-C ends it.\n"
    )


def _format_url(hosts: list[str], port: int) -> str:
    host = hosts[0]
    if ip_address(host.partition("%")[0]).is_unspecified:
        # The name localhost may lead to either family.
        host = "localhost" if len(hosts) > 1 else "127.0.0.1" if ":" not in host else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _listen(host: str, port: int) -> list[socket.socket]:
    # As in a URL, an address of IPv6 may have brackets.
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        family = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][0]
        for _ in range(_MAX_TRIES):
            listening = socket.create_server((name, port), family=family, backlog=1024)
            both = (
                [listening] if listening.getsockname()[0] != "::" else _add_ipv4(listening, is_free=not port)
            )
            if both:
                return both
        problem: Exception = OSError(errno.EADDRINUSE, "no port is free for IPv4 and IPv6")
    except (OSError, OverflowError, UnicodeError) as error:
        problem = error
    advice = "name an address of this machine, for example --host 127.0.0.1"
    if isinstance(problem, OverflowError) or getattr(problem, "errno", 0) in (errno.EADDRINUSE, errno.EACCES):
        advice = "--port 0 chooses a free port, and --port-file writes it to a file"
    raise WrongUse(f"cannot listen at {host or 'the empty host'} port {port}: {problem}; {advice}")


def _add_ipv4(listening: socket.socket, *, is_free: bool) -> list[socket.socket]:
    """Return a socket for every address of IPv6, with one for every address of IPv4 where the system can.

    Not one socket for both families: it shows addresses of IPv4 in a form of IPv6.

    Args:
        listening: The socket for IPv6.
        is_free: Whether the port may be another one; then the result is empty where IPv4 has it in use.
    """
    try:
        every = "0.0.0.0"  # noqa: S104 - as the user asked
        return [listening, socket.create_server((every, listening.getsockname()[1]), backlog=1024)]
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            return [listening]
        listening.close()
        if not is_free:
            raise
        return []


def _write_port(file: Path, port: int) -> None:
    # Renamed into place: a script that waits for the file must not read half a number.
    written = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        written.write_text(f"{port}\n", encoding="ascii")
        written.replace(file)
    except OSError as problem:
        with suppress(OSError):
            written.unlink()
        raise WrongUse(f"the port file {file} cannot be written: {problem.strerror}") from None
