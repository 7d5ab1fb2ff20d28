"""The rules ``receiver/deliver/*``: what becomes of a message in the mail.

Every message goes to a recipient of its own, whose unique letters tell its mails from all others, and carries
a code or link that stands nowhere else. Only what the receiver accepted is waited for: what it wrongly
refuses is told by ``receiver/accept/*``. Mails may come after the answer, up to the limit of the settings;
that there are no more of them is concluded from a short quiet time, and where a message may have two from as
long a time as the first one took.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from weakref import WeakSet

from ... import catalogue
from ...connector.encoding import connector_call
from ...connector.posting import deliver
from ...judging.javascript_json import stringify
from ...judging.responses import format_outcome, is_accepted
from ...judging.typical import application, organization, template_types, typical, user
from ...suite.results import NotApplicable
from ...wire.outcomes import Response
from ..mail_reading import LINK_ATTRIBUTES, ReadMail, shows_code
from ..outbox import wait_until
from ..receiver import check

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from ...wire.calls import Call
    from ...wire.outcomes import Outcome
    from ..outbox import Mail
    from ..receiver import Receiver, Trial

_QUIET_SECONDS = 0.2
_CLIENTS = 8
_BURST = 4
"""Messages for each client of a burst."""

_INVITATION = "OrganizationInvitation"
_UNKNOWN_TYPES = ("NewTemplate", "PasskeyRegistered")

_PLAIN_ADDRESSES = ("mc.{}+tag@example.com", "o'mc_{}@example.com", "Mc.{}@example.com")
_SCRIPTS = ("javascript:", "vbscript:", "data:")

_silent: WeakSet[Receiver] = WeakSet()


# Reading a mail.


# Sending, and gathering what comes of it.


@dataclass(frozen=True)
class _Sent:
    """A message that was sent.

    Attributes:
        token: Letters that stand in its recipient and nowhere else.
        to: Its recipient.
        code: Its code, empty when it has none.
        mark: Letters that stand in its link and nowhere else, empty when it has none.
    """

    call: Call
    token: str
    to: str
    code: str
    mark: str
    outcome: Outcome

    @property
    def answered(self) -> str:
        return format_outcome(self.outcome)


class _Round:
    """The messages that a rule sends, and the mails that come of them."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.sent: list[_Sent] = []
        self.mails: list[ReadMail] = []
        self._codes: set[str] = set()
        self._patience = 0.0
        assert trial.outbox is not None, "the rule is registered as one that needs an outbox"
        self._outbox = trial.outbox
        self._before = len(list(self._outbox()))

    @property
    def revision(self) -> str:
        return self.trial.receiver.revision

    def knows(self, revision: str) -> bool:
        """Tell whether the receiver is held to that revision or a later one."""
        known = catalogue.revisions()
        return known.index(self.revision) >= known.index(revision)

    # What is sent.

    def code(self, zeros: int = 0) -> str:
        """Return a code that no other message of this round has.

        Args:
            zeros: With how many zeros it begins.
        """
        while True:
            digits = "0" * zeros + str(secrets.randbelow(9) + 1)
            digits += "".join(str(secrets.randbelow(10)) for _ in range(6 - len(digits)))
            # 111111 and its like are colours, and the code of another message may not be met by chance.
            if digits not in self._codes and len(set(digits)) >= 4:
                self._codes.add(digits)
                return digits

    def message(self, type: str, token: str, to: str = "", **changed: Any) -> dict[str, Any]:
        """Return a message as Logto sends it, to a recipient of its own."""
        if type == _INVITATION:
            changed.setdefault("link", f"https://app.example.com/join/{_token()}?org=1&token=n4c1x")
        else:
            changed.setdefault("code", self.code())
        return typical(type, self.revision, to=to or f"mc-{token}@example.com", **changed)

    def send(self, token: str, call: Call) -> _Sent:
        """Send a request, and keep it for when the mails are gathered."""
        sent = _sent(token, call, self.trial.exchange(call))
        self.sent.append(sent)
        return sent

    def post(self, type: str, to: str = "", **changed: Any) -> _Sent:
        """Send a message; ``{}`` in the recipient becomes its token."""
        token = _token()
        address = to.replace("{}", token)
        return self.send(token, self.trial.call(self.message(type, token, address, **changed)))

    # What came.

    @property
    def accepted(self) -> list[_Sent]:
        return [sent for sent in self.sent if is_accepted(sent.outcome)]

    def wait(self, *, quiet: bool = False, again: bool = False, beside: Container[str] = ()) -> None:
        """Wait until each accepted message has its mail, and take in what came.

        Args:
            quiet: Whether to wait a little more for mails that nobody expects.
            again: Whether to wait as long again: a second mail may take as long after the first one.
            beside: Tokens of messages whose mails are not waited for.
        """
        tokens = [sent.token for sent in self.accepted if sent.token not in beside]

        def all_came() -> bool:
            addresses = [_recipients(mail) for mail in self._mails()]
            return all(
                sum(token in found for found in addresses) >= tokens.count(token) for token in set(tokens)
            )

        receiver, settings = self.trial.receiver, self.trial.settings
        # A receiver whose mails do not come at all is not waited for to the end with every rule anew.
        self._patience = settings.fail_after
        if receiver in _silent:
            self._patience = min(settings.warn_after, settings.fail_after)
        start = time.monotonic()
        came = wait_until(all_came, self._patience)
        took = time.monotonic() - start
        if came or self._mails():
            _silent.discard(receiver)
        else:
            _silent.add(receiver)
        if quiet or again:
            time.sleep(max(_QUIET_SECONDS, took if came and again else 0))
        self.mails = [ReadMail(mail) for mail in self._mails()]

    def gather(self, *, quiet: bool = False, again: bool = False, beside: Container[str] = ()) -> list[_Sent]:
        """Wait as ``wait`` does, and return the accepted messages.

        Args:
            quiet: Whether to wait a little more for mails that nobody expects.
            again: Whether to wait as long again.
            beside: Tokens of messages whose mails are not waited for.

        Raises:
            NotApplicable: The receiver accepted none.
        """
        expected = self.accepted
        if not expected:
            raise NotApplicable("the receiver accepted none of the messages; receiver/accept/* tells why")
        self.wait(quiet=quiet, again=again, beside=beside)
        return expected

    def missing(self, sent: _Sent) -> str:
        """Return how to tell that a message has no mail."""
        return f"{sent.answered}, and no mail to {sent.to} within {self._patience:g} s"

    def _mails(self) -> list[Mail]:
        mails = list(self._outbox())
        # An outbox that was cleared meanwhile holds new mails alone.
        return mails[self._before :] if len(mails) >= self._before else mails

    def mails_to(self, token: str) -> list[ReadMail]:
        """Return the mails to the recipient with that token."""
        return [read for read in self.mails if token in _recipients(read.mail)]


