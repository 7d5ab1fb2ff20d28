"""The inbox of a test, without a server."""

from __future__ import annotations

import asyncio
import json
import math
import re
import sys
import threading
import time
import unittest
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from logto_mail_contract import ContractViolation, Delivery, Inbox, MailNotReceived, TemplateType
from logto_mail_contract.inbox.inbox import MAX_DELIVERIES
from logto_mail_contract.inbox.violations import report
from logto_mail_contract.judging.requests import judge
from logto_mail_contract.wire.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = 10.0
"""Seconds; longer than any test here: a wait that times out fails its test."""

CODE = {"code": "042137"}


def message(to: str = "foo@example.com", type: str = "SignIn", **payload: Any) -> dict[str, Any]:
    return {"to": to, "type": type, "payload": payload or CODE}


def deliver(inbox: Inbox, document: Any = None, **changes: Any) -> Delivery:
    """Record a message; bytes are a body as it is."""
    document = message(**changes) if document is None else document
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    request = Request("POST", "/mail", (("Content-Type", "application/json"),), body)
    return inbox.record(request, *judge(request), "200", 1_700_000_000.25)


@contextmanager
def arriving(inbox: Inbox, *documents: Any) -> Iterator[None]:
    """Deliver from another thread as soon as a wait begins."""

    def run() -> None:
        deadline = time.monotonic() + SOON
        while not inbox.waiting and time.monotonic() < deadline:
            time.sleep(0)
        for document in documents:
            deliver(inbox, document)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


