"""The inbox, told without a server."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from logto_mail_contract import ContractViolation, Delivery, Inbox, MailNotReceived, TemplateType
from logto_mail_contract.inbox.inbox import MAX_DELIVERIES
from logto_mail_contract.judging.requests import judge_request
from logto_mail_contract.wire.requests import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON = 10.0
"""Longer than any test here takes: a wait that ends by its time-out fails."""

CODE = {"code": "042137"}


def message(to: str = "foo@example.com", type: str = "SignIn", **payload: Any) -> dict[str, Any]:
    return {"to": to, "type": type, "payload": payload or CODE}


def deliver(inbox: Inbox, document: Any = None, **changes: Any) -> Delivery:
    """Record a message; bytes are a body as it is."""
    document = message(**changes) if document is None else document
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    request = Request("POST", "/mail", (("Content-Type", "application/json"),), body)
    return inbox.record(request, judge_request(request), "200", 1_700_000_000.25)


@contextmanager
def arriving(inbox: Inbox, *documents: Any) -> Iterator[None]:
    """Deliver from another thread as soon as somebody waits."""

    def run() -> None:
        deadline = time.monotonic() + SOON
        while not waiting(inbox) and time.monotonic() < deadline:
            time.sleep(0)
        for document in documents:
            deliver(inbox, document)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def waiting(inbox: Inbox) -> bool:
    return bool(inbox._arrival._waiters or inbox._wakers)  # type: ignore[attr-defined]


# What a delivery tells.


def test_a_delivery_tells_what_came() -> None:
    mail = deliver(Inbox(), message(code="042137", link="https://a.test"))
    assert (mail.number, mail.status, mail.answered) == (1, 200, "200")
    assert (mail.message.to, mail.message.type) == ("foo@example.com", TemplateType.SIGN_IN)
    assert (mail.code, mail.link) == ("042137", "https://a.test")
    assert json.loads(mail.body) == mail.json
    assert mail.headers == (("Content-Type", "application/json"),)
    assert mail.time == datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=UTC)
    assert (mail.findings, mail.violations) == ((), ())
    assert str(mail) == '1, 22:13:20.250000 UTC: "SignIn" to "foo@example.com", answered 200'
    assert "042137" not in repr(mail)


def test_a_delivery_without_code_or_link_says_what_there_is() -> None:
    mail = deliver(Inbox(), message(locale="en"))
    with pytest.raises(MailNotReceived, match=r'has no code; its payload is an object .* "locale"\.\n  1, '):
        _ = mail.code
    with pytest.raises(MailNotReceived, match="has no link"):
        _ = mail.link
    with pytest.raises(MailNotReceived, match="has no code; its payload is null"):
        _ = deliver(Inbox(lenient=True), {"to": ""}).code


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"a":', b"\xff", b"[" * 600])
def test_a_delivery_that_is_no_message_says_so(body: bytes) -> None:
    mail = deliver(Inbox(lenient=True), body)
    assert f"POST with {len(body)} bytes that are no message" in str(mail)
    with pytest.raises(ContractViolation, match="Delivery 1 has no message\nmessage/"):
        _ = mail.message


# What matches.


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"to": "foo@example.com"}, True),
        ({"to": "FOO@example.com"}, False),
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


def test_what_is_no_message_matches_only_what_asks_for_nothing() -> None:
    inbox = Inbox(lenient=True)
    deliver(inbox, b"no json")
    assert inbox.count() == 1
    assert inbox.count(payload={}) == 0


# Looking.


def test_looking_at_what_is_there() -> None:
    inbox = Inbox()
    assert len(inbox) == 0
    assert not inbox
    first = deliver(inbox, message(code="1"))
    second = deliver(inbox, message(to="bar@example.com", code="2", link="https://b.test"))
    third = deliver(inbox, message(code="3", link="https://a.test"))
    assert [mail.number for mail in inbox] == [1, 2, 3]
    assert (inbox[0], inbox[-1], len(inbox), bool(inbox)) == (first, third, 3, True)
    assert inbox.latest() is third
    assert inbox.latest(to="bar@example.com") is second
    assert (inbox.code, inbox.link) == ("3", "https://a.test")
    assert inbox.count(to="foo@example.com") == 2
    inbox.clear()
    assert list(inbox) == []
    assert deliver(inbox).number == 4


def test_what_is_not_there_is_told_with_what_is() -> None:
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
        'No message with type "Register", payload code "######" (masked) has arrived.\n'
        "1 in the inbox of the mail:\n"
        '  1, 22:13:20.250000 UTC: "SignIn" to "foo@example.com", answered 200 (its type is "SignIn")\n'
        "it listens"
    )
    with pytest.raises(IndexError, match=r"There is no delivery 1\.\n1 in the inbox"):
        inbox[1]
    with pytest.raises(MailNotReceived, match="No message has arrived"):
        _ = Inbox().code


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"code": "990000"}, '(its payload.code is "######" (masked))'),
        ({"user": {"name": "B"}}, '(its payload.user.name is "A")'),
        ({"user": {"id": "B"}}, "(its payload.user has no id)"),
        ({"link": "https://other.test"}, '(its payload.link is "xxxxx://xxxxxx.xxxx" (masked))'),
    ],
)
def test_why_a_payload_does_not_match(payload: dict[str, Any], told: str) -> None:
    inbox = Inbox()
    deliver(inbox, message(code="042137", link="https://secret.test", user={"name": "A"}))
    with pytest.raises(MailNotReceived) as caught:
        inbox.wait_for(payload=payload, timeout=0)
    assert told in str(caught.value)
    for secret in ("042137", "990000", "secret", "other"):
        assert secret not in str(caught.value)


def test_only_the_last_ten_are_told() -> None:
    inbox = Inbox()
    for _ in range(13):
        deliver(inbox)
    with pytest.raises(MailNotReceived) as caught:
        inbox.latest(to="bar@example.com")
    lines = str(caught.value).splitlines()
    assert lines[1:3] == ["13 in the inbox of mail_endpoint:", "  … 3 earlier"]
    assert [line.split(",")[0].strip() for line in lines[3:]] == [str(number) for number in range(4, 14)]


# Waiting.


def test_waiting_returns_what_is_there_already() -> None:
    inbox = Inbox()
    first = deliver(inbox)
    second = deliver(inbox)
    assert inbox.wait_for(timeout=0) is first
    assert inbox.wait_for(after=first, timeout=0) is second
    with pytest.raises(MailNotReceived, match=r"No message arrived within 0 s\."):
        inbox.wait_for(after=second, timeout=0)


def test_after_looks_behind_what_was_cleared_or_dropped() -> None:
    inbox = Inbox(limit=2)
    first = deliver(inbox)
    inbox.clear()
    second = deliver(inbox)
    assert inbox.wait_for(after=first, timeout=0) is second
    for _ in range(3):
        deliver(inbox)
    assert inbox.wait_for(after=second, timeout=0).number == 4


def test_waiting_ends_on_arrival() -> None:
    inbox = Inbox()
    with arriving(inbox, message(to="bar@example.com"), message()):
        assert inbox.wait_for(to="foo@example.com", timeout=SOON).number == 2


def test_waiting_does_not_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Inbox()
    looks: list[int] = []
    original = Inbox._first

    def counting(self: Inbox, *args: Any) -> Any:
        looks.append(1)
        return original(self, *args)

    monkeypatch.setattr(Inbox, "_first", counting)
    with pytest.raises(MailNotReceived):
        inbox.wait_for(timeout=0.15)
    assert len(looks) == 2
    with arriving(inbox, message(to="bar@example.com"), message()):
        inbox.wait_for(to="foo@example.com", timeout=SOON)
    assert len(looks) <= 2 + 3
    looks.clear()
    with pytest.raises(MailNotReceived):
        asyncio.run(inbox.wait_for_async(to="nobody@example.com", timeout=0.15))
    assert len(looks) == 2


def test_waiting_for_ever_is_possible() -> None:
    inbox = Inbox()
    with arriving(inbox, message()):
        assert inbox.wait_for(timeout=math.inf).number == 1
    inbox.clear()

    async def wait() -> Delivery:
        return await inbox.wait_for_async(timeout=math.inf)

    with arriving(inbox, message()):
        assert asyncio.run(wait()).number == 2


def test_one_who_waits_looks_at_a_message_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Inbox()
    for _ in range(50):
        deliver(inbox)
    looked: list[int] = []

    def parsed(mail: Delivery) -> Any:
        looked.append(mail.number)
        return json.loads(mail.body)

    monkeypatch.setattr(Delivery, "json", property(parsed))
    with arriving(inbox, message(to="bar@example.com")):
        inbox.wait_for(to="bar@example.com", timeout=SOON)
    assert looked == sorted(looked)
    assert set(looked) == set(range(1, 52))


def test_async_waiting_lets_the_loop_run() -> None:
    inbox = Inbox()

    async def app() -> None:
        await asyncio.sleep(0)
        deliver(inbox)

    async def both() -> Delivery:
        mail, _ = await asyncio.gather(inbox.wait_for_async(to="foo@example.com", timeout=SOON), app())
        return mail

    assert asyncio.run(both()).number == 1
    assert not waiting(inbox)


def test_async_waiting_ends_on_arrival_from_another_thread() -> None:
    inbox = Inbox()
    with arriving(inbox, message(to="bar@example.com"), message()):
        assert asyncio.run(inbox.wait_for_async(to="foo@example.com", timeout=SOON)).number == 2


def test_async_waiting_can_be_cancelled() -> None:
    inbox = Inbox()

    async def cancelled() -> None:
        waiter = asyncio.create_task(inbox.wait_for_async(timeout=SOON))
        await asyncio.sleep(0)
        assert waiting(inbox)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

    asyncio.run(cancelled())
    assert not waiting(inbox)
    deliver(inbox)


def test_async_waiting_tells_what_arrived() -> None:
    inbox = Inbox()
    deliver(inbox)
    with pytest.raises(MailNotReceived, match=r"arrived within 0\.01 s\.\n1 in the inbox"):
        asyncio.run(inbox.wait_for_async(to="bar@example.com", timeout=0.01))
    assert not waiting(inbox)


def test_many_wait_at_once() -> None:
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


def test_an_empty_inbox_is_empty() -> None:
    inbox = Inbox()
    inbox.assert_empty()
    inbox.assert_empty(within=0.01)
    asyncio.run(inbox.assert_empty_async(within=0.01))


def test_what_should_not_be_there_is_told() -> None:
    inbox = Inbox()
    deliver(inbox)
    told = r'should be empty\.\n1 in the inbox of mail_endpoint:\n  1, .* to "foo@example.com", answered 200$'
    with pytest.raises(MailNotReceived, match=told):
        inbox.assert_empty()
    with pytest.raises(MailNotReceived, match=told):
        asyncio.run(inbox.assert_empty_async())


def test_what_arrives_while_nothing_should_ends_the_watch() -> None:
    inbox = Inbox()
    with arriving(inbox, message()), pytest.raises(MailNotReceived):
        inbox.assert_empty(within=SOON)
    inbox.clear()
    with arriving(inbox, message()), pytest.raises(MailNotReceived):
        asyncio.run(inbox.assert_empty_async(within=SOON))


# Violations.

BROKEN = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": 42137}}
CALLS: dict[str, Any] = {
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
    "tell": lambda inbox: inbox.tell(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_tells_a_violation_first(call: Any) -> None:
    inbox = Inbox("the mail")
    deliver(inbox, BROKEN)
    with pytest.raises(ContractViolation) as caught:
        call(inbox)
    assert [finding.rule for finding in caught.value.findings] == ["message/guard/code"]
    text = str(caught.value)
    assert text.startswith(
        "the mail received what breaks the contract:\n"
        '  delivery 1, 22:13:20.250000 UTC: "SignIn" to "foo@example.com", answered 200; '
        "breaks message/guard/code\nmessage/guard/code  MUST\n"
    )
    assert text.endswith(
        "\nto silence: @pytest.mark.mail_contract(lenient=True), or lenient=True for this endpoint"
    )
    assert "42137" not in text


def test_a_violation_is_told_once() -> None:
    inbox = Inbox()
    deliver(inbox, BROKEN)
    with pytest.raises(ContractViolation):
        inbox.tell()
    inbox.tell()
    assert len(inbox) == 1
    deliver(inbox, BROKEN)
    with pytest.raises(ContractViolation, match="delivery 2"):
        inbox.tell()


def test_a_violation_ends_a_wait() -> None:
    inbox = Inbox()
    with arriving(inbox, BROKEN), pytest.raises(ContractViolation):
        inbox.wait_for(to="bar@example.com", timeout=SOON)
    with arriving(inbox, BROKEN), pytest.raises(ContractViolation):
        asyncio.run(inbox.wait_for_async(to="bar@example.com", timeout=SOON))


def test_many_violations_are_told_in_a_text_that_can_be_read() -> None:
    inbox = Inbox()
    for _ in range(13):
        deliver(inbox, BROKEN)
    deliver(inbox, b"{}")
    violation = inbox.violation()
    assert violation is not None
    text = str(violation)
    assert text.count("  delivery ") == 10
    assert "  … and 4 more\n" in text
    assert text.count("\nmessage/guard/code  MUST") == 1
    assert {finding.rule for finding in violation.findings} >= {"message/guard/code", "message/guard/to"}
    assert inbox.violation() is None


def test_what_should_not_but_may_be_is_no_violation() -> None:
    inbox = Inbox()
    mail = deliver(inbox, b'{"to": "a", "to": "b", "type": "SignIn", "payload": {}}')
    inbox.tell()
    assert ([finding.level for finding in mail.findings], mail.violations) == (["SHOULD"], ())


def test_a_lenient_inbox_raises_nothing() -> None:
    inbox = Inbox(lenient=True)
    mail = deliver(inbox, BROKEN)
    inbox.tell()
    inbox.tell(ValueError("own"))
    assert inbox.wait_for(timeout=0) is mail
    assert [finding.rule for finding in mail.violations] == ["message/guard/code"]
    inbox.lenient = False
    with pytest.raises(ContractViolation):
        inbox.tell()


def test_a_violation_is_a_note_of_what_failed_by_itself() -> None:
    inbox = Inbox()
    deliver(inbox, BROKEN)
    error = ValueError("own")
    inbox.tell(error)
    inbox.tell(error)
    (note,) = error.__notes__
    assert note.startswith("Beside that, mail_endpoint received what breaks the contract:\n  delivery 1, ")


# The limit.


def test_the_oldest_are_dropped_and_counted() -> None:
    inbox = Inbox(limit=3)
    for _ in range(5):
        deliver(inbox)
    assert ([mail.number for mail in inbox], inbox.dropped) == ([3, 4, 5], 2)
    with pytest.raises(MailNotReceived, match="2 older deliveries were dropped: the inbox keeps 3"):
        inbox.latest(to="bar@example.com")
    assert MAX_DELIVERIES == 10_000


def test_what_was_dropped_is_told_if_it_broke_the_contract() -> None:
    inbox = Inbox(limit=2)
    deliver(inbox, BROKEN)
    for _ in range(4):
        deliver(inbox)
    with pytest.raises(ContractViolation, match="delivery 1"):
        inbox.tell()


def test_violations_are_kept_within_the_limit_too() -> None:
    inbox = Inbox(limit=2)
    for _ in range(5):
        deliver(inbox, BROKEN)
    assert len(inbox._violating) == 2


def test_a_wanted_payload_is_compared_and_told_to_its_depth() -> None:
    inbox = Inbox()
    deliver(inbox, message(a=[1, {"b": 2}], user={"name": "Foo"}))
    assert inbox.count(payload={"a": [1, {"b": 2}]}) == 1
    assert inbox.count(payload={"a": [True, {"b": 2}]}) == 0
    assert inbox.count(payload={"a": [1]}) == 0
    with pytest.raises(MailNotReceived) as caught:
        inbox.latest(payload={"user": {"name": "Bar"}, "a": [3]})
    assert 'payload user {"name": "Bar"}' in str(caught.value)
    assert "payload a [3]" in str(caught.value)
