"""Senders that break a rule each, for the negative controls."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
import unicodedata
from contextlib import closing, suppress
from functools import partial
from operator import eq
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tests.support.raw_sender import (
    EMPTY,
    FAILURES,
    GET,
    SAME,
    ConnectionFailed,
    Message,
    NotSent,
    RawSender,
    Response,
    encode_json,
    frame_with_length,
    is_success,
    select_members,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_GIVE_UP_SECONDS = 0.6
"""Longer than any response takes that is not meant to be slow."""


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


class SkipsRepetitions(RawSender):
    """Takes a message for sent that is the same as the last one that was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        text = json.dumps(message)
        if text != self.last:
            super().send(message, endpoint, authorization)
            self.last = text


class DropsAuthorization(RawSender):
    """Drops the authorization where the endpoint has a query."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        without = "?" in endpoint or authorization is None
        self.authorizations = lambda value: () if without else (value,)
        super().send(message, endpoint, authorization)


class DropsAuthorizationOfOneType(RawSender):
    """Drops the authorization of invitations."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        self.authorizations = lambda value: () if message["type"] == "OrganizationInvitation" else (value,)
        super().send(message, endpoint, authorization)


class ChoosesTargetByType(RawSender):
    """Adds the type to the target of MFA messages."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        self.target = lambda target: f"{target}/mfa" if message["type"] == "BindMfa" else target
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


class TakesTimeoutForSuccess(RawSender):
    """Gives a request 0.6 seconds, and then supposes that it was accepted."""

    def send(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send a message."""
        start = time.monotonic()
        try:
            RawSender(timeout=_GIVE_UP_SECONDS).send(message, endpoint, authorization)
        except NotSent:
            if time.monotonic() < start + _GIVE_UP_SECONDS:
                raise
            self.after_timeout(message, endpoint, authorization)

    def after_timeout(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Do nothing more."""


class PostsAgainAfterTimeout(TakesTimeoutForSuccess):
    """Gives the first request 0.6 seconds, and then sends a second one that it waits for."""

    def after_timeout(self, message: Message, endpoint: str, authorization: str | None) -> None:
        """Send the message again."""
        RawSender.send(self, message, endpoint, authorization)


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
    "no message twice in a row": (
        SkipsRepetitions(),
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
    "authorization by type": (DropsAuthorizationOfOneType(), {"sender/request/authorization"}),
    "the target by type": (ChoosesTargetByType(), {"sender/request/target"}),
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
    "a look at what was created": (
        RawSender(
            resends=lambda result: (
                isinstance(result, Response) and "location" in result.headers and result.status in (201, 202)
            )
        ),
        {"sender/answer/no-retry"},
    ),
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
