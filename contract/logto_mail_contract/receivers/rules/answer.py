"""The rules ``receiver/auth/*``, ``receiver/reject/*``, ``receiver/respond/*`` and ``receiver/concurrent/*``.

What a receiver refuses, and how it answers whatever it answers.
"""

from __future__ import annotations

import base64
import html
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ...connector.encoding import connector_call
from ...judging.javascript_json import stringify
from ...judging.responses import format_outcome, is_accepted, is_no_crash, is_refused, is_unauthorized
from ...judging.typical import RECIPIENT, template_types
from ...masking import escape_unprintable
from ...suite.results import NotApplicable
from ...wire.outcomes import NoResponse, Response
from ..receiver import basic_credential, check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...connector.channel import Channel
    from ...wire.calls import Call
    from ...wire.outcomes import Outcome
    from ..receiver import Expectation, Trial

_CLIENTS = 16
_BURST = 4
"""Messages for each client of a burst."""

_DEPTH = 100_000
_LATE_BYTES = 0.1
"""Seconds in which bytes after the end of an answer are still seen."""


# receiver/auth


def _wrong_values(authorization: str) -> dict[str, tuple[str, str]]:
    """Return wrong values by the name of their rule, each with how a shell makes it, where it must."""
    scheme, _, credential = authorization.partition(" ")
    wrong = f"{'0' * len(credential or authorization)}x"
    pair = basic_credential(authorization)
    if pair is not None:
        # Many decode base64 leniently, so that text around it changes nothing: change what it stands for.
        user, _, password = pair.partition(":")
        cut, extended, swapped = pair[:-1], f"{pair}0", f"{user}:{_swapped(password)}"
        values = [f"{scheme} {base64.b64encode(text.encode()).decode()}" for text in (cut, extended, swapped)]
        shells = ["", "", ""]
    else:
        extra = "1" if authorization.endswith("0") else "0"
        values = [authorization[:-1], authorization + extra]
        values.append(f"{scheme} {_swapped(credential)}" if credential else _swapped(scheme))
        letters = "a-zA-Z A-Za-z"
        shells = [
            "${NAME%?}",
            f"${{NAME}}{extra}",
            f'${{NAME%% *}} $(printf %s "${{NAME#* }}" | tr {letters})'
            if credential
            else f'$(printf %s "${{NAME}}" | tr {letters})',
        ]
    return {
        "empty-authorization": ("", ""),
        "wrong-authorization": (f"{scheme} {wrong}" if credential else wrong, ""),
        "cut-authorization": (values[0], shells[0]),
        "extended-authorization": (values[1], shells[1]),
        "case-changed-authorization": (values[2], shells[2]),
        "scheme-only-authorization": (scheme, ""),
    }


def _swapped(text: str) -> str:
    return "".join(mark.swapcase() if mark.isascii() else mark for mark in text)


def _refuses(name: str) -> Callable[[Trial], None]:
    def refuses(trial: Trial) -> None:
        right = trial.receiver.authorization or ""
        wrong, shell = _wrong_values(right)[name]
        if wrong == right:
            raise NotApplicable("the authorization has no scheme, or no letters whose case could be changed")
        if shell:
            trial.shell[wrong] = shell.replace("NAME", trial.receiver.authorization_name)
        _expect_refusal(trial, wrong)

    return refuses


def _expect_refusal(trial: Trial, authorization: str | None) -> None:
    # A receiver that refuses everything refuses the wrong ones too, and that says nothing.
    if trial.takes("SignIn"):
        body = stringify(trial.addressed(trial.typical("SignIn")))
        trial.expect(is_unauthorized, connector_call(trial.receiver.target, body, authorization))


for _name in _wrong_values("Bearer x"):
    check(f"receiver/auth/{_name}", "authorization")(_refuses(_name))


@check("receiver/auth/missing-authorization", "authorization")
def _missing_authorization(trial: Trial) -> None:
    _expect_refusal(trial, None)


@check("receiver/auth/doubled-authorization", "authorization", "wire")
def _doubled_authorization(trial: Trial) -> None:
    if trial.takes("SignIn"):
        call = trial.call(trial.typical("SignIn"))
        place = [name for name, _ in call.headers].index("authorization")
        wrong = _wrong_values(trial.receiver.authorization or "")["wrong-authorization"][0]
        headers = (*call.headers[:place], ("authorization", wrong), *call.headers[place:])
        trial.expect(is_refused, replace(call, headers=headers))


