"""By what the cause of failures is recognized: what came, and what is odd in the messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..judging.typical import template_types, typical
from ..suite.results import Signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Oddity = tuple[str, str]
"""A place, for example ``payload.user.name``, and what is odd there, for example ``null``."""

_VARYING = re.compile(r"'[^']*'|\\\"[^\"]*\"|[^\s\"]*@[^\s\"]*|\b(?=[\w-]*[0-9])[\w-]{8,}|[0-9]+")
_VARYING_IN_TEXT = re.compile(rf"{_VARYING.pattern}|\"[^\"]*\"")
"""What differs between responses that say the same, ids of requests among it.

In JSON, a text in quotation marks says what is wrong.
"""
_KEY = re.compile(r"\"[^\"]*\"\s*:")

# The words of responses that frameworks make of any mistake.
_SAYS_NOTHING = frozenset(
    re.findall(
        "[a-z]+",
        """
        a about again an and apache application are as bad blank body br can cannot center charset code
        complete content could default detail details device div doctype either en encountered entity err
        error errors exception explicit failed fallback false fault for gateway h handler handling has head
        hr html https ietf in initial internal invalid is lang later malformed mapping message meta msg name
        nginx no not null occurred of ok on oops operation or org overloaded p page path please post pre
        problem process processed processing reason request requests result rfc scale section seeing server
        service so something sorry status statuscode str strict style success temporarily temporary text the
        there this timeout timestamp title to tools trace true try type unable unavailable uncaught
        unexpected unknown unprocessable utf viewport was we went while whitelabel width with wrong you your
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
    group: str, status: str, text: str, messages: Iterable[Mapping[str, Any]], revision: str, domain: str
) -> Signature:
    """Return by what the cause of the failures of a rule is recognized.

    A response that says what is wrong is enough. Where it says nothing, for example a bare 500, rules about
    what is accepted are told apart by what is odd in their messages.

    Args:
        group: The group of the rule, for example ``accept``.
        status: The status that came first; empty where none came.
        text: The text that came first.
        messages: Those that failed.
        revision: The contract revision that they are of.
        domain: The domain of ordinary recipients.
    """
    varying = _VARYING if text.lstrip().startswith(("{", "[")) else _VARYING_IN_TEXT
    text = varying.sub("", text)
    came = group, status, text
    words = re.findall("[a-z]+", _KEY.sub("", text).lower())
    if group != "accept" or not _SAYS_NOTHING.issuperset(words):
        return Signature(came)
    oddities = (list_oddities(message, revision, domain) for message in messages)
    return Signature(came, frozenset().union(*oddities))


def list_oddities(message: Mapping[str, Any], revision: str, domain: str) -> frozenset[Oddity]:
    """Return in what a message differs from the typical one of its template type.

    Args:
        message: The message; one of an unknown template type is compared with a sign-in.
        revision: The contract revision that it is of.
        domain: The domain of ordinary recipients.
    """
    type = message.get("type")
    known = template_types(revision)
    usual = typical(type if type in known else "SignIn", revision, to=f"foo@{domain}")
    found = set(_compare("", message, usual | {"type": type}))
    if type not in known:
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
        if not (_NUMBERED.fullmatch(local) and domain == usual.rpartition("@")[2]):
            yield path, "odd"
    elif path == "payload.code":
        if value.startswith("0") or len(value) != len(usual):
            yield path, "odd"
    elif _LINK_MARK.sub("", value) != _LINK_MARK.sub("", usual):
        kinds = [kind for kind, pattern in _KINDS.items() if pattern.search(value)]
        yield from ((path, kind) for kind in kinds or ["other"])
