"""The rules ``receiver/deliver/*`` about the form of a mail, and about recipients that look like several."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...judging.responses import format_outcome
from ..cases import batch
from ..checks import check
from ..mail_format import find_mail_faults
from ..requests import INVITATION
from .deliver import MAILED, find_mails, require_mails
from .ordinary import ordinary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial


@check("receiver/deliver/mail-format", "outbox", batches=MAILED)
def _mail_format(trial: ReceiverTrial) -> None:
    for exchange, mails in find_mails(trial, "MUST", "SHOULD").items():
        for read in mails:
            faults = find_mail_faults(read.mail, smtp_utf8=read.mail.smtputf8)
            trial.judge(exchange.case.call, not faults, f"a mail with faults: {'; '.join(faults)}")
    require_mails(trial)


_SECOND_RECIPIENTS = ("{},{}", "{};{}", "{}<{}>", "{}>,<{}", '"{},{}"@example.com', '"{}"@example.com')
"""What Logto takes for one address, with other addresses inside."""
_INNER_ADDRESS = re.compile(r"mc[0-9]+@[A-Za-z0-9.-]+")


def _make_misleading(maker: RequestMaker) -> Case:
    message = maker.make_typical(INVITATION)
    payload = {**message["payload"], "to": maker.make_recipient("mc@example.com")}
    return maker.make_case({**message, "payload": payload}, mail="none")


@batch()
def _second_recipients(maker: RequestMaker) -> Iterator[Case]:
    for form in _SECOND_RECIPIENTS:
        inner = [maker.make_recipient("mc@example.com") for _ in range(form.count("{}"))]
        to = form.format(*inner).replace("example.com", maker.settings.recipient_domain or "example.com")
        # Not every mail server takes it.
        yield maker.make_case({**maker.make_typical("SignIn"), "to": to}, mail="none")
    # What a caller names so is a variable.
    yield _make_misleading(maker)


@check("receiver/deliver/no-second-recipient", "outbox", batches=(ordinary, _second_recipients))
def _no_second_recipient(trial: ReceiverTrial) -> None:
    # The mails of ordinary messages show how soon one comes.
    find_mails(trial, "MUST", batches=(ordinary,))
    exchanges = trial.send(_second_recipients)
    trial.wait_for_more_mails(exchanges)
    reached = {recipient for read in trial.run.mailbox.mails for recipient in read.mail.recipients}
    for exchange in exchanges:
        payload = (exchange.case.message or {}).get("payload", {})
        inner = _INNER_ADDRESS.findall(f"{exchange.case.to} {payload.get('to', '')}")
        strangers = sorted(reached & set(inner))
        problem = f"{format_outcome(exchange.outcome)}, and a mail to {' and to '.join(strangers)}"
        trial.judge(exchange.case.call, not strangers, f"{problem}, not to {exchange.case.to}")
