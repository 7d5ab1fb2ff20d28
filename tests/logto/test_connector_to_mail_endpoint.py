"""The real connector posts to this project's fake mail endpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.logto import recorded
from tests.logto.node import NodeWorker, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logto_mail_contract.endpoint.endpoint import MailEndpoint

MESSAGE = '{"to":"foo@example.com","type":"SignIn","payload":{"code":"031415"}}'
OK = {"ok": True}


def send(connector: NodeWorker, endpoint: MailEndpoint, message: str = MESSAGE, **settings: Any) -> Any:
    """Send one message, given as JSON text, and return the connector's result."""
    return connector.ask({"endpoint": endpoint.url, "json": message, **settings})


@pytest.mark.parametrize("body", recorded.bodies(), ids=recorded.type_of)
def test_a_recorded_message_is_delivered_unchanged(
    body: str, connector: NodeWorker, mail_endpoint: MailEndpoint
) -> None:
    """A message that a real Logto posted arrives unchanged, keys in order, and is valid."""
    message = json.loads(body)
    assert send(connector, mail_endpoint, body) == OK
    delivery = mail_endpoint.inbox.latest(to=message["to"], type=message["type"], payload=message["payload"])
    assert delivery.json == message
    assert list(delivery.json) == [key for key in ("to", "type", "payload", "ip") if key in message]
    assert delivery.body == body.encode()
    assert (delivery.status, delivery.findings) == (200, ())
    assert len(mail_endpoint.inbox) == 1


@pytest.mark.mail_contract(layer="emitted")
@pytest.mark.parametrize("body", recorded.bodies(), ids=recorded.type_of)
def test_a_recorded_message_is_valid_in_the_emitted_layer(
    body: str, connector: NodeWorker, mail_endpoint: MailEndpoint
) -> None:
    """The message is valid in the narrower layer as well."""
    assert send(connector, mail_endpoint, body) == OK
    assert [delivery.findings for delivery in mail_endpoint.inbox] == [()]


@pytest.mark.parametrize("authorization", [None, "Bearer s3cret"])
def test_a_request_is_recorded_as_received(
    authorization: str | None, connector: NodeWorker, mail_endpoint: MailEndpoint
) -> None:
    """The inbox shows method, target and header lines as received, in order and case."""
    mail_endpoint.authorization = authorization
    settings = {} if authorization is None else {"authorization": authorization}
    assert connector.ask({"endpoint": f"{mail_endpoint.url}?a=ü#b", "json": MESSAGE, **settings}) == OK
    (delivery,) = mail_endpoint.inbox
    url = urlsplit(mail_endpoint.url)
    assert (delivery.request.method, delivery.request.target) == ("POST", f"{url.path}?a=%C3%BC")
    headers = [
        ("user-agent", "got (https://github.com/sindresorhus/got)"),
        *settings.items(),
        ("content-type", "application/json"),
        ("content-length", str(len(MESSAGE))),
        ("accept-encoding", dict(delivery.headers)["accept-encoding"]),
        ("Host", url.netloc),
        ("Connection", "keep-alive"),
    ]
    assert list(delivery.headers) == headers


@pytest.mark.parametrize("ip", ['""', "null", None])
def test_an_empty_ip_is_absent(ip: str | None, connector: NodeWorker, mail_endpoint: MailEndpoint) -> None:
    """An empty ``ip`` does not arrive at all."""
    assert send(connector, mail_endpoint, "{" + (f'"ip":{ip},' if ip else "") + MESSAGE[1:]) == OK
    assert mail_endpoint.inbox.latest().body.decode() == MESSAGE


def test_odd_text_is_delivered_unchanged(connector: NodeWorker, mail_endpoint: MailEndpoint) -> None:
    """Text that is hard to carry arrives whole."""
    payload = r'{"code":"\ud800","link":"ü\u2028\u0000😀","x":{"__proto__":1,"":[null]}}'
    message = f'{{"to":"foo@example.com","type":"Generic","payload":{payload}}}'
    assert send(connector, mail_endpoint, message) == OK
    assert mail_endpoint.inbox.latest().json == json.loads(message)


@pytest.mark.parametrize("sent", [{}, {"authorization": ""}, {"authorization": "Bearer wrong"}])
def test_a_missing_or_wrong_authorization_is_refused(
    sent: dict[str, str], connector: NodeWorker, mail_endpoint: MailEndpoint
) -> None:
    """A missing or wrong authorization is refused, recorded, and reported to the sender."""
    mail_endpoint.authorization = "Bearer s3cret"
    with mail_endpoint.expect_violation("sender/request/authorization") as deliveries:
        result = send(connector, mail_endpoint, **sent)
    assert (result["ok"], result["code"]) == (False, "general")
    assert "uthorization" in result["error"]
    assert [delivery.status for delivery in mail_endpoint.inbox] == [401]
    assert list(mail_endpoint.inbox) == deliveries


