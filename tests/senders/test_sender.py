"""The rules for senders: correct senders pass them all, a sender with one mistake fails exactly its rule."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
import pytest

# Import it before the runs below: each run removes the modules that it imported itself, and a compiled module
# can be loaded only once.
import trustme  # noqa: F401
from examples.sender_python import send as example_send
from tests.support.raw_sender import (
    EMPTY,
    FAILURES,
    GET,
    SAME,
    ConnectionFailed,
    NotSent,
    RawSender,
    Response,
    encode_json,
    frame_with_length,
    is_success,
    select_members,
)
from tests.support.runs import has_failed

from logto_mail_contract import catalogue
from logto_mail_contract.commands import main as cli
from logto_mail_contract.judging.validation import validate
from logto_mail_contract.senders.destination import Destination
from logto_mail_contract.senders.driver import CommandDriver, SenderUnusable
from logto_mail_contract.senders.messages import make_unusual_messages
from logto_mail_contract.senders.rules.body import find_difference
from logto_mail_contract.senders.run import SenderRun
from logto_mail_contract.senders.sender import Sender, SenderSettings
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import run_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.raw_sender import Message

    from logto_mail_contract.suite.results import Result

ROOT = Path(__file__).parents[2]
EXAMPLE = [sys.executable, str(ROOT / "examples" / "sender_python.py")]
QUICK = SenderSettings(examples=3, slow=0.02, settle=0.02, patience=5)
RULES = list_rule_ids("sender")


@pytest.fixture(scope="module")
def destination() -> Iterator[Destination]:
    """Run the endpoint of the senders under test."""
    with Destination() as destination:
        yield destination


def try_rule(rule: str, sender: Sender, destination: Destination, settings: SenderSettings = QUICK) -> Result:
    """Run one rule in its own run."""
    return run_rule(SenderRun(sender, destination, settings), rule)


def find_failed(sender: Sender, destination: Destination, settings: SenderSettings = QUICK) -> dict[str, str]:
    """Run every rule in one run; return what each failed rule found."""
    run = SenderRun(sender, destination, settings)
    results = [run_rule(run, rule) for rule in RULES]
    return {result.rule.id: result.findings[0].actual for result in results if has_failed(result)}


# Correct senders.


@pytest.mark.parametrize(
    "send", [pytest.param(example_send, id="example"), pytest.param(RawSender().send, id="raw")]
)
@pytest.mark.parametrize("revision", [None, "1.22", "1.32"])
def test_a_correct_sender_passes_every_rule(
    send: Any, revision: str | None, destination: Destination
) -> None:
    sender = Sender.calling(send, revision=revision)
    run = SenderRun(sender, destination, QUICK)
    outcomes = {rule: run_rule(run, rule) for rule in RULES}
    assert [result.findings for result in outcomes.values() if result.findings] == []
    waived = {rule for rule, result in outcomes.items() if result.outcome == "not applicable"}
    # Logto sends an ip since 1.35.
    assert waived == ({"sender/body/ip"} if revision else set())


def frame_in_chunks(body: bytes) -> tuple[list[str], bytes]:
    parts = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    return ["Transfer-Encoding: chunked"], b"".join(
        b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b"")
    )


GOOD_SENDERS = {
    "chunks": RawSender(frame=frame_in_chunks),
    "the charset": RawSender(content_types=('application/json; charset="UTF-8"',)),
    "no encoding": RawSender(extra_lines=("Content-Encoding: identity",)),
    "escapes": RawSender(encode=lambda message: json.dumps(select_members(message)).encode()),
    "other spaces and order": RawSender(
        encode=lambda message: json.dumps(select_members(message), indent=2, sort_keys=True).encode()
    ),
    "more header lines": RawSender(extra_lines=("Accept: */*", "Accept-Encoding: gzip", "X-Id: 1")),
}


@pytest.mark.parametrize("name", GOOD_SENDERS)
def test_senders_that_differ_in_what_is_free_pass_every_rule(name: str, destination: Destination) -> None:
    assert find_failed(Sender.calling(GOOD_SENDERS[name].send), destination) == {}


@pytest.mark.parametrize("follow_redirects", [True, False])
def test_a_client_that_keeps_connections_breaks_no_must(
    follow_redirects: bool, destination: Destination
) -> None:
    """It replaces what the endpoint has closed, and reads every response."""
    with httpx.Client(timeout=30, follow_redirects=follow_redirects, trust_env=False) as client:

        def send(message: Message, endpoint: str, authorization: str | None) -> None:
            headers = {"Content-Type": "application/json"}
            if authorization is not None:
                headers["Authorization"] = authorization
            body = json.dumps(select_members(message)).encode()
            client.post(endpoint, content=body, headers=headers).raise_for_status()

        run = SenderRun(Sender.calling(send), destination, QUICK)
        results = [run_rule(run, rule) for rule in RULES]
    assert [result.findings for result in results if result.outcome == "failed"] == []
    warned = {result.rule.id for result in results if result.outcome == "warned"}
    assert warned == {"sender/answer/not-modified", "sender/redirect/post-again"} | (
        set() if follow_redirects else {"sender/redirect/see-other"}
    )


def test_the_example_passes_every_rule_as_a_command(destination: Destination) -> None:
    sender = Sender.command(EXAMPLE)
    try:
        assert find_failed(sender, destination) == {}
    finally:
        sender.close()


@pytest.mark.parametrize("seed", range(10))
def test_the_example_passes_with_ten_seeds(seed: int, destination: Destination) -> None:
    settings = SenderSettings(examples=10, seed=seed, slow=0.05, settle=0.02, patience=5)
    assert find_failed(Sender.calling(example_send), destination, settings) == {}


# Senders with one mistake.


def with_members(**changed: Any) -> Callable[[Message], bytes]:
    return lambda message: encode_json({**select_members(message), **changed})


def with_payload(change: Callable[[Any], Any]) -> Callable[[Message], bytes]:
    """Change every scalar of the payload."""

    def changed_value(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed_value(member) for key, member in value.items()}
        if isinstance(value, list):
            return [changed_value(member) for member in value]
        return change(value)

    return lambda message: encode_json(
        {**select_members(message), "payload": changed_value(message["payload"])}
    )


def on_text(change: Callable[[str], Any]) -> Callable[[Message], bytes]:
    return with_payload(lambda value: change(value) if isinstance(value, str) else value)


def without_nulls(message: Message) -> bytes:
    def remove_nulls(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: remove_nulls(member) for key, member in value.items() if member is not None}
        return value

    return encode_json(remove_nulls(select_members(message)))


def with_null_ip(message: Message) -> bytes:
    return encode_json({**select_members(message), "ip": message.get("ip") or None})


def with_any_ip(message: Message) -> bytes:
    return encode_json({name: message[name] for name in ("to", "type", "payload", "ip") if name in message})


def with_recipient_twice(message: Message) -> bytes:
    return b'{"to":' + encode_json(message["to"]) + b"," + encode_json(select_members(message))[1:]


def frame_by_characters(body: bytes) -> tuple[list[str], bytes]:
    return [f"Content-Length: {len(body.decode(errors='replace'))}"], body


def frame_without_last_chunk(body: bytes) -> tuple[list[str], bytes]:
    return ["Transfer-Encoding: chunked"], b"%x\r\n%b\r\n" % (len(body), body)


def frame_as_escaped(body: bytes) -> tuple[list[str], bytes]:
    return [f"Content-Length: {len(json.dumps(json.loads(body)))}"], body


class SendsSometimes(RawSender):
    """Sends nothing for messages with a locale."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        if "locale" not in message["payload"]:
            super().send(message, endpoint, authorization)