def _recipients(mail: Mail) -> str:
    return " ".join(mail.recipients).casefold()


def _token() -> str:
    return "".join(secrets.choice(ascii_lowercase) for _ in range(10))


def _sent(token: str, call: Call, outcome: Outcome) -> _Sent:
    message = json.loads(call.body)
    mark = re.search(r"/join/([a-z]+)", message["payload"].get("link", ""))
    code = message["payload"].get("code", "")
    return _Sent(call, token, message["to"], code, mark[1] if mark else "", outcome)


def _shared(make: Callable[[_Round], None]) -> Callable[[Trial], _Round]:
    """Return what gives the same round, sent and gathered, to each rule that looks at it."""

    def round_for(trial: Trial) -> _Round:
        rounds: dict[Any, tuple[_Round, set[str]]] = trial.receiver.shared
        round, rules = rounds.get(make, (None, set()))
        known = round and (round.trial.outbox, round.trial.settings)
        if round is None or known != (trial.outbox, trial.settings) or trial.rule.id in rules:
            round, rules = _Round(trial), set()
            make(round)
            rounds[make] = round, rules
        rules.add(trial.rule.id)
        return round

    return round_for


# The rules.


@_shared
def _ordinary_round(round: _Round) -> None:
    for type in template_types(round.revision):
        round.post(type)
    # What is accepted and fails on the way, in the background say, is lost without anybody's knowing.
    for address in _PLAIN_ADDRESSES:
        round.post("SignIn", address)
    if round.knows("1.25"):
        for name in ("Acme\r\nX-Odd: 1", "Acme <b>&\"'", "東京 🙂"):
            round.post("SignIn", application=application(name=name), organization=organization(name=name))
    round.gather(again=True)


