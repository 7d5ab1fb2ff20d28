"""The attempts of a run, in series: each is made once, for every rule that judges it."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..judging.typical import minimal, template_types, typical
from ..suite.results import NotJudged
from ..suite.search import draw_examples
from ..wire.replies import Garbage, Reply, Reset, ScriptedResponse
from .destination import ACCEPTED, ACCEPTING, REDIRECTS, always
from .messages import (
    make_generated_messages,
    make_plain_message,
    make_unusual_messages,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .destination import Arrival, Attempt, Script
    from .run import SenderRun

MAX_SILENT_MESSAGES = 3
"""Messages without a report after which a series is cut: each costs all patience."""

_MAX_MISSING_REQUESTS = 10
"""Messages without a request after which a series is cut: each may cost a wait for its request."""

CREDENTIAL = "Bearer s3cret-canary"

_PATHS = (
    "/mail",
    "/mail/",
    "/a/b/c",
    "",
    "/",
    "/mail?tenant=foo&x=1",
    "/mail?z=1&a=2&m=3&a=1",
    "/mail?x=%2F%3D&y=a%20b&z",
    "/mail?x=%2f%c3%bc&x=a+b&x=a%2Bb",
    "/mail?a[]=1&a[]=2&=&&b=&c==d?e/f:g@h,i;j",
    "/a%20b/%C3%BC/x%2Fy",
    "/a//b;v=1/~c",
    "?x=1",
    "/mail?x=1#part",
)
_CREDENTIALS = (
    CREDENTIAL,
    "s3cret-canary",
    "Basic Zm9vOmJhcg==",
    "bearer s3cret-canary",
    'Custom a="1", b=2',
    "Token  two  spaces",
    "Bearer a%20b+c/d==",
    f"Bearer {'x' * 2000}",
)

_OTHER_SUCCESSES = (201, 202, 203, 204, 205, 206, 207, 208, 226, 250, 299)
_FAILURES = (
    *range(400, 419),
    # Not 421: by RFC 9110 a client may send again over another connection, as fetch does.
    *(422, 423, 424, 425, 426, 428, 429, 431, 451, 499),
    *range(500, 509),
    *(510, 511, 520, 521, 522, 523, 524, 525, 526, 527, 530, 599),
)
_POST_REDIRECTS = (301, 302, 307, 308)
_MOVED = "moved"
_LONG_CHAIN = 5
_SURPLUS_REDIRECTS = 60

_JSON = {"Content-Type": "application/json"}
_HTML = b"<!doctype html><title>Bad Gateway</title>"
_BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "no body and no type": (b"", {}),
    "no body of type JSON": (b"", _JSON),
    "text": (b"OK", {"Content-Type": "text/plain"}),
    "HTML": (_HTML, {"Content-Type": "text/html"}),
    "HTML of type JSON": (_HTML, _JSON),
    "JSON null": (b"null", _JSON),
    "a JSON array": (b"[]", _JSON),
    "a JSON string": (b'"no mail today"', _JSON),
    "JSON that speaks of an error": (b'{"error":"no mail today","message":null}', _JSON),
    "JSON that speaks of success": (b'{"ok":true,"success":true,"accepted":true,"status":200}', _JSON),
    "half a JSON object": (b'{"message":"no ma', _JSON),
    "bytes": (bytes(range(256)), {"Content-Type": "application/octet-stream"}),
    "bytes of type JSON": (b"\x80\xff\0{", _JSON),
    "UTF-8 cut in a character": ("no mäil".encode()[:5], {"Content-Type": "text/plain; charset=utf-8"}),
    "an unknown charset": (b"OK", {"Content-Type": "text/plain; charset=no-such-charset"}),
    "a type that is none": (b"OK", {"Content-Type": ";;"}),
    "1 MB": (b"x" * 1_000_000, {"Content-Type": "text/plain"}),
    "chunks": (b"2\r\nOK\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
    "a cookie": (b"OK", {"Set-Cookie": "a=b; Path=/"}),
}
"""Bodies of responses with their header lines. Logto's connector ignores those of 2xx."""