class StopsAfterFailures(RawSender):
    """Sends nothing more to anybody after five failures in a row, for a second."""

    failures = 0
    since = 0.0

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        if self.failures >= 5 and time.monotonic() < self.since + 1:
            raise NotSent("the circuit is open")
        try:
            super().send(message, endpoint, authorization)
        except NotSent:
            self.failures += 1
            self.since = time.monotonic()
            raise
        self.failures = 0


class SendsOncePerText(RawSender):
    """Takes a message for sent that it has sent before, unless it failed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: set[str] = set()

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        text = json.dumps(message)
        if text not in self.sent:
            super().send(message, endpoint, authorization)
            self.sent.add(text)


class DropsAuthorization(RawSender):
    """Drops the authorization where the endpoint has a query."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        without = "?" in endpoint or authorization is None
        self.authorizations = lambda value: () if without else (value,)
        super().send(message, endpoint, authorization)


class IgnoresFailedInvitations(RawSender):
    """Reports every invitation as sent."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        try:
            super().send(message, endpoint, authorization)
        except NotSent:
            if message["type"] != "OrganizationInvitation":
                raise


class LooksFirst(RawSender):
    """Sends HEAD before each message."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        parts = urlsplit(endpoint)
        connection = http.client.HTTPConnection(parts.netloc)
        target = parts._replace(scheme="", netloc="", fragment="").geturl()
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request(
                "HEAD", target, headers={} if authorization is None else {"Authorization": authorization}
            )
            connection.getresponse().read()
        super().send(message, endpoint, authorization)


class RepeatsInvitations(RawSender):
    """Sends each invitation twice."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        super().send(message, endpoint, authorization)
        if message["type"] == "OrganizationInvitation":
            super().send(message, endpoint, authorization)


class StartsRedirectsAgain(RawSender):
    """Follows a redirect, and sends to the first URL again where the second responds with an error."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        paths: list[str] = []

        def resolve(url: str, location: str) -> str:
            paths.append(location)
            return urljoin(url, location)

        self.resolve = resolve
        try:
            super().send(message, endpoint, authorization)
        except NotSent:
            if paths and "moved" in paths[0]:
                super().send(message, endpoint, authorization)
            raise


class PostsAgainAfterTimeout(RawSender):
    """Gives the first request 0.2 seconds, and then sends a second one that it waits for."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        start = time.monotonic()
        try:
            RawSender(timeout=0.2).send(message, endpoint, authorization)
        except NotSent:
            if time.monotonic() < start + 0.2:
                raise
            super().send(message, endpoint, authorization)


class TakesTimeoutForSuccess(RawSender):
    """Gives a request 0.2 seconds, and then supposes that it was accepted."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        start = time.monotonic()
        try:
            RawSender(timeout=0.2).send(message, endpoint, authorization)
        except NotSent:
            if time.monotonic() < start + 0.2:
                raise


class ReusesConnections(RawSender):
    """Sends over one connection, and takes its end for the end of the endpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: dict[str, http.client.HTTPConnection] = {}

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        parts = urlsplit(endpoint)
        if authorization is not None or parts.query or not parts.path.endswith("/mail"):
            super().send(message, endpoint, authorization)
            return
        connection = self.connections.setdefault(parts.netloc, http.client.HTTPConnection(parts.netloc))
        headers = {"Content-Type": "application/json"}
        try:
            # Without ``auto_open`` a connection that was closed stays closed.
            if connection.sock is None:
                connection.connect()
            connection.auto_open = 0
            connection.request("POST", parts.path, encode_json(select_members(message)), headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as problem:
            self.connections.pop(parts.netloc).close()
            raise NotSent(str(problem)) from None
        if not 200 <= response.status < 300:
            raise NotSent(str(response.status))

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()


class KeepsAuthorization(RawSender):
    """Sends the last authorization to an endpoint without authorization."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        if authorization is not None:
            self.no_authorizations = (authorization,)
        super().send(message, endpoint, authorization)


def frame_with_two_lengths(body: bytes) -> tuple[list[str], bytes]:
    return [f"Content-Length: {len(body)}", f"Content-Length: {len(body) + 1}"], body


def frame_with_length_and_chunks(body: bytes) -> tuple[list[str], bytes]:
    return [f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"], b"%x\r\n%b\r\n0\r\n\r\n" % (
        len(body),
        body,
    )


def sort_query(target: str) -> str:
    path, mark, query = target.partition("?")
    return path + mark + "&".join(sorted(query.split("&")))


def escape_query_again(target: str) -> str:
    path, mark, query = target.partition("?")
    return path + mark + urlencode(parse_qsl(query, keep_blank_values=True))


def join_to_origin(url: str, location: str) -> str:
    """Resolve whole URLs and paths alone."""
    return urljoin(url, location if ":" in location or location.startswith("/") else f"/{location}")


def accepts_text_only(response: Response) -> bool:
    response.body.decode()
    return is_success(response)


def send_later(send: Callable[[], object]) -> None:
    def send_quietly() -> None:
        # The endpoint may close its connections meanwhile.
        with suppress(ConnectionFailed):
            send()

    threading.Timer(0.001, send_quietly).start()


def has_status(*statuses: int) -> Callable[[Response | str], bool]:
    return lambda result: isinstance(result, Response) and result.status in statuses


def accepts_all_but(*statuses: int) -> Callable[[Response], bool]:
    return lambda response: is_success(response) and response.status not in statuses


def accepts(*statuses: int) -> Callable[[Response], bool]:
    return lambda response: is_success(response) or response.status in statuses


def accepts_json_only(response: Response) -> bool:
    try:
        json.loads(response.body)
    except ValueError:
        return response.status == 304
    return is_success(response)


def accepts_ok_body(response: Response) -> bool:
    return is_success(response) or b'"ok":true' in response.body


def make_redirects(**changed: str) -> dict[int, str]:
    """Return the action for each redirect, with some changed, for example ``s303=SAME``."""
    actions = {**dict.fromkeys((300, 301, 302, 307, 308), SAME), 303: GET}
    return {**actions, **{int(name[1:]): action for name, action in changed.items()}}


