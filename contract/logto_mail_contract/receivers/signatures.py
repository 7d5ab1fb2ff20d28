"""By what the cause of failures is recognized: what came, and what is odd in the messages."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from ..judging.typical import template_types, typical
from ..suite.results import Signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Oddity = tuple[str, str]
"""A place, for example ``payload.user.name``, and what is odd there, for example ``null``."""

_VARYING = re.compile(
    r"'[^']*'|\\\"[^\"]*\"|[^\s\"]*@[^\s\"]*|(?<!\w)(?=[\w-]*[0-9])[A-Za-z0-9-]{8,}(?!\w)|[0-9]+"
)
_VARYING_IN_TEXT = re.compile(rf"{_VARYING.pattern}|\"[^\"]*\"")
"""What differs between responses that say the same, ids of requests among it.

In JSON, a text in quotation marks says what is wrong.
"""
# Names of members in JSON, and paths: they say nothing of the message.
_BESIDES = re.compile(r"\"[^\"]*\"\s*:|/[\w./~-]+|<style.*", re.DOTALL)

# The words of responses that frameworks make of any mistake.
_SAYS_NOTHING = frozenset(
    re.findall(
        "[a-z]+",
        """
        a about administrator again an and apache application are as bad be blank body br but by call can
        cannot cause caused center charset check code complete contact content could default detail details
        device did div do doctype does e either email en encountered entity err error errors exception
        experiencing explicit failed fallback false fault file for gateway got h handled handler handling
        has head hook hr href html http https id ietf if in information initial instance internal invalid is
        itself java lang last later line log logged logs mail mails malformed mapping may message meta more
        msg must name nginx no not null nullpointerexception object occurred of ok on oops operation or org
        overloaded owner p page path please pointer post pre problem process processed processing re reason
        recent reference request requests result rfc scale section see seeing self send sending sent server
        service set site so something sorry stack status statuscode str strict style success support
        templated temporarily temporary text the there this timeout timestamp title to tools trace traceback
        trouble true try type unable unavailable uncaught unexpected unknown unprocessable utf uuid viewport
        was we webhook went while whitelabel width will with wrong you your
        """,
    )
)
_VARIABLES = ("code", "link", "locale", "uiLocales", "application", "organization", "user", "inviter")
_KINDS = {
    "blank": re.compile(r"\A\s*\Z"),
    "long": re.compile(r"\A.{100}", re.DOTALL),
    "not ASCII": re.compile(r"[^\x00-\x7f]"),
    "control": re.compile(r"[\x00-\x1f\x7f]"),
    "markup": re.compile(r"[<>&\"']"),
    "template": re.compile(r"[{}$%\\\[\]]"),
}
# What differs from message to message of a run.
_NUMBERED = re.compile(r"[a-z]+[0-9]*")
_LINK_MARK = re.compile("n4c[0-9a-z]+")


def make_signature(
    group: str,
    status: str,
    text: str,
    failed: Iterable[Mapping[str, Any]],
    accepted: Iterable[Mapping[str, Any]],
    revision: str,
    domain: str,
) -> Signature:
    """Return by what the cause of the failures of a rule is recognized.

    A response that says what is wrong is enough. Where it says nothing, for example a bare 500, rules about
    what is accepted are told apart by what is odd in their messages, and in none that was accepted.

    Args:
        group: The group of the rule, for example ``accept``.
        status: The status that came first; empty where none came.
        text: The text that came first.
        failed: The messages that failed.
        accepted: Those of the run that were accepted.
        revision: The contract revision that all are of.
        domain: The domain of ordinary recipients.
    """
    text = _drop_varying(text)
    came = group, status, text
    words = re.findall("[a-z]{2,}", _BESIDES.sub(" ", text).lower())
    if group != "accept" or not _SAYS_NOTHING.issuperset(words):
        return Signature(came)
    found, harmless = (
        frozenset[Oddity]().union(*(list_oddities(message, revision, domain) for message in messages))
        for messages in (failed, accepted)
    )
    # One text with a mark may be accepted and another not: then it is not about what messages have or lack.
    texts = {oddity for oddity in found if oddity[1] not in ("added", "missing")}
    return Signature(came, frozenset(map(_generalize, found - harmless or texts or found)))


def _drop_varying(text: str) -> str:
    pattern = _VARYING if text.lstrip().startswith(("{", "[")) else _VARYING_IN_TEXT
    # The name of a member says what is wrong, for example in KeyError: 'name'.
    return pattern.sub(lambda found: found[0] if found[0].strip("'\"\\") in _list_members() else "", text)


@cache
def _list_members() -> frozenset[str]:
    """Return the names of all members of typical messages."""

    def list_names(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from value
            for inner in value.values():
                yield from list_names(inner)

    return frozenset(name for type in template_types() for name in list_names(typical(type)))


def _generalize(oddity: Oddity) -> Oddity:
    """Return an oddity wherever it may stand: receivers treat each name alike, and each text."""
    place, kind = oddity
    return ("" if kind == "not ASCII" else place.rpartition(".")[2], kind)


def list_oddities(message: Mapping[str, Any], revision: str, domain: str) -> frozenset[Oddity]:
    """Return in what a message differs from the typical one of its template type.

    Args:
        message: The message. It is compared with a sign-in if its template type is unknown, or if it is an
            ordinary one of its type.
        revision: The contract revision that it is of.
        domain: The domain of ordinary recipients.
    """
    type = message.get("type")
    known = template_types(revision)
    usual = typical(type if type in known else "SignIn", revision, to=f"foo@{domain}")
    found = set(_compare("", message, usual | {"type": type}))
    if not found:
        found = set(_compare("", message, typical("SignIn", revision, to=usual["to"]) | {"type": type}))
    if type not in known or not found:
        found.add(("type", "unknown"))
    return frozenset(found)


def _compare(path: str, value: Any, usual: Any) -> Iterator[Oddity]:
    if isinstance(value, dict) and isinstance(usual, dict):
        for name in value.keys() | usual.keys():
            place = f"{path}.{name}".lstrip(".")
            if name not in value:
                yield place, "missing"
            elif name in usual:
                yield from _compare(place, value[name], usual[name])
            elif path == "payload" and name in _VARIABLES:
                yield place, "added"
            else:
                yield f"{path}.*".lstrip("."), "added"
    elif not isinstance(value, str) or not isinstance(usual, str):
        if value != usual:
            yield path, "null" if value is None else "type"
    elif path == "to":
        local, _, domain = value.rpartition("@")
        if domain != usual.rpartition("@")[2]:
            yield path, "domain"
        if not _NUMBERED.fullmatch(local):
            yield from ((path, kind) for kind in set(map(_classify, local)) - {""} or ["other"])
    elif path == "payload.code":
        if value.startswith("0") or len(value) != len(usual):
            yield path, "odd"
    elif _LINK_MARK.sub("", value) != _LINK_MARK.sub("", usual):
        kinds = [kind for kind, pattern in _KINDS.items() if pattern.search(value)]
        yield from ((path, kind) for kind in kinds or ["other"])


def _classify(character: str) -> str:
    """Return the kind of a character of a recipient; empty for one that is in most."""
    if not character.isascii():
        return "not ASCII"
    if character.isupper():
        return "upper case"
    return "" if character.isalnum() else character
