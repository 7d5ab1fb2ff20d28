"""The rules ``receiver/deliver/*``: what becomes of a message in the mail."""

from __future__ import annotations

import json
import re
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ...connector.encoding import connector_call
from ...connector.posting import deliver
from ...judging.javascript_json import stringify
from ...judging.responses import is_accepted
from ...judging.typical import application, organization, template_types
from ...suite.results import NotJudged
from ...wire.outcomes import Response
from ..checks import check
from ..mail_reading import LINK_ATTRIBUTES, ReadMail, shows_code
from ..rounds import INVITATION, Round, Sent, join_recipients, make_token, record_sent, share_round
from .accept import UNKNOWN_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.calls import Call
    from ..trial import ReceiverTrial

_CLIENTS = 8
_BURST = 4
"""Messages for each client of a burst."""

_PLAIN_ADDRESSES = ("mc.{}+tag@example.com", "o'mc_{}@example.com", "Mc.{}@example.com")


@share_round
def _ordinary_round(round: Round) -> None:
    for type in template_types(round.revision):
        round.post(type)
    # A message that is accepted and fails later, for example in the background, is lost unnoticed.
    for address in _PLAIN_ADDRESSES:
        round.post("SignIn", address)
    if round.knows("1.25"):
        for name in ("Acme\r\nX-Odd: 1", "Acme <b>&\"'", "東京 🙂"):
            round.post("SignIn", application=application(name=name), organization=organization(name=name))
    round.gather(as_long_again=True)


@check("receiver/deliver/one-mail", "outbox")
def _one_mail(trial: ReceiverTrial) -> None:
    round = _ordinary_round(trial)
    for sent in round.accepted:
        count = len(round.find_mails_to(sent.token))
        problem = f"{sent.response}, and {count} mails to {sent.to}" if count else round.format_missing(sent)
        trial.judge(sent.call, count == 1, problem)


@check("receiver/deliver/none-for-refused", "outbox")
def _none_for_refused(trial: ReceiverTrial) -> None:
    round = Round(trial)
    for change in _REFUSALS:
        token = make_token()
        call = trial.requests.make_call(round.make_message("SignIn", token, code=round.make_code()))
        changed = change(trial, call)
        if changed is not None:
            round.sent.append(replace(record_sent(token, call, trial.exchange(changed)), call=changed))
    # A message that is accepted afterwards shows how soon a mail comes.
    control = round.post("SignIn")
    refused = [
        sent for sent in round.sent if isinstance(sent.outcome, Response) and sent.outcome.status >= 400
    ]
    if not refused:
        raise NotJudged("the receiver refused none of the requests meant to be refused")
    round.sent = [control]
    round.wait(quiet=True)
    for sent in refused:
        mails = round.find_mails_to(sent.token) or [read for read in round.mails if sent.code in read.codes]
        problem = f"{sent.response}, and a mail to {', '.join(mails[0].mail.recipients)}" if mails else ""
        trial.judge(sent.call, not mails, problem)


def _with_authorization(make: Callable[[str], str | None]) -> Callable[[ReceiverTrial, Call], Call | None]:
    def changed(trial: ReceiverTrial, call: Call) -> Call | None:
        if not trial.receiver.authorization:
            return None
        return connector_call(trial.receiver.target, call.body, make(trial.receiver.authorization))

    return changed


def _with_body(make: Callable[[Any], Any]) -> Callable[[ReceiverTrial, Call], Call | None]:
    def changed(trial: ReceiverTrial, call: Call) -> Call | None:
        made = make(json.loads(call.body))
        return trial.requests.make_raw_call(made if isinstance(made, bytes) else stringify(made))

    return changed


_REFUSALS: tuple[Callable[[Any, Any], Call | None], ...] = (
    _with_authorization(lambda right: f"{right}x"),
    _with_authorization(lambda _: None),
    # Cut off where recipient and code are whole already.
    _with_body(lambda message: stringify(message)[:-1]),
    _with_body(lambda message: [message]),
    _with_body(lambda message: {**message, "to": [message["to"]]}),
    _with_body(lambda message: {**message, "type": None}),
    _with_body(lambda message: {name: value for name, value in message.items() if name != "type"}),
    _with_body(lambda message: {**message, "payload": [message["payload"]]}),
    lambda _, call: replace(call, method="PUT"),
)