# A body that cannot be read fails this rule too.
UNREADABLE = "sender/body/values"
CONTROLS: dict[str, tuple[RawSender, set[str]]] = {
    "PUT": (RawSender(method="PUT"), {"sender/request/method"}),
    "post in small letters": (RawSender(method="post"), {"sender/request/method"}),
    "no query": (RawSender(target=lambda target: target.partition("?")[0]), {"sender/request/target"}),
    "a slash at the end": (
        RawSender(target=lambda target: target if target.endswith("/") else f"{target}/"),
        {"sender/request/target"},
    ),
    "escapes undone": (
        RawSender(target=lambda target: target.replace("%2F", "/")),
        {"sender/request/target"},
    ),
    "always the root": (RawSender(target=lambda target: "/"), {"sender/request/target"}),  # noqa: ARG005
    "the absolute form": (
        RawSender(target=lambda target: f"http://example.com{target}"),
        {"sender/request/target"},
    ),
    "a query in order": (RawSender(target=sort_query), {"sender/request/target"}),
    "a query escaped again": (RawSender(target=escape_query_again), {"sender/request/target"}),
    "slashes made one": (
        RawSender(target=lambda target: re.sub("/+", "/", target)),
        {"sender/request/target"},
    ),
    "escapes in capitals": (
        RawSender(target=lambda target: re.sub("%..", lambda found: found[0].upper(), target)),
        {"sender/request/target"},
    ),
    "nothing for some messages": (SendsSometimes(), {"sender/request/arrives"}),
    # It reports success for what it has not sent.
    "each text once": (
        SendsOncePerText(),
        {"sender/request/arrives", "sender/answer/no-retry", "sender/answer/connection-failure"},
    ),
    "no host": (RawSender(hosts=lambda host: ()), {"sender/request/host"}),  # noqa: ARG005
    "a host without port": (
        RawSender(hosts=lambda host: (host.partition(":")[0],)),
        {"sender/request/host"},
    ),
    "another host": (RawSender(hosts=lambda host: ("localhost",)), {"sender/request/host"}),  # noqa: ARG005
    "the host twice": (RawSender(hosts=lambda host: (host, host)), {"sender/request/host"}),
    "a charset that is not UTF-8": (
        RawSender(content_types=("application/json; charset=ISO-8859-1",)),
        {"sender/request/content-type"},
    ),
    "the charset utf8": (
        RawSender(content_types=("application/json;charset=utf8",)),
        {"sender/request/content-type"},
    ),
    "a charset as encoding": (
        RawSender(extra_lines=("Content-Encoding: utf-8",)),
        {"sender/request/content-encoding"},
    ),
    "authorization without query alone": (DropsAuthorization(), {"sender/request/authorization"}),
    "any certificate": (RawSender(trusts=True), {"sender/request/certificate"}),
    "two lengths": (RawSender(frame=frame_with_two_lengths), {"sender/request/framing"}),
    "a length and chunks": (RawSender(frame=frame_with_length_and_chunks), {"sender/request/framing"}),
    "text/plain": (RawSender(content_types=("text/plain",)), {"sender/request/content-type"}),
    "a JSON type of another name": (
        RawSender(content_types=("application/ld+json",)),
        {"sender/request/content-type"},
    ),
    "no content type": (RawSender(content_types=()), {"sender/request/content-type"}),
    "the content type twice": (
        RawSender(content_types=("application/json",) * 2),
        {"sender/request/content-type"},
    ),
    "no authorization": (
        RawSender(authorizations=lambda value: ()),  # noqa: ARG005
        {"sender/request/authorization"},
    ),
    "authorization twice": (
        RawSender(authorizations=lambda value: (value, value)),
        {"sender/request/authorization"},
    ),
    "a scheme put before": (
        RawSender(authorizations=lambda value: (f"Bearer {value.removeprefix('Bearer ')}",)),
        {"sender/request/authorization"},
    ),
    "the scheme made pretty": (
        RawSender(authorizations=lambda value: (value[:1].upper() + value[1:],)),
        {"sender/request/authorization"},
    ),
    "white space made one": (
        RawSender(authorizations=lambda value: (" ".join(value.split()),)),
        {"sender/request/authorization"},
    ),
    "a long credential cut": (
        RawSender(authorizations=lambda value: (value[:1024],)),
        {"sender/request/authorization"},
    ),
    "authorization undefined": (
        RawSender(no_authorizations=("undefined",)),
        {"sender/request/no-authorization"},
    ),
    "authorization empty": (RawSender(no_authorizations=("",)), {"sender/request/no-authorization"}),
    "authorization of another endpoint": (KeepsAuthorization(), {"sender/request/no-authorization"}),
    # A truncated body is no JSON, and may end within a character.
    "a length in characters": (
        RawSender(frame=frame_by_characters),
        {"sender/request/framing", "sender/body/json", "sender/body/utf-8", UNREADABLE},
    ),
    "chunks without an end": (
        RawSender(frame=frame_without_last_chunk, half_close=True),
        {"sender/request/framing"},
    ),
    "bytes after the body": (
        RawSender(frame=lambda body: (frame_with_length(body)[0], body + b"\0\0\n")),
        {"sender/request/framing"},
    ),
    "a byte order mark": (
        RawSender(encode=lambda message: b"\xef\xbb\xbf" + encode_json(select_members(message))),
        {"sender/body/utf-8"},
    ),
    "Latin-1": (
        RawSender(
            encode=lambda message: encode_json(select_members(message), "xmlcharrefreplace", "latin-1")
        ),
        {"sender/body/utf-8", UNREADABLE},
    ),
    "raw lone surrogates": (
        RawSender(encode=lambda message: encode_json(select_members(message), "surrogatepass")),
        {"sender/body/utf-8", UNREADABLE},
    ),
    "Python's own notation": (
        RawSender(encode=lambda message: ascii(select_members(message)).encode()),
        {"sender/body/json", UNREADABLE},
    ),
    "a comma at the end": (
        RawSender(encode=lambda message: encode_json(select_members(message))[:-1] + b",}"),
        {"sender/body/json", UNREADABLE},
    ),
    "a key twice": (RawSender(encode=with_recipient_twice), {"sender/body/unique-keys"}),
    "a code as a number": (
        RawSender(
            encode=on_text(
                lambda text: int(text) if text.isascii() and text.isdigit() and len(text) == 6 else text
            )
        ),
        {"sender/body/values"},
    ),
    "no nulls": (RawSender(encode=without_nulls), {"sender/body/values"}),
    "recipients in small letters": (
        RawSender(encode=lambda message: with_members(to=message["to"].lower())(message)),
        {"sender/body/values"},
    ),
    "text normalised": (
        RawSender(encode=on_text(lambda text: unicodedata.normalize("NFC", text))),
        {"sender/body/values"},
    ),
    "links parsed": (
        RawSender(encode=on_text(lambda text: urlsplit(text).geturl() if "://" in text else text)),
        {"sender/body/values"},
    ),
    "tags cut off recipients": (
        RawSender(encode=lambda message: with_members(to=re.sub(r"\+.*@", "@", message["to"]))(message)),
        {"sender/body/values"},
    ),
    "recipients of 254 characters": (
        RawSender(encode=lambda message: with_members(to=message["to"][:254])(message)),
        {"sender/body/values"},
    ),
    "dates in another form": (
        RawSender(encode=on_text(lambda text: re.sub(r"(T\d\d:\d\d:\d\d)Z", r"\1.000Z", text))),
        {"sender/body/values"},
    ),
    "text trimmed": (RawSender(encode=on_text(str.strip)), {"sender/body/values"}),
    "lone surrogates replaced": (
        RawSender(encode=on_text(lambda text: re.sub("[\ud800-\udfff]", "\ufffd", text))),
        {"sender/body/values"},
    ),
    "markup escaped": (
        RawSender(encode=on_text(lambda text: text.replace("&", "&amp;").replace("<", "&lt;"))),
        {"sender/body/values"},
    ),
    "NUL removed": (RawSender(encode=on_text(lambda text: text.replace("\0", ""))), {"sender/body/values"}),
    "true as 1": (
        RawSender(encode=with_payload(lambda value: int(value) if isinstance(value, bool) else value)),
        {"sender/body/values"},
    ),
    "integers of 32 bits": (
        RawSender(encode=with_payload(lambda value: min(value, 2**31) if type(value) is int else value)),
        {"sender/body/values"},
    ),
    "variables that nobody knows left out": (
        RawSender(
            encode=lambda message: with_members(
                payload={name: value for name, value in message["payload"].items() if name != "more"}
            )(message)
        ),
        {"sender/body/values"},
    ),
    "no ip at all": (
        RawSender(
            encode=lambda message: encode_json(
                {k: v for k, v in select_members(message).items() if k != "ip"}
            )
        ),
        {"sender/body/values"},
    ),
    "a timestamp": (
        RawSender(encode=with_members(timestamp="2026-01-01T00:00:00Z")),
        {"sender/body/no-other-members"},
    ),
    "an envelope": (
        RawSender(encode=lambda message: encode_json({"data": select_members(message)})),
        {"sender/body/no-other-members", "sender/body/values"},
    ),
    "ip null": (RawSender(encode=with_null_ip), {"sender/body/ip"}),
    "ip empty": (RawSender(encode=with_any_ip), {"sender/body/ip"}),
    "once more after a 5xx": (
        RawSender(resends=lambda result: isinstance(result, Response) and result.status >= 500),
        {"sender/answer/no-retry"},
    ),
    "once more as Retry-After says": (
        RawSender(resends=lambda result: isinstance(result, Response) and "retry-after" in result.headers),
        {"sender/answer/no-retry"},
    ),
    **{
        f"once more after {statuses}": (RawSender(resends=has_status(*statuses)), {"sender/answer/no-retry"})
        for statuses in ((401, 407), (409,), (410,), (423, 425), (501,), (504, 524))
    },
    "invitations twice": (RepeatsInvitations(), {"sender/answer/no-retry"}),
    "redirects from the start": (StartsRedirectsAgain(), {"sender/answer/no-retry"}),
    "nothing after failures": (StopsAfterFailures(), {"sender/answer/no-retry"}),
    "a look first": (LooksFirst(), {"sender/answer/no-retry", "sender/request/method"}),
    "once more after a 408": (
        RawSender(resends=has_status(408)),
        {"sender/answer/no-retry"},
    ),
    # Requests to a closed port cannot be counted.
    **{
        f"once more after {failure}": (RawSender(resends=partial(eq, failure)), {"sender/answer/no-retry"})
        for failure in FAILURES
        if failure != "refused"
    },
    "always twice": (
        RawSender(resends=lambda result: isinstance(result, Response)),
        {"sender/answer/no-retry"},
    ),
    "once more behind our back": (RawSender(on_done=send_later), {"sender/answer/no-retry"}),
    "only 200": (
        RawSender(succeeds=lambda response: response.status == 200),
        {"sender/answer/success", "sender/answer/not-modified"},
    ),
    "no 226": (RawSender(succeeds=accepts_all_but(226)), {"sender/answer/success"}),
    "no 205 and no 206": (RawSender(succeeds=accepts_all_but(205, 206)), {"sender/answer/success"}),
    "an answer in UTF-8": (RawSender(succeeds=accepts_text_only), {"sender/answer/success"}),
    "an answer with a body": (
        RawSender(succeeds=lambda response: is_success(response) and response.body != b""),
        {"sender/answer/success", "sender/answer/not-modified"},
    ),
    "no 201": (RawSender(succeeds=accepts_all_but(201)), {"sender/answer/success"}),
    "no 204": (RawSender(succeeds=accepts_all_but(204)), {"sender/answer/success"}),
    "an answer in JSON": (RawSender(succeeds=accepts_json_only), {"sender/answer/success"}),
    "an answer without error": (
        RawSender(succeeds=lambda response: is_success(response) and b"error" not in response.body),
        {"sender/answer/success"},
    ),
    "no 304": (RawSender(succeeds=accepts_all_but(304)), {"sender/answer/not-modified"}),
    "a 4xx is success": (RawSender(succeeds=accepts(400, 401, 404, 422)), {"sender/answer/failure"}),
    **{
        f"a {status} is success": (RawSender(succeeds=accepts(status)), {"sender/answer/failure"})
        for status in (402, 403, 405, 407, 409, 410, 418, 422, 423, 425, 428, 451, 499, 501, 507, 511, 599)
    },
    "any status below 400 is success": (
        RawSender(succeeds=lambda response: response.status < 400),
        {"sender/answer/failure"},
    ),
    "a failed invitation is success": (IgnoresFailedInvitations(), {"sender/answer/failure"}),
    "a failure with the credential": (
        RawSender(explain=lambda values, status: f"{status} for authorization {values}"),
        {"sender/answer/no-credential"},
    ),
    "a 503 is success": (RawSender(succeeds=accepts(503)), {"sender/answer/failure"}),
    "a 302 is success": (RawSender(succeeds=accepts(302)), {"sender/answer/failure"}),
    "a 500 that says ok": (RawSender(succeeds=accepts_ok_body), {"sender/answer/failure"}),
    **{
        f"{failure} is success": (RawSender(tolerated=(failure,)), {"sender/answer/connection-failure"})
        for failure in FAILURES
    },
    "no redirects": (
        RawSender(redirects={}),
        {"sender/redirect/post-again", "sender/redirect/see-other"},
    ),
    "GET after a 302": (
        RawSender(redirects=make_redirects(s301=GET, s302=GET)),
        {"sender/redirect/post-again"},
    ),
    "three redirects": (RawSender(max_redirects=3), {"sender/redirect/post-again"}),
    "no body after a 307": (RawSender(redirects=make_redirects(s307=EMPTY)), {"sender/redirect/post-again"}),
    "no 308": (RawSender(redirects=make_redirects(s308="none")), {"sender/redirect/post-again"}),
    "POST after a 303": (RawSender(redirects=make_redirects(s303=SAME)), {"sender/redirect/see-other"}),
    "whole redirects alone": (
        RawSender(resolve=lambda url, location: location if "://" in location else "http://["),  # noqa: ARG005
        {"sender/redirect/relative"},
    ),
    "relative redirects from the root": (RawSender(resolve=join_to_origin), {"sender/redirect/relative"}),
    "authorization for everybody": (RawSender(leaks=True), {"sender/redirect/authorization-dropped"}),
    "authorization only once": (RawSender(forgets=True), {"sender/redirect/authorization-kept"}),
    "redirects without end": (RawSender(max_redirects=1000), {"sender/redirect/loop"}),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_sender_with_one_mistake_fails_exactly_its_rules(control: str, destination: Destination) -> None:
    sender, rules = CONTROLS[control]
    found = find_failed(Sender.calling(sender.send), destination)
    assert set(found) == rules, found


def test_a_sender_that_times_out_early_fails_slow(destination: Destination) -> None:
    settings = SenderSettings(examples=3, slow=2.0, settle=0.02)
    found = find_failed(Sender.calling(RawSender(timeout=1.0).send), destination, settings)
    assert found == {"sender/answer/slow": "after a 200 that took 2 s: failure reported: NotSent: reset"}


def test_a_sender_that_uses_closed_connections_fails_exactly_that(destination: Destination) -> None:
    with closing(ReusesConnections()) as sender:
        assert set(find_failed(Sender.calling(sender.send), destination)) == {
            "sender/answer/closed-connection"
        }


def test_every_rule_has_a_control() -> None:
    alone = {rule for _, rules in CONTROLS.values() for rule in rules if len(rules) == 1}
    # The first two have their own tests. A body that is no JSON always fails the rule on values too.
    assert set(RULES) - alone == {
        "sender/answer/slow",
        "sender/answer/closed-connection",
        "sender/body/json",
    }


def test_a_sender_that_waits_forever_is_abandoned(destination: Destination) -> None:
    """It announces more bytes than it sends, and waits for a response that is never sent."""
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, patience=0.2)
    start = time.monotonic()
    sender = Sender.calling(RawSender(frame=frame_as_escaped).send)
    found = find_failed(sender, destination, settings)
    assert time.monotonic() - start < 10
    assert re.match(r"Content-Length \d+, but \d+ bytes came", found.pop("sender/request/framing"))
    assert found == {
        "sender/answer/success": "after 200: no report: within 0.2 s, then failure reported: NotSent: ended"
    }


