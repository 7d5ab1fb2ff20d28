"""The rules ``receiver/deliver/*`` about what a stranger may write into a mail: markup, links, headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...judging.typical import application, organization, user
from ...suite.results import NotApplicable, NotJudged
from ..cases import batch
from ..checks import check
from ..mail_links import find_script_links
from ..requests import INVITATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..cases import Case
    from ..outbox import Mail
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_MARK = re.compile("mcq[a-z]{8}")


def _find_place(value: Any, text: str, place: str = "") -> str:
    """Return the place in a message whose mark is in a text; empty when none is."""
    marks = _MARK.findall(text.casefold())
    if isinstance(value, str):
        return place if any(mark in value for mark in marks) else ""
    members = value.items() if isinstance(value, dict) and marks else ()
    return next(
        (found for name, one in members if (found := _find_place(one, text, f"{place}.{name}".strip(".")))),
        "",
    )


def _mark_user(make: Callable[[], str]) -> dict[str, Any]:
    return user(
        name=make(),
        avatar=f"https://example.com/{make()}",
        primaryEmail=f"{make()}@example.com",
        profile={key: make() for key in ("givenName", "familyName", "nickname")},
    )


def _mark_branding(make: Callable[[], str]) -> dict[str, str]:
    return {key: f"https://example.com/{make()}" for key in ("logoUrl", "darkLogoUrl")}


def _make_marked(maker: RequestMaker, make: Callable[[], str]) -> Iterator[Case]:
    """Yield a message for each kind of context, each value of which carries a mark of its own.

    Args:
        maker: Makes the cases.
        make: Makes a value with a new mark in it.
    """
    if not maker.knows("1.25"):
        return

    def mark_application() -> dict[str, Any]:
        return application(name=make(), displayName=make(), branding=_mark_branding(make))

    def mark_organization() -> dict[str, Any]:
        return organization(name=make(), branding=_mark_branding(make))

    visitor: dict[str, Any] = {"application": mark_application(), "organization": mark_organization()}
    if maker.knows("1.32"):
        visitor["uiLocales"] = make()
    yield maker.make_case(maker.make_typical("SignIn", **visitor))
    account: dict[str, Any] = {"application": mark_application(), "user": _mark_user(make)}
    yield maker.make_case(maker.make_typical("BindNewIdentifier", **account))
    invitation: dict[str, Any] = {
        "organization": mark_organization(),
        "inviter": _mark_user(make),
        "locale": make(),
    }
    yield maker.make_case(maker.make_typical(INVITATION, **invitation))


def _make_markup(mark: str) -> str:
    # Ends whatever it may stand in: an attribute in either quotes or in none, a comment, raw text.
    inside = f"x\" data-{mark}=\"y' data-{mark}='z data-{mark}=1 "
    return f"{inside}\"'--></title></style><{mark}>"


@batch()
def _markup(maker: RequestMaker) -> Iterator[Case]:
    # Both are addresses by the grammar of SMTP, and Logto sends to either.
    for local in ('"><{}>"', "x'data-{}='y"):
        to = maker.make_recipient(f"{local.format(maker.make_mark())}@example.com")
        yield maker.make_case(maker.make_typical("SignIn", to=to))

    def make_markup() -> str:
        return _make_markup(maker.make_mark())

    yield from _make_marked(maker, make_markup)
    link = f"https://app.example.com/join?x={make_markup()}"
    yield maker.make_case(maker.make_typical(INVITATION, link=link))
    if maker.knows("1.35"):
        yield maker.make_case({**maker.make_typical("SignIn"), "ip": make_markup()})


@check("receiver/deliver/markup-escaped", "outbox", batches=(_markup,))
def _markup_escaped(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    for exchange, mails in trial.find_mails(trial.send(_markup)).items():
        for read in mails:
            if read.html is None:
                continue
            names = [
                *((f"the element <{name}>", name) for name in read.html.elements),
                *((f"the attribute {name}", name) for name, _ in read.html.attributes),
            ]
            problems = [
                f"{place} became {what}"
                for what, name in names
                if (place := _find_place(exchange.case.message, name))
            ]
            actual = f"in the HTML part {problems[0] if problems else ''}"
            trial.judge(exchange.case.call, not problems, actual)
    if not trial.cases:
        raise NotApplicable("no mail with an HTML part came")


@batch()
def _script_links(maker: RequestMaker) -> Iterator[Case]:
    for scheme in ("javascript:", "JavaScript:", "data:text/html,"):
        yield maker.make_case(maker.make_typical(INVITATION, link=f"{scheme}alert({maker.make_code()})"))
    if maker.knows("1.25"):
        script = "javascript:alert(1)"
        branding = dict.fromkeys(("logoUrl", "darkLogoUrl", "favicon", "darkFavicon"), script)
        company = organization(branding=branding)
        visitor: dict[str, Any] = {"application": application(branding=branding), "organization": company}
        yield maker.make_case(maker.make_typical("SignIn", **visitor))
        person = user(avatar=script, profile={"website": script, "profile": script})
        yield maker.make_case(maker.make_typical(INVITATION, organization=company, inviter=person))
        yield maker.make_case(maker.make_typical("BindNewIdentifier", user=person))


@check("receiver/deliver/no-script-link", "outbox", batches=(_script_links,))
def _no_script_link(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    for exchange, mails in trial.find_mails(trial.send(_script_links)).items():
        for read in mails:
            if read.html is not None:
                bad = find_script_links(read)
                trial.judge(exchange.case.call, not bad, f"the HTML part links to {bad[0] if bad else ''}")
    if not trial.cases:
        raise NotApplicable("no mail with an HTML part came")


@batch()
def _line_breaks(maker: RequestMaker) -> Iterator[Case]:
    for end in ("\r\n", "\n", "\r"):

        def make_injecting(end: str = end) -> str:
            mark = maker.make_mark()
            return f"Foo{end}X-{mark}: 1{end}Bcc: {mark}@example.com{end}{end}Bar"

        yield from _make_marked(maker, make_injecting)


@check("receiver/deliver/no-header-injection", "outbox", batches=(_line_breaks,))
def _no_header_injection(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    exchanges = trial.send(_line_breaks)
    found = trial.find_mails(exchanges)
    trial.wait_for_more_mails(exchanges)
    for exchange in found:
        message = exchange.case.message or {}
        mails = trial.run.mailbox.find(exchange.case)
        problems = [problem for read in mails for problem in _list_injected(read.mail, message)]
        if mails:
            trial.judge(exchange.case.call, not problems, problems[0] if problems else "")
    # A recipient from a header may have a mail of its own.
    for read in trial.run.mailbox.mails:
        for recipient in read.mail.recipients:
            for exchange in found:
                if place := _find_place(exchange.case.message, recipient):
                    actual = f"{place} made {recipient} a recipient"
                    trial.judge(exchange.case.call, passed=False, actual=actual)
    if not trial.cases:
        raise NotJudged("no mail came; see receiver/deliver/one-mail")


def _list_injected(mail: Mail, message: Mapping[str, Any]) -> Iterator[str]:
    for part in mail.parts:
        for name, value in part.raw_items():
            if place := _find_place(message, name):
                yield f"{place} made a header: {name}"
            elif name.lower() == "bcc" and (place := _find_place(message, str(value))):
                yield f"{place} made a header: {name}: {value}"