@check("receiver/deliver/one-mail", "outbox")
def _one_mail(trial: Trial) -> None:
    round = _ordinary_round(trial)
    for sent in round.accepted:
        count = len(round.mails_to(sent.token))
        told = f"{sent.answered}, and {count} mails to {sent.to}" if count else round.missing(sent)
        trial.judge(sent.call, count == 1, told)


@check("receiver/deliver/none-for-refused", "outbox")
def _none_for_refused(trial: Trial) -> None:
    round = _Round(trial)
    for change in _REFUSALS:
        token = _token()
        call = trial.call(round.message("SignIn", token, code=round.code()))
        changed = change(trial, call)
        if changed is not None:
            round.sent.append(replace(_sent(token, call, trial.exchange(changed)), call=changed))
    # A message that is accepted afterwards tells how long a mail takes.
    control = round.post("SignIn")
    refused = [
        sent for sent in round.sent if isinstance(sent.outcome, Response) and sent.outcome.status >= 400
    ]
    if not refused:
        raise NotApplicable("the receiver refused none of the requests meant to be refused")
    round.sent = [control]
    round.wait(quiet=True)
    for sent in refused:
        mails = round.mails_to(sent.token) or [read for read in round.mails if sent.code in read.codes]
        told = f"{sent.answered}, and a mail to {', '.join(mails[0].mail.recipients)}" if mails else ""
        trial.judge(sent.call, not mails, told)


def _with_authorization(make: Callable[[str], str | None]) -> Callable[[Trial, Call], Call | None]:
    def changed(trial: Trial, call: Call) -> Call | None:
        if not trial.receiver.authorization:
            return None
        return connector_call(trial.receiver.target, call.body, make(trial.receiver.authorization))

    return changed