def test_a_sender_that_retries_forever_is_abandoned(destination: Destination) -> None:
    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        while True:
            try:
                return RawSender(redirects={}).send(message, endpoint, authorization)
            except NotSent:
                time.sleep(0.01)

    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, patience=0.2)
    result = try_rule("sender/answer/failure", Sender.calling(send), destination, settings)
    (finding,) = result.findings
    assert finding.actual.startswith("after 400: no report: within 0.2 s, then success reported; after 401: ")
    assert finding.share == "3 of 3 cases"


def send_again_after(seconds: float, wanted: Callable[[Message, str | None], bool]) -> Sender:
    """Return a sender that sends some messages a second time, after it has reported."""

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        again = threading.Timer(seconds, RawSender().send, (message, endpoint, authorization))
        try:
            RawSender().send(message, endpoint, authorization)
        finally:
            if wanted(message, authorization):
                again.start()

    return Sender.calling(send)


def test_a_late_request_counts_for_its_own_message(destination: Destination) -> None:
    """It comes while another rule is tried, and fails the rule that counts, for its own message."""
    sender = send_again_after(0.3, lambda message, _: message["type"] == "ForgotPassword")
    settings = SenderSettings(examples=1, slow=1.0, settle=0.02)
    run = SenderRun(sender, destination, settings)
    results = [run_rule(run, rule) for rule in RULES]
    (finding,) = [finding for result in results for finding in result.findings]
    assert (finding.rule, finding.actual) == (
        "sender/answer/no-retry",
        "2 requests after 200; success reported",
    )
    assert json.loads(finding.message)["type"] == "ForgotPassword"


