"""The rules ``receiver/deliver/*``: what becomes of a message in the mail.

Most of them look at the mails of every message that the receiver accepted in the run, whichever rule sent it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ...judging.responses import format_outcome, is_accepted
from ...judging.typical import template_types
from ...masking import count_noun
from ...suite.results import NotJudged
from ...wire.outcomes import Response
from ..attempts import normalize_address
from ..cases import batch
from ..checks import check
from ..mail_format import find_strangers
from ..mail_reading import shows_code
from ..requests import INVITATION
from .accept import (
    long_values,
    null_user,
    odd_addresses,
    odd_names,
    resend,
    template_names,
    unicode_names,
    unknown_types,
)
from .addresses import ordinary_addresses
from .auth import wrong_authorization
from .concurrent import burst
from .context import locale_forms
from .ordinary import ordinary
from .reject import broken_messages, wrong_methods

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..cases import Batch, Case, Exchange, MailNeed
    from ..mail_reading import ReadMail
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_CODE_DIGITS = 6


_CODES = ("000007", "012012", "089898", "100000", "999990")
"""Codes that programs take for an octal, a short or a round number; no other message has one of them."""


@batch()
def _codes(maker: RequestMaker) -> Iterator[Case]:
    for number, type in enumerate(template_types(maker.revision)):
        if type != INVITATION:
            yield _with_code(maker, maker.make_typical(type), maker.make_code(number % 3))
    for code in _CODES:
        yield _with_code(maker, maker.make_typical("SignIn"), code)
    if maker.knows("1.25"):
        # Languages whose usual digits are others than those that Logto compares.
        for locale in ("ar", "fa-IR"):
            yield _with_code(maker, maker.make_typical("SignIn", locale=locale), maker.make_code(1))


def _with_code(maker: RequestMaker, message: dict[str, Any], code: str) -> Case:
    return maker.make_case({**message, "payload": {**message["payload"], "code": code}})


MAILED = (
    *(ordinary, ordinary_addresses, _codes, locale_forms),
    *(unicode_names, odd_names, template_names, long_values, null_user),
)
"""What is sent for every rule that looks at the mails of all messages."""


def find_mails(
    trial: ReceiverTrial, *needs: MailNeed, batches: Iterable[Batch] = MAILED
) -> dict[Exchange, Sequence[ReadMail]]:
    """Return the mails of every message of the run that was accepted and needs one.

    Args:
        trial: The trial of the rule.
        needs: How much the messages need a mail.
        batches: What is sent before.

    Raises:
        NotJudged: None was accepted.
        ReceiverGone: The receiver cannot be reached.
    """
    for chosen in batches:
        trial.send(chosen)
    exchanges = [one for one in trial.list_exchanges() if one.case.mail in needs]
    if not any(is_accepted(one.outcome) for one in exchanges):
        raise NotJudged("the receiver accepted none of the messages; see receiver/accept/*")
    return trial.find_mails(exchanges)


def require_mails(trial: ReceiverTrial) -> None:
    """Go on only if a mail was judged.

    Raises:
        NotJudged: None was.
    """
    if not trial.cases:
        raise NotJudged("no mail came; see receiver/deliver/one-mail")


_REFUSED = (ordinary, wrong_authorization, wrong_methods, *broken_messages.values())


def _judge_counts(trial: ReceiverTrial, need: MailNeed, batches: Iterable[Batch]) -> None:
    found = find_mails(trial, need, batches=batches)
    trial.wait_for_more_mails(list(found))
    for exchange in found:
        mails = trial.run.mailbox.find(exchange.case)
        problem = f"{format_outcome(exchange.outcome)}, and {len(mails)} mails to {exchange.case.to}"
        # A rule of its own is about a message that is sent again.
        passed = 0 < len(mails) <= exchange.case.repeats
        trial.judge(exchange.case.call, passed, problem if mails else trial.format_missing(exchange))


@check("receiver/deliver/one-mail", "outbox", batches=MAILED)
def _one_mail(trial: ReceiverTrial) -> None:
    _judge_counts(trial, "MUST", MAILED)


@check("receiver/deliver/one-mail-to-odd-addresses", "outbox", batches=(ordinary, odd_addresses))
def _one_mail_to_odd_addresses(trial: ReceiverTrial) -> None:
    _judge_counts(trial, "SHOULD", (ordinary, odd_addresses))


@check(
    "receiver/deliver/none-for-refused",
    "outbox",
    batches=_REFUSED,
)
def _none_for_refused(trial: ReceiverTrial) -> None:
    for chosen in _REFUSED:
        trial.send(chosen)
    exchanges = trial.list_exchanges()
    refused = [
        one
        for one in exchanges
        if isinstance(one.outcome, Response) and one.outcome.status >= 400 and one.case.to and not one.earlier
    ]
    if not refused:
        raise NotJudged("the receiver refused none of the requests meant to be refused")
    # The mails of accepted messages show how soon one comes.
    trial.find_mails([one for one in exchanges if one.case.mail == "MUST"])
    trial.wait_for_more_mails(exchanges)
    for exchange in refused:
        mails = trial.run.mailbox.find(exchange.case)
        recipients = ", ".join(mails[0].mail.recipients) if mails else ""
        problem = f"{format_outcome(exchange.outcome)}, and a mail to {recipients}"
        # Where nothing is accepted, that no mail came says nothing.
        if mails or trial.run.maker.accepted_types:
            trial.judge(exchange.case.call, not mails, problem)


@check("receiver/deliver/recipient", "outbox", batches=MAILED)
def _recipient(trial: ReceiverTrial) -> None:
    for exchange, mails in find_mails(trial, "MUST").items():
        wanted = exchange.case.to
        elsewhere = trial.run.mailbox.find_by_content(exchange.case)
        united = dict.fromkeys((*mails, *elsewhere))
        found = [read for read in united if not _is_crossed(trial, exchange, read)]
        others = [stranger for read in found for stranger in find_strangers(read.mail, wanted)]
        if found:  # that none came is for a rule of its own
            problem = f"{format_outcome(exchange.outcome)}; {others[0] if others else ''}, not {wanted}"
            trial.judge(exchange.case.call, not others, problem)
    require_mails(trial)


# Codes.


def _find_coded(trial: ReceiverTrial) -> Iterator[tuple[Exchange, ReadMail]]:
    for exchange, mails in find_mails(trial, "MUST").items():
        # An invitation that has a code too is about its link.
        if len(exchange.case.code) == _CODE_DIGITS and not exchange.case.link:
            for read in mails:
                if not _is_crossed(trial, exchange, read):
                    yield exchange, read


def _find_stranger(trial: ReceiverTrial, exchange: Exchange, read: ReadMail) -> str:
    """Return the code in a mail that belongs to another recipient; empty where none does."""
    owners = trial.run.mailbox.list_code_owners(trial.run.dispatcher.ledger)
    own = normalize_address(exchange.case.to)
    return next((code for code in sorted(read.codes) if owners.get(code, own) != own), "")


def _is_crossed(trial: ReceiverTrial, exchange: Exchange, read: ReadMail) -> bool:
    """Return whether a mail is that of two messages, which a rule of its own reports."""
    owners = trial.run.mailbox.list_code_owners(trial.run.dispatcher.ledger)
    own = normalize_address(exchange.case.to)
    reached = {normalize_address(one) for one in read.mail.recipients} - {own}
    return not reached.isdisjoint(owners.values()) or bool(_find_stranger(trial, exchange, read))


@check("receiver/deliver/code-intact", "outbox", batches=MAILED)
def _code_intact(trial: ReceiverTrial) -> None:
    for exchange, read in _find_coded(trial):
        problem = _find_code_damage(read, exchange.case.code)
        trial.judge(exchange.case.call, not problem, problem)
    require_mails(trial)


def _find_code_damage(read: ReadMail, code: str) -> str:
    if not shows_code(read.seen, code):
        return f"a mail that does not show {code}: {read}"
    cut = code.lstrip("0")
    if 4 <= len(cut) < len(code):
        for kind, text in {"subject": read.mail.subject, **read.parts}.items():
            if shows_code(text, cut, "[.,]?") and not shows_code(text, code):
                return f"a mail whose {kind} shows {cut} for {code}"
    return ""


@check("receiver/deliver/code-in-one-piece", "outbox", batches=MAILED)
def _code_in_one_piece(trial: ReceiverTrial) -> None:
    for exchange, read in _find_coded(trial):
        code = exchange.case.code
        if shows_code(read.seen, code):
            problem = f"a mail that shows {code} in pieces: {read}"
            trial.judge(exchange.case.call, shows_code(read.seen, code, ""), problem)
    if not trial.cases:
        raise NotJudged("no mail shows its code; see receiver/deliver/code-intact")


@check("receiver/deliver/unknown-type-carries-code", "outbox", batches=(unknown_types,))
def _unknown_type_carries_code(trial: ReceiverTrial) -> None:
    found = trial.find_mails(trial.send(unknown_types))
    if not found:
        trial.skip("the receiver accepts no unknown type; see receiver/accept/unknown-type")
    for exchange, mails in found.items():
        code = exchange.case.code
        problem = "" if mails else trial.format_missing(exchange)
        if mails and not any(shows_code(read.seen, code) for read in mails):
            problem = f"{format_outcome(exchange.outcome)}, and a mail that does not show {code}: {mails[0]}"
        trial.judge(exchange.case.call, not problem, problem)


@check("receiver/deliver/codes-do-not-cross", "outbox", batches=(burst,))
def _codes_do_not_cross(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    trial.send(burst)
    exchanges = [one for one in trial.list_exchanges() if one.case.mail == "MUST" and one.case.code]
    trial.find_mails(exchanges)
    trial.wait_for_more_mails(exchanges)
    accepted = [one for one in exchanges if is_accepted(one.outcome)]
    awaited = Counter(
        normalize_address(one.case.to) for one in trial.list_exchanges() if is_accepted(one.outcome)
    )
    for exchange in accepted:
        case = exchange.case
        mails = trial.run.mailbox.find_by_recipient(case)
        if len(mails) < awaited[normalize_address(case.to)]:
            trial.skip(f"{trial.format_missing(exchange)}; see receiver/deliver/one-mail")
            continue
        strangers = [code for read in mails if (code := _find_stranger(trial, exchange, read))]
        problem = ""
        if strangers:
            problem = f"a mail to {case.to} shows {strangers[0]}, the code of another recipient"
        elif case.group == "burst" and not any(case.code in read.codes for read in mails):
            problem = f"{format_outcome(exchange.outcome)}, and no mail to {case.to} shows {case.code}"
        trial.judge(case.call, not problem, problem)
    if not accepted:
        trial.skip("the receiver accepted no message with a code; see receiver/concurrent/burst")


@check("receiver/deliver/resend-is-sent", "outbox", batches=(resend,))
def _resend_is_sent(trial: ReceiverTrial) -> None:
    exchanges = [one for one in trial.send(resend) if one.earlier and is_accepted(one.outcome)]
    if not exchanges:
        trial.skip("the receiver did not accept the message twice; see receiver/accept/resend")
    for exchange, mails in trial.find_mails(exchanges).items():
        if not mails:
            trial.skip(f"{trial.format_missing(exchange)}; see receiver/deliver/one-mail")
            continue
        mailed = f"{count_noun(len(mails), 'mail')} to {exchange.case.to} for two messages"
        trial.judge(exchange.case.call, len(mails) >= 2, f"{format_outcome(exchange.outcome)}, and {mailed}")