@check("receiver/auth/header-name-case", "authorization", "wire")
def _header_name_case(trial: Trial) -> None:
    if trial.is_silent():
        return
    spellings = ("authorization", "Authorization", "AUTHORIZATION")
    calls = []
    for spelling in spellings:
        call = trial.call(trial.typical("SignIn"))
        headers = [(spelling if name == "authorization" else name, value) for name, value in call.headers]
        calls.append(replace(call, headers=tuple(headers)))
    outcomes = [trial.exchange(call) for call in calls]
    if not any(is_accepted(outcome) for outcome in outcomes):
        trial.skip(f"the receiver takes none of these: {format_outcome(outcomes[0])}")
        return
    for call, outcome in zip(calls, outcomes, strict=True):
        trial.expect(is_accepted, call, outcome)


# receiver/reject


def _broken_messages(trial: Trial) -> dict[str, list[bytes]]:
    def message() -> dict[str, Any]:
        return trial.addressed(trial.typical("SignIn"))

    def put(**changed: Any) -> bytes:
        return stringify({**message(), **changed})

    def leave(name: str) -> bytes:
        return stringify({key: value for key, value in message().items() if key != name})

    return {
        "not-json": [
            b"{",
            b"to=foo%40example.com&type=SignIn",
            stringify(message())[:-2],
            b"\xff\xfe",
            b"<mail/>",
        ],
        "not-an-object": [b"[]", b"null", b'"SignIn"', b"1", b"[" + stringify(message()) + b"]"],
        "broken-to": [leave("to"), put(to=None), put(to=1), put(to={}), put(to=[message()["to"]])],
        "broken-type": [leave("type"), put(type=None), put(type=1), put(type={}), put(type=["SignIn"])],
        "broken-payload": [
            leave("payload"),
            put(payload=None),
            put(payload="x"),
            put(payload=[]),
            put(payload=1),
        ],
        "empty-body": [b""],
        "deep-nesting": [b"[" * _DEPTH, b"[" * _DEPTH + b"]" * _DEPTH, b'{"to":' * _DEPTH],
    }


def _no_crash(outcome: Outcome) -> bool:
    """Any answer below 500, and 501: what a server that knows no such method is to say."""
    return is_no_crash(outcome) or (isinstance(outcome, Response) and outcome.status == 501)


def _refused_method(outcome: Outcome) -> bool:
    return is_refused(outcome) or (isinstance(outcome, Response) and outcome.status == 501)


def _rejects(kind: str, acceptable: Expectation) -> Callable[[Trial], None]:
    def rejects(trial: Trial) -> None:
        # Where an ordinary message crashes too, that is what to look at.
        if trial.takes("SignIn", acceptable=is_no_crash):
            for body in _broken_messages(trial)[kind]:
                trial.expect(acceptable, trial.raw(body))

    return rejects


for _kind in (
    "not-json",
    "not-an-object",
    "broken-to",
    "broken-type",
    "broken-payload",
    "empty-body",
    "deep-nesting",
):
    check(f"receiver/reject/{_kind}")(_rejects(_kind, is_refused))
    check(f"receiver/reject/{_kind}-is-no-crash")(_rejects(_kind, is_no_crash))


def _rejects_methods(acceptable: Expectation) -> Callable[[Trial], None]:
    def rejects(trial: Trial) -> None:
        if not trial.takes("SignIn", acceptable=is_no_crash):
            return
        call = trial.call(trial.typical("SignIn"))
        bare = tuple(line for line in call.headers if line[0] not in ("content-length", "content-type"))
        trial.expect(acceptable, replace(call, method="GET", headers=bare, body=b""))
        trial.expect(acceptable, replace(call, method="PUT"))
        trial.expect(acceptable, replace(call, method="DELETE", headers=bare, body=b""))

    return rejects


check("receiver/reject/wrong-method")(_rejects_methods(_refused_method))
check("receiver/reject/wrong-method-is-no-crash")(_rejects_methods(_no_crash))


# receiver/respond


def _one_of_each(trial: Trial) -> list[Call]:
    """Return requests of every kind that a receiver may answer in a way of its own."""
    calls = [trial.call(trial.typical(type)) for type in template_types(trial.receiver.revision)]
    calls.append(trial.call({**trial.typical("SignIn"), "type": "NewTemplate"}, layer=None))
    calls += [trial.raw(bodies[0]) for bodies in _broken_messages(trial).values()]
    if trial.receiver.authorization:
        wrong, _ = _wrong_values(trial.receiver.authorization)["wrong-authorization"]
        body = stringify(trial.addressed(trial.typical("SignIn")))
        calls.append(connector_call(trial.receiver.target, body, wrong))
    return calls


