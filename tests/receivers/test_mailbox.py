"""Which mail belongs to which message, and how long one is waited for."""

from __future__ import annotations

import json
import threading
import time
from itertools import count

import pytest
from tests.support.broken_receivers import Good, wsgi

from logto_mail_contract.receivers.cases import Case, Exchange
from logto_mail_contract.receivers.mailbox import Mailbox
from logto_mail_contract.receivers.outbox import Mail
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.requests import RequestMaker
from logto_mail_contract.wire.outcomes import Response


def make_maker() -> RequestMaker:
    return RequestMaker(Receiver.wsgi(wsgi(Good())), Settings(), count(10_000))


def make_exchange(case: Case, ago: float = 0.0) -> Exchange:
    """Return that a case was accepted some seconds ago."""
    ended = time.monotonic() - ago
    return Exchange(case, Response(200, (), b"", 0.0), (), ended, ended, 0)


def make_mail(to: str, text: str) -> Mail:
    return Mail("shop@example.com", (to,), f"Subject: Hello\r\n\r\n{text}\r\n".encode())


def never() -> bool:
    return False


def test_a_mail_is_found_by_its_recipient_and_else_by_its_code_or_link() -> None:
    maker, mails = make_maker(), list[Mail]()
    mailbox = Mailbox(mails.copy, 0)
    first, second = (maker.make_case(maker.make_typical("SignIn")) for _ in range(2))
    invitation = maker.make_case(maker.make_typical("OrganizationInvitation"))
    lost = maker.make_case(maker.make_typical("SignIn"))
    mails += [
        make_mail(first.to.upper(), "without a code"),
        make_mail("other@example.com", f"Code {second.code}"),
        make_mail("third@example.com", f"Join: {invitation.link}"),
    ]
    mailbox.fetch()
    found = [mailbox.find(case) for case in (first, second, invitation)]
    assert [[read.mail for read in one] for one in found] == [[mail] for mail in mails]
    assert not mailbox.find(lost)
    assert not mailbox.find_by_recipient(second)


def test_of_several_mails_to_one_recipient_each_message_has_its_own() -> None:
    maker, mails = make_maker(), list[Mail]()
    mailbox = Mailbox(mails.copy, 0)
    first = maker.make_case(maker.make_typical("SignIn"))
    second = maker.make_case({**maker.make_typical("SignIn"), "to": first.to})
    mails += [make_mail(first.to, case.code) for case in (first, second)]
    mailbox.fetch()
    assert [read.mail for read in mailbox.find(second)] == [mails[1]]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_cleared_outbox_takes_no_mail_from_a_message(is_replaced: bool) -> None:
    maker = make_maker()
    before = [make_mail("foo@example.com", "of an earlier run")] * 3
    mailbox = Mailbox(lambda: before, 0)
    fetched = maker.make_case(maker.make_typical("SignIn"))
    before.append(make_mail(fetched.to, fetched.code))
    mailbox.fetch()
    missed = make_exchange(maker.make_case(maker.make_typical("SignIn")))
    after = [make_mail("foo@example.com", "another")] * (9 if is_replaced else 1)
    mailbox.outbox = lambda: after
    mailbox.fetch()
    assert len(mailbox.find(fetched)) == 1
    assert len(mailbox.mails) == 1 + len(after)
    # Its mail may have been among those that were cleared away.
    assert missed.started < mailbox.since


def test_a_wait_ends_once_each_accepted_message_has_its_mails() -> None:
    maker, mails = make_maker(), list[Mail]()
    mailbox = Mailbox(mails.copy, 0)
    twice = maker.make_case(maker.make_typical("OrganizationInvitation"), repeats=2)
    mails.append(make_mail(twice.to, twice.link))
    timer = threading.Timer(0.1, mails.append, [make_mail(twice.to, twice.link)])
    timer.start()
    start = time.monotonic()
    mailbox.wait([make_exchange(twice)], 30, never)
    assert 0.05 < time.monotonic() - start < 20
    timer.join()
    assert len(mailbox.find(twice)) == 2
    assert not mailbox.is_silent


def test_a_wait_counts_from_the_response_and_not_from_the_question() -> None:
    maker = make_maker()
    mailbox = Mailbox(list, 0)
    mailbox.since = 0.0
    exchanges = [make_exchange(maker.make_case(maker.make_typical("SignIn")), ago=60) for _ in range(50)]
    start = time.monotonic()
    mailbox.wait(exchanges, 30, never)
    assert time.monotonic() - start < 10
    assert mailbox.is_silent


def test_a_second_mail_may_take_twice_as_long_as_the_first_ones_did() -> None:
    maker, mails = make_maker(), list[Mail]()
    mailbox = Mailbox(mails.copy, 0)
    once = maker.make_case(maker.make_typical("SignIn"))
    mail = make_mail(once.to, once.code)
    first = threading.Timer(0.5, mails.append, [mail])
    first.start()
    mailbox.wait([make_exchange(once)], 30, never)
    first.join()
    second = threading.Timer(0.5, mails.append, [mail])
    second.start()
    mailbox.wait_for_more([make_exchange(once)], never)
    found = len(mailbox.find(once))
    second.join()
    assert found == 2


def test_a_wait_is_given_up_when_it_is_over() -> None:
    maker = make_maker()
    mailbox = Mailbox(list, 30)
    exchange = make_exchange(maker.make_case(maker.make_typical("SignIn")))
    start = time.monotonic()
    mailbox.wait([exchange], 30, lambda: True)
    mailbox.wait_for_more([exchange], lambda: True)
    assert time.monotonic() - start < 10
    assert not mailbox.is_silent


def test_the_mail_of_a_repeated_invitation_is_no_mail_of_the_first() -> None:
    maker, mails = make_maker(), list[Mail]()
    mailbox = Mailbox(mails.copy, 0)
    first = maker.make_case(maker.make_typical("OrganizationInvitation"))
    again = maker.make_again(first)
    mails.append(make_mail(again.to, f"Join: {again.link}"))
    mailbox.fetch()
    assert again.link in json.loads(again.call.body)["payload"]["link"]
    assert mailbox.find(again)
    assert not mailbox.find(first)