def test_a_late_request_after_the_last_response_is_waited_for_once(destination: Destination) -> None:
    sender = send_again_after(0.1, lambda _, authorization: authorization is not None)
    settings = SenderSettings(examples=1, slow=0.02, settle=1.0)
    result = try_rule("sender/answer/no-retry", sender, destination, settings)
    assert result.findings[0].actual.startswith("2 requests after ")


def test_a_late_request_of_an_earlier_run_reaches_no_later_run(destination: Destination) -> None:
    sent: list[float] = []

    def is_first(message: Message, authorization: str | None) -> bool:
        del message, authorization
        sent.append(time.monotonic())
        return len(sent) == 1

    sender = send_again_after(0.2, is_first)
    assert try_rule("sender/answer/not-modified", sender, destination).outcome == "passed"
    settings = SenderSettings(examples=1, slow=0.5, settle=0.02)
    assert try_rule(
        "sender/answer/no-retry", Sender.calling(example_send), destination, settings
    ).outcome == ("passed")


# Time-outs, silence and the end of a run.


def test_a_sender_that_posts_again_after_its_timeout_fails_slow_and_no_retry(
    destination: Destination,
) -> None:
    settings = SenderSettings(examples=1, slow=1.0, settle=0.02)
    found = find_failed(Sender.calling(PostsAgainAfterTimeout().send), destination, settings)
    assert set(found) == {"sender/answer/slow", "sender/answer/no-retry"}
    assert re.fullmatch(
        r"posted again after 0\.\d s, before a 200 that took 1 s; success reported",
        found["sender/answer/slow"],
    )
    assert found["sender/answer/no-retry"] == "2 requests after a 200 that took 1 s; success reported"


def test_a_sender_that_takes_its_timeout_for_success_fails_slow(destination: Destination) -> None:
    settings = SenderSettings(examples=1, slow=1.0, settle=0.02)
    found = find_failed(Sender.calling(TakesTimeoutForSuccess().send), destination, settings)
    assert set(found) == {"sender/answer/slow"}
    assert re.fullmatch(r"success reported after 0\.\d s, before a 200 that .*", found["sender/answer/slow"])


@pytest.mark.parametrize("reports", [True, False])
def test_a_sender_that_sends_nothing_fails_one_rule(reports: bool, destination: Destination) -> None:
    calls: list[str] = []

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        del message, authorization
        calls.append(endpoint)
        if not reports:
            raise NotSent("not today")

    run = SenderRun(Sender.calling(send), destination, QUICK)
    results = {rule: run_rule(run, rule) for rule in RULES}
    failed = results.pop("sender/request/arrives")
    assert (failed.outcome, failed.cases) == ("failed", 5)
    assert failed.findings[0].actual.startswith("no request came; ")
    assert {result.outcome for result in results.values()} == {"not judged"}
    assert {result.reason for result in results.values()} == {
        "no request came for any of the first 5 messages"
    }
    assert len(calls) == 5


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_passes_alone_for_a_sender_that_sends_nothing(rule: str, destination: Destination) -> None:
    def send(*_: object) -> None:
        raise NotSent("not today")

    outcome = try_rule(rule, Sender.calling(send), destination).outcome
    assert outcome == ("failed" if rule == "sender/request/arrives" else "not judged")


def test_nothing_is_sent_after_the_deadline(destination: Destination) -> None:
    calls: list[str] = []

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        calls.append(endpoint)
        example_send(message, endpoint, authorization)

    run = SenderRun(Sender.calling(send), destination, QUICK)
    assert run_rule(run, "sender/answer/not-modified").outcome == "passed"
    run.deadline = time.monotonic()
    results = [run_rule(run, rule) for rule in RULES if rule != "sender/answer/not-modified"]
    assert {(result.outcome, result.reason) for result in results} == {
        ("not judged", "the time for the run is over")
    }
    assert len(calls) == 1
    assert run_rule(run, "sender/answer/not-modified").outcome == "passed"


@pytest.mark.parametrize("kind", ["callable", "command"])
def test_the_deadline_ends_a_wait_that_is_under_way(kind: str, destination: Destination) -> None:
    """Another thread sets it while a response is awaited that would take ten minutes."""
    sender = Sender.calling(example_send) if kind == "callable" else Sender.command(EXAMPLE)
    run = SenderRun(sender, destination, SenderSettings(slow=600, settle=0.02))
    start = time.monotonic()

    def end() -> None:
        run.deadline = time.monotonic()

    timer = threading.Timer(0.5, end)
    timer.start()
    try:
        result = run_rule(run, "sender/answer/slow")
    finally:
        timer.join()
        sender.close()
    assert (result.outcome, result.reason) == ("not judged", "the time for the run is over")
    assert time.monotonic() - start < 30


def test_what_was_found_before_the_deadline_is_reported(destination: Destination) -> None:
    run: SenderRun

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        RawSender(method="PUT").send(message, endpoint, authorization)
        run.deadline = time.monotonic()

    run = SenderRun(Sender.calling(send), destination, QUICK)
    result = run_rule(run, "sender/request/method")
    assert (result.outcome, result.cases) == ("failed", 1)


# The messages, and the comparison of values.


def test_unusual_messages_are_all_valid_and_all_sent() -> None:
    """The current revision has all of them, the first revision only those with strings."""
    for revision in catalogue.revisions():
        found = make_unusual_messages(revision)
        assert len(found) > 60
        assert [message for message in found if validate(message, revision, "guard")] == []
    assert len(make_unusual_messages()) == 110
    first = [value for message in make_unusual_messages("1.22") for value in message["payload"].values()]
    assert {type(value) for value in first} == {str}