def _directly(trial: Trial, channel: Channel, call: Call) -> Outcome:
    """Send a request and return the very answer to it, a redirect say."""
    return trial.reached(lambda: channel.exchange(call, trial.settings.fail_after))


def _is_silence(outcome: Outcome) -> bool:
    return isinstance(outcome, NoResponse) and outcome.kind == "timeout"


_SILENCE = "no end of the answer in time; see receiver/respond/within-limit"


@check("receiver/respond/no-redirect")
def _no_redirect(trial: Trial) -> None:
    if trial.is_silent():
        return
    for type in template_types(trial.receiver.revision):
        call = trial.call(trial.typical(type))
        outcome = _directly(trial, trial.receiver.channel, call)
        if _is_silence(outcome):
            trial.skip(_SILENCE)
            return
        redirected = isinstance(outcome, Response) and 300 <= outcome.status < 400
        trial.judge(call, not redirected, f"{format_outcome(outcome)}; {_consequence(outcome)}")


def _consequence(outcome: Outcome) -> str:
    if not isinstance(outcome, Response) or not 300 <= outcome.status < 400:
        return ""
    location = outcome.redirect()
    if location is None:
        return (
            "without Location, Logto takes a 304 for success"
            if outcome.status == 304
            else "Logto follows no such answer, and reports the mail as failed"
        )
    there = f"Location {escape_unprintable(location)}"
    if outcome.status == 303:
        return f"{there}: Logto gets it without a body, and takes a 2xx there for success: the mail is lost"
    return (
        f"{there}: Logto posts the code there once more, without Authorization where host or port differ, "
        "and the user waits for both"
    )


@check("receiver/respond/within-limit")
def _within_limit(trial: Trial) -> None:
    for call in _one_of_each(trial):
        outcome = trial.exchange(call)
        trial.judge(call, not _is_silence(outcome), format_outcome(outcome))
        if _is_silence(outcome):  # each further one would cost as long
            return


@check("receiver/respond/promptly")
def _promptly(trial: Trial) -> None:
    if trial.is_silent():
        return
    for call in _one_of_each(trial):
        outcome = trial.exchange(call)
        if _is_silence(outcome):
            trial.skip(_SILENCE)
            return
        late = outcome.seconds > trial.settings.warn_after
        trial.judge(call, not late, f"{format_outcome(outcome)}, later than {trial.settings.warn_after:g} s")
        if late:
            return


@check("receiver/respond/framing", "wire")
def _framing(trial: Trial) -> None:
    if trial.is_silent():
        return
    seen: set[int] = set()
    for call in _one_of_each(trial):
        trial.receiver.rest()
        with closing(trial.receiver.target.open()) as channel:
            outcome = _directly(trial, channel, call)
            if isinstance(outcome, Response):
                # What comes late comes with every answer of its kind.
                seconds = _LATE_BYTES if outcome.status not in seen else _LATE_BYTES / 10
                seen.add(outcome.status)
                faults = outcome.faults or channel.late_bytes(seconds)
                trial.judge(call, not faults, f"{format_outcome(outcome)}; {', '.join(faults)}")
            elif _is_silence(outcome):
                trial.skip(_SILENCE)
                return
            else:
                trial.judge(call, kept=False, actual=format_outcome(outcome))


@check("receiver/respond/keep-alive", "wire")
def _keep_alive(trial: Trial) -> None:
    if trial.is_silent():
        return
    trial.receiver.rest()
    with closing(trial.receiver.target.open()) as channel:
        alone = _directly(trial, channel, trial.call(trial.typical("SignIn")))
    for call in _one_of_each(trial):
        second = trial.call(trial.typical("SignIn"))
        with closing(trial.receiver.target.open()) as channel:
            first = _directly(trial, channel, call)
            if _is_silence(first):
                trial.skip(_SILENCE)
                return
            if not isinstance(first, Response) or first.faults:
                trial.skip(f"{format_outcome(first)}; see receiver/respond/framing")
                continue
            outcome = channel.exchange_again(second, trial.settings.fail_after)
        if outcome is None:
            trial.judge(call, kept=True, actual="")
            continue
        # An answer is not enough: bytes of the first request may have been taken for the second.
        kept = isinstance(outcome, Response) and (outcome.status == _status(alone) or not is_accepted(alone))
        told = f"{format_outcome(first)}, and then on the same connection {format_outcome(outcome)}"
        trial.judge(second, kept, told)
        if _is_silence(outcome):
            return


