"""The rules for senders: each sends messages, scripts the answers, and judges what arrives and is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import catalogue
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse, parse_with_duplicates, walk
from ..judging.typical import minimal, organization, template_types, typical, user
from ..judging.validation import validate
from ..masking import format_value
from ..wire.replies import Garbage, Reply, Reset, ScriptedResponse
from .sender import Arrival, Attempt, NotApplicable, SenderTrial, always, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..wire.requests import Request

CREDENTIAL = "Bearer s3cret-canary"

_KNOWN = ("to", "type", "payload", "ip")
_SURPLUS_REDIRECTS = 60
_PATHS = (
    "/mail",
    "/mail/",
    "/a/b/c",
    "",
    "/mail?tenant=foo&x=1",
    "/mail?x=%2F%3D&y=a%20b&z",
    "/a%20b/%C3%BC/x%2Fy",
    "?x=1",
)
_CREDENTIALS = (
    CREDENTIAL,
    "s3cret-canary",
    "Basic Zm9vOmJhcg==",
    "bearer s3cret-canary",
    'Custom a="1", b=2',
    "Token  two  spaces",
    f"Bearer {'x' * 2000}",
)
_MOVED = "/moved"
# What careful receivers answer; what else may come has cases of its own.
_TAKEN = ScriptedResponse(200, b'{"accepted":true}', {"Content-Type": "application/json"})


# What is sent.


def _plain(trial: SenderTrial) -> dict[str, Any]:
    return minimal("SignIn", trial.sender.revision)


def _usual(trial: SenderTrial) -> Iterator[dict[str, Any]]:
    """Yield messages of every template type, with as much as Logto sends and with as little."""
    for kind in template_types(trial.sender.revision):
        yield minimal(kind, trial.sender.revision)
        yield typical(kind, revision=trial.sender.revision)


def unusual_messages(revision: str | None = None) -> list[dict[str, Any]]:
    """Return messages with values that senders spoil, as far as a revision allows them.

    Args:
        revision: A contract revision; the current one when None.
    """
    texts = (
        *("", " ", " x ", "null", "true", "000000", "1e3", "0x10"),
        *("é", "e\u0301", "ß", "İ", "中文", "שלום", "\u202e", "\u200b", "\u00a0", "\ufeff", "\u2028\u2029"),
        *("😀", "👩\u200d👧", "\uffff", "\ud800", "x\udfff", "\udc00\ud800"),
        *('"', "'", "\\", "/", "</script>", "<b>&amp;", "&lt;", "%41", "+", "{{code}}", "\\u0041"),
        *("\r\n", "\n", "\t", "\0", "\x1b", "\x7f", "\u0085", "x" * 100_000, "é" * 50_000),
    )
    values: tuple[Any, ...] = (
        *(None, True, False, 0, -1, 1.0, 0.1, -0.0, 1e21, 1e-7, 5e-324, 1.7976931348623157e308),
        *(2**53 - 1, 2**53 + 1, 12345678901234567890, 10**400),
        *({}, [], [None], [[]], {"": {"": {}}}, [{"a": [1, None, True, "1"]}], user(name=None, avatar=None)),
        *(organization(branding={}), {"__proto__": {"x": 1}, "constructor": 0, "toJSON": 0, "10": 0, "2": 0}),
    )
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    keys = ("__proto__", "toJSON", "to", "ip", "0", "é", "\ud800", "a.b/c~d", " ", "code ")
    plain = minimal("SignIn", revision)
    payload = plain["payload"]
    found = [
        *({**plain, "payload": {}} for _ in range(1)),
        *({**plain, "payload": {**payload, "code": text}} for text in texts),
        *(
            {**plain, "to": text}
            for text in ("", "Foo@EXAMPLE.com", " foo@example.com ", "é\ud800@example.com")
        ),
        *({**plain, "payload": {**payload, "more": value}} for value in (*values, deep)),
        *({**plain, "payload": {**payload, key: "x"}} for key in keys),
        {**plain, "ip": ""},
        {**plain, "ip": "::ffff:203.0.113.7"},
        {**plain, "ip": "<b>'\""},
    ]
    revision = revision or catalogue.current_revision()
    return [message for message in found if not validate(message, revision, "guard")]


def _every(trial: SenderTrial, problem: Callable[[Attempt], str | None]) -> None:
    """Judge every kind of message: usual, unusual and generated."""
    trial.every((*_usual(trial), *unusual_messages(trial.sender.revision)), problem)


# What is judged.


def _no_request(attempt: Attempt) -> str | None:
    return None if attempt.arrivals else f"no request came; {attempt.report}"


def _of_each(attempt: Attempt, problem: Callable[[Request], str | None]) -> str | None:
    """Return what is wrong with the first request that something is wrong with."""
    return _no_request(attempt) or next(filter(None, map(problem, attempt.requests)), None)


def _method(request: Request) -> str | None:
    return None if request.method == "POST" else format_value(request.method)


@check("sender/request/method")
def _check_method(trial: SenderTrial) -> None:
    _every(trial, lambda attempt: _of_each(attempt, _method))


@check("sender/request/target")
def _check_target(trial: SenderTrial) -> None:
    for path in _PATHS:
        attempt = trial.send(_plain(trial), path=path)
        parts = urlsplit(attempt.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")

        def problem(request: Request, target: str = target) -> str | None:
            return (
                None
                if request.target == target
                else f"{format_value(request.target)} in place of {format_value(target)}"
            )

        trial.judge(attempt, _of_each(attempt, problem))


def _content_type(request: Request) -> str | None:
    types = request.values("content-type")
    if [value.partition(";")[0].strip(" \t").lower() for value in types] == ["application/json"]:
        return None
    return " and ".join(map(format_value, types)) or "no Content-Type"


@check("sender/request/content-type")
def _check_content_type(trial: SenderTrial) -> None:
    _every(trial, lambda attempt: _of_each(attempt, _content_type))


@check("sender/request/authorization")
def _check_authorization(trial: SenderTrial) -> None:
    for credential in _CREDENTIALS:

        def problem(request: Request, credential: str = credential) -> str | None:
            # These credentials are our own, so they can be shown.
            came = request.values("authorization")
            if came == [credential]:
                return None
            actual = " and ".join(map(format_value, came)) or "no Authorization"
            return f"{actual} in place of {format_value(credential)}"

        attempt = trial.send(_plain(trial), authorization=credential)
        trial.judge(attempt, _of_each(attempt, problem))


def _no_authorization(request: Request) -> str | None:
    return " and ".join(map(format_value, request.values("authorization"))) or None


@check("sender/request/no-authorization")
def _check_no_authorization(trial: SenderTrial) -> None:
    # After one with authorization: what is kept from it must not go to the next endpoint.
    trial.send(_plain(trial), authorization=CREDENTIAL)
    attempt = trial.send(_plain(trial))
    trial.judge(attempt, _of_each(attempt, _no_authorization))
    _every(trial, lambda attempt: _of_each(attempt, _no_authorization))


@check("sender/request/framing")
def _check_framing(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        framing = next((request.framing for request in attempt.requests if request.framing), None)
        surplus = f"after the request, {attempt.strays[0]}" if attempt.strays else None
        return framing or surplus or _no_request(attempt)

    _every(trial, problem)


def _utf8(request: Request) -> str | None:
    if request.body.startswith(b"\xef\xbb\xbf"):
        return "a byte order mark before the body"
    try:
        request.body.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{request.body[error.start]:02x} at offset {error.start}: {error.reason}"
    return None


@check("sender/body/utf-8")
def _check_utf8(trial: SenderTrial) -> None:
    _every(trial, lambda attempt: _of_each(attempt, _utf8))


def _text(request: Request) -> str:
    """Return a body's text, also where the rule on its encoding is broken."""
    try:
        return request.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return request.body.decode("utf-8", "replace")