@check("receiver/deliver/recipient", "outbox")
def _recipient(trial: ReceiverTrial) -> None:
    round = _ordinary_round(trial)
    for sent in round.accepted:
        mails = [
            read
            for read in round.mails
            if sent.token in join_recipients(read.mail)
            or sent.code in read.codes
            or (sent.mark and sent.mark in read.everything)
        ]
        if not mails:
            continue  # a rule of its own
        wanted = sent.to.casefold()
        others = [
            f"the envelope names {address}"
            for read in mails
            for address in read.mail.recipients
            if _ascii_domain(address) != _ascii_domain(wanted)
        ] + [
            f"a header names {address}"
            for read in mails
            for address in read.mail.addresses("to", "cc", "bcc")
            if _ascii_domain(address) != _ascii_domain(wanted)
        ]
        trial.judge(sent.call, not others, f"{sent.response}; {others[0] if others else ''}, not {sent.to}")
    if not trial.cases:
        raise NotJudged("no mail came; see receiver/deliver/one-mail")


def _ascii_domain(address: str) -> str:
    local, _, domain = address.casefold().rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return f"{local}@{domain}"


@share_round
def _code_round(round: Round) -> None:
    for number, type in enumerate(template_types(round.revision)):
        if type != INVITATION:
            round.post(type, code=round.make_code(zeros=number % 3))
    if round.knows("1.25"):
        # Languages whose usual digits are others than those that Logto compares.
        for locale in ("ar", "fa-IR"):
            round.post("SignIn", code=round.make_code(zeros=1), locale=locale)
    round.gather()


@check("receiver/deliver/code-intact", "outbox")
def _code_intact(trial: ReceiverTrial) -> None:
    round = _code_round(trial)
    for sent in round.accepted:
        mails = round.find_mails_to(sent.token)
        if not mails:
            trial.judge(sent.call, passed=False, actual=round.format_missing(sent))
        for read in mails:
            problem = _find_code_damage(read, sent.code)
            trial.judge(sent.call, not problem, problem)


def _find_code_damage(read: ReadMail, code: str) -> str:
    if not shows_code(read.seen, code):
        return f"a mail that does not show {code}: {read}"
    cut = code.lstrip("0")
    if 4 <= len(cut) < len(code):
        for kind, text in {"subject": read.mail.subject, **read.parts}.items():
            if shows_code(text, cut, "[.,]?") and not shows_code(text, code):
                return f"a mail whose {kind} shows {cut} for {code}"
    return ""


@check("receiver/deliver/code-in-one-piece", "outbox")
def _code_in_one_piece(trial: ReceiverTrial) -> None:
    round = _code_round(trial)
    for sent in round.accepted:
        for read in round.find_mails_to(sent.token):
            if shows_code(read.seen, sent.code):
                whole = shows_code(read.seen, sent.code, "")
                trial.judge(sent.call, whole, f"a mail that shows {sent.code} in pieces: {read}")
    if not trial.cases:
        raise NotJudged("no mail shows its code; see receiver/deliver/code-intact")


@check("receiver/deliver/link-intact", "outbox")
def _link_intact(trial: ReceiverTrial) -> None:
    round = Round(trial)
    links, marks = {}, {}
    for query in (
        "org=1&token=n4c1x",
        "plan=pro&region=eu&copy=1&lt=2#/accept?step=1",
        "next=%2Fa%3Fb%3D1%26c%3D2&note=a%20b&amp;x=~_.-&y=1",
        f"token={secrets.token_hex(300)}&org=1",
    ):
        token, mark = make_token(), make_token()
        links[token], marks[token] = f"https://app.example.com/join/{mark}?{query}", mark
        message = round.make_message(INVITATION, token, link=links[token])
        round.send(token, trial.requests.make_call(message))
    for sent in round.gather():
        mails = round.find_mails_to(sent.token)
        if not mails:
            trial.judge(sent.call, passed=False, actual=round.format_missing(sent))
        for read in mails:
            problem = _find_link_damage(read, links[sent.token], marks[sent.token])
            trial.judge(sent.call, not problem, problem)