def _status(outcome: Outcome) -> int:
    return outcome.status if isinstance(outcome, Response) else 0


_INTERNALS = {
    "a stack trace": re.compile(
        r"Traceback \(most recent call last\)|"  # Python
        r"^\s*File \"[^\"\n]+\", line \d+|"
        r"\bat (?:async |new )?[\w.$<>\[\]]+ ?\([^()\s]*[./][^()\s]*:\d+(?::\d+)?\)|"  # Node, Java
        r"^\s*at (?:async )?(?:file://)?/?[\w.\-/]+:\d+:\d+|"  # Node
        r"^\s*at [\w.$`<>\[\],]+\(.*\) in .+:line \d+|"  # .NET
        r"\bgoroutine \d+ \[|\bpanic: runtime error|\bpanicked at |"  # Go, Rust
        r"^#\d+ \S+\(\d+\): |"  # PHP
        r"[\w/]+\.rb:\d+:in [`']",  # Ruby
        re.MULTILINE,
    ),
    "a file path": re.compile(
        r"(?<![\w:/.])/(?:usr/(?:local|lib|src|share)|var/(?:www|lib|task|app|log|opt|runtime)|etc|tmp|root|"
        r"(?:home|Users)/[\w.\-]+)/[\w.\-]+|"
        # Folders that can as well be those of a URL, so only with what is a source of a program.
        r"(?<![\w:/.])/(?:[\w.\-]+/)*[\w\-]+\.(?:py|rb|php|go|java|kt|cs|rs|exs?)\b(?=[:\"',)\s]|$)|"
        r"(?<![\w:/.])/(?:app|srv|opt|code|work(?:space)?|project|build|data)/(?:[\w.\-]+/)*[\w.\-]+\.(?:tsx?|[cm]?js)\b|"
        r"(?<!\w)[A-Za-z]:\\{1,2}[\w.\- ]+\\{1,2}[\w.\-]+|"
        r"\b(?:node_modules|site-packages)/"
    ),
}
_HTML_ADDRESS = re.compile(r"\b(?:src|href|action)\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)


def _plain(call: Call, text: str) -> str:
    """Return the text of an error without markup and escapes, and without the path that was asked for."""
    text = _HTML_ADDRESS.sub("", text)
    text = html.unescape(re.sub(r"<br */?>", "\n", text)).replace("\xa0", " ")
    # Text in JSON: line breaks, quotes and, from PHP, slashes are escaped.
    text = text.replace("\\n", "\n").replace('\\"', '"').replace("\\/", "/")
    path = call.target.partition("?")[0]
    for own in (call.target, path, unquote(path)):
        if len(own) > 1:
            text = re.sub(rf"(?<![\w.\-/]){re.escape(own)}", "(the path)", text)
    return text


def _provoked_errors(trial: Trial) -> list[tuple[Call, Response]]:
    """Return the answers of 400 and above to requests that carry what must not come back."""
    if trial.is_silent():
        return []
    base = trial.typical("SignIn", code=_CANARY_CODE)

    def message(**changed: Any) -> dict[str, Any]:
        return {**base, "to": trial.recipient(_CANARY_ADDRESS), **changed}

    def invitation(**changed: Any) -> dict[str, Any]:
        payload = {"link": _CANARY_LINK, **changed}
        return {
            "to": trial.recipient(_CANARY_ADDRESS),
            "type": "OrganizationInvitation",
            "payload": payload,
        }

    unset = dict.fromkeys(("avatar", "name", "primaryEmail", "primaryPhone", "username"))
    nobody = {"code": _CANARY_CODE, "locale": "en", "user": {"id": "w13v2u89sxbs", **unset, "profile": {}}}
    bodies = [
        stringify(message(type="NewTemplate")),
        stringify(message(type=1)),
        stringify(message(payload=[_CANARY_CODE])),
        stringify(message(payload={"code": {"a": _CANARY_CODE}})),
        stringify(message(to=[trial.recipient(_CANARY_ADDRESS)])),
        stringify(invitation(link={"href": _CANARY_LINK})),
        stringify({key: value for key, value in invitation(x=1).items() if key != "type"}),
        stringify(message())[:-1],
        stringify([message()]),
        b"[" * _DEPTH,
        b"",
        # Messages that Logto sends, and that crash receivers: what they answer then reaches a user too.
        stringify(message(payload={"code": _CANARY_CODE})),
        stringify(message(type="UserPermissionValidation", payload=nobody)),
        stringify({**invitation(), "payload": {}}),
        stringify(invitation(organization="mine", inviter=1)),
    ]
    calls = [trial.raw(body) for body in bodies]
    calls.append(replace(calls[0], method="PUT"))
    if trial.receiver.authorization:
        wrong = f"{trial.receiver.authorization}{_CANARY_CREDENTIAL}"
        calls.append(connector_call(trial.receiver.target, stringify(message()), wrong))
    errors = []
    for call in calls:
        # Without Brotli, which Python cannot read.
        headers = [(name, value.removesuffix(", br")) for name, value in call.headers]
        outcome = trial.exchange(replace(call, headers=tuple(headers)))
        if _is_silence(outcome):
            trial.skip(_SILENCE)
            break
        if isinstance(outcome, Response) and outcome.status >= 400:
            errors.append((call, outcome))
    if not errors:
        trial.skip("the receiver answered none of the requests meant to fail with an error of its own")
    return errors


_CANARY_CODE = "739105"
_CANARY_LINK = "https://app.example.com/join?token=canary-4711"
_CANARY_ADDRESS = "canary-address@example.com"
_CANARY_CREDENTIAL = "canary-credential"


@check("receiver/respond/error-without-secrets")
def _error_without_secrets(trial: Trial) -> None:
    own = trial.receiver.authorization or ""
    own = own if _is_distinctive(own) else ""
    credential = own.partition(" ")[2]
    secrets = {
        # Not as a part of a longer number or of an identifier, where it stands by chance.
        "the code": rf"(?<![0-9A-Za-z]){_CANARY_CODE}(?![0-9A-Za-z])",
        "the link": "canary-4711",
        "the address": "canary-address",
        "the Authorization": "|".join(
            re.escape(text)
            for text in (_CANARY_CREDENTIAL, own, credential if _is_distinctive(credential) else "")
            if text
        ),
    }
    for call, answer in _provoked_errors(trial):
        text = answer.content.decode(errors="replace")
        told = [what for what, pattern in secrets.items() if re.search(pattern, text)]
        trial.judge(call, not told, f"{format_outcome(answer)}; the body tells {' and '.join(told)}")


def _is_distinctive(secret: str) -> bool:
    """Return whether a credential is no word that an error may hold anyway."""
    return len(secret) > 5 and (len(secret) > 15 or re.search("[0-9]", secret) is not None)


@check("receiver/respond/error-without-internals")
def _error_without_internals(trial: Trial) -> None:
    for call, answer in _provoked_errors(trial):
        text = _plain(call, answer.content.decode(errors="replace"))
        told = [what for what, pattern in _INTERNALS.items() if pattern.search(text)]
        trial.judge(call, not told, f"{format_outcome(answer)}; the body shows {' and '.join(told)}")


# receiver/concurrent


@check("receiver/concurrent/burst")
def _burst(trial: Trial) -> None:
    types = [type for type in template_types(trial.receiver.revision) if trial.takes(type)]
    if not types:
        return
    # Two at a time to one recipient.
    recipients = [trial.recipient(RECIPIENT) for _ in range(_CLIENTS * _BURST // 2)]
    calls = [
        trial.call({**trial.typical(types[number % len(types)]), "to": recipients[number // 2]})
        for number in range(_CLIENTS * _BURST)
    ]
    trial.receiver.rest()

    def client(own: list[Call], channel: Channel) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for call in own:
            outcomes.append(trial.exchange(call, channel))
            if _is_silence(outcomes[-1]):
                break
        return outcomes

    with ExitStack() as stack:
        # Each keeps its connection until all are done, as the connector's pool does.
        channels = [stack.enter_context(closing(trial.receiver.target.open())) for _ in range(_CLIENTS)]
        clients = stack.enter_context(ThreadPoolExecutor(_CLIENTS))
        shares = [calls[number::_CLIENTS] for number in range(_CLIENTS)]
        for own, outcomes in zip(shares, clients.map(client, shares, channels), strict=True):
            for call, outcome in zip(own, outcomes, strict=False):
                told = f"{format_outcome(outcome)}, among {len(calls)} sent in parallel"
                trial.judge(call, is_accepted(outcome), told)