@pytest.mark.parametrize(
    ("sent", "received", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, None),
        ({"a": 2**53 + 1}, {"a": 2**53}, None),
        ({"a": 10**400}, {"a": None}, None),
        ({"a": -0.0}, {"a": 0}, None),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}, None),
        ({"a": "\ud800"}, {"a": "\ud800"}, None),
        ({"a": 1}, {"a": True}, "/a is true in place of 1"),
        ({"a": 0}, {"a": None}, "/a is null in place of 0"),
        ({"a": "1"}, {"a": 1}, '/a is 1 in place of "1"'),
        ({"a": {}}, {"a": []}, "/a is an array of 0 in place of an empty object"),
        ({"a": [1, 2]}, {"a": [2, 1]}, "/a/0 is 2 in place of 1"),
        ({"a": [1]}, {"a": [1, 2]}, "/a is an array of 2 in place of an array of 1"),
        ({"a": {"b": None}}, {"a": {}}, '/a has no "b"'),
        ({"a": {}}, {"a": {"b": 1}}, '/a has "b" too'),
        ({"a": "é"}, {"a": "e\u0301"}, '/a is "e\\u0301" in place of "\\u00e9"'),
        ({"a": 2**53 + 1}, {"a": 2**53 + 2}, "/a is 9007199254740994 in place of 9007199254740993"),
        ({"a": 1}, {}, 'the message has no "a"'),
    ],
)
def test_values_are_compared_as_javascript_reads_them(sent: Any, received: Any, expected: str | None) -> None:
    assert find_difference(sent, received) == expected


def test_a_finding_prints_the_message_the_actual_value_and_the_command(destination: Destination) -> None:
    sender = Sender.calling(RawSender(encode=with_null_ip).send)
    (finding,) = try_rule("sender/body/ip", sender, destination, QUICK).findings
    text = str(finding)
    assert text.startswith("sender/body/ip  MUST  (")
    for part in (
        "\n  An ip that is absent or empty is left out of the body.\n",
        "\n  expected  no member ip\n",
        "\n  actual    ip is null\n",
        '\n  message   {"to": "foo@example.com", "type": "SignIn", "payload": {}}\n',
        "\n  in Logto  The type allows a string only",
        "\n  reproduce pytest -k sender/body/ip",
    ):
        assert part in text, text


def test_a_generated_message_is_shrunk(destination: Destination) -> None:
    """Only generated messages show this mistake, and the finding has the smallest of them."""

    def encode(message: Message) -> bytes:
        application = message["payload"].get("application")
        named = isinstance(application, dict) and application.get("name") not in (None, "Shop")
        return with_members(to="bar@example.com")(message) if named else encode_json(select_members(message))

    settings = SenderSettings(examples=200, settle=0.02)
    sender = Sender.calling(RawSender(encode=encode).send)
    (finding,) = try_rule("sender/body/values", sender, destination, settings).findings
    assert finding.actual == '/to is "bar@example.com" in place of "foo@example.com"'
    message = json.loads(finding.message)
    # The extent of shrinking depends on the machine; only the needed context remains.
    assert "application" in message["payload"]
    assert set(message["payload"]) <= {"code", "locale", "application"}
    assert len(finding.message) < 250


def test_the_same_seed_generates_the_same_messages(destination: Destination) -> None:
    def list_sent(seed: int) -> list[str]:
        sent: list[str] = []

        def send(message: Message, endpoint: str, authorization: str | None) -> None:
            sent.append(json.dumps(message))
            example_send(message, endpoint, authorization)

        settings = SenderSettings(examples=20, seed=seed, settle=0)
        try_rule("sender/body/values", Sender.calling(send), destination, settings)
        return sent

    assert list_sent(1) == list_sent(1) != list_sent(2)


def test_a_message_is_sent_once_for_all_rules_that_check_it(destination: Destination) -> None:
    urls: list[str] = []

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        urls.append(endpoint)
        example_send(message, endpoint, authorization)

    run = SenderRun(Sender.calling(send), destination, QUICK)
    cases = [run_rule(run, f"sender/body/{name}").cases for name in ("json", "values")]
    assert cases == [len(urls)] * 2
    assert len(set(urls)) == len(urls) > 100


# Senders that cannot be driven.


def impatient(arguments: list[str]) -> Sender:
    """Return a command as a sender with short waits for its start and its end."""
    return Sender(CommandDriver(arguments, grace_seconds=0.2, end_seconds=0.5), None, arguments)


def test_an_async_send_method_is_refused(destination: Destination) -> None:
    async def send(message: Message, endpoint: str, authorization: str | None) -> None:
        example_send(message, endpoint, authorization)

    with pytest.raises(SenderUnusable, match=r"send\(\) gave an awaitable"):
        try_rule("sender/request/target", Sender.calling(send), destination, QUICK)


HARNESS = """\
import json, os, socket, subprocess, sys, time, urllib.parse
sys.path.insert(0, {examples!r})
from sender_python import send
for number, line in enumerate(sys.stdin):
    job = json.loads(line)
    if number == {at}:
        {does}
    send(job["message"], job["endpoint"], job.get("authorization"))
    print('{{"ok": true}}', flush=True)
"""


def harness(does: str, at: int = 0) -> list[str]:
    """Return a sender command that runs other code at one job."""
    return [sys.executable, "-c", HARNESS.format(examples=str(ROOT / "examples"), at=at, does=does)]


UNUSABLE = {
    "no such program": (["/no/such/program"], r'"/no/such/program" cannot be started: No such file'),
    "no program": ([str(ROOT)], r"cannot be started: Permission denied"),
    "ends": (harness("sys.exit(3)"), r"ended with status 3 without a result$"),
    "ends at once": ([sys.executable, "-c", "0"], r"ended with status 0 without a result$"),
    "fails": (
        harness("1 / 0"),
        r"(?s)ended with status 1 without a result; on standard error it said:.*ZeroDivisionError",
    ),
    "is killed": (harness("os.kill(os.getpid(), 9)"), r"was ended by signal 9 without a result$"),
    "says good day": (harness("print('hello\\x1b', flush=True)"), r'no result, .*: "hello\\u001b" \(a log'),
    "answers in other words": (harness("print('{\"ok\": 1}', flush=True)"), r"no result, "),
    "no text": (harness("sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush()"), r"no result, "),
    "no end of a line": (harness("print('x' * 3000000, flush=True)"), r"no result, "),
    "closes its output": (
        harness("os.close(1); time.sleep(60)"),
        r"closed its standard output without a result$",
    ),
    "is silent": (harness("time.sleep(60)"), r"no report: within 0\.5 s: it was its first message"),
    "does not read": (["sleep", "60"], r"no report: within 0\.5 s: it was its first message"),
    "answers without end": (["yes", '{"ok": true}'], r"wrote what no job had asked for"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_command_that_cannot_be_driven_is_reported(case: str, destination: Destination) -> None:
    arguments, expected = UNUSABLE[case]
    sender = impatient(arguments)
    settings = SenderSettings(patience=0.3 if "0\\.5 s" in expected else 10)
    start = time.monotonic()

    def twice() -> None:
        # The endless one passes its first job.
        SenderRun(sender, destination, settings).require_usable()
        SenderRun(sender, destination, settings).require_usable()

    try:
        with pytest.raises(SenderUnusable, match=expected) as raised:
            twice()
    finally:
        sender.close()
    assert time.monotonic() - start < 10
    assert "rule" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            harness("sys.exit(3)", at=5),
            r"(?s)status 3 without a result\n  rule .* sender/body/json\n  message   {.*\n  response  200$",
        ),
        (harness("print('{}', flush=True)", at=5), r"no result, "),
        (harness("print('{\"ok\": true}\\n' * 2, flush=True); continue", at=5), r"what no job had asked for"),
    ],
)
def test_a_command_that_fails_later_is_reported_with_rule_and_message(
    arguments: list[str], expected: str, destination: Destination
) -> None:
    sender = Sender.command(arguments)
    try:
        SenderRun(sender, destination, QUICK).require_usable()
        with pytest.raises(SenderUnusable, match=expected):
            try_rule("sender/body/json", sender, destination, QUICK)
    finally:
        sender.close()