def _json(request: Request) -> str | None:
    try:
        parse(_text(request))
    except (NotJson, TooDeep) as problem:
        return f"{problem}; the body begins with {format_value(_text(request)[:60])}"
    return None


@check("sender/body/json")
def _check_json(trial: SenderTrial) -> None:
    _every(trial, lambda attempt: _of_each(attempt, _json))


def _unique_keys(request: Request) -> str | None:
    try:
        _, duplicates = parse_with_duplicates(_text(request))
    except (NotJson, TooDeep):
        return None  # another rule tells it
    if not duplicates:
        return None
    first = duplicates[0]
    return f"{format_value(first.key)} more than once in the object at {first.pointer or 'the top'}"


@check("sender/body/unique-keys")
def _check_unique_keys(trial: SenderTrial) -> None:
    _every(trial, lambda attempt: _of_each(attempt, _unique_keys))


def _leaf(value: Any) -> tuple[object, ...]:
    """Return a value as JavaScript reads it, of an array or object its form alone."""
    if isinstance(value, dict):
        return ("object", frozenset(value))
    if isinstance(value, list):
        return ("array", len(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        # Infinity is what JavaScript reads, and null is what it writes for it.
        return ("number", number) if math.isfinite(number) else ("null", None)
    return ("null", None) if value is None else (type(value).__name__, value)


def difference(handed_in: Any, arrived: Any) -> str | None:
    """Return where a value is another one than what was handed in, None when JavaScript reads the same.

    Args:
        handed_in: A JSON value.
        arrived: The JSON value that came in its place.
    """
    wanted, came = dict(walk(handed_in)), dict(walk(arrived))
    for pointer, value in wanted.items():
        # What holds a place comes before it, and was of the same form.
        if _leaf(value) != _leaf(came[pointer]):
            if isinstance(value, dict) and isinstance(came[pointer], dict):
                missing, added = value.keys() - came[pointer].keys(), came[pointer].keys() - value.keys()
                found = [
                    *(f"no {format_value(key)}" for key in missing),
                    *(f"{format_value(key)} too" for key in added),
                ]
                return f"{pointer or 'the message'} has {' and '.join(sorted(found))}"
            return f"{pointer} is {format_value(came[pointer])} in place of {format_value(value)}"
    return None


def _values(attempt: Attempt, *, knows_ip: bool) -> str | None:
    members = ["to", "type", "payload"]
    # An empty one is left out; another rule speaks of that.
    members += ["ip"] if knows_ip and attempt.message.get("ip") else []
    handed_in = {name: attempt.message[name] for name in members}

    def problem(request: Request) -> str | None:
        try:
            value = parse(request.body.removeprefix(b"\xef\xbb\xbf"))
        except (NotUtf8, NotJson, TooDeep) as error:
            return f"a body that cannot be read: {error}"
        if not isinstance(value, dict):
            return f"the body is {format_value(value)}, not an object"
        return difference(handed_in, {name: value[name] for name in members if name in value})

    return _of_each(attempt, problem)


@check("sender/body/values")
def _check_values(trial: SenderTrial) -> None:
    knows_ip = "ip" in catalogue.schema(trial.sender.revision, "guard")["properties"]
    _every(trial, lambda attempt: _values(attempt, knows_ip=knows_ip))


def _members(request: Request) -> dict[str, Any]:
    """Return the members of a body, none where it is no object: another rule tells that."""
    try:
        value = parse(_text(request))
    except (NotJson, TooDeep):
        return {}
    return value if isinstance(value, dict) else {}


@check("sender/body/no-other-members")
def _check_no_other_members(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        def of_request(request: Request) -> str | None:
            # What the caller of a sender adds is the caller's doing; Logto's connector drops it.
            added = [name for name in _members(request) if name not in {*_KNOWN, *attempt.message}]
            return f"also {' and '.join(map(format_value, added))}" if added else None

        return _of_each(attempt, of_request)

    _every(trial, problem)


@check("sender/body/ip")
def _check_ip(trial: SenderTrial) -> None:
    def of_request(request: Request) -> str | None:
        members = _members(request)
        return f"ip is {format_value(members['ip'])}" if "ip" in members else None

    def problem(attempt: Attempt) -> str | None:
        return None if attempt.message.get("ip") else _of_each(attempt, of_request)

    _every(trial, problem)


# What the sender makes of answers.

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
_REDIRECTS = (300, 301, 302, 303, 307, 308)


def _json_answer(
    status: int, body: bytes = b'{"error":"no mail today"}', headers: Mapping[str, str] | None = None
) -> ScriptedResponse:
    return ScriptedResponse(status, body, {"Content-Type": "application/json", **(headers or {})})


@check("sender/answer/no-retry")
def _check_no_retry(trial: SenderTrial) -> None:
    retry = {"Retry-After": "0"}
    replies: dict[str, Reply] = {
        "200": _TAKEN,
        **{str(status): _json_answer(status) for status in (400, 401, 404, 500, 502, 504)},
        "408": ScriptedResponse(408, b"", {"Connection": "close"}),
        "413 with Retry-After": _json_answer(413, headers=retry),
        "429 with Retry-After": _json_answer(429, headers=retry),
        "503 with Retry-After": _json_answer(503, headers=retry),
        **_BROKEN,
    }
    attempts = []
    for told, reply in replies.items():
        attempt = trial.send(_plain(trial), always(reply))
        attempts.append((told, attempt))
    # A sender may say that it has failed, and try again behind our back.
    trial.settle()
    for told, attempt in attempts:
        count = len(attempt.arrivals)
        problem = None if count == 1 else f"{count} requests after {told}; {attempt.report}"
        trial.judge(attempt, _no_request(attempt) or problem)


def _report_on(trial: SenderTrial, told: str, reply: Reply, *, ok: bool, late: float = 0.0) -> None:
    attempt = trial.send(_plain(trial), always(reply), late=late)
    said = attempt.report
    trial.judge(attempt, _no_request(attempt) or (None if said.ok is ok else f"after {told}: {said}"))


@check("sender/answer/success")
def _check_success(trial: SenderTrial) -> None:
    for status in (200, 201, 202, 203, 204, 206, 299):
        _report_on(trial, str(status), ScriptedResponse(status), ok=True)
    bodies: dict[str, ScriptedResponse] = {
        "a 200 with text": ScriptedResponse(200, b"OK", {"Content-Type": "text/plain"}),
        "a 202 with JSON": _json_answer(202, b'{"accepted":true}'),
        "a 200 with JSON that is none": _json_answer(200, b"<html>"),
        "a 200 that speaks of an error": _json_answer(200),
        "a 201 of a type without body": _json_answer(201, b""),
        "a 200 with 100 kB": ScriptedResponse(
            200, b"x" * 100_000, {"Content-Type": "application/octet-stream"}
        ),
        "a 200 in chunks": ScriptedResponse(200, b"2\r\nOK\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
    }
    for told, answer in bodies.items():
        _report_on(trial, told, answer, ok=True)


@check("sender/answer/not-modified")
def _check_not_modified(trial: SenderTrial) -> None:
    _report_on(trial, "304", ScriptedResponse(304), ok=True)


@check("sender/answer/failure")
def _check_failure(trial: SenderTrial) -> None:
    for status in (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 501, 502, 503, 504, 599):
        _report_on(trial, str(status), _json_answer(status), ok=False)
    _report_on(trial, "a 400 without body", ScriptedResponse(400), ok=False)
    _report_on(trial, "a 500 that says it is ok", _json_answer(500, b'{"ok":true,"accepted":true}'), ok=False)
    for status in _REDIRECTS:
        _report_on(trial, f"{status} without Location", ScriptedResponse(status), ok=False)
    for status in (302, 307):
        attempt = trial.send(_plain(trial), _redirecting(trial, status, then=_json_answer(500)))
        said = attempt.report
        told = f"after {status} to a 500: {said}"
        trial.judge(attempt, _no_request(attempt) or (None if said.ok is False else told))


@check("sender/answer/connection-failure")
def _check_connection_failure(trial: SenderTrial) -> None:
    attempt = trial.send(_plain(trial), origin=trial.desk.dead_url)
    refused = attempt.report
    trial.judge(attempt, None if refused.ok is False else f"after a refused connection: {refused}")
    for told, reply in _BROKEN.items():
        _report_on(trial, told, reply, ok=False)


@check("sender/answer/slow")
def _check_slow(trial: SenderTrial) -> None:
    slow = trial.settings.slow
    _report_on(trial, f"a 200 that took {slow:g} s", replace(_TAKEN, delay=slow), ok=True, late=slow)


# Redirects.


def _redirecting(
    trial: SenderTrial, status: int, *, to: str | None = None, then: ScriptedResponse | None = None
) -> Callable[[Arrival, int], Reply]:
    """Return a script that redirects to another path, of the same origin or another, and answers there."""

    def script(arrival: Arrival, number: int) -> Reply:  # noqa: ARG001 - a Script
        if arrival.elsewhere or arrival.request.target.endswith(_MOVED):
            return then or _TAKEN
        current = trial.desk.current
        assert current is not None
        token = urlsplit(current.url).path.split("/")[1]
        return ScriptedResponse(status, b"", {"Location": f"{to or trial.desk.url}/{token}{_MOVED}"})

    return script


def _moved(attempt: Attempt) -> list[Request]:
    return [
        arrival.request
        for arrival in attempt.arrivals
        if arrival.elsewhere or arrival.request.target.endswith(_MOVED)
    ]


def _not_followed(attempt: Attempt, status: int) -> str | None:
    return _no_request(attempt) or (
        None if _moved(attempt) else f"after {status}: not followed; {attempt.report}"
    )


@check("sender/redirect/post-again")
def _check_post_again(trial: SenderTrial) -> None:
    for status in (301, 302, 307, 308):
        attempt = trial.send(_plain(trial), _redirecting(trial, status))
        problem = _not_followed(attempt, status)
        for request in _moved(attempt):
            first = attempt.requests[0]
            if (request.method, request.body) != (first.method, first.body):
                problem = problem or (
                    f"after {status}: {format_value(request.method)} with {len(request.body)} bytes of body"
                )
            elif request.values("content-type") != first.values("content-type"):
                problem = problem or f"after {status}: another Content-Type"
        if problem is None and attempt.report.ok is not True:
            problem = f"after {status} to a 200: {attempt.report}"
        trial.judge(attempt, problem)


@check("sender/redirect/see-other")
def _check_see_other(trial: SenderTrial) -> None:
    attempt = trial.send(_plain(trial), _redirecting(trial, 303))
    problem = _not_followed(attempt, 303)
    for request in _moved(attempt):
        if request.method != "GET" or request.body:
            problem = f"{format_value(request.method)} with {len(request.body)} bytes of body"
    if problem is None and attempt.report.ok is not True:
        problem = f"after 303 to a 200: {attempt.report}"
    trial.judge(attempt, problem)


@check("sender/redirect/authorization-kept")
def _check_authorization_kept(trial: SenderTrial) -> None:
    followed = False
    for status in (301, 302, 303, 307, 308):
        attempt = trial.send(_plain(trial), _redirecting(trial, status), authorization=CREDENTIAL)
        moved = _moved(attempt)
        followed = followed or bool(moved)
        first = attempt.requests[0].values("authorization") if attempt.requests else []
        lost = next((request for request in moved if request.values("authorization") != first), None)
        came = " and ".join(map(format_value, lost.values("authorization"))) if lost else ""
        problem = f"after {status}: {came or 'no Authorization'}" if lost else None
        trial.judge(attempt, _no_request(attempt) or problem)
    if not followed and not trial.failures:
        raise NotApplicable("the sender follows no redirect")


@check("sender/redirect/authorization-dropped")
def _check_authorization_dropped(trial: SenderTrial) -> None:
    for status in (301, 302, 303, 307, 308):
        script = _redirecting(trial, status, to=trial.desk.other_url)
        attempt = trial.send(_plain(trial), script, authorization=CREDENTIAL)
        came = [value for request in _moved(attempt) for value in request.values("authorization")]
        problem = f"after {status} to another port: {' and '.join(map(format_value, came))}" if came else None
        trial.judge(attempt, _no_request(attempt) or problem)


@check("sender/redirect/loop")
def _check_loop(trial: SenderTrial) -> None:
    def script(arrival: Arrival, number: int) -> Reply:
        # Not for ever: a sender without a limit must end too.
        return _TAKEN if number >= _SURPLUS_REDIRECTS else _onward(arrival)

    attempt = trial.send(_plain(trial), script)
    count = len(attempt.arrivals)
    problem = None if attempt.report.ok is False else f"{count} requests, then {attempt.report}"
    trial.judge(attempt, _no_request(attempt) or problem)


def _onward(arrival: Arrival) -> ScriptedResponse:
    return ScriptedResponse(307, b"", {"Location": arrival.request.target})