def test_an_invalid_message_is_refused(connector: NodeWorker, mail_endpoint: MailEndpoint) -> None:
    """A message that the guard rejects is refused, recorded, and the reason reaches the sender."""
    with mail_endpoint.expect_violation("message/guard/code") as deliveries:
        result = send(connector, mail_endpoint, MESSAGE.replace('"031415"', "31415"))
    assert (result["ok"], result["code"]) == (False, "general")
    assert "/payload/code" in result["error"]
    ((finding,),) = [delivery.violations for delivery in deliveries]
    assert finding.pointer == "/payload/code"
    assert [delivery.status for delivery in mail_endpoint.inbox] == [400]


def test_all_simultaneous_messages_are_recorded(connector: NodeWorker, mail_endpoint: MailEndpoint) -> None:
    """None of many simultaneous messages is lost."""
    recipients = {f"foo+{number}@example.com" for number in range(64)}
    for to in recipients:
        connector.send(
            {"id": to, "endpoint": mail_endpoint.url, "json": MESSAGE.replace("foo@example.com", to)}
        )
    results = [connector.receive() for _ in recipients]
    assert [result["ok"] for result in results] == [True] * 64
    assert {delivery.message.to for delivery in mail_endpoint.inbox} == recipients
    assert len(mail_endpoint.inbox) == 64


@pytest.mark.parametrize(
    ("script", "ok", "error"),
    [
        pytest.param(lambda endpoint: endpoint.reply(204), True, None, id="204"),
        pytest.param(lambda endpoint: endpoint.reply(200, "late", delay=0.1), True, None, id="late"),
        pytest.param(lambda endpoint: endpoint.reply_drip(200, "ok", interval=0.001), True, None, id="drip"),
        pytest.param(lambda endpoint: endpoint.reply(503, "no mail today"), False, "no mail today", id="503"),
        pytest.param(
            lambda endpoint: endpoint.reply(429, "", headers={"Retry-After": "0"}), False, "", id="429"
        ),
        pytest.param(lambda endpoint: endpoint.reply_reset(), False, None, id="reset"),
        pytest.param(lambda endpoint: endpoint.reply_garbage(), False, None, id="garbage"),
    ],
)
def test_a_scripted_reply_reaches_the_connector(
    script: Callable[[MailEndpoint], None],
    ok: bool,
    error: str | None,
    connector: NodeWorker,
    mail_endpoint: MailEndpoint,
) -> None:
    """The connector handles a scripted reply like that of any server."""
    script(mail_endpoint)
    result = send(connector, mail_endpoint)
    assert result["ok"] is ok
    if error is not None:
        assert result["error"] == error
    assert mail_endpoint.inbox.code == "031415"
    assert len(mail_endpoint.inbox) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_scripted_redirect_delivers_to_both_endpoints(
    status: int,
    connector: NodeWorker,
    mail_endpoint: MailEndpoint,
    make_mail_endpoint: Callable[..., MailEndpoint],
) -> None:
    """A redirect brings the message to another endpoint, and to both it is a delivery."""
    elsewhere = make_mail_endpoint()
    mail_endpoint.reply_redirect(elsewhere.url, status)
    assert send(connector, mail_endpoint) == OK
    assert mail_endpoint.inbox.code == elsewhere.inbox.code == "031415"


def test_an_endless_reply_ends_when_the_endpoint_closes(
    connector: NodeWorker, make_mail_endpoint: Callable[..., MailEndpoint]
) -> None:
    """The connector waits for the end of an endless body until the endpoint closes."""
    endpoint = make_mail_endpoint()
    endpoint.reply_endless()
    connector.send({"endpoint": endpoint.url, "json": MESSAGE})
    assert endpoint.inbox.wait_for().code == "031415"
    with pytest.raises(WorkerError, match="no answer within"):
        connector.receive(timeout=0.2)
    endpoint.close()
    connector.receive()


def test_a_connection_survives_a_dripping_reply(
    connector: NodeWorker, mail_endpoint: MailEndpoint, make_mail_endpoint: Callable[..., MailEndpoint]
) -> None:
    """An endpoint that closes once its reply is through does not cut the connection of the next message."""
    first = make_mail_endpoint()
    first.reply_drip(200, interval=0.005)
    assert send(connector, first) == OK
    first.close()
    assert send(connector, mail_endpoint) == OK


def test_https_is_accepted_with_a_trusted_authority(
    tmp_path: Path, make_mail_endpoint: Callable[..., MailEndpoint], connector: NodeWorker
) -> None:
    """Over https the message arrives only where the endpoint's authority is trusted."""
    endpoint = make_mail_endpoint(https=True)
    assert endpoint.ca_pem is not None
    authority = tmp_path / "authority.pem"
    authority.write_bytes(endpoint.ca_pem)
    result = send(connector, endpoint)
    assert (result["ok"], result["code"]) == (False, "general")
    assert len(endpoint.inbox) == 0
    with NodeWorker("connector.mjs", environment={"NODE_EXTRA_CA_CERTS": str(authority)}) as trusting:
        assert send(trusting, endpoint) == OK
    assert endpoint.inbox.code == "031415"