def test_a_command_that_ends_on_a_generated_message_is_reported(destination: Destination) -> None:
    """The message is not shrunk, since the command cannot be driven."""
    sender = Sender.command(harness("sys.exit(3)", at=len(make_unusual_messages()) + 30))
    try:
        with pytest.raises(SenderUnusable, match=r"ended with status 3"):
            try_rule("sender/body/json", sender, destination, SenderSettings(examples=50))
    finally:
        sender.close()


def test_a_silent_command_is_restarted_and_its_rule_fails(destination: Destination) -> None:
    sender = impatient(harness("time.sleep(60)", at=3))
    settings = SenderSettings(patience=0.3, settle=0.02)
    try:
        result = try_rule("sender/request/arrives", sender, destination, settings)
        # Each new process is silent at its fourth job, and a series ends after three silent jobs.
        assert (result.outcome, result.cases) == ("failed", 24)
        assert result.findings[0].share == "6 of 24 cases"
        assert "no request came; no report: within 0.5 s" in result.findings[0].actual
    finally:
        sender.close()


UNTIL_RELEASED = (
    "parts = urllib.parse.urlsplit(job['endpoint']); "
    "socket.create_connection((parts.hostname, parts.port)).recv(1)"
)
"""Waits until the endpoint closes its connections, which is too late on any machine."""


def test_a_late_result_is_not_the_result_of_the_next_job(destination: Destination) -> None:
    command = harness(UNTIL_RELEASED, at=1)
    sender = Sender(CommandDriver(command, grace_seconds=30), None, command)
    settings = SenderSettings(patience=4, settle=0.02)
    try:
        SenderRun(sender, destination, settings).require_usable()
        result = try_rule("sender/answer/success", sender, destination, settings)
        (finding,) = result.findings
        assert finding.actual.startswith("after 200: no report: within 4 s, then success reported")
        assert finding.share.startswith("1 of ")
    finally:
        sender.close()