def _with_body(make: Callable[[Any], Any]) -> Callable[[Trial, Call], Call | None]:
    def changed(trial: Trial, call: Call) -> Call | None:
        made = make(json.loads(call.body))
        return trial.raw(made if isinstance(made, bytes) else stringify(made))

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
def _recipient(trial: Trial) -> None:
    round = _ordinary_round(trial)
    for sent in round.accepted:
        mails = [
            read
            for read in round.mails
            if sent.token in _recipients(read.mail)
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
        trial.judge(sent.call, not others, f"{sent.answered}; {others[0] if others else ''}, not {sent.to}")
    if not trial.cases:
        raise NotApplicable("no mail came; receiver/deliver/one-mail tells that")


def _ascii_domain(address: str) -> str:
    local, _, domain = address.casefold().rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return f"{local}@{domain}"


@_shared
def _code_round(round: _Round) -> None:
    for number, type in enumerate(template_types(round.revision)):
        if type != _INVITATION:
            round.post(type, code=round.code(zeros=number % 3))
    if round.knows("1.25"):
        # Languages whose usual digits are others than those that Logto compares.
        for locale in ("ar", "fa-IR"):
            round.post("SignIn", code=round.code(zeros=1), locale=locale)
    round.gather()


@check("receiver/deliver/code-intact", "outbox")
def _code_intact(trial: Trial) -> None:
    round = _code_round(trial)
    for sent in round.accepted:
        mails = round.mails_to(sent.token)
        if not mails:
            trial.judge(sent.call, kept=False, actual=round.missing(sent))
        for read in mails:
            told = _code_damage(read, sent.code)
            trial.judge(sent.call, not told, told)


def _code_damage(read: ReadMail, code: str) -> str:
    if not shows_code(read.seen, code):
        return f"a mail that does not show {code}: {read}"
    cut = code.lstrip("0")
    if 4 <= len(cut) < len(code):
        for kind, text in {"subject": read.mail.subject, **read.parts}.items():
            if shows_code(text, cut, "[.,]?") and not shows_code(text, code):
                return f"a mail whose {kind} shows {cut} for {code}"
    return ""


@check("receiver/deliver/code-in-one-piece", "outbox")
def _code_in_one_piece(trial: Trial) -> None:
    round = _code_round(trial)
    for sent in round.accepted:
        for read in round.mails_to(sent.token):
            if shows_code(read.seen, sent.code):
                whole = shows_code(read.seen, sent.code, "")
                trial.judge(sent.call, whole, f"a mail that shows {sent.code} in pieces: {read}")
    if not trial.cases:
        raise NotApplicable("no mail shows its code; receiver/deliver/code-intact tells that")


@check("receiver/deliver/link-intact", "outbox")
def _link_intact(trial: Trial) -> None:
    round = _Round(trial)
    links, marks = {}, {}
    for query in (
        "org=1&token=n4c1x",
        "plan=pro&region=eu&copy=1&lt=2#/accept?step=1",
        "next=%2Fa%3Fb%3D1%26c%3D2&note=a%20b&amp;x=~_.-&y=1",
        f"token={secrets.token_hex(300)}&org=1",
    ):
        token, mark = _token(), _token()
        links[token], marks[token] = f"https://app.example.com/join/{mark}?{query}", mark
        message = round.message(_INVITATION, token, link=links[token])
        round.send(token, trial.call(message))
    for sent in round.gather():
        mails = round.mails_to(sent.token)
        if not mails:
            trial.judge(sent.call, kept=False, actual=round.missing(sent))
        for read in mails:
            told = _link_damage(read, links[sent.token], marks[sent.token])
            trial.judge(sent.call, not told, told)


def _link_damage(read: ReadMail, link: str, mark: str) -> str:
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
            # A link that goes by way of a redirect of the receiver's own stands encoded in another one.
            if link not in text and link not in unquote(text):
                start = text.index(mark)
                return f"a mail whose {place} has it changed: {text[max(0, start - 40) : start + 120]!r}"
            whole = True
    return "" if whole else f"a mail without the link: {read}"


@check("receiver/deliver/unknown-type-carries-code", "outbox")
def _unknown_type_carries_code(trial: Trial) -> None:
    round = _Round(trial)
    for type in _UNKNOWN_TYPES:
        token = _token()
        message = {**round.message("Generic", token), "type": type}
        round.send(token, trial.call(message, layer=None))
    if not round.accepted:
        raise NotApplicable("the receiver accepts no unknown type; receiver/accept/unknown-type tells that")
    for sent in round.gather():
        mails = round.mails_to(sent.token)
        told = "" if mails else round.missing(sent)
        if mails and not any(shows_code(read.seen, sent.code) for read in mails):
            told = f"{sent.answered}, and a mail that does not show {sent.code}: {mails[0]}"
        trial.judge(sent.call, not told, told)


class _Marked:
    """Values that each carry a name of their own, so that what becomes of them can be told."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make
        self.places: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        token = "mc" + _token()[:6]
        self.places[token] = place
        return self._make(token)

    def user(self, name: str) -> dict[str, Any]:
        return user(
            name=self(f"{name}.name"),
            avatar=f"https://example.com/{self(f'{name}.avatar')}",
            primaryEmail=self(f"{name}.primaryEmail"),
            profile={key: self(f"{name}.profile.{key}") for key in ("givenName", "familyName", "nickname")},
        )

    def application(self) -> dict[str, Any]:
        return application(
            name=self("application.name"),
            displayName=self("application.displayName"),
            branding=self._branding("application"),
        )

    def organization(self) -> dict[str, Any]:
        return organization(name=self("organization.name"), branding=self._branding("organization"))

    def _branding(self, name: str) -> dict[str, str]:
        return {
            key: f"https://example.com/{self(f'{name}.branding.{key}')}" for key in ("logoUrl", "darkLogoUrl")
        }

    def messages(self, round: _Round) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield a template type and its variables, for each kind of context."""
        if not round.knows("1.25"):
            return
        visitor: dict[str, Any] = {"application": self.application(), "organization": self.organization()}
        if round.knows("1.32"):
            visitor["uiLocales"] = self("uiLocales")
        yield "SignIn", visitor
        yield "BindNewIdentifier", {"application": self.application(), "user": self.user("user")}
        yield (
            _INVITATION,
            {
                "organization": self.organization(),
                "inviter": self.user("inviter"),
                "locale": self("locale"),
            },
        )

    def found(self, text: str) -> str:
        """Return the place whose value stands in a text, empty when none does."""
        return next((place for token, place in self.places.items() if token in text.casefold()), "")


def _markup(token: str) -> str:
    # Ends whatever it may stand in: an attribute in either quotes or in none, a comment, raw text.
    inside = f"x\" data-{token}=\"y' data-{token}='z data-{token}=1 "
    return f"{inside}\"'--></title></style><{token}>"


@check("receiver/deliver/markup-escaped", "outbox")
def _markup_escaped(trial: Trial) -> None:
    round = _Round(trial)
    marked = _Marked(_markup)
    # Both are addresses by the grammar of SMTP, and Logto sends to either. A receiver that sends nothing to
    # them breaks no rule of this kind, so they are not waited for, and come first.
    odd: set[str] = set()
    for local in ('"><{0}>"', "x'data-{0}='y"):
        odd.add(token := _token())
        marked.places[token] = "to"
        round.send(token, trial.call(round.message("SignIn", token, f"{local.format(token)}@example.com")))
    for type, variables in marked.messages(round):
        round.post(type, **variables)
    round.post(_INVITATION, link=f"https://app.example.com/join?x={marked('link')}")
    if round.knows("1.35"):
        message = {**round.message("SignIn", token := _token()), "ip": marked("ip")}
        round.send(token, trial.call(message))
    for sent in round.gather(quiet=True, beside=odd):
        for read in round.mails_to(sent.token):
            if read.html is None:
                continue
            names = [
                *((f"the element <{name}>", name) for name in read.html.elements),
                *((f"the attribute {name}", name) for name, _ in read.html.attributes),
            ]
            told = [f"{place} became {what}" for what, name in names if (place := marked.found(name))]
            trial.judge(sent.call, not told, f"{sent.answered}; in the HTML part {told[0] if told else ''}")
    if not trial.cases:
        raise NotApplicable("no mail with an HTML part came")


@check("receiver/deliver/no-script-link", "outbox")
def _no_script_link(trial: Trial) -> None:
    round = _Round(trial)
    for scheme in ("javascript:", "JavaScript:", "data:text/html,"):
        round.post(_INVITATION, link=f"{scheme}alert(1)")
    if round.knows("1.25"):
        branding = {"logoUrl": "javascript:alert(1)", "darkLogoUrl": "javascript:alert(1)"}
        round.post("SignIn", application=application(branding=branding))
    for sent in round.gather():
        for read in round.mails_to(sent.token):
            if read.html is None:
                continue
            links = [value for name, value in read.html.attributes if name in LINK_ATTRIBUTES]
            # URL parsers overlook control characters and spaces before it, and line breaks in it.
            bad = [
                link
                for link in links
                if re.sub(r"[\t\r\n]", "", link)
                .lstrip("".join(map(chr, range(33))))
                .lower()
                .startswith(_SCRIPTS)
            ]
            trial.judge(
                sent.call, not bad, f"{sent.answered}; the HTML part links to {bad[0] if bad else ''}"
            )
    if not trial.cases:
        raise NotApplicable("no mail with an HTML part came")


@check("receiver/deliver/no-header-injection", "outbox")
def _no_header_injection(trial: Trial) -> None:
    round = _Round(trial)
    marked = _Marked(lambda token: token)
    for end in ("\r\n", "\n", "\r"):

        def injecting(token: str, end: str = end) -> str:
            return f"Foo{end}X-{token}: 1{end}Bcc: {token}@example.com{end}{end}Bar"

        one = _Marked(injecting)
        for type, variables in one.messages(round):
            round.post(type, **variables)
        marked.places |= one.places
    for sent in round.gather(quiet=True):
        mails = round.mails_to(sent.token)
        told = [problem for read in mails for problem in _injected(read.mail, marked)]
        if mails:
            trial.judge(sent.call, not told, f"{sent.answered}; {told[0] if told else ''}")
    own = {sent.token for sent in round.sent}
    for read in round.mails:
        if not any(token in recipient.casefold() for token in own for recipient in read.mail.recipients):
            told = list(_injected(read.mail, marked))
            if told:
                trial.judge(None, kept=False, actual=told[0])
    if not trial.cases:
        raise NotApplicable("no mail came; receiver/deliver/one-mail tells that")


def _injected(mail: Mail, marked: _Marked) -> Iterator[str]:
    for recipient in mail.recipients:
        if place := marked.found(recipient):
            yield f"{place} made {recipient} a recipient"
    for part in mail.parts:
        for name, value in part.raw_items():
            if place := marked.found(name):
                yield f"{place} made a header: {name}"
            elif name.lower() == "bcc" and (place := marked.found(str(value))):
                yield f"{place} made a header: {name}: {value}"


@check("receiver/deliver/codes-do-not-cross", "outbox")
def _codes_do_not_cross(trial: Trial) -> None:
    round = _Round(trial)
    types = [type for type in template_types(round.revision) if type != _INVITATION]
    tokens = [_token() for _ in range(_CLIENTS)]
    shares = [
        [
            (token, trial.call(round.message(types[(client + number) % len(types)], token)))
            for number in range(_BURST)
            for token in [tokens[(client + number) % _CLIENTS]]
        ]
        for client in range(_CLIENTS)
    ]
    together = threading.Barrier(_CLIENTS)

    def send(share: list[tuple[str, Call]]) -> list[_Sent]:
        with closing(trial.receiver.target.open()) as channel:
            together.wait()
            return [
                _sent(token, call, deliver(channel, call, trial.settings.fail_after)) for token, call in share
            ]

    with ThreadPoolExecutor(_CLIENTS) as clients:
        round.sent = [sent for share in clients.map(send, shares) for sent in share]
    expected = round.gather(quiet=True)
    own = {token: [sent.code for sent in round.sent if sent.token == token] for token in tokens}
    among = f"among {len(round.sent)} sent in parallel"
    for sent in expected:
        mails = round.mails_to(sent.token)
        if not any(sent.code in read.codes for read in mails):
            trial.judge(
                sent.call,
                kept=False,
                actual=f"{sent.answered}, and no mail to {sent.to} shows {sent.code}, {among}",
            )
            continue
        strangers = [
            code
            for token, codes in own.items()
            if token != sent.token
            for code in codes
            if any(code in read.codes for read in mails)
        ]
        told = (
            f"a mail to {sent.to} shows {strangers[0]}, the code of another recipient, {among}"
            if strangers
            else ""
        )
        trial.judge(sent.call, not strangers, told)


@check("receiver/deliver/resend-is-sent", "outbox")
def _resend_is_sent(trial: Trial) -> None:
    round = _Round(trial)
    first = round.post(_INVITATION)
    second = round.send(first.token, first.call)
    if not (is_accepted(first.outcome) and is_accepted(second.outcome)):
        raise NotApplicable(
            "the receiver did not accept the message twice; receiver/accept/resend tells that"
        )
    round.gather()
    count = len(round.mails_to(first.token))
    trial.judge(
        second.call, count >= 2, f"{second.answered}, and {count} mails to {second.to} for two messages"
    )
