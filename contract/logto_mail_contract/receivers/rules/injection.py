"""The rules ``receiver/deliver/*`` about what a stranger may write into a mail: markup, links, headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...judging.typical import application, organization, user
from ...suite.results import NotApplicable, NotJudged
from ..checks import check
from ..mail_reading import LINK_ATTRIBUTES
from ..rounds import INVITATION, Round, make_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..outbox import Mail
    from ..trial import ReceiverTrial

_SCRIPTS = ("javascript:", "vbscript:", "data:")


class _Marked:
    """Values that each carry a name of their own, by which they are found in a mail."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make
        self.places: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        token = "mc" + make_token()[:6]
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

    def messages(self, round: Round) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield a template type and its variables, for each kind of context."""
        if not round.knows("1.25"):
            return
        visitor: dict[str, Any] = {"application": self.application(), "organization": self.organization()}
        if round.knows("1.32"):
            visitor["uiLocales"] = self("uiLocales")
        yield "SignIn", visitor
        yield "BindNewIdentifier", {"application": self.application(), "user": self.user("user")}
        yield (
            INVITATION,
            {
                "organization": self.organization(),
                "inviter": self.user("inviter"),
                "locale": self("locale"),
            },
        )

    def found(self, text: str) -> str:
        """Return the place whose value is in a text; empty when none is."""
        return next((place for token, place in self.places.items() if token in text.casefold()), "")


def _markup(token: str) -> str:
    # Ends whatever it may stand in: an attribute in either quotes or in none, a comment, raw text.
    inside = f"x\" data-{token}=\"y' data-{token}='z data-{token}=1 "
    return f"{inside}\"'--></title></style><{token}>"


@check("receiver/deliver/markup-escaped", "outbox")
def _markup_escaped(trial: ReceiverTrial) -> None:
    round = Round(trial)
    marked = _Marked(_markup)
    # Both are addresses by the grammar of SMTP, and Logto sends to either. A receiver that sends nothing to
    # them breaks no rule of this kind, so they are not waited for, and come first.
    odd: set[str] = set()
    for local in ('"><{0}>"', "x'data-{0}='y"):
        odd.add(token := make_token())
        marked.places[token] = "to"
        round.send(
            token,
            trial.requests.make_call(
                round.make_message("SignIn", token, f"{local.format(token)}@example.com")
            ),
        )
    for type, variables in marked.messages(round):
        round.post(type, **variables)
    round.post(INVITATION, link=f"https://app.example.com/join?x={marked('link')}")
    if round.knows("1.35"):
        message = {**round.make_message("SignIn", token := make_token()), "ip": marked("ip")}
        round.send(token, trial.requests.make_call(message))
    for sent in round.gather(quiet=True, beside=odd):
        for read in round.find_mails_to(sent.token):
            if read.html is None:
                continue
            names = [
                *((f"the element <{name}>", name) for name in read.html.elements),
                *((f"the attribute {name}", name) for name, _ in read.html.attributes),
            ]
            problems = [f"{place} became {what}" for what, name in names if (place := marked.found(name))]
            trial.judge(
                sent.call,
                not problems,
                f"{sent.response}; in the HTML part {problems[0] if problems else ''}",
            )
    if not trial.cases:
        raise NotApplicable("no mail with an HTML part came")


@check("receiver/deliver/no-script-link", "outbox")
def _no_script_link(trial: ReceiverTrial) -> None:
    round = Round(trial)
    for scheme in ("javascript:", "JavaScript:", "data:text/html,"):
        round.post(INVITATION, link=f"{scheme}alert(1)")
    if round.knows("1.25"):
        branding = {"logoUrl": "javascript:alert(1)", "darkLogoUrl": "javascript:alert(1)"}
        round.post("SignIn", application=application(branding=branding))
    for sent in round.gather():
        for read in round.find_mails_to(sent.token):
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
                sent.call, not bad, f"{sent.response}; the HTML part links to {bad[0] if bad else ''}"
            )
    if not trial.cases:
        raise NotApplicable("no mail with an HTML part came")


@check("receiver/deliver/no-header-injection", "outbox")
def _no_header_injection(trial: ReceiverTrial) -> None:
    round = Round(trial)
    marked = _Marked(lambda token: token)
    for end in ("\r\n", "\n", "\r"):

        def injecting(token: str, end: str = end) -> str:
            return f"Foo{end}X-{token}: 1{end}Bcc: {token}@example.com{end}{end}Bar"

        one = _Marked(injecting)
        for type, variables in one.messages(round):
            round.post(type, **variables)
        marked.places |= one.places
    for sent in round.gather(quiet=True):
        mails = round.find_mails_to(sent.token)
        problems = [problem for read in mails for problem in _injected(read.mail, marked)]
        if mails:
            trial.judge(sent.call, not problems, f"{sent.response}; {problems[0] if problems else ''}")
    own = {sent.token for sent in round.sent}
    for read in round.mails:
        if not any(token in recipient.casefold() for token in own for recipient in read.mail.recipients):
            problems = list(_injected(read.mail, marked))
            if problems:
                trial.judge(None, passed=False, actual=problems[0])
    if not trial.cases:
        raise NotJudged("no mail came; see receiver/deliver/one-mail")


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