class Clock:
    """A clock that counts its calls: a wait reads it once at its start and once for each check."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return time.monotonic()


# Deliveries.


def test_a_delivery_shows_the_request() -> None:
    mail = deliver(Inbox(), message(code="042137", link="https://a.test"))
    assert (mail.number, mail.status, mail.response) == (1, 200, "200")
    assert (mail.message.to, mail.message.type) == ("foo@example.com", TemplateType.SIGN_IN)
    assert (mail.code, mail.link) == ("042137", "https://a.test")
    assert json.loads(mail.body) == mail.json
    assert mail.headers == (("Content-Type", "application/json"),)
    assert mail.time == datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=UTC)
    assert (mail.findings, mail.violations) == ((), ())
    assert str(mail) == '1, 22:13:20.250000 UTC: "SignIn" to "foo@example.com", response 200'
    assert "042137" not in repr(mail)


def test_a_delivery_without_code_or_link_describes_its_payload() -> None:
    mail = deliver(Inbox(), message(locale="en"))
    with pytest.raises(MailNotReceived, match=r'has no code; its payload is an object .* "locale"\.\n  1, '):
        _ = mail.code
    with pytest.raises(MailNotReceived, match="has no link"):
        _ = mail.link
    with pytest.raises(MailNotReceived, match="has no code; its payload is null"):
        _ = deliver(Inbox(lenient=True), {"to": ""}).code


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"a":', b"\xff", b"[" * 600])
def test_a_delivery_that_is_no_message_is_reported(body: bytes) -> None:
    mail = deliver(Inbox(lenient=True), body)
    assert f"POST with {len(body)} bytes that are no message" in str(mail)
    with pytest.raises(ContractViolation, match="Delivery 1 has no message\nmessage/"):
        _ = mail.message


# Matching.


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"to": "foo@example.com"}, True),
        ({"to": "FOO@example.com", "ignore_case": True}, True),
        ({"to": "foo@example.org"}, False),
        ({"to": "FOO@example.com", "type": "SignIn"}, False),
        ({"to": "FOO@example.com", "payload": {"code": "1"}}, False),
        ({"to": ""}, False),
        ({"type": TemplateType.BIND_MFA}, True),
        ({"type": "SignIn"}, False),
        ({"payload": {}}, True),
        ({"payload": {"code": "042137", "user": {"profile": {"given": "A"}}}}, True),
        ({"payload": {"user": {"name": None}}}, True),
        ({"payload": {"user": {"missing": None}}}, False),
        ({"payload": {"user": {"profile": {}}}}, True),
        ({"payload": {"user": "x"}}, False),
        ({"payload": {"list": [1, {"a": 2}]}}, True),
        ({"payload": {"list": [1]}}, False),
        ({"payload": {"one": 1}}, True),
        ({"payload": {"one": True}}, False),
        ({"payload": {"yes": True}}, True),
        ({"payload": {"yes": 1}}, False),
        ({"to": "foo@example.com", "type": "SignIn", "payload": {}}, False),
    ],
)
def test_matching(wanted: dict[str, Any], matches: bool) -> None:
    inbox = Inbox()
    deliver(
        inbox,
        message(
            type="BindMfa",
            code="042137",
            user={"name": None, "profile": {"given": "A", "family": "B"}},
            list=[1, {"a": 2}],
            one=1,
            yes=True,
        ),
    )
    assert inbox.count(**wanted) == int(matches)


TO_A_RECIPIENT: dict[str, Callable[[Inbox, str], Any]] = {
    "count": lambda inbox, to: inbox.count(to=to),
    "latest": lambda inbox, to: inbox.latest(to=to),
    "wait_for": lambda inbox, to: inbox.wait_for(to=to, timeout=0),
    "wait_for_async": lambda inbox, to: asyncio.run(inbox.wait_for_async(to=to, timeout=0)),
    "assert_empty": lambda inbox, to: inbox.assert_empty(to=to),
    "assert_empty_async": lambda inbox, to: asyncio.run(inbox.assert_empty_async(0.01, to=to)),
}


@pytest.mark.parametrize("call", TO_A_RECIPIENT.values(), ids=TO_A_RECIPIENT.keys())
@pytest.mark.parametrize("came", ["Foo@example.com", "foo@EXAMPLE.com ", "Foo Bar <foo@example.com>"])
def test_another_way_to_write_the_recipient_is_named(call: Callable[[Inbox, str], Any], came: str) -> None:
    for lenient in (False, True):
        inbox = Inbox(lenient=lenient)
        deliver(inbox, message(to="bar@example.com"))
        deliver(inbox, message(to=came))
        with pytest.raises(MailNotReceived, match=re.escape(f'One to "{came}" has: ask for that')):
            call(inbox, "foo@example.com")


def test_no_near_recipient_means_that_no_mail_was_sent() -> None:
    inbox = Inbox()
    for to in ("foo1@example.com", "foo+1@example.com", "foo@example.org", "fo@example.com"):
        deliver(inbox, message(to=to))
    assert inbox.count(to="foo@example.com") == 0
    inbox.assert_empty(to="foo@example.com")
    inbox.assert_empty(0.01, type="Register")
    asyncio.run(inbox.assert_empty_async(0.01, to="FOO@example.com", ignore_case=True))


def test_letter_case_is_ignored_on_request() -> None:
    inbox = Inbox()
    mail = deliver(inbox, message(to="Foo@example.com"))
    choice: Any = {"to": "fOO@Example.com", "ignore_case": True}
    assert inbox.count(**choice) == 1
    assert inbox.latest(**choice) == inbox.wait_for(**choice) == mail
    assert asyncio.run(inbox.wait_for_async(**choice)) == mail
    for check in (inbox.assert_empty, lambda **given: asyncio.run(inbox.assert_empty_async(**given))):
        with pytest.raises(
            MailNotReceived, match=r'No message with to "fOO@Example\.com" should have arrived'
        ):
            check(**choice)


def test_an_arrival_to_the_recipient_ends_the_watch() -> None:
    inbox = Inbox()
    with (
        arriving(inbox, message(to="bar@example.com"), message()),
        pytest.raises(MailNotReceived, match="should have arrived"),
    ):
        inbox.assert_empty(SOON, to="foo@example.com")


@pytest.mark.parametrize("wait", ["wait_for", "wait_for_async"])
def test_a_delivery_of_another_inbox_is_no_cursor(wait: str) -> None:
    other, inbox = Inbox(), Inbox(label="here")
    deliver(other)
    later = deliver(other)
    deliver(inbox)
    with pytest.raises(ValueError, match=r"after is delivery 2, and here has had 1: it is of another inbox"):
        getattr(inbox, wait)(after=later)


@pytest.mark.parametrize("value", [math.nan, -1, -0.001, -math.inf, "1", None])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("wait_for", "timeout"),
        ("wait_for_async", "timeout"),
        ("assert_empty", "within"),
        ("assert_empty_async", "within"),
    ],
)
def test_what_is_no_time_to_wait_is_refused(call: str, name: str, value: Any) -> None:
    error = ValueError if isinstance(value, (int, float)) else TypeError
    with pytest.raises(error, match=f"^{name} is a number of seconds from 0; it was {value!r}.$"):
        getattr(Inbox(), call)(**{name: value})


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"to": 5}, "to is a text; it was 5."),
        ({"to": b"foo@example.com"}, "to is a text; it was b'foo@example.com'."),
        ({"type": ["SignIn"]}, "type is a text; it was ['SignIn']."),
        ({"payload": "code"}, "payload is a dict of variables; it was 'code'."),
    ],
)
@pytest.mark.parametrize("call", ["count", "latest", "assert_empty", "wait_for", "wait_for_async"])
def test_an_argument_of_another_kind_is_refused(call: str, wanted: dict[str, Any], problem: str) -> None:
    inbox = Inbox()
    deliver(inbox)
    with pytest.raises(TypeError, match=f"^{re.escape(problem)}$"):
        getattr(inbox, call)(**wanted)


def test_a_delivery_that_is_no_message_matches_only_an_empty_query() -> None:
    inbox = Inbox(lenient=True)
    deliver(inbox, b"no json")
    assert inbox.count() == 1
    assert inbox.count(payload={}) == 0


# Reading.


def test_the_inbox_returns_recorded_messages() -> None:
    inbox = Inbox()
    assert len(inbox) == 0
    assert not inbox
    first = deliver(inbox, message(code="1"))
    second = deliver(inbox, message(to="bar@example.com", code="2", link="https://b.test"))
    third = deliver(inbox, message(code="3", link="https://a.test"))
    assert [mail.number for mail in inbox] == [1, 2, 3]
    assert (inbox[0], inbox[-1], len(inbox), bool(inbox)) == (first, third, 3, True)
    assert inbox.latest() == third
    assert inbox.latest(to="bar@example.com") == second
    assert (inbox.code, inbox.link) == ("3", "https://a.test")
    assert inbox.count(to="foo@example.com") == 2
    inbox.clear()
    assert list(inbox) == []
    assert deliver(inbox).number == 4


def test_a_miss_lists_what_arrived() -> None:
    inbox = Inbox("the mail", surroundings=lambda: ["it listens"])
    with pytest.raises(MailNotReceived) as nothing:
        inbox.latest(to="bar@example.com")
    assert str(nothing.value) == (
        'No message with to "bar@example.com" has arrived.\nNothing is in the inbox of the mail.\nit listens'
    )
    deliver(inbox, message(code="042137"))
    with pytest.raises(MailNotReceived) as other:
        inbox.latest(type="Register", payload={"code": "990000"})
    assert str(other.value) == (
        'No message with type "Register" and payload code "######" (masked) has arrived.\n'
        "1 in the inbox of the mail:\n"
        '  1, 22:13:20.250000 UTC: "SignIn" to "foo@example.com", response 200 (its type is "SignIn")\n'
        "it listens"
    )
    with pytest.raises(IndexError, match=r"There is no delivery 1\.\n1 in the inbox"):
        inbox[1]
    with pytest.raises(MailNotReceived, match="No message has arrived"):
        _ = Inbox().code


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"code": "990000"}, '(its payload.code is "######" (masked))'),
        ({"user": {"name": "B"}}, '(its payload.user.name is "A")'),
        ({"user": {"id": "B"}}, "(its payload.user has no id)"),
        ({"link": "https://other.test"}, '(its payload.link is "xxxxx://xxxxxx.xxxx" (masked))'),
    ],
)
def test_why_a_payload_does_not_match(payload: dict[str, Any], reason: str) -> None:
    inbox = Inbox()
    deliver(inbox, message(code="042137", link="https://secret.test", user={"name": "A"}))
    with pytest.raises(MailNotReceived) as caught:
        inbox.wait_for(payload=payload, timeout=0)
    assert reason in str(caught.value)
    for secret in ("042137", "990000", "secret", "other"):
        assert secret not in str(caught.value)


def list_numbers(text: str) -> list[int]:
    return [int(line.split(",")[0]) for line in text.splitlines() if re.match(r"  \d+, ", line)]


def test_only_the_last_ten_are_listed_where_nothing_is_wanted() -> None:
    inbox = Inbox()
    for _ in range(13):
        deliver(inbox)
    with pytest.raises(MailNotReceived) as caught:
        inbox.assert_empty()
    lines = str(caught.value).splitlines()
    assert lines[1] == "13 in the inbox of mail_endpoint:"
    assert lines[-1] == "  … 3 earlier"
    assert list_numbers(str(caught.value)) == list(range(4, 14))


NEAR: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another type": (
        {"to": "bar@example.com", "type": "Register"},
        {"to": "bar@example.com"},
        'its type is "SignIn"',
    ),
    "another recipient": (
        {"to": "bar@example.com", "type": "Register"},
        {"type": "Register"},
        'its to is "foo@example.com"',
    ),
    "a recipient with a typing error": (
        {"to": "barbara@example.com"},
        {"to": "babrara@example.com"},
        'its to is "babrara@example.com"',
    ),
    "one variable": (
        {"to": "foo@example.com", "payload": {"locale": "de", "own": "x"}},
        {"locale": "de", "own": "y"},
        'its payload.own is "y"',
    ),
    "recipient, but neither type nor variable": (
        {"to": "bar@example.com", "type": "Register", "payload": {"locale": "de"}},
        {"to": "bar@example.com", "locale": "fr"},
        'its type is "SignIn"',
    ),
}


@pytest.mark.parametrize(("wanted", "near", "reason"), NEAR.values(), ids=NEAR.keys())
@pytest.mark.parametrize("is_async", [False, True])
def test_the_nearest_delivery_is_listed_among_many_with_its_reason(
    wanted: dict[str, Any], near: dict[str, Any], reason: str, is_async: bool
) -> None:
    inbox = Inbox()
    deliver(inbox, **near)
    for _ in range(29):
        deliver(inbox)

    def wait() -> Delivery:
        return asyncio.run(inbox.wait_for_async(**wanted)) if is_async else inbox.wait_for(**wanted)

    wanted = {**wanted, "timeout": 0}
    with pytest.raises(MailNotReceived) as caught:
        wait()
    lines = str(caught.value).splitlines()
    assert lines[1] == "30 in the inbox of mail_endpoint:"
    assert lines[2].startswith("  1, ")
    assert lines[2].endswith(f"({reason})")
    assert list_numbers(str(caught.value)) == [1, *range(22, 31)]
    assert all(line.endswith(")") for line in lines[2:12])
    assert lines[-1] == "  … 20 more, none of them nearer"


def test_a_delivery_before_the_cursor_is_listed_with_that_reason() -> None:
    inbox = Inbox()
    first = deliver(inbox)
    second = deliver(inbox, to="bar@example.com")
    with pytest.raises(MailNotReceived) as caught:
        inbox.wait_for(to="foo@example.com", after=second, timeout=0)
    assert [line.partition("200 ")[2] for line in str(caught.value).splitlines()[2:]] == [
        "(it is not after delivery 2)",
        '(its to is "bar@example.com")',
    ]
    assert inbox.wait_for(to="bar@example.com", after=first, timeout=0) == second
    with pytest.raises(MailNotReceived) as caught:
        inbox.wait_for(after=second, timeout=0)
    assert str(caught.value).count("(it is not after delivery 2)") == 2


def test_a_delivery_that_comes_behind_the_time_out_is_listed_with_that_reason() -> None:
    looks = iter([False, True])

    def read_time() -> float:
        if next(looks):  # the second call is behind the last look
            deliver(inbox)
        return 0.0

    inbox: Inbox = Inbox(clock=read_time)
    with pytest.raises(MailNotReceived, match=r"response 200 \(it came too late\)$"):
        inbox.wait_for(to="foo@example.com", timeout=0)


# Template types.


TYPED: dict[str, Callable[[Inbox, str], Any]] = {
    "wait_for": lambda inbox, kind: inbox.wait_for(type=kind, timeout=SOON),
    "wait_for_async": lambda inbox, kind: asyncio.run(inbox.wait_for_async(type=kind, timeout=SOON)),
    "latest": lambda inbox, kind: inbox.latest(type=kind),
    "count": lambda inbox, kind: inbox.count(type=kind),
}
MISSPELT = [
    ("1.35", "SignUp", "SignIn"),
    ("1.35", "signin", "SignIn"),
    ("1.35", "SIGN_IN", "SignIn"),
    ("1.35", "bind-mfa", "BindMfa"),
    ("1.35", "Invitation", "OrganizationInvitation"),
    ("1.35", "Test", "Register"),
    ("1.25", TemplateType.BIND_MFA, "BindNewIdentifier"),
    ("1.22", "MfaVerification", "UserPermissionValidation"),
]


@pytest.mark.parametrize("call", TYPED.values(), ids=TYPED.keys())
@pytest.mark.parametrize(("revision", "type", "nearest"), MISSPELT)
def test_a_type_that_the_revision_lacks_fails_at_once(
    call: Callable[[Inbox, str], Any], revision: str, type: str, nearest: str
) -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match="has no template type") as caught:
        call(Inbox(revision=revision), type)
    assert str(caught.value).startswith(
        f"Revision {revision} has no template type {str(type)!r}; did you mean "
    )
    assert f"did you mean {nearest!r}? Its types: SignIn, Register" in str(caught.value)
    assert time.monotonic() - start < SOON


@pytest.mark.parametrize("call", TYPED.values(), ids=TYPED.keys())
def test_a_type_that_can_come_is_waited_for(call: Callable[[Inbox, str], Any]) -> None:
    for revision, type in (("1.35", "SignIn"), ("1.35", TemplateType.BIND_MFA), ("1.22", "Test")):
        inbox = Inbox(revision=revision)
        deliver(inbox, type=type) if type != "Test" else deliver_lenient(inbox, type)
        assert call(inbox, type)


def deliver_lenient(inbox: Inbox, type: str) -> None:
    """Record a message as an endpoint of the first revision judges it."""
    body = json.dumps(message(type=type)).encode()
    request = Request("POST", "/mail", (("Content-Type", "application/json"),), body)
    inbox.record(request, *judge(request, "1.22"), "200", 1_700_000_000.25)


@pytest.mark.parametrize("call", TYPED.values(), ids=TYPED.keys())
def test_a_lenient_inbox_waits_for_any_type(call: Callable[[Inbox, str], Any]) -> None:
    inbox = Inbox(revision="1.35", lenient=True)
    deliver(inbox, UNKNOWN)
    assert call(inbox, "NewTemplate")
    inbox.lenient = False
    with pytest.raises(ContractViolation):
        call(inbox, "NewTemplate")


@pytest.mark.parametrize("call", TYPED.values(), ids=TYPED.keys())
def test_a_type_that_is_expected_as_a_violation_is_waited_for(call: Callable[[Inbox, str], Any]) -> None:
    inbox = Inbox(revision="1.35")
    with inbox.expect_violation(TYPE_RULE):
        assert inbox.count(type="NewTemplate") == 0
        deliver(inbox, UNKNOWN)
        assert call(inbox, "NewTemplate")
    # It is there, so it can be found.
    assert call(inbox, "NewTemplate")
    with pytest.raises(ValueError, match="has no template type 'NewTemplat'"):
        call(inbox, "NewTemplat")
    with (
        pytest.raises(ValueError, match="has no template type 'NewTemplat'"),
        inbox.expect_violation(CODE_RULE),
    ):
        call(inbox, "NewTemplat")


# Waiting.


def test_waiting_returns_an_earlier_message() -> None:
    inbox = Inbox()
    first = deliver(inbox)
    second = deliver(inbox)
    assert inbox.wait_for(timeout=0) == first
    assert inbox.wait_for(after=first, timeout=0) == second
    with pytest.raises(MailNotReceived, match=r"No message arrived within 0 s\."):
        inbox.wait_for(after=second, timeout=0)


def test_after_works_past_cleared_or_dropped_messages() -> None:
    inbox = Inbox(limit=2)
    first = deliver(inbox)
    inbox.clear()
    second = deliver(inbox)
    assert inbox.wait_for(after=first, timeout=0) == second
    for _ in range(3):
        deliver(inbox)
    assert inbox.wait_for(after=second, timeout=0).number == 4


def test_waiting_ends_on_arrival() -> None:
    inbox = Inbox()
    with arriving(inbox, message(to="bar@example.com"), message()):
        assert inbox.wait_for(to="foo@example.com", timeout=SOON).number == 2


def test_waiting_does_not_poll() -> None:
    clock = Clock()
    inbox = Inbox(clock=clock)
    with pytest.raises(MailNotReceived):
        inbox.wait_for(timeout=0.15)
    assert clock.asked <= 1 + 3
    clock.asked = 0
    with arriving(inbox, message(to="bar@example.com"), message()):
        inbox.wait_for(to="foo@example.com", timeout=SOON)
    assert clock.asked <= 1 + 3
    clock.asked = 0
    with pytest.raises(MailNotReceived):
        asyncio.run(inbox.wait_for_async(to="nobody@example.com", timeout=0.15))
    assert clock.asked <= 1 + 3


@pytest.mark.parametrize("wait", ["wait_for", "wait_for_async"])
def test_the_deadline_uses_the_given_clock(wait: str) -> None:
    times = iter([100.0, 105.0])
    inbox = Inbox(clock=lambda: next(times))
    waits: dict[str, Callable[[], Any]] = {
        "wait_for": inbox.wait_for,
        "wait_for_async": lambda: asyncio.run(inbox.wait_for_async()),
    }
    with pytest.raises(MailNotReceived, match="within 5 s"):
        waits[wait]()
    assert next(times, None) is None


def test_a_wait_can_have_no_deadline() -> None:
    inbox = Inbox()
    with arriving(inbox, message()):
        assert inbox.wait_for(timeout=math.inf).number == 1
    inbox.clear()

    async def wait() -> Delivery:
        return await inbox.wait_for_async(timeout=math.inf)

    with arriving(inbox, message()):
        assert asyncio.run(wait()).number == 2


class Wanted(dict[str, Any]):
    """A wanted payload that counts how many messages it is compared with."""

    compared = 0

    def items(self) -> Any:
        self.compared += 1
        return super().items()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_wait_compares_each_message_once(is_async: bool) -> None:
    inbox = Inbox()
    for _ in range(50):
        deliver(inbox)
    wanted = Wanted(code="990000")
    with arriving(inbox, message(), message(code="990000")):
        if is_async:
            asyncio.run(inbox.wait_for_async(payload=wanted, timeout=SOON))
        else:
            inbox.wait_for(payload=wanted, timeout=SOON)
    assert wanted.compared == 52


def test_async_waiting_lets_the_loop_run() -> None:
    inbox = Inbox()

    async def app() -> None:
        await asyncio.sleep(0)
        deliver(inbox)

    async def both() -> Delivery:
        mail, _ = await asyncio.gather(inbox.wait_for_async(to="foo@example.com", timeout=SOON), app())
        return mail

    assert asyncio.run(both()).number == 1
    assert not inbox.waiting


def test_async_waiting_ends_on_arrival_from_another_thread() -> None:
    inbox = Inbox()
    with arriving(inbox, message(to="bar@example.com"), message()):
        assert asyncio.run(inbox.wait_for_async(to="foo@example.com", timeout=SOON)).number == 2


def test_async_waiting_can_be_cancelled() -> None:
    inbox = Inbox()

    async def cancelled() -> None:
        waiter = asyncio.create_task(inbox.wait_for_async(timeout=SOON))
        await asyncio.sleep(0)
        assert inbox.waiting
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

    asyncio.run(cancelled())
    assert not inbox.waiting
    deliver(inbox)


def test_async_waiting_lists_what_arrived() -> None:
    inbox = Inbox()
    deliver(inbox)
    with pytest.raises(MailNotReceived, match=r"arrived within 0\.01 s\.\n1 in the inbox"):
        asyncio.run(inbox.wait_for_async(to="bar@example.com", timeout=0.01))
    assert not inbox.waiting


def test_many_threads_can_wait_at_once() -> None:
    inbox = Inbox()
    found: list[str] = []

    def wait(to: str) -> None:
        found.append(str(inbox.wait_for(to=to, timeout=SOON).message.to))

    names = [f"{number}@example.com" for number in range(8)]
    threads = [threading.Thread(target=wait, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for name in reversed(names):
        deliver(inbox, message(to=name))
    for thread in threads:
        thread.join(SOON)
    assert sorted(found) == names


# Emptiness.


def test_assert_empty_passes_on_an_empty_inbox() -> None:
    inbox = Inbox()
    inbox.assert_empty()
    inbox.assert_empty(within=0.01)
    asyncio.run(inbox.assert_empty_async(within=0.01))


def test_assert_empty_lists_unexpected_messages() -> None:
    inbox = Inbox()
    deliver(inbox)
    listed = r'should be empty\.\n1 in the inbox of mail_endpoint:\n  1, .*@example.com", response 200$'
    with pytest.raises(MailNotReceived, match=listed):
        inbox.assert_empty()
    with pytest.raises(MailNotReceived, match=listed):
        asyncio.run(inbox.assert_empty_async())


def test_assert_empty_ends_at_an_arrival() -> None:
    inbox = Inbox()
    with arriving(inbox, message()), pytest.raises(MailNotReceived):
        inbox.assert_empty(within=SOON)
    inbox.clear()
    with arriving(inbox, message()), pytest.raises(MailNotReceived):
        asyncio.run(inbox.assert_empty_async(within=SOON))


# Violations.

INVALID = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": 42137}}
UNKNOWN = {"to": "foo@example.com", "type": "NewTemplate", "payload": {"code": "042137"}}
CODE_RULE, TYPE_RULE = "message/guard/code", "message/guard/type"
CALLS: dict[str, Callable[[Inbox], Any]] = {
    "wait_for": lambda inbox: inbox.wait_for(timeout=SOON),
    "wait_for_async": lambda inbox: asyncio.run(inbox.wait_for_async(timeout=SOON)),
    "assert_empty": lambda inbox: inbox.assert_empty(),
    "assert_empty_async": lambda inbox: asyncio.run(inbox.assert_empty_async()),
    "latest": lambda inbox: inbox.latest(),
    "code": lambda inbox: inbox.code,
    "link": lambda inbox: inbox.link,
    "count": lambda inbox: inbox.count(),
    "clear": lambda inbox: inbox.clear(),
    "len": len,
    "bool": bool,
    "iter": list,
    "index": lambda inbox: inbox[0],
    "verify": lambda inbox: inbox.verify(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_raises_a_violation_first(call: Callable[[Inbox], Any]) -> None:
    inbox = Inbox("the mail")
    deliver(inbox, INVALID)
    with pytest.raises(ContractViolation) as caught:
        call(inbox)
    assert [finding.rule for finding in caught.value.findings] == ["message/guard/code"]
    text = str(caught.value)
    assert text.startswith(
        "the mail received what breaks the contract:\n"
        '  delivery 1, 22:13:20.250000 UTC: "SignIn" to "foo@example.com", response 200; '
        "breaks message/guard/code\nmessage/guard/code  MUST\n"
    )
    assert text.endswith(
        '\nto accept    with mail_endpoint.expect_violation("message/guard/code"): …'
        "\nto silence   @pytest.mark.mail_contract(lenient=True), or lenient=True for this endpoint"
    )
    assert "42137" not in text


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_reading_the_inbox_accepts_no_violation(call: Callable[[Inbox], Any]) -> None:
    inbox = Inbox()
    deliver(inbox, INVALID)
    for _ in range(3):
        with pytest.raises(ContractViolation):
            call(inbox)
    assert inbox.take_unreported() is not None
    with pytest.raises(ContractViolation):
        call(inbox)


def test_every_unreported_violation_is_raised_by_every_call() -> None:
    inbox = Inbox()
    deliver(inbox, INVALID)
    with pytest.raises(ContractViolation):
        inbox.verify()
    deliver(inbox, INVALID)
    with pytest.raises(ContractViolation, match=r"(?s)delivery 1.*delivery 2"):
        inbox.verify()


def test_a_violation_is_reported_once() -> None:
    inbox = Inbox()
    deliver(inbox, INVALID)
    first = inbox.take_unreported()
    assert first is not None
    assert "delivery 1" in str(first)
    assert first.__notes__ == ["No line of the test raised this: it is reported at the end of the test."]
    assert inbox.take_unreported() is None
    deliver(inbox, INVALID)
    second = inbox.take_unreported()
    assert "delivery 2" in str(second)
    assert "delivery 1" not in str(second)


def test_a_violation_in_a_failure_is_not_reported_again() -> None:
    inbox = Inbox()
    deliver(inbox, INVALID)
    with pytest.raises(ContractViolation) as caught:
        inbox.verify()
    deliver(inbox, UNKNOWN)
    rest = inbox.take_unreported(caught.value)
    assert rest is not None
    assert rest.__notes__[0].startswith("The test caught this where it was raised.")
    assert "delivery 2" in str(rest)
    assert "delivery 1" not in str(rest)
    other = Inbox()
    deliver(other, INVALID)
    assert other.take_unreported(caught.value) is not None


def test_a_violation_in_an_exception_group_is_not_reported_again() -> None:
    inbox = Inbox()
    deliver(inbox, INVALID)
    with pytest.raises(ContractViolation) as caught:
        inbox.verify()
    group = ExceptionGroup("own", [ValueError(), ExceptionGroup("inner", [caught.value])])
    assert inbox.take_unreported(group) is None
    other = Inbox()
    deliver(other, INVALID)
    assert other.take_unreported(group) is not None


def test_a_deleted_violation_has_no_body() -> None:
    inbox = Inbox(lenient=True)
    body = b'{"to": "foo@example.com", "type": "SignIn", "payload": {"code": 42137}}'
    body += b" " * 1000
    before = sys.getrefcount(body)
    deliver(inbox, body)
    assert sys.getrefcount(body) > before
    inbox.clear()
    assert sys.getrefcount(body) == before
    assert "delivery 1" in str(inbox.take_unreported())


def test_a_violation_ends_a_wait() -> None:
    inbox = Inbox()
    with arriving(inbox, INVALID), pytest.raises(ContractViolation):
        inbox.wait_for(to="bar@example.com", timeout=SOON)
    inbox = Inbox()
    with arriving(inbox, INVALID), pytest.raises(ContractViolation):
        asyncio.run(inbox.wait_for_async(to="bar@example.com", timeout=SOON))


def test_the_report_of_many_violations_is_short() -> None:
    inbox = Inbox()
    for _ in range(13):
        deliver(inbox, INVALID)
    deliver(inbox, b"{}")
    violation = inbox.take_unreported()
    assert violation is not None
    text = str(violation)
    assert text.count("  delivery ") == 10
    assert "  … and 4 more\n" in text
    assert text.count("\nmessage/guard/code  MUST") == 1
    assert {finding.rule for finding in violation.findings} >= {"message/guard/code", "message/guard/to"}
    assert inbox.take_unreported() is None


def test_a_failed_should_is_no_violation() -> None:
    inbox = Inbox()
    mail = deliver(inbox, b'{"to": "a", "to": "b", "type": "SignIn", "payload": {}}')
    inbox.verify()
    assert ([finding.level for finding in mail.findings], mail.violations) == (["SHOULD"], ())


def test_a_lenient_inbox_raises_nothing() -> None:
    inbox = Inbox(lenient=True)
    mail = deliver(inbox, INVALID)
    inbox.verify()
    assert inbox.wait_for(timeout=0) == mail
    assert [finding.rule for finding in mail.violations] == ["message/guard/code"]
    inbox.lenient = False
    with pytest.raises(ContractViolation):
        inbox.verify()


def test_findings_are_those_of_the_verdict() -> None:
    json_lines = (("Content-Type", "application/json"),)
    for request in (
        Request("PUT", "/mail", (), b"", "a body that broke off"),
        Request("POST", "/mail", json_lines, rb'{"to": "a", "type": "b", "payload": {"\ud800\u001b": 1}}'),
        Request("POST", "/mail", json_lines, b"[]"),
    ):
        verdict, message = judge(request)
        inbox = Inbox(lenient=True)
        inbox.record(request, verdict, message, "400", 0.0)
        assert (inbox[0].findings, inbox[0].violations) == (verdict.findings, verdict.violations)
        assert inbox[0].request == request


def violation() -> ContractViolation:
    inbox = Inbox()
    deliver(inbox, INVALID)
    found = inbox.take_unreported()
    assert found is not None
    return found


def test_a_violation_is_added_to_another_failure_as_a_note() -> None:
    error = ValueError("own")
    report([violation()], error)
    report([], error)
    (note,) = error.__notes__
    assert note.startswith("Beside that, mail_endpoint received what breaks the contract:\n  delivery 1, ")


@pytest.mark.parametrize("skip", [pytest.skip.Exception("no"), unittest.SkipTest("no"), None])
def test_a_violation_is_raised_without_another_failure(skip: BaseException | None) -> None:
    with pytest.raises(ContractViolation) as caught:
        report([violation(), violation()], skip)
    assert caught.value.__notes__[0].startswith("No line of the test raised this")
    assert caught.value.__notes__[1].startswith("mail_endpoint received what breaks the contract:")


# Expected violations.


def test_a_violation_is_accepted_by_its_name() -> None:
    inbox = Inbox()
    with inbox.expect_violation(TYPE_RULE) as deliveries:
        mail = deliver(inbox, UNKNOWN)
        assert deliveries == [mail]
        assert inbox.latest() == mail
    assert deliveries == [mail]
    for call in (inbox.verify, inbox.latest, lambda: inbox.count(to="foo@example.com"), inbox.clear):
        call()
    assert inbox.take_unreported() is None


def test_a_reentered_block_expects_a_violation_again() -> None:
    inbox = Inbox()
    block = inbox.expect_violation(TYPE_RULE)
    with block as deliveries:
        deliver(inbox, UNKNOWN)
    with pytest.raises(MailNotReceived), block:
        pass
    with block as more:
        deliver(inbox, UNKNOWN)
    assert [mail.number for mail in [*deliveries, *more]] == [1, 2]


def test_nested_blocks_each_get_their_violations() -> None:
    inbox = Inbox()
    with inbox.expect_violation(TYPE_RULE) as outer:
        with inbox.expect_violation(TYPE_RULE, CODE_RULE) as inner:
            deliver(inbox, UNKNOWN)
        deliver(inbox, UNKNOWN)
    assert ([mail.number for mail in outer], [mail.number for mail in inner]) == ([1, 2], [1])
    inbox.verify()


def test_a_failed_should_can_be_expected() -> None:
    inbox = Inbox()
    with inbox.expect_violation("sender/body/unique-keys") as deliveries:
        mail = deliver(inbox, b'{"to": "a", "to": "b", "type": "SignIn", "payload": {}}')
    assert deliveries == [mail]


def test_an_accepted_violation_stays_listed() -> None:
    inbox = Inbox()
    with inbox.expect_violation(TYPE_RULE) as deliveries:
        deliver(inbox, UNKNOWN)
    assert list(inbox) == deliveries
    assert [finding.rule for finding in inbox[0].violations] == [TYPE_RULE]


def test_a_violation_of_another_rule_still_raises() -> None:
    inbox = Inbox()
    with inbox.expect_violation(TYPE_RULE):
        deliver(inbox, UNKNOWN)
        deliver(inbox, INVALID)
        with pytest.raises(ContractViolation) as caught:
            inbox.latest()
    assert [finding.rule for finding in caught.value.findings] == [CODE_RULE]
    assert "delivery 1" not in str(caught.value)
    both = Inbox()
    with both.expect_violation(TYPE_RULE):
        deliver(both, {**UNKNOWN, **INVALID, "type": "NewTemplate"})
    with pytest.raises(ContractViolation) as caught:
        both.verify()
    assert [finding.rule for finding in caught.value.findings] == [CODE_RULE]


def test_several_rules_are_accepted_at_once() -> None:
    inbox = Inbox()
    with inbox.expect_violation(TYPE_RULE, CODE_RULE) as deliveries:
        deliver(inbox, {**UNKNOWN, **INVALID, "type": "NewTemplate"})
    assert len(deliveries) == 1
    inbox.verify()


def test_only_violations_within_the_block_are_accepted() -> None:
    inbox = Inbox()
    deliver(inbox, UNKNOWN)
    with inbox.expect_violation(TYPE_RULE) as deliveries:
        deliver(inbox, UNKNOWN)
    deliver(inbox, UNKNOWN)
    assert [mail.number for mail in deliveries] == [2]
    with pytest.raises(ContractViolation) as caught:
        inbox.verify()
    assert ["delivery 1" in str(caught.value), "delivery 2" in str(caught.value)] == [True, False]
    assert "delivery 3" in str(caught.value)


def test_a_block_without_the_violation_fails_and_lists_the_deliveries() -> None:
    inbox = Inbox(lenient=True)
    deliver(inbox, UNKNOWN)
    with (
        pytest.raises(
            MailNotReceived, match=r"No delivery broke message/guard/type within the block\.\n2 in"
        ),
        inbox.expect_violation(TYPE_RULE),
    ):
        deliver(inbox, INVALID)


def test_another_failure_in_a_block_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), Inbox().expect_violation(TYPE_RULE):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([], 'needs the id of a rule, for example "message/guard/type"'),
        (["message/guard/tpye"], "no rule 'message/guard/tpye' .* did you mean 'message/guard/type'"),
        ([TYPE_RULE, "sender/request/framming"], "did you mean 'sender/request/framing'"),
        (["receiver/accept/bind-mfa"], "no rule 'receiver/accept/bind-mfa' of a message or sender"),
    ],
)
def test_an_unknown_rule_is_an_error(rules: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Inbox().expect_violation(*rules)


def test_a_lenient_inbox_can_expect_a_violation_too() -> None:
    inbox = Inbox(lenient=True)
    with inbox.expect_violation(TYPE_RULE) as deliveries:
        deliver(inbox, UNKNOWN)
    assert len(deliveries) == 1
    assert inbox.take_unreported() is None


# The limit.


def test_the_oldest_are_dropped_and_counted() -> None:
    inbox = Inbox(limit=3)
    for _ in range(5):
        deliver(inbox)
    assert ([mail.number for mail in inbox], inbox.dropped) == ([3, 4, 5], 2)
    with pytest.raises(MailNotReceived, match="2 older deliveries were dropped: the inbox keeps 3,"):
        inbox.latest(to="bar@example.com")
    assert MAX_DELIVERIES == 10_000


def test_a_dropped_violation_is_still_reported() -> None:
    inbox = Inbox(limit=2)
    deliver(inbox, INVALID)
    for _ in range(4):
        deliver(inbox)
    with pytest.raises(ContractViolation, match="delivery 1"):
        inbox.verify()


def test_violations_are_limited_too() -> None:
    inbox = Inbox(limit=2)
    for _ in range(5):
        deliver(inbox, INVALID)
    assert str(inbox.take_unreported()).count("\n  delivery ") == 2


def test_a_wanted_payload_is_compared_and_shown_to_its_depth() -> None:
    inbox = Inbox()
    deliver(inbox, message(a=[1, {"b": 2}], user={"name": "Foo"}))
    assert inbox.count(payload={"a": [1, {"b": 2}]}) == 1
    assert inbox.count(payload={"a": [True, {"b": 2}]}) == 0
    assert inbox.count(payload={"a": [1]}) == 0
    with pytest.raises(MailNotReceived) as caught:
        inbox.latest(payload={"user": {"name": "Bar"}, "a": [3]})
    assert 'payload user {"name": "Bar"}' in str(caught.value)
    assert "payload a [3]" in str(caught.value)