def _find_link_damage(read: ReadMail, link: str, mark: str) -> str:
    """Return what is wrong with the link in a mail; a part without it is fine where another part has it."""
    whole = False
    places = {f"{kind} part": [text] for kind, text in read.parts.items()}
    if read.html:
        links = [
            re.sub(r"[\t\r\n]", "", value) for name, value in read.html.attributes if name in LINK_ATTRIBUTES
        ]
        if any(mark in value for value in links):
            # The label of a link may be a shortened form of it.
            places |= {"HTML part": [read.html.text_outside_links], "href": links}
    for place, texts in places.items():
        for text in texts:
            if mark not in text:
                continue
            # A link that goes through a redirect of the receiver's own is encoded inside another link.
            if link not in text and link not in unquote(text):
                start = text.index(mark)
                return f"a mail whose {place} has it changed: {text[max(0, start - 40) : start + 120]!r}"
            whole = True
    return "" if whole else f"a mail without the link: {read}"


@check("receiver/deliver/unknown-type-carries-code", "outbox")
def _unknown_type_carries_code(trial: ReceiverTrial) -> None:
    round = Round(trial)
    for type in UNKNOWN_TYPES:
        token = make_token()
        message = {**round.make_message("Generic", token), "type": type}
        round.send(token, trial.requests.make_call(message, layer=None))
    if not round.accepted:
        raise NotJudged("the receiver accepts no unknown type; see receiver/accept/unknown-type")
    for sent in round.gather():
        mails = round.find_mails_to(sent.token)
        problem = "" if mails else round.format_missing(sent)
        if mails and not any(shows_code(read.seen, sent.code) for read in mails):
            problem = f"{sent.response}, and a mail that does not show {sent.code}: {mails[0]}"
        trial.judge(sent.call, not problem, problem)


@check("receiver/deliver/codes-do-not-cross", "outbox")
def _codes_do_not_cross(trial: ReceiverTrial) -> None:
    round = Round(trial)
    types = [type for type in template_types(round.revision) if type != INVITATION]
    tokens = [make_token() for _ in range(_CLIENTS)]
    shares = [
        [
            (
                token,
                trial.requests.make_call(round.make_message(types[(client + number) % len(types)], token)),
            )
            for number in range(_BURST)
            for token in [tokens[(client + number) % _CLIENTS]]
        ]
        for client in range(_CLIENTS)
    ]
    together = threading.Barrier(_CLIENTS)

    def send(share: list[tuple[str, Call]]) -> list[Sent]:
        with closing(trial.receiver.target.open()) as channel:
            together.wait()
            return [
                record_sent(token, call, deliver(channel, call, trial.settings.fail_after))
                for token, call in share
            ]

    with ThreadPoolExecutor(_CLIENTS) as clients:
        round.sent = [sent for share in clients.map(send, shares) for sent in share]
    expected = round.gather(quiet=True)
    own = {token: [sent.code for sent in round.sent if sent.token == token] for token in tokens}
    among = f"among {len(round.sent)} sent in parallel"
    for sent in expected:
        mails = round.find_mails_to(sent.token)
        if not any(sent.code in read.codes for read in mails):
            trial.judge(
                sent.call,
                passed=False,
                actual=f"{sent.response}, and no mail to {sent.to} shows {sent.code}, {among}",
            )
            continue
        strangers = [
            code
            for token, codes in own.items()
            if token != sent.token
            for code in codes
            if any(code in read.codes for read in mails)
        ]
        problem = (
            f"a mail to {sent.to} shows {strangers[0]}, the code of another recipient, {among}"
            if strangers
            else ""
        )
        trial.judge(sent.call, not strangers, problem)


@check("receiver/deliver/resend-is-sent", "outbox")
def _resend_is_sent(trial: ReceiverTrial) -> None:
    round = Round(trial)
    first = round.post(INVITATION)
    second = round.send(first.token, first.call)
    if not (is_accepted(first.outcome) and is_accepted(second.outcome)):
        raise NotJudged("the receiver did not accept the message twice; see receiver/accept/resend")
    round.gather()
    count = len(round.find_mails_to(first.token))
    trial.judge(
        second.call, count >= 2, f"{second.response}, and {count} mails to {second.to} for two messages"
    )
