"""The rule about names that template engines and formatting functions read as instructions."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from ..checks import check
from .accept import template_names
from .deliver import require_mails
from .mail_text import list_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..mail_reading import ReadMail
    from ..trial import ReceiverTrial

_ELLIPSES = ("…", "...")
_MIN_CUT_CHARACTERS = 12
"""Fewer do not have an instruction in them."""


@check("receiver/deliver/no-template-injection", "outbox", batches=(template_names,))
def _no_template_injection(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    for exchange, mails in trial.find_mails(trial.send(template_names)).items():
        # Every name of a message is the same.
        name = next(text for _, text in list_texts(exchange.case.message) if text.startswith("mcx"))
        for read in mails:
            found = list(_find_processed(read, name))
            trial.judge(exchange.case.call, not found, found[0] if found else "")
    require_mails(trial)


def _find_processed(read: ReadMail, name: str) -> Iterator[str]:
    for place, text in {"subject": read.mail.subject, **read.parts}.items():
        for start in re.finditer(r"mcx(?=\s)", text, re.IGNORECASE):
            # The end is another one where this one is lost or cut.
            found = re.compile(r"\bltd\b", re.IGNORECASE).search(text, start.end())
            shown = text[start.start() : found.end() if found else start.end() + len(name)]
            if not found and _is_beginning(html.unescape(shown), name):
                continue
            if _is_processed(shown, name, is_cut=len(text) < start.start() + len(name)):
                yield f"a mail whose {place} shows {shown[: 2 * len(name)]!r} for the name {name!r}"
                break


def _is_processed(shown: str, name: str, *, is_cut: bool) -> bool:
    """Return whether a name was read as a template; a receiver may leave out marks, tags, and the end."""
    shown = html.unescape(shown)
    before, ellipsis, _ = shown.replace(_ELLIPSES[1], _ELLIPSES[0]).partition(_ELLIPSES[0])
    if ellipsis or is_cut:
        return not any(_keep_letters(form).startswith(_keep_letters(before)) for form in _list_forms(name))
    return not any(_has_every_letter(shown, form) for form in _list_forms(name))


def _is_beginning(shown: str, name: str) -> bool:
    """Return whether a text shows a name that is cut, and goes on with something else."""
    pairs = zip(shown, name, strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(shown), len(name)))
    kept = len(name[:same].rstrip())
    return kept >= _MIN_CUT_CHARACTERS and not shown[kept : kept + 1].isalnum()


def _list_forms(name: str) -> tuple[str, str]:
    return name, re.sub("<[^<>]*>", "", name)


def _has_every_letter(shown: str, name: str) -> bool:
    marks = set(re.sub(r"[\w\s]", "", name))
    # One mark of two is what a formatting function makes of an escaped mark.
    halved = [mark for mark in marks if 0 < shown.count(mark) < name.count(mark)]
    return _keep_letters(shown) == _keep_letters(name) and not halved


def _keep_letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()