_CUT = Garbage(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nhalf")
_CUT_CHUNKS = Garbage(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf")
_NO_HTTP = Garbage(b"\0\1garbage\xff\r\n\r\n")
_BROKEN: dict[str, Reply] = {
    "a reset": Reset(),
    "the end of the connection": Garbage(b""),
    "bytes that are no HTTP": _NO_HTTP,
    "half a body": _CUT,
    "half a chunked body": _CUT_CHUNKS,
}
_CLOSING = Garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")
_WHOLE: dict[str, Reply] = {
    "a 200 that ends with the connection": Garbage(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nOK"),
    "a 200 over HTTP/1.0": Garbage(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nOK"),
    "a 200 without a reason": Garbage(b"HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
}
_RETRY_AFTER = {"Retry-After": "0"}
_INVITES: dict[str, ScriptedResponse] = {
    "401 that asks for Basic": ScriptedResponse(401, b"", {"WWW-Authenticate": 'Basic realm="mail"'}),
    "401 that asks for Digest": ScriptedResponse(
        401, b"", {"WWW-Authenticate": 'Digest realm="mail", qop="auth", nonce="0123456789abcdef"'}
    ),
    "408 that closes the connection": ScriptedResponse(408, b"", {"Connection": "close"}),
    **{
        f"{status} with Retry-After": ScriptedResponse(status, b"{}", {**_JSON, **_RETRY_AFTER})
        for status in (409, 413, 425, 429, 500, 503)
    },
    "503 with Retry-After: 1": ScriptedResponse(503, b"", {"Retry-After": "1"}),
}
"""Failures that invite some clients to send again."""


class Series:
    """Attempts that are made when a rule first asks for them, and kept for the next rule.

    Args:
        attempts: Makes the attempts, one after the other.
    """

    def __init__(self, attempts: Iterator[Attempt]) -> None:
        self._attempts = attempts
        self._made: list[Attempt] = []
        self._silent = 0
        self._missing = 0
        self._cut = ""

    def __iter__(self) -> Iterator[Attempt]:
        """Yield the attempts.

        Raises:
            NotJudged: The rest was not made, after the last attempt that was.
        """
        yield from self._made
        while not self._cut:
            try:
                attempt = next(self._attempts, None)
            except NotJudged as problem:
                self._cut = str(problem)
                break
            except BaseException:
                # A generator that raised has ended: without this, the rest would look made.
                self._cut = "an attempt before broke off"
                raise
            if attempt is None:
                return
            self._made.append(attempt)
            self._silent += attempt.report.ok is None
            if self._silent == MAX_SILENT_MESSAGES:
                self._cut = f"the sender gave no report {self._silent} times, and the rest was not sent"
            self._missing += not attempt.arrivals
            if self._missing == _MAX_MISSING_REQUESTS:
                self._cut = f"no request came {self._missing} times, and the rest was not sent"
            yield attempt
        raise NotJudged(self._cut)


def make_attempts(name: str, run: SenderRun) -> Iterator[Attempt]:
    """Make the attempts of a series, each when it is asked for.

    Args:
        name: The name of the series.
        run: The run that sends them.
    """
    return _SERIES[name](run)


def _send_messages(run: SenderRun) -> Iterator[Attempt]:
    """Send messages of every kind: usual, unusual and generated."""
    for kind in template_types(run.revision):
        yield run.send(minimal(kind, run.revision))
        # A sender may treat one type differently: its target and its credential are judged together.
        message = typical(kind, revision=run.revision)
        yield run.send(message, path="/mail?tenant=foo&x=1", authorization=CREDENTIAL)
    for message in make_unusual_messages(run.revision):
        yield run.send(message)
    settings = run.settings
    for message in draw_examples(make_generated_messages(run.revision), settings.examples, settings.seed):
        yield run.send(message, is_generated=True)


def _send_to_endpoints(run: SenderRun) -> Iterator[Attempt]:
    """Send to endpoints of every kind, with and without a credential."""
    plain = make_plain_message(run.revision)
    for number, path in enumerate(_PATHS):
        # A cached credential must not go to the next endpoint: this one has none.
        yield run.send(plain, path=path, authorization=_CREDENTIALS[number % len(_CREDENTIALS)])
        yield run.send(plain, path=path)
    for credential in _CREDENTIALS:
        for path in ("/mail", "/mail?tenant=foo"):
            yield run.send(plain, path=path, authorization=credential)


def _send(run: SenderRun, what: str, script: Script | Reply, *, expected: bool | None) -> Attempt:
    return run.send(
        make_plain_message(run.revision),
        script if callable(script) else always(script),
        what=what,
        expected=expected,
        authorization=CREDENTIAL,
    )


def _answer(run: SenderRun) -> Iterator[Attempt]:
    """Answer with every common status, and with bodies of every kind."""
    for status in _OTHER_SUCCESSES:
        yield _send(run, str(status), ScriptedResponse(status), expected=True)
    for status in _FAILURES:
        yield _send(run, str(status), ScriptedResponse(status, b'{"error":"no"}', _JSON), expected=False)
    # A sender may treat one type of message differently, or messages without a credential.
    for kind in template_types(run.revision):
        message = typical(kind, revision=run.revision)
        script = always(ScriptedResponse(500, b'{"error":"no"}', _JSON))
        yield run.send(message, script, what=f"500 to {kind}", expected=False)
    for what, (body, headers) in _BODIES.items():
        for status in (200, 500):
            response = ScriptedResponse(status, body, headers)
            yield _send(run, f"{status} with {what}", response, expected=status < 300)
    yield _send(run, "202 with JSON", replace(ACCEPTED, status=202), expected=True)
    yield _send(run, "400 without body", ScriptedResponse(400), expected=False)
    yield _send(run, "a 200 in gzip", _compress, expected=True)
    for what, reply in _WHOLE.items():
        yield _send(run, what, reply, expected=True)
    for what, reply in _INVITES.items():
        yield _send(run, what, reply, expected=False)
    # Only some statuses make a redirect of it.
    for status in (201, 202, 305, 400, 503):
        response = ScriptedResponse(status, b"", {"Location": f"/{_MOVED}", "Retry-After": "0"})
        yield _send(run, f"{status} with Location", response, expected=status < 300)
    for status in REDIRECTS:
        yield _send(run, f"{status} without Location", ScriptedResponse(status), expected=False)
    for status in (302, 307):
        failing = make_redirect_script(run, status, then=ScriptedResponse(500, b"{}", _JSON))
        yield _send(run, f"{status} to a 500", failing, expected=False)
    for location in ("file:///etc/hostname", "http://[", "http://127.0.0.1:99999/", "mailto:foo@example.com"):
        response = ScriptedResponse(307, b"", {"Location": location})
        yield _send(run, f"307 to {location}", response, expected=False)


def _compress(arrival: Arrival, number: int) -> Reply:  # noqa: ARG001 - a Script
    if not any("gzip" in value for value in arrival.request.values("accept-encoding")):
        return ACCEPTED
    return ScriptedResponse(200, gzip.compress(ACCEPTED.body), {**_JSON, "Content-Encoding": "gzip"})


def _break_connections(run: SenderRun) -> Iterator[Attempt]:
    for what, reply in _BROKEN.items():
        yield _send(run, what, reply, expected=False)
    refusing = make_redirect_script(run, 307, lambda token: f"{run.destination.dead_url}/{token}/{_MOVED}")
    yield _send(run, "307 to a refused connection", refusing, expected=False)


def _refuse_connections(run: SenderRun) -> Iterator[Attempt]:
    run.require_request()
    yield run.send(
        make_plain_message(run.revision),
        what="a refused connection",
        expected=False,
        origin=run.destination.dead_url,
    )


def _show_untrusted_certificate(run: SenderRun) -> Iterator[Attempt]:
    run.require_request()
    yield run.send(
        make_plain_message(run.revision),
        what="a certificate that nobody trusts",
        expected=False,
        authorization=CREDENTIAL,
        origin=run.destination.untrusted_url,
    )


def _close_connections(run: SenderRun) -> Iterator[Attempt]:
    """Close a connection after its response, and yield the attempt that follows."""
    for what, script in (
        ("a connection that was closed while idle", ACCEPTING),
        ("a response with Connection: close", always(_CLOSING)),
    ):
        # Several times: the sender may not have seen the end of its connection when the next message comes.
        for pause in (run.settings.settle, 0.2, 1.0):
            first = run.send(make_plain_message(run.revision), script)
            if first.report.ok is not True:
                raise NotJudged(f"a message that was accepted before: {first.report}")
            run.destination.close_connections()
            run.pause(pause)
            second = run.send(make_plain_message(run.revision), what=what)
            if second.report.ok is True:
                break
        yield second


def _respond_not_modified(run: SenderRun) -> Iterator[Attempt]:
    yield _send(run, "304", ScriptedResponse(304), expected=True)


def _respond_slowly(run: SenderRun) -> Iterator[Attempt]:
    slow = run.settings.slow
    yield run.send(
        make_plain_message(run.revision),
        always(replace(ACCEPTED, delay=slow)),
        what=f"a 200 that took {slow:g} s",
        late=slow,
    )


# Redirects.


def make_redirect_script(
    run: SenderRun,
    status: int,
    location: Callable[[str], str] = lambda token: f"/{token}/{_MOVED}",
    *,
    then: ScriptedResponse = ACCEPTED,
) -> Script:
    """Return a script that redirects once and responds there.

    Args:
        run: The run.
        status: The status of the redirect.
        location: Makes the value of ``Location`` from the first segment of the endpoint's path; it has the
            word ``moved``.
        then: The response there.
    """

    def script(arrival: Arrival, number: int) -> Reply:  # noqa: ARG001 - a Script
        if _MOVED in arrival.request.target:
            return then
        return ScriptedResponse(status, b"", {"Location": location(_find_token(run))})

    return script


def _find_token(run: SenderRun) -> str:
    """Return the first segment of the endpoint's path, for the message under way."""
    current = run.destination.current
    assert current is not None
    return urlsplit(current.url).path.split("/")[1]


def _redirect(run: SenderRun) -> Iterator[Attempt]:
    for status in _POST_REDIRECTS:
        yield _redirect_to_whole_url(run, status)

    def lead_on(arrival: Arrival, number: int) -> Reply:  # noqa: ARG001 - a Script
        location = f"{run.destination.url}/{_find_token(run)}/mail?{number}"
        return ACCEPTED if number >= _LONG_CHAIN else ScriptedResponse(307, b"", {"Location": location})

    yield _send(run, f"{_LONG_CHAIN} times 307", lead_on, expected=None)


def _see_other(run: SenderRun) -> Iterator[Attempt]:
    yield _redirect_to_whole_url(run, 303)


def _redirect_to_whole_url(run: SenderRun, status: int) -> Attempt:
    script = make_redirect_script(run, status, lambda token: f"{run.destination.url}/{token}/{_MOVED}")
    return _send(run, str(status), script, expected=None)


def _redirect_relatively(run: SenderRun) -> Iterator[Attempt]:
    """Redirect to every form of a relative reference, RFC 3986, section 4.2."""
    host = urlsplit(run.destination.url).netloc
    locations: Mapping[str, Callable[[str], str]] = {
        "a path": lambda token: f"/{token}/{_MOVED}",
        "a path and query": lambda token: f"/{token}/{_MOVED}?b=2&a=%2F",
        "the last segment": lambda token: _MOVED,  # noqa: ARG005 - a form
        "the same folder": lambda token: f"./{_MOVED}/x",  # noqa: ARG005 - a form
        "the folder above": lambda token: f"../{token}/{_MOVED}",
        "a query alone": lambda token: f"?{_MOVED}=1",  # noqa: ARG005 - a form
        "a host without a scheme": lambda token: f"//{host}/{token}/{_MOVED}",
    }
    for what, location in locations.items():
        yield _send(run, f"307 to {what}", make_redirect_script(run, 307, location), expected=None)


def _redirect_elsewhere(run: SenderRun) -> Iterator[Attempt]:
    """Redirect to other ports, and to another name of the host."""
    other = run.destination.other_url
    port = urlsplit(run.destination.url).port
    for status in (301, 302, 303, 307, 308):
        script = make_redirect_script(run, status, lambda token: f"{other}/{token}/{_MOVED}")
        yield _send(run, f"{status} to another port", script, expected=None)
    for what, location in (
        ("another port, without a scheme", lambda token: f"{other.removeprefix('http:')}/{token}/{_MOVED}"),
        ("another host name", lambda token: f"http://localhost:{port}/{token}/{_MOVED}"),
    ):
        yield _send(run, f"307 to {what}", make_redirect_script(run, 307, location), expected=None)


def _redirect_without_end(run: SenderRun) -> Iterator[Attempt]:
    def repeat(arrival: Arrival, number: int) -> Reply:
        return _onward(arrival.request.target, number)

    def lead_on(arrival: Arrival, number: int) -> Reply:
        return _onward(f"{arrival.request.target.partition('?')[0]}?{number}", number)

    yield _send(run, "307 to itself", repeat, expected=False)
    yield _send(run, "307 to ever another URL", lead_on, expected=False)


def _onward(location: str, number: int) -> Reply:
    # Not for ever: a sender without a limit must end too.
    return ACCEPTED if number >= _SURPLUS_REDIRECTS else ScriptedResponse(307, b"", {"Location": location})


_SERIES: Mapping[str, Callable[[SenderRun], Iterator[Attempt]]] = {
    "messages": _send_messages,
    "endpoints": _send_to_endpoints,
    "answers": _answer,
    "not modified": _respond_not_modified,
    "broken": _break_connections,
    "refused": _refuse_connections,
    "untrusted": _show_untrusted_certificate,
    "closed": _close_connections,
    "slow": _respond_slowly,
    "redirects": _redirect,
    "see other": _see_other,
    "relative redirects": _redirect_relatively,
    "redirects elsewhere": _redirect_elsewhere,
    "loops": _redirect_without_end,
}