def test_child_processes_of_a_command_end_with_it(tmp_path: Path, destination: Destination) -> None:
    pid = tmp_path / "pid"
    child = f"open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    sender = Sender.command(harness(child))
    SenderRun(sender, destination, QUICK).require_usable()
    sender.close()
    deadline = time.monotonic() + 5
    while alive(int(pid.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(process: int) -> bool:
    try:
        # A zombie counts as ended.
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


# In pytest.

GOOD = """
import httpx
import pytest

# Import it before the runs below: each run removes the modules that it imported itself, and a compiled module
# can be loaded only once.
import trustme  # noqa: F401
from examples.sender_python import send
from logto_mail_contract import SenderContract, SenderSettings

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02)

    @pytest.fixture(autouse=True)
    def own(self, tmp_path):
        self.log = tmp_path

    def send(self, message, endpoint, authorization):
        assert self.log.is_dir()
        send(message, endpoint, authorization)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run a test file that contains the suite."""
    pytester.syspathinsert(ROOT)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(source: str, *options: str, ini: str = "") -> pytest.RunResult:
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    return run


def test_the_suite_has_one_test_per_rule(suite: Callable[..., pytest.RunResult]) -> None:
    result = suite(GOOD, "-v")
    result.assert_outcomes(passed=len(RULES))
    result.stdout.fnmatch_lines(
        [f"*::TestSender::test_rule?{rule}? PASSED*" for rule in RULES], consecutive=True
    )
    suite(GOOD, "-k", "sender/request/target").assert_outcomes(passed=1, deselected=len(RULES) - 1)


FAILS_TARGET = """
import json
from examples.sender_python import NotSent, send
from logto_mail_contract import SenderContract, SenderSettings
import pytest

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, strict={strict})

    {mark}
    def test_rule(self, mail_contract_result):
        super().test_rule(mail_contract_result)

    def send(self, message, endpoint, authorization):
        send(message, endpoint + "/", authorization)
"""


def test_a_failed_must_fails_and_prints_its_finding(suite: Callable[..., pytest.RunResult]) -> None:
    result = suite(FAILS_TARGET.format(strict=False, mark=""), "-k", "sender/request", "-p", "no:logging")
    result.assert_outcomes(failed=1, passed=9, deselected=len(RULES) - 10)
    result.stdout.fnmatch_lines(
        [
            "E*ContractViolation: The sender breaks the contract",
            "E*sender/request/target  MUST  (*",
            "E*reproduce pytest -k sender/request/target",
            'E*excuse    @pytest.mark.mail_contract_excuse("sender/request/target", reason="…")',
        ]
    )


def test_an_excused_rule_is_an_expected_failure(suite: Callable[..., pytest.RunResult]) -> None:
    mark = '@pytest.mark.mail_contract_excuse("sender/request/target", reason="a proxy wants it")'
    result = suite(FAILS_TARGET.format(strict=False, mark=mark), "-k", "sender/request", "-rx")
    result.assert_outcomes(xfailed=1, passed=9, deselected=len(RULES) - 10)
    result.stdout.fnmatch_lines(["XFAIL *excused: a proxy wants it*"])
    unneeded = suite(GOOD, "-k", "sender/body", ini="mail_contract_excuses = sender/body/ip: for fun")
    unneeded.assert_outcomes(failed=1, passed=5, deselected=len(RULES) - 6)


NO_REDIRECTS = """
from logto_mail_contract import SenderContract, SenderSettings
from tests.support.raw_sender import RawSender

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, strict={strict})

    def send(self, message, endpoint, authorization):
        RawSender(redirects={{}}).send(message, endpoint, authorization)
"""


@pytest.mark.parametrize("strict", [False, True])
def test_a_failed_should_fails_the_run_only_when_strict(
    strict: bool, suite: Callable[..., pytest.RunResult]
) -> None:
    """A failed INFO rule never fails the run; a rule that is not applicable is skipped."""
    result = suite(NO_REDIRECTS.format(strict=strict), "-k", "sender/redirect", "-rxs")
    outcomes = {"xfailed": 1, "failed": 1} if strict else {"xfailed": 2}
    result.assert_outcomes(passed=2, skipped=2, deselected=len(RULES) - 6, **outcomes)
    result.stdout.fnmatch_lines(["XFAIL *see-other* INFO: *"])
    result.stdout.fnmatch_lines(["SKIPPED *not applicable: the sender follows no redirect"])


INVALID_MESSAGE = """
from logto_mail_contract.senders import messages

@pytest.fixture(autouse=True)
def send_invalid(monkeypatch):
    monkeypatch.setattr(messages, "minimal", lambda type, revision: {"type": type, "payload": {}})
"""


def test_an_own_fault_is_an_error_and_no_failure(suite: Callable[..., pytest.RunResult]) -> None:
    """An invalid message of the suite itself does not fail the sender."""
    result = suite(GOOD + INVALID_MESSAGE, "-k", "sender/answer/slow or sender/body/ip")
    result.assert_outcomes(errors=2, deselected=len(RULES) - 2)
    result.stdout.fnmatch_lines(["*OwnFault: sender/body/ip wanted a message of 1.35, but: *"])


COMMAND = """
from logto_mail_contract import SenderContract, SenderSettings

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02)
    command = {command!r}
    revision = "v1.25.0"
"""


def test_a_command_is_started_once_for_the_class(
    suite: Callable[..., pytest.RunResult], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start = f"echo started >> {log}; exec {EXAMPLE[0]} {EXAMPLE[1]}"
    result = suite(COMMAND.format(command=["sh", "-c", start]))
    result.assert_outcomes(passed=len(RULES) - 1, skipped=1)
    assert log.read_text() == "started\n"


def test_a_command_that_cannot_be_driven_fails_every_test(suite: Callable[..., pytest.RunResult]) -> None:
    result = suite(COMMAND.format(command=["/no/such/program"]), "-k", "sender/request")
    result.assert_outcomes(failed=10, deselected=len(RULES) - 10)
    expected = 'mail-contract: the command "/no/such/program" cannot be started: No such file or directory'
    assert result.stdout.str().count(f"\n{expected}\n") == 10


def test_a_suite_without_a_sender_says_what_to_do(suite: Callable[..., pytest.RunResult]) -> None:
    source = "from logto_mail_contract import SenderContract\nclass TestIt(SenderContract): pass\n"
    result = suite(source, "-k", "sender/request/target")
    result.assert_outcomes(errors=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["mail-contract: there is no sender to test. Define the method send(*"])


# The command.


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a run of the command."""

    code: int
    out: str
    err: str


@pytest.fixture
def verify_sender(capsys: pytest.CaptureFixture[str]) -> Callable[..., CommandResult]:
    """Run ``mail-contract verify-sender`` in this process."""

    def run(*arguments: str) -> CommandResult:
        try:
            code = cli.main(["verify-sender", *arguments])
        except SystemExit as end:  # argparse ends the command itself
            code = int(str(end.code))
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return run


VerifySender = Callable[..., CommandResult]

FAST = ("--slow", "0.02", "--examples", "3")


def test_a_correct_sender_exits_0(verify_sender: VerifySender) -> None:
    result = verify_sender(*FAST, "--strict", "--", *EXAMPLE)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == f"{shlex.join(EXAMPLE)}: revision 1.35, {len(RULES)} rules, seed 0"
    printed = [line.split()[:2] for line in lines if line.startswith("  ")]
    assert printed == [["passed", rule] for rule in RULES]
    assert re.fullmatch(r"30 rules: 30 passed\. \d+ cases in [\d.]+ s\.", lines[-1])


SENDS_GET = """\
import sys
sys.path.insert(0, {root!r})
import examples.sender_python as sender
exchange = sender.exchange
sender.exchange = lambda method, url, body, headers: exchange({method}, url, body, headers)
sender.main()
"""


def example_with_method(method: str) -> list[str]:
    """Return a command that runs the example with another method."""
    return [sys.executable, "-c", SENDS_GET.format(root=str(ROOT), method=method)]


def test_a_failing_sender_exits_1_and_its_finding_is_printed(verify_sender: VerifySender) -> None:
    command = example_with_method("'PUT' if method == 'POST' else method")
    result = verify_sender(
        *FAST, "--rules", "sender/request/*", "sender/body/ip", "--exclude", "*/target", "--", *command
    )
    assert (result.code, result.err) == (1, "")
    assert re.search(r"^  failed +MUST +sender/request/method +\d+ cases, ", result.out, re.MULTILINE)
    assert "\nsender/request/method  MUST  (" in result.out
    assert '\n  actual    "PUT"\n' in result.out
    assert (
        "\n  reproduce mail-contract verify-sender --rules sender/request/method --examples 3 "
        "--slow 0.02 -- " in result.out
    )
    assert "\n10 rules: 9 passed, 1 failed. " in result.out


@pytest.mark.parametrize(("options", "code", "outcome"), [((), 0, "warned"), (("--strict",), 1, "failed")])
def test_a_failed_should_warns_and_fails_with_strict(
    options: tuple[str, ...], code: int, outcome: str, verify_sender: VerifySender
) -> None:
    rules = ("--rules", "sender/redirect/*")
    result = verify_sender(
        *FAST, *rules, *options, "--", *example_with_method("'GET' if '/moved' in url else method")
    )
    assert (result.code, result.err) == (code, "")
    assert re.search(rf"^  {outcome} +SHOULD +sender/redirect/post-again ", result.out, re.MULTILINE)
    assert "\nsender/redirect/post-again  SHOULD  (4 of 4 cases)\n" in result.out


def test_a_failed_info_never_fails_the_run(verify_sender: VerifySender) -> None:
    command = example_with_method("'POST' if '/moved' in url else method")
    result = verify_sender(*FAST, "--strict", "--rules", "sender/redirect/see-other", "--", *command)
    assert (result.code, result.err) == (0, "")
    assert re.search(r"^  warned +INFO +sender/redirect/see-other ", result.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--rules", "sender/nothing", "--", "true"), 2, "no rule for senders matches 'sender/nothing'"),
        (("--exclude", "receiver/*", "--", "true"), 2, "no rule for senders matches 'receiver/*'"),
        (("--revision", "9.9", "--", "true"), 2, "There is no contract revision '9.9'"),
        (("--examples", "0", "--", "true"), 2, "invalid value '0': expected a whole number from 1"),
        (("--slow", "-1", "--", "true"), 2, "invalid value '-1': expected a number of seconds above 0"),
        (
            ("--patience", "soon", "--", "true"),
            2,
            "invalid value 'soon': expected a number of seconds above 0",
        ),
        ((), 2, "the following arguments are required: COMMAND"),
        (("--rules", "sender/body/ip", "--exclude", "*/ip", "--", "true"), 5, "no rule is left to run"),
        (("--revision", "1.22", "--rules", "*/ip", "--", *EXAMPLE), 5, "no rule could be judged"),
        (("--", "/no/such/program"), 3, '"/no/such/program" cannot be started: No such file'),
        (("--", "false"), 3, "ended with status 1 without a result"),
        (("--", "echo", "hello"), 3, 'a line that is no result, {"ok": true} or'),
        (("--patience", "0.2", "--", "sleep", "60"), 3, "no report: within 2.2 s: it was its first message"),
    ],
)
def test_wrong_use_and_unusable_senders_have_their_exit_codes(
    arguments: tuple[str, ...], code: int, expected: str, verify_sender: VerifySender
) -> None:
    start = time.monotonic()
    result = verify_sender(*arguments)
    assert result.code == code, result
    assert expected in result.err
    assert "Traceback" not in result.err
    assert time.monotonic() - start < 15


def test_a_command_that_ends_later_exits_3_and_the_results_are_printed(verify_sender: VerifySender) -> None:
    command = harness("sys.exit(7)", at=len(make_unusual_messages()) + 70)
    # The command fails with the first response that is no success.
    result = verify_sender(*FAST, "--exclude", "*/certificate", "--", *command)
    assert result.code == 3
    assert "ended with status 7 without a result" in result.err
    assert re.search(r"\n  rule      sender/answer/success\n  message   {.*\n  response  \d", result.err)
    assert re.search(r"^\d+ rules: ", result.out, re.MULTILINE)


ENDS_AT_THE_THIRD_JOB = """\
import sys
for number, job in enumerate(sys.stdin):
    if number == 2:
        sys.exit(7)
    print('{"ok": true}', flush=True)
"""


def test_a_command_that_ends_after_a_failure_exits_3_and_the_failure_is_printed(
    verify_sender: VerifySender,
) -> None:
    """The next rule does not start the command again."""
    rules = "--rules", "sender/request/arrives", "sender/answer/failure"
    result = verify_sender(*FAST, *rules, "--", sys.executable, "-c", ENDS_AT_THE_THIRD_JOB)
    assert result.code == 3
    assert "ended with status 7 without a result\n  rule      sender/request/arrives\n" in result.err
    assert re.search(r"^  failed +MUST +sender/request/arrives ", result.out, re.MULTILINE)
    assert re.search(r"^1 rule: 1 failed\. ", result.out, re.MULTILINE)
    assert "The sender was lost, and what is left was not tried." in result.out


def test_an_interrupt_ends_the_sender_command(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = harness(f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    arguments = [sys.executable, "-m", "logto_mail_contract.commands.main", "verify-sender", "--", *command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not pid.exists() or not pid.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == "mail-contract: interrupted\n"
    assert not alive(int(pid.read_text()))
