"""The rules ``receiver/deliver/*`` about the text of a mail: damaged names, and what a template left over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...judging.typical import application, minimal, organization, user, without
from ..cases import batch
from ..checks import check
from ..mail_text import find_damaged_text, find_leftovers
from ..requests import INVITATION
from .deliver import MAILED, find_mails, require_mails

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..cases import Batch, Case, Exchange
    from ..mail_reading import ReadMail
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial


def list_texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text inside a message, with the names that lead to it, for example ``payload.user.name``.

    Args:
        value: The message, or a part of it.
        name: The names that lead to the part.
    """
    if isinstance(value, str):
        yield name, value
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for member, inner in items:
        yield from list_texts(inner, f"{name}.{member}" if name else str(member))


_TEMPLATE_SYNTAX = re.compile(r"[{}$\\]|%[(\w]|<%|\[\[")
"""What begins an instruction in the template languages of ``template_names``."""


def _has_template_syntax(message: Any) -> bool:
    return any(_TEMPLATE_SYNTAX.search(text) for _, text in list_texts(message) if "://" not in text)


def _find_texts(
    trial: ReceiverTrial, batches: Iterable[Batch]
) -> Iterator[tuple[Exchange, Sequence[ReadMail]]]:
    for exchange, mails in find_mails(trial, "MUST", "SHOULD", batches=batches).items():
        # A rule of its own is about what becomes of names with the syntax of templates.
        if not _has_template_syntax(exchange.case.message):
            yield exchange, mails


_LONG_NAMES = ("n" + "\U0001f642" * 127, "\U0001f642" * 127)
"""A cut after an even number of bytes or UTF-16 units splits a character of the first, else of the second."""


@batch()
def _long_names(maker: RequestMaker) -> Iterator[Case]:
    if maker.knows("1.25"):
        for name in _LONG_NAMES:
            company = organization(name=name)
            person = user(name=name)
            yield maker.make_case(maker.make_typical(INVITATION, organization=company, inviter=person))
            product = application(name=name, displayName=name)
            yield maker.make_case(maker.make_typical("BindNewIdentifier", application=product, user=person))


_TEXTS = (*MAILED, _long_names)


@check("receiver/deliver/text-intact", "outbox", batches=_TEXTS)
def _text_intact(trial: ReceiverTrial) -> None:
    for exchange, mails in _find_texts(trial, _TEXTS):
        values = dict(list_texts(exchange.case.message))
        for read in mails:
            found = find_damaged_text(read, values)
            trial.judge(exchange.case.call, not found, f"a mail in which {'; '.join(found)}")
    require_mails(trial)


@batch()
def _full(maker: RequestMaker) -> Iterator[Case]:
    if maker.knows("1.32"):
        for type in ("SignIn", "BindNewIdentifier", INVITATION):
            yield maker.make_case(maker.make_typical(type, uiLocales="en"))


@batch()
def _gaps(maker: RequestMaker) -> Iterator[Case]:
    yield maker.make_case(without(maker.make_typical(INVITATION), "link"))
    yield maker.make_case({"to": maker.make_recipient(), "type": INVITATION, "payload": {}})
    for type in ("SignIn", "BindNewIdentifier"):
        yield maker.make_case(maker.make_fresh(minimal(type, maker.revision)))
    if maker.knows("1.25"):
        nothing: dict[str, Any] = {
            "application": application(branding={}),
            "organization": organization(branding={}),
        }
        yield maker.make_case(maker.make_typical("SignIn", **nothing))


_HOLED = (*MAILED, _full, _gaps)


@check("receiver/deliver/no-leftovers", "outbox", batches=_HOLED)
def _no_leftovers(trial: ReceiverTrial) -> None:
    found = dict(_find_texts(trial, _HOLED))
    controls = _find_controls(found)
    for exchange, mails in found.items():
        message: Mapping[str, Any] = exchange.case.message or {}
        # A translation may have the word that is none in English.
        control = controls.get(exchange.case.type) if message["payload"].get("locale", "en") == "en" else None
        for read in mails:
            left = find_leftovers(read, dict(list_texts(message)), control)
            trial.judge(exchange.case.call, not left, f"a mail in which {'; '.join(left)}")
    require_mails(trial)


def _find_controls(found: Mapping[Exchange, Sequence[ReadMail]]) -> dict[str, ReadMail]:
    """Return a mail for each template type whose message has every value."""
    mailed = [one for one, mails in found.items() if mails and one.case.group in ("ordinary", "full")]
    mailed.sort(key=lambda one: one.case.group == "full")
    return {one.case.type: found[one][0] for one in mailed}
