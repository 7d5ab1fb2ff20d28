"""The inbox API over sockets; ``tests.support.serving`` checks each response against the OpenAPI document."""

from __future__ import annotations

import base64
import copy
import json
import math
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.http_client import INVALID, MESSAGE, TIMEOUT, Client, exchange
from tests.support.serving import Event, Serving, Stream, check, document, serving, validator

from logto_mail_contract import __version__, catalogue
from logto_mail_contract.inbox.matching import Query
from logto_mail_contract.inbox.store import MemoryStore, StoreProblem
from logto_mail_contract.serve.event_stream import ApiLimits
from logto_mail_contract.serve.inbox_api import InboxApi
from logto_mail_contract.serve.limits import Limits
from logto_mail_contract.serve.reply_wire import StandingWire
from logto_mail_contract.wire.replies import Reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from logto_mail_contract.inbox.recorded import Recorded
    from logto_mail_contract.inbox.store import OnStored

STORES = ["memory", "sqlite"]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def where(store: str, folder: Path) -> str:
    return store if store == "memory" else str(folder / "inbox.sqlite")


# The server notices a closed client quickly: many of these tests wait for that.
SOON_GONE = Limits(half_closed_seconds=0.1)


@pytest.fixture(scope="module", params=STORES)
def shared_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    with serving(where(request.param, tmp_path_factory.mktemp("store")), limits=SOON_GONE) as running:
        yield running


@pytest.fixture(scope="module")
def running() -> Iterator[Serving]:
    with serving(limits=SOON_GONE) as server:
        yield server


def emptied(server: Serving) -> Serving:
    server.api.request("DELETE", "/api/messages")
    server.api.request("DELETE", "/api/replies")
    wait_until(lambda: server.listeners() == 0)
    return server


@pytest.fixture
def both(shared_server: Serving) -> Serving:
    """A server with an empty inbox, once with each store."""
    return emptied(shared_server)


@pytest.fixture
def served(running: Serving) -> Serving:
    """A server with an empty inbox."""
    return emptied(running)


def message(to: str = "foo@example.com", code: str = "042137", type: str = "SignIn") -> dict[str, Any]:
    return {"to": to, "type": type, "payload": {"code": code, "locale": "en"}}


def codes(listing: Any) -> list[str]:
    return [entry["code"] for entry in listing["messages"]]


def last(server: Serving) -> int:
    number: int = server.api.get("/api/messages?limit=1")["last"]
    return number


# The document.


def test_the_server_serves_its_openapi_document(served: Serving) -> None:
    wanted = copy.deepcopy(document())
    parameters = wanted["components"]["parameters"]
    parameters["type"]["schema"]["enum"] = catalogue.schema("1.35", "guard")["properties"]["type"]["enum"]
    for name in ("after", "cursor"):
        parameters[name]["schema"]["maximum"] = last(served)
    assert served.api.get("/api/openapi.json") == wanted
    assert document()["info"]["version"] == __version__


def test_the_client_detects_drift_from_the_document(served: Serving) -> None:
    """Negative control: a response that the document does not declare fails."""
    served.deliver()
    with served.api.send("GET", "/api/messages") as client:
        response = client.read_response()
    check("GET", "/api/messages", response)
    listing = response.json
    for changed in (
        {**listing, "surplus": 1},
        {name: value for name, value in listing.items() if name != "last"},
        {**listing, "messages": [{**listing["messages"][0], "surplus": 1}]},
        {**listing, "messages": [{**listing["messages"][0], "status": 204}]},
    ):
        with pytest.raises(AssertionError):
            check("GET", "/api/messages", response._replace(body=json.dumps(changed).encode()))
    for wrong in (
        response._replace(status=202),
        response._replace(headers={**response.headers, "content-type": "text/html"}),
        response._replace(headers={**response.headers, "access-control-allow-origin": "*"}),
    ):
        with pytest.raises(AssertionError):
            check("GET", "/api/messages", wrong)


def test_the_document_has_the_paths_methods_and_parameters_of_the_server(served: Serving) -> None:
    routes = InboxApi(served.endpoint).routes
    described = set()
    for path, item in document()["paths"].items():
        target = path.replace("{id}", "1")
        ((pattern, methods),) = [route for route in routes if route[0].fullmatch(target)]
        described.add(pattern)
        assert {method.upper() for method in item if method != "parameters"} == set(methods)
        for method in methods:
            references = item[method.lower()].get("parameters", [])
            parameters = [
                document()["components"]["parameters"][one["$ref"].split("/")[-1]] for one in references
            ]
            names = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
            error = served.api.read_refusal(f"{target}?nonsense=1", method=method)
            assert error.endswith(f"there is: {', '.join(names) or 'none'}.")
    assert described == {pattern for pattern, _ in routes}


def test_the_replies_of_the_document_can_be_scripted(served: Serving) -> None:
    body = document()["paths"]["/api/replies"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        assert validator("components", "schemas", "PostedReply").is_valid(example["value"])
        assert served.api.script(example["value"])
        served.api.request("DELETE", "/api/replies")


def test_examples_are_valid_against_their_schemas() -> None:
    checked = 0
    for path, item in document()["paths"].items():
        for method in item.keys() & {"get", "post", "delete"}:
            for status, response in item[method]["responses"].items():
                for media, content in response.get("content", {}).items():
                    if "example" in content and media == "application/json":
                        place = (path, method, "responses", status, "content", media, "schema")
                        assert not list(validator("paths", *place).iter_errors(content["example"])), place
                        checked += 1
    for name, response in document()["components"]["responses"].items():
        content = response["content"]["application/json"]
        here = ("components", "responses", name, "content", "application/json", "schema")
        assert validator(*here).is_valid(content["example"]), name
    for name, schema in document()["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert validator("components", "schemas", name).is_valid(example), name
            checked += 1
    assert checked > 15


# A list of deliveries.


def test_a_summary_describes_the_delivery(both: Serving) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    both.deliver({**MESSAGE, "payload": {"code": "042137", "link": "https://a.test/", "locale": "pt-BR"}})
    (summary,) = both.api.get("/api/messages")["messages"]
    arrived = summary.pop("time")
    assert arrived.endswith("Z")
    assert before <= datetime.fromisoformat(arrived) <= datetime.now(UTC)
    assert summary == {
        "id": last(both),
        "to": "foo@example.com",
        "type": "SignIn",
        "code": "042137",
        "link": "https://a.test/",
        "locale": "pt-BR",
        "status": 200,
        "response": "200",
        "valid": True,
        "findings": [],
    }


def test_members_that_a_message_lacks_are_null(both: Serving) -> None:
    for body in (b"{}", b"[]", b"nonsense", b'{"to": 1, "type": [], "payload": "x"}'):
        both.deliver(body)
    for summary in both.api.get("/api/messages")["messages"]:
        assert [summary[name] for name in ("to", "type", "code", "link", "locale")] == [None] * 5
        assert (summary["status"], summary["response"], summary["valid"]) == (400, "400", False)


def test_messages_are_listed_oldest_first_and_limit_selects_the_newest(both: Serving) -> None:
    cursor = last(both)
    for number in range(5):
        both.deliver(message(code=str(number)))
    listing = both.api.get("/api/messages")
    assert codes(listing) == list("01234")
    ids = [entry["id"] for entry in listing["messages"]]
    assert ids == sorted(ids) == list(range(cursor + 1, cursor + 6))
    assert (listing["total"], listing["last"]) == (5, ids[-1])
    assert codes(both.api.get("/api/messages?limit=2")) == list("34")


def test_after_and_since_select_the_first_matches(both: Serving) -> None:
    for number in range(5):
        both.deliver(message(code=str(number)))
    first = both.api.get("/api/messages")["messages"][0]
    assert codes(both.api.get(f"/api/messages?after={first['id']}&limit=2")) == list("12")
    assert codes(both.api.get(f"/api/messages?since={first['time']}&limit=2")) == list("01")
    assert codes(both.api.get(f"/api/messages?after={first['id'] + 4}")) == []
    assert codes(both.api.get("/api/messages?after=0")) == list("01234")


def test_a_list_has_a_hundred_messages_by_default(served: Serving) -> None:
    with Client(served.url) as client:
        for number in range(103):
            client.post(message(code=str(number)), target="/")
    assert codes(served.api.get("/api/messages")) == [str(number) for number in range(3, 103)]
    assert len(codes(served.api.get("/api/messages?limit=1000"))) == 103


def test_filters_compare_exactly(both: Serving) -> None:
    for to, type in (
        ("a@example.com", "SignIn"),
        ("A@example.com", "SignIn"),
        ("a@example.com", "Register"),
        ("a+b@example.com", "SignIn"),
        ("ü '\"%_@example.com", "SignIn"),
    ):
        both.deliver(message(to, code=f"{to} {type}", type=type))

    def found(**parameters: str) -> list[str]:
        return codes(both.api.get(f"/api/messages?{urlencode(parameters)}"))

    assert found(to="a@example.com") == ["a@example.com SignIn", "a@example.com Register"]
    assert found(to="A@example.com") == ["A@example.com SignIn"]
    assert found(to="a@example.com", type="Register") == ["a@example.com Register"]
    assert found(type="Register") == ["a@example.com Register"]
    assert found(to="a+b@example.com") == ["a+b@example.com SignIn"]
    assert found(to="ü '\"%_@example.com") == ["ü '\"%_@example.com SignIn"]
    assert found(to="%@example.com") == found(to="") == []


# An empty answer means that no mail was sent.

WAYS = [
    ("ann@example.com", "Ann@example.com"),
    ("ANN@EXAMPLE.COM", "ann@example.com"),
    ("ann@example.com", " ann@example.com"),
    ("ann@example.com", "Ann Lee <ann@example.com>"),
    ("zoë@example.com", "zoe\u0308@example.com"),
    ("straße@example.com", "STRASSE@example.com"),
    ("ann+1@example.com", "ann 1@example.com"),
    ("ann+1@example.com", "ann%2B1@example.com"),
]
"""A recipient that is asked for, and another way to write it that arrives."""


def ask(path: str, **parameters: str) -> str:
    return f"{path}?{urlencode(parameters)}"


@pytest.mark.parametrize(("asked", "came"), WAYS)
def test_reads_name_another_way_to_write_the_recipient(both: Serving, asked: str, came: str) -> None:
    cursor = last(both)
    both.deliver(message(came))
    both.deliver({**INVALID, "to": came})
    api = both.api
    for path in ("/api/messages", "/api/violations"):
        listing = api.get(ask(path, to=asked))
        assert (listing["messages"], listing["near"]) == ([], [came])
        assert "near" not in api.get(ask(path, to=came))
        # What else is asked for counts for the near ones too.
        assert "near" not in api.get(ask(path, to=asked, type="Register"))
        assert "near" not in api.get(ask(path, to=asked, after=str(last(both))))
    nothing = api.request("GET", ask("/api/messages/latest", to=asked))
    assert (nothing.status, nothing.json["near"]) == (404, [came])
    assert re.search('but one to ".*" has;', nothing.json["error"])
    with api.events(ask("/api/events", to=asked)) as events:
        assert events.next() == Event("hello", cursor + 2, {"last": cursor + 2, "near": [came]})
        both.deliver(message("bob@example.com"))
        both.deliver(message(came))
        assert events.next() == Event("near", None, {"to": came})
    with api.events(ask("/api/events", to=came)) as events:
        assert events.next() == Event("hello", cursor + 4, {"last": cursor + 4})


@pytest.mark.parametrize(("asked", "came"), WAYS)
def test_deletion_of_another_way_to_write_a_recipient_deletes_nothing(
    both: Serving, asked: str, came: str
) -> None:
    both.deliver(message(came))
    both.api.script({"to": came, "status": 500})
    for path in ("/api/messages", "/api/replies"):
        assert both.api.request("DELETE", ask(path, to=asked)).json == {"deleted": 0, "near": [came]}
        assert both.api.request("DELETE", ask(path, to=came)).json == {"deleted": 1}
        assert both.api.request("DELETE", ask(path, to=asked)).json == {"deleted": 0}


def test_other_recipients_are_not_near(both: Serving) -> None:
    for to in (
        "ann1@example.com",
        "ann2@example.com",
        "bann@example.com",
        "ann@example.org",
        "ann+2@example.com",
    ):
        both.deliver(message(to))
        both.api.script({"to": to})
    both.deliver({"to": None, "type": "SignIn", "payload": {}})
    for asked in ("ann@example.com", "ann+1@example.com", "", "@", "x" * 1000):
        for path in ("/api/messages", "/api/violations"):
            listing = both.api.get(ask(path, to=asked))
            assert set(listing) == {"messages", "total", "dropped", "last"}
            assert listing["messages"] == []
        for path in ("/api/messages", "/api/replies"):
            assert both.api.request("DELETE", ask(path, to=asked)).json == {"deleted": 0}


def test_a_recipient_that_arrived_hides_near_ones(both: Serving) -> None:
    both.deliver(message("ann@example.com", code="1"))
    both.deliver(message("Ann@example.com", code="2"))
    listing = both.api.get("/api/messages?to=ann@example.com")
    assert (codes(listing), "near" in listing) == (["1"], False)


def test_a_blank_in_a_query_matches_a_plus(both: Serving) -> None:
    to = "ann+1+x@example.com"
    both.deliver(message(to, code="1"))
    # The first plus is not escaped, and comes as a blank.
    for asked in (to, "ann%2B1+x@example.com", "ann%201%20x@example.com"):
        assert codes(both.api.get(f"/api/messages?to={asked}")) == ["1"]
        assert both.api.get(f"/api/messages/latest?to={asked}")["code"] == "1"
        with both.api.events(f"/api/events?to={asked}&after=0") as events:
            assert events.read_event() == ("hello", None)
            assert events.read_event() == ("message", to)
    both.deliver({**INVALID, "to": to})
    assert len(both.api.get(f"/api/violations?to={to}")["messages"]) == 1
    both.api.script({"to": to})
    assert both.api.request("DELETE", f"/api/replies?to={to}").json == {"deleted": 1}
    with both.api.events(f"/api/events?to={to}") as events:
        assert events.read_event() == ("hello", None)
        assert both.api.request("DELETE", f"/api/messages?to={to}").json == {"deleted": 2}
        assert events.read_event() == ("deleted", to)
    both.deliver(message("ann 1@example.com", code="2"))
    assert codes(both.api.get("/api/messages?to=ann+1@example.com")) == ["2"]
    assert codes(both.api.get("/api/messages?to=ann%2B1@example.com")) == []


@pytest.mark.parametrize("flag", ["1", "true"])
def test_letter_case_is_ignored_on_request(both: Serving, flag: str) -> None:
    cursor = last(both)
    for to in ("ann@example.com", "ANN@example.com", "bob@example.com"):
        both.deliver(message(to, code=to))
        both.deliver({**INVALID, "to": to})
    asked = f"to=Ann@Example.com&toCaseInsensitive={flag}"
    listing = both.api.get(f"/api/messages?{asked}&limit=1000")
    assert [entry["to"] for entry in listing["messages"]] == ["ann@example.com"] * 2 + ["ANN@example.com"] * 2
    assert "near" not in listing
    assert len(both.api.get(f"/api/violations?{asked}")["messages"]) == 2
    assert both.api.get(f"/api/messages/latest?{asked}")["code"] == "ANN@example.com"
    with both.api.events(f"/api/events?{asked}&after={cursor}") as events:
        assert events.read_event()[0] == "hello"
        assert [events.read_event()[1] for _ in range(4)] == ["ann@example.com"] * 2 + ["ANN@example.com"] * 2
        assert both.api.request("DELETE", f"/api/messages?{asked}").json == {"deleted": 4}
        deleted = {events.read_event() for _ in range(2)}
        assert deleted == {("deleted", "ann@example.com"), ("deleted", "ANN@example.com")}
    assert both.api.get("/api/messages")["total"] == 2
    for to in ("ann@example.com", "ANN@example.com", "bob@example.com"):
        both.api.script({"to": to})
    assert both.api.request("DELETE", f"/api/replies?{asked}").json == {"deleted": 2}
    assert [reply["to"] for reply in both.api.get("/api/replies")["replies"]] == ["bob@example.com"]


def test_letter_case_counts_by_default(both: Serving) -> None:
    both.deliver(message("Ann@example.com"))
    for flag in ("", "&toCaseInsensitive=0", "&toCaseInsensitive=false"):
        assert both.api.get(f"/api/messages?to=ann@example.com{flag}")["messages"] == []
    error = both.api.read_refusal("/api/messages?toCaseInsensitive=yes")
    assert error == 'toCaseInsensitive is 0 or 1 or false or true; it was "yes".'


def test_a_held_request_returns_for_another_letter_case(served: Serving) -> None:
    target = "/api/messages/latest?to=ANN@example.com&toCaseInsensitive=1&wait=30"
    with served.api.send("GET", target) as client:
        wait_until(lambda: served.listeners() == 1)
        served.deliver(message("ann@example.com", code="1"))
        assert client.read_response().json["code"] == "1"


def test_a_reply_is_used_for_any_letter_case_on_request(both: Serving) -> None:
    (reply,) = both.api.script(
        {"status": 501, "to": "Ann@example.com", "toCaseInsensitive": True, "times": 2}
    )
    assert (reply["to"], reply["toCaseInsensitive"]) == ("Ann@example.com", True)
    both.api.script({"status": 502, "to": "ann@example.com"})
    statuses = [both.deliver(message(f"{name}@example.com")).status for name in ("ann", "ann", "ANN", "ANN")]
    assert statuses == [502, 501, 501, 200]
    error = both.api.read_refusal("/api/replies", 400, "POST", b'{"toCaseInsensitive": 1}')
    assert error == "toCaseInsensitive is true or false; it was 1."


def test_a_reply_for_another_way_to_write_the_recipient_is_named(both: Serving) -> None:
    both.api.script({"status": 501, "to": "Ann@example.com"})
    assert both.deliver(message("bob@example.com")).status == 200
    assert "near" not in both.api.get("/api/replies")
    assert both.deliver(message("ann@example.com")).status == 200
    assert both.api.get("/api/replies")["near"] == ["ann@example.com"]
    assert both.deliver(message("Ann@example.com")).status == 501
    assert both.api.get("/api/replies") == {"replies": []}


READS = ["/api/messages", "/api/messages/latest", "/api/violations", "/api/events"]


@pytest.mark.parametrize("path", READS)
def test_a_cursor_beyond_the_last_is_refused(both: Serving, path: str) -> None:
    both.deliver()
    for beyond in (1, 1000):
        error = both.api.read_refusal(f"{path}?after={last(both) + beyond}")
        assert f"There is no message {last(both) + beyond} yet: the last is {last(both)}." in error
    both.api.request("DELETE", "/api/messages")
    # The last one need not be there any more.
    status = 404 if "latest" in path else 200
    with both.api.send("GET", f"{path}?after={last(both)}") as client:
        assert client.head()[0] == status


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("type", ["signin", "NewTemplate", ""])
def test_a_type_that_the_revision_lacks_is_refused(both: Serving, path: str, type: str) -> None:
    target = f"{path}?type={type}"
    if path == "/api/violations":
        both.deliver({**MESSAGE, "type": type})
        assert len(both.api.get(target)["messages"]) == 1
    else:
        error = both.api.read_refusal(target)
        assert f"Revision 1.35 has no template type {type!r}; did you mean " in error
        assert "Its types: SignIn, Register, " in error


def test_types_are_those_of_the_revision_and_a_lenient_server_takes_any() -> None:
    with serving(revision="1.22") as server:
        assert server.api.get("/api/messages?type=Test")["messages"] == []
        assert "Revision 1.22 has no" in server.api.read_refusal("/api/messages?type=BindMfa")
    with serving(lenient=True) as server:
        assert server.api.get("/api/messages?type=NewTemplate")["messages"] == []
        assert "enum" not in server.api.get("/api/openapi.json")["components"]["parameters"]["type"]["schema"]


@pytest.mark.parametrize(
    "number", ["0.1234567891", "1e-1", "1E-1", "6.103515625e-05", "0.0", "-0", "00", "0e0"]
)
def test_a_wait_has_any_form_of_a_number(served: Serving, number: str) -> None:
    assert served.api.request("GET", f"/api/messages/latest?wait={number}").status == 404


def test_a_whole_number_has_any_form() -> None:
    with serving() as server:
        for code in "1234":
            server.deliver(message(code=code))
        for number in ("2", "2.0", "2e0", "20E-1", "0.2e1", "0.2e+1", "0.2e%2B1", "02"):
            assert codes(server.api.get(f"/api/messages?limit={number}")) == list("34")
            assert codes(server.api.get(f"/api/messages?after={number}")) == list("34")
            with server.api.events("/api/events", f"Last-Event-ID: {unquote(number)}") as events:
                assert events.read_event()[0] == "hello"
                assert read_codes(events, 2) == list("34")


@pytest.mark.parametrize(
    "shape",
    [
        lambda time: time.isoformat().replace("+00:00", "Z"),
        lambda time: time.isoformat(timespec="seconds").replace("+00:00", "z").replace("T", "t"),
        lambda time: time.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(),
        lambda time: time.astimezone(timezone(-timedelta(hours=8))).isoformat(timespec="milliseconds"),
        lambda time: time.isoformat(sep=" "),
    ],
    ids=["Z", "lower case", "offset", "negative offset", "space"],
)
def test_since_is_a_time_with_a_zone(served: Serving, shape: Callable[[datetime], str]) -> None:
    served.deliver()
    for seconds, there in ((-60, True), (60, False)):
        since = shape(datetime.now(UTC) + timedelta(seconds=seconds))
        # An unescaped plus is accepted: it has only one possible meaning here.
        for target in {quote(since), since.replace(" ", "%20")}:
            assert bool(codes(served.api.get(f"/api/messages?since={target}"))) is there, target


@pytest.mark.parametrize(
    "time", ["2016-12-31T23:59:60Z", "2016-12-31t23:59:60.5z", "2017-01-01T00:59:60%2B01:00"]
)
def test_since_can_be_a_leap_second(served: Serving, time: str) -> None:
    served.deliver()
    assert codes(served.api.get(f"/api/messages?since={time}"))
    assert not codes(served.api.get(f"/api/messages?since={time.replace('201', '221')}"))


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=0", "limit is a whole number from 1 to 1000"),
        ("limit=1001", 'it was "1001"'),
        ("limit=1.5", "limit is a whole number"),
        ("limit=1_0", "limit is a whole number"),
        ("limit=%D9%A1", "limit is a whole number"),
        ("limit=15e-1", "limit is a whole number"),
        ("limit=1e9999", "limit is a whole number"),
        ("limit=", "limit is a whole number"),
        ("limit=nan", "limit is a whole number"),
        ("after=-1", "after is the id of a message"),
        ("after=x", "after is the id of a message"),
        ("after=1234567890123456", "after is the id of a message"),
        ("after=%D9%A1", "after is the id of a message"),
        ("since=2026-01-31T12:00:00", "for example 2026-01-31T12:00:00Z"),
        ("since=2026-01-31", "RFC 3339"),
        ("since=yesterday", 'it was "yesterday"'),
        ("since=2026-W05-6T12:00:00Z", "RFC 3339"),
        ("since=20260131T120000Z", "RFC 3339"),
        ("since=2026-13-31T12:00:00Z", "RFC 3339"),
        ("since=1764000000", "RFC 3339"),
        ("since=2016-12-31T12:59:60Z", "RFC 3339"),
        ("since=2016-12-31T23:59:60%2B01:00", "RFC 3339"),
        ("since=2016-12-31T23:60:60Z", "RFC 3339"),
        ("since=2016-12-31T23:59:61Z", "RFC 3339"),
        ("from=x", 'no parameter "from" here; there is: to, toCaseInsensitive, type, since, after, limit'),
        ("To=x", 'no parameter "To"'),
        ("wait=1", 'no parameter "wait"'),
        ("to=a&to=b", "twice"),
        ("to=a&to=a", "twice"),
        ("to=%FF", "UTF-8"),
        ("&".join(f"x{number}=1" for number in range(30)), "20"),
    ],
)
def test_wrong_parameters_are_refused_with_the_valid_choices(served: Serving, query: str, error: str) -> None:
    for path in ("/api/messages", "/api/violations"):
        assert error in served.api.read_refusal(f"{path}?{query}")


@pytest.mark.parametrize(
    ("method", "target", "error"),
    [
        ("GET", "/healthz?x=1", "there is: none"),
        ("GET", "/api/openapi.json?x=1", "there is: none"),
        ("GET", "/api/messages/1?x=1", "there is: none"),
        ("GET", "/api/messages/1/code?x=1", "there is: none"),
        ("GET", "/api/messages/1/raw?x=1", "there is: none"),
        ("GET", "/api/events?limit=1", "there is: to, toCaseInsensitive, type, after"),
        ("GET", "/api/events?after=x", "after is the id of a message"),
        ("GET", "/api/replies?to=x", "there is: none"),
        ("POST", "/api/replies?to=x", "there is: none"),
        ("DELETE", "/api/replies?times=1", "there is: to, toCaseInsensitive"),
        ("DELETE", "/api/messages?type=SignIn", "there is: to, toCaseInsensitive"),
        ("GET", "/api/messages/latest?limit=1", "there is: to, toCaseInsensitive, type, since, after, wait"),
        ("GET", "/api/messages/latest?wait=-1", "wait is a number from 0 to 300"),
        ("GET", "/api/messages/latest?wait=301", 'it was "301"'),
        ("GET", "/api/messages/latest?wait=1_0", "wait is a number"),
        ("GET", "/api/messages/latest?wait=nan", "wait is a number"),
        ("GET", "/api/messages/latest?wait=inf", "wait is a number"),
    ],
)
def test_each_path_accepts_its_own_parameters_only(
    served: Serving, method: str, target: str, error: str
) -> None:
    assert error in served.api.read_refusal(target, method=method)


@pytest.mark.parametrize("store", STORES)
def test_the_oldest_are_dropped_first_and_counted(store: str, tmp_path: Path) -> None:
    with serving(where(store, tmp_path), max_deliveries=3) as server:
        assert server.api.get("/api/messages") == {"messages": [], "total": 0, "dropped": 0, "last": 0}
        for number in range(5):
            server.deliver(message(code=str(number)))
        listing = server.api.get("/api/messages")
        assert codes(listing) == list("234")
        assert (listing["total"], listing["dropped"], listing["last"]) == (3, 2, 5)
        assert "2 were; the last is 5" in server.api.read_refusal("/api/messages/2", 404)
        server.api.request("DELETE", "/api/messages")
        listing = server.api.get("/api/violations")
        assert (listing["total"], listing["dropped"], listing["last"]) == (0, 2, 5)
        server.deliver()
        assert last(server) == 6


def test_violations_lists_the_invalid_deliveries(both: Serving) -> None:
    both.deliver()
    both.deliver(INVALID)
    both.deliver(MESSAGE, "Content-Type: text/plain")
    both.deliver({**INVALID, "type": "Register"})
    both.deliver({**INVALID, "to": "bar@example.com"})
    listing = both.api.get("/api/violations")
    assert [(entry["status"], entry["to"], entry["type"]) for entry in listing["messages"]] == [
        (400, "foo@example.com", "SignIn"),
        (415, None, None),
        (400, "foo@example.com", "Register"),
        (400, "bar@example.com", "SignIn"),
    ]
    assert listing["total"] == 5
    first, second = listing["messages"][:2]
    assert not first["valid"]
    assert first["findings"][0]["rule"] == "message/guard/code"
    assert (first["findings"][0]["pointer"], first["findings"][0]["layer"]) == ("/payload/code", "guard")
    assert (second["findings"][0]["rule"], second["findings"][0]["layer"]) == (
        "sender/request/content-type",
        None,
    )
    found = both.api.get("/api/violations?to=foo@example.com&type=Register")["messages"]
    assert [entry["id"] for entry in found] == [listing["messages"][2]["id"]]
    found = both.api.get(f"/api/violations?after={first['id']}&limit=1")["messages"]
    assert found == [second]


def test_each_status_of_the_judgement_is_recorded() -> None:
    with serving(authorization="Bearer s3cret", layer="emitted", revision="1.31") as server:
        right = "Authorization: Bearer s3cret"
        server.deliver(MESSAGE, right)
        server.deliver()
        server.deliver(MESSAGE, right, "Content-Type: text/plain")
        server.deliver(b"{", right)
        with Client(server.url) as client:
            client.post(MESSAGE, right, method="PUT", target="/hook")
        server.deliver({"to": "foo@example.com", "type": "Generic", "payload": {"code": "1"}}, right)
        found = server.api.get("/api/messages")["messages"]
        assert [entry["status"] for entry in found] == [200, 401, 415, 400, 405, 200]
        assert [entry["valid"] for entry in found] == [True, False, False, False, False, False]
        health = server.api.get("/healthz")
        assert (health["layer"], health["revision"], health["authorization"]) == ("emitted", "1.31", True)
        assert "s3cret" not in server.api.request("GET", "/api/violations").body.decode()


# The latest message.


def test_latest_is_the_newest_accepted_match(both: Serving) -> None:
    both.deliver(message(code="1"))
    both.deliver(message(code="2"))
    both.deliver(INVALID)
    both.deliver(message("bar@example.com", code="3", type="Register"))
    latest = both.api.get("/api/messages/latest?to=foo@example.com")
    assert latest == both.api.get(f"/api/messages/{latest['id']}")
    assert latest["code"] == "2"
    assert both.api.get("/api/messages/latest")["code"] == "3"
    assert both.api.get("/api/messages/latest?type=SignIn&wait=10")["code"] == "2"
    after = both.api.get("/api/messages")["messages"][0]["id"]
    assert both.api.get(f"/api/messages/latest?to=foo@example.com&after={after}")["code"] == "2"
    both.api.read_refusal(f"/api/messages/latest?to=foo@example.com&after={after + 1}", 404)
    both.api.read_refusal("/api/messages/latest?since=2999-01-01T00:00:00Z", 404)
    assert both.api.get(f"/api/messages/latest?since={latest['time']}&type=SignIn")["code"] == "2"


def test_a_held_request_gets_its_response_when_its_message_arrives(both: Serving) -> None:
    both.deliver(message(code="old"))
    target = f"/api/messages/latest?to=foo@example.com&type=SignIn&after={last(both)}&wait=30"
    with both.api.send("GET", target) as held:
        wait_until(lambda: both.listeners() == 1)
        both.deliver(message("bar@example.com", code="1"))
        both.deliver(message(code="2", type="Register"))
        both.deliver(INVALID)
        both.deliver(message(code="3"))
        response = held.read_response()
    check("GET", target, response)
    assert response.json["code"] == "3"
    wait_until(lambda: both.listeners() == 0)


def test_a_miss_lists_the_messages_that_arrived(both: Serving) -> None:
    both.deliver(message(code="old"))
    cursor = last(both)
    for number in range(9):
        both.deliver(message(code=str(number)))
    both.deliver(message("bar@example.com", type="Register"))
    both.deliver(message("bar@example.com"))
    both.deliver({**INVALID, "to": "bar@example.com", "type": "Register"})
    target = f"/api/messages/latest?to=foo@example.com&type=Register&after={cursor}"
    response = both.api.request("GET", target)
    assert response.status == 404
    body = response.json
    assert body["error"] == (
        'No message with to "foo@example.com" and type "Register" has arrived; arrived lists what did.'
    )
    assert [entry["id"] for entry in body["arrived"]] == list(range(cursor + 3, cursor + 13))
    assert [entry["mismatch"] for entry in body["arrived"][-4:]] == [
        'its type is "SignIn"',
        'its to is "bar@example.com"',
        'its to is "bar@example.com" and its type is "SignIn"',
        "it was refused with 400",
    ]
    waited = both.api.request("GET", f"{target}&wait=0.05")
    assert waited.status == 404
    assert "within 0.05 s" in waited.json["error"]
    nothing = both.api.request("GET", f"/api/messages/latest?after={cursor + 12}").json
    assert nothing == {"error": "No message has arrived; arrived lists what did.", "arrived": []}


def test_a_client_that_disconnects_while_it_waits_leaves_no_listener(served: Serving) -> None:
    for leave in (Client.close, Client.reset):
        held = [served.api.send("GET", "/api/messages/latest?wait=300") for _ in range(5)]
        wait_until(lambda: served.listeners() == 5)
        for client in held:
            leave(client)
        wait_until(lambda: served.listeners() == 0)
    wait_until(lambda: not served.call(lambda: served.server.connections))


def test_a_stream_with_a_pipelined_request_ends_with_its_client() -> None:
    with serving(api_limits=ApiLimits(keep_alive_seconds=0.02)) as server:
        with server.api.send("GET", "/api/events") as client:
            client.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2)
            wait_until(lambda: server.listeners() == 1)
        wait_until(lambda: server.listeners() == 0)


def test_a_request_pipelined_after_a_scripted_reply_does_not_prevent_the_stop() -> None:
    with serving() as server:
        server.api.script({"reply": "silence"})
        with Client(server.url) as client:
            client.send(client.request(target="/") * 2)
            wait_until(lambda: server.listeners() == 1)


def test_a_held_request_gets_503_when_the_server_stops() -> None:
    with serving() as server:
        target = "/api/messages/latest?wait=300"
        with server.api.send("GET", target) as held:
            wait_until(lambda: server.listeners() == 1)
            server.stop()
            response = held.read_response()
        check("GET", target, response)
        assert (response.status, response.json) == (503, {"error": "The server stops."})


def test_parallel_tests_do_not_disturb_each_other(both: Serving) -> None:
    people = [f"person{number}@example.com" for number in range(64)]
    api = both.api

    def one_test(to: str) -> tuple[str, str, int]:
        cursor = last(both)
        target = f"/api/messages/latest?to={to}&after={cursor}&wait=30"
        with api.send("GET", target) as held:
            assert both.deliver(message(to, code="not scripted")).status == 200
            first = held.read_response()
        api.script({"status": 503, "to": to})
        scripted = both.deliver(message(to, code=to)).status
        code = api.get(f"/api/messages/latest?to={to}&after={first.json['id']}&wait=30")["code"]
        return first.json["to"], code, scripted

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one_test, people)) == [(to, to, 503) for to in people]
    held = [api.send("GET", f"/api/messages/latest?to={to}&wait=30&after={last(both)}") for to in people]
    try:
        wait_until(lambda: both.listeners() == 64)
        for to in reversed(people):
            both.deliver(message(to, code=f"code of {to}"))
        assert [client.read_response().json["code"] for client in held] == [f"code of {to}" for to in people]
    finally:
        for client in held:
            client.close()
    assert api.request("DELETE", f"/api/messages?to={people[0]}").json == {"deleted": 3}
    assert len(api.get(f"/api/messages?to={people[1]}")["messages"]) == 3


# One delivery.


def test_a_detail_has_the_request_as_it_was_on_the_wire(both: Serving) -> None:
    with Client(both.url) as client:
        client.post(MESSAGE, "x-B: 1", "X-a: 2", "x-b: \xc3\xbc", target="/hook/%41?a=%20b&c")
    detail = both.api.get(f"/api/messages/{last(both)}")
    assert (detail["method"], detail["target"]) == ("POST", "/hook/%41?a=%20b&c")
    data = json.dumps(MESSAGE).encode()
    assert detail["headers"] == [
        ["Host", "mail.test"],
        ["x-B", "1"],
        ["X-a", "2"],
        ["x-b", "Ã¼"],
        ["Content-Type", "application/json"],
        ["Content-Length", str(len(data))],
    ]
    assert detail["message"] == MESSAGE
    assert detail["body"] == data.decode()
    assert base64.b64decode(detail["bodyBase64"]) == data
    summary = both.api.get("/api/messages")["messages"][0]
    assert {name: detail[name] for name in summary} == summary


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b'{"n": 1e999, "o": -1e999, "p": [1.0, 1e400]}', {"n": None, "o": None, "p": [1, None]}),
        (b'{"n": ' + b"9" * 5000 + b"}", {"n": None}),
        (b'{"n": 12345678901234567890}', {"n": 12345678901234567000}),
        (b'{"to": "\\ud800", "x\\udfff": "\\ud83d\\ude00"}', {"to": "\ud800", "x\udfff": "😀"}),
        (b'{"to": "a", "to": "b", "__proto__": 1}', {"to": "b", "__proto__": 1}),
        (b'{"to": "\xff"}', None),
        (b"\xef\xbb\xbf{}", None),
        (b"", None),
        (b"null", None),
        (b"[1, true]", [1, True]),
        (b'"text"', "text"),
        (b'{"x": NaN}', None),
        (b"[" * 500 + b"]" * 500, json.loads("[" * 500 + "]" * 500)),
        (b"[" * 501 + b"]" * 501, None),
        (b'{"to":' * 100_000, None),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_body_is_read_as_javascript_reads_it(both: Serving, body: bytes, read: Any) -> None:
    both.deliver(body)
    detail = both.api.get(f"/api/messages/{last(both)}")
    assert detail["message"] == read
    assert base64.b64decode(detail["bodyBase64"]) == body
    assert detail["body"] == body.decode("utf-8", "replace")
    raw = both.api.request("GET", f"/api/messages/{last(both)}/raw")
    assert raw.body == body
    if isinstance(read, dict):
        assert detail["to"] == read.get("to")


def test_code_and_link_are_served_as_plain_text(both: Serving) -> None:
    both.deliver({**MESSAGE, "payload": {"code": " 04\u00fc\n", "link": "javascript:alert(1)"}})
    number = last(both)
    code = both.api.request("GET", f"/api/messages/{number}/code")
    assert (code.headers["content-type"], code.body) == ("text/plain; charset=utf-8", " 04\u00fc\n".encode())
    assert both.api.request("GET", f"/api/messages/{number}/link").body == b"javascript:alert(1)"
    both.deliver({**MESSAGE, "payload": {"code": "\ud800", "link": ""}})
    assert both.api.request("GET", f"/api/messages/{number + 1}/code").body == b"?"
    assert both.api.request("GET", f"/api/messages/{number + 1}/link").body == b""
    both.deliver(INVALID)
    assert (
        both.api.read_refusal(f"/api/messages/{number + 2}/code", 404) == f"Message {number + 2} has no code."
    )
    assert "no link" in both.api.read_refusal(f"/api/messages/{number + 2}/link", 404)


def test_the_raw_body_is_served_as_a_file(both: Serving) -> None:
    body = b'\xff<script>alert(1)</script>\0\r\n{"to":'
    both.deliver(body)
    raw = both.api.request("GET", f"/api/messages/{last(both)}/raw")
    assert (raw.headers["content-type"], raw.body) == ("application/octet-stream", body)
    assert raw.headers["content-disposition"] == f'attachment; filename="message-{last(both)}.json"'


@pytest.mark.parametrize("rest", ["", "/code", "/link", "/raw"])
def test_a_missing_message_is_404(both: Serving, rest: str) -> None:
    both.deliver()
    for number in (0, last(both) + 1, 999_999_999_999_999):
        assert f"no message {number}:" in both.api.read_refusal(f"/api/messages/{number}{rest}", 404)
    both.api.request("DELETE", "/api/messages")
    assert "was deleted" in both.api.read_refusal(f"/api/messages/{last(both)}{rest}", 404)
    for path in ("x", "-1", "1.5", "9999999999999999", "%D9%A1", "1/2", "latest"):
        if path != "latest" or rest:
            assert "nothing at" in both.api.read_refusal(f"/api/messages/{path}{rest}", 404)


def test_delete_removes_the_messages_of_one_recipient_or_all(both: Serving) -> None:
    for to in ("a@example.com", "b@example.com", "a@example.com"):
        both.deliver(message(to))
    both.deliver(b"nonsense")
    delete = both.api.request
    near = {"deleted": 0, "near": ["a@example.com"]}
    assert delete("DELETE", "/api/messages?to=A@example.com").json == near
    assert delete("DELETE", "/api/messages?to=").json == {"deleted": 0}
    assert delete("DELETE", "/api/messages?to=a@example.com").json == {"deleted": 2}
    listing = both.api.get("/api/messages")
    assert [entry["to"] for entry in listing["messages"]] == ["b@example.com", None]
    assert (listing["total"], listing["dropped"]) == (2, 0)
    assert delete("DELETE", "/api/messages").json == {"deleted": 2}
    assert both.api.get("/api/messages")["total"] == 0


# Events.


def test_a_listing_of_large_bodies_delays_no_other_request(served: Serving) -> None:
    large = {**MESSAGE, "payload": {"code": "042137", "x": list(range(250_000))}}
    for _ in range(20):
        served.deliver(large)
    listed = threading.Event()

    def listing() -> None:
        assert len(served.api.get("/api/messages")["messages"]) == 20
        with served.api.events("/api/events?after=0") as stream:
            for name in ("hello", *["message"] * 20):
                assert stream.read_event()[0] == name
        listed.set()

    thread = threading.Thread(target=listing)
    # Processor time of this process, which runs server and clients: other processes do not lengthen it.
    start = time.process_time()
    for _ in range(20):
        json.loads(json.dumps(large))
    work = time.process_time() - start
    thread.start()
    slowest = 0.0
    while thread.is_alive():
        began = time.process_time()
        served.api.get("/healthz")
        slowest = max(slowest, time.process_time() - began)
    assert listed.is_set()
    assert slowest < work / 4


def test_events_report_each_arrival(both: Serving) -> None:
    both.deliver()
    cursor = last(both)
    with both.api.events() as events:
        assert events.next() == Event("hello", cursor, {"last": cursor})
        both.deliver(INVALID)
        (summary,) = both.api.get("/api/violations")["messages"]
        assert events.next() == Event("message", cursor + 1, summary)
        both.api.request("DELETE", "/api/messages?to=foo@example.com")
        assert events.next() == Event("deleted", None, {"to": "foo@example.com"})
        both.api.request("DELETE", "/api/messages")
        assert events.next() == Event("deleted", None, {"to": None})
        both.deliver({**MESSAGE, "payload": {"code": "\n\ndata: x\r\u2028"}})
        event = events.next()
        assert event is not None
        assert event.data["code"] == "\n\ndata: x\r\u2028"
    wait_until(lambda: both.listeners() == 0)


def test_events_are_filtered(both: Serving) -> None:
    with both.api.events("/api/events?to=a@example.com&type=SignIn") as events:
        assert events.read_event()[0] == "hello"
        both.deliver(message("b@example.com"))
        both.deliver(message("a@example.com", type="Register"))
        both.deliver(message("a@example.com"))
        assert events.read_event() == ("message", "a@example.com")
        both.api.request("DELETE", "/api/messages?to=b@example.com")
        both.api.request("DELETE", "/api/messages?to=a@example.com")
        assert events.read_event() == ("deleted", "a@example.com")
        both.api.request("DELETE", "/api/messages")
        assert events.read_event() == ("deleted", None)


def read_codes(events: Any, count: int) -> list[str]:
    return [events.next().data["code"] for _ in range(count)]


def test_a_reconnect_gets_each_missed_event_once(both: Serving) -> None:
    for number in range(4):
        both.deliver(message(code=str(number)))
    first = both.api.get("/api/messages")["messages"][0]["id"]
    for target, lines in (
        ("/api/events", [f"Last-Event-ID: {first}"]),
        (f"/api/events?after={first}", []),
        # A browser reconnects to the same address, which has the old cursor.
        (f"/api/events?after={first - 1}", [f"Last-Event-ID: {first}"]),
    ):
        with both.api.events(target, *lines) as events:
            assert events.next() == Event("hello", first, {"last": last(both)})
            assert read_codes(events, 3) == list("123")
            both.deliver(message("x@example.com", code="new"))
            assert read_codes(events, 1) == ["new"]
            both.api.request("DELETE", "/api/messages?to=x@example.com")
            assert events.read_event()[0] == "deleted"
    for value in ("x", "", "-1", "1.5"):
        refused = both.api.request("GET", "/api/events", f"Last-Event-ID: {value}")
        assert "Last-Event-ID is the id" in refused.json["error"]


def test_a_client_that_saw_only_hello_misses_nothing(served: Serving) -> None:
    with served.api.events() as events:
        hello = events.next()
    assert hello is not None
    served.deliver(message(code="missed"))
    with served.api.events("/api/events", f"Last-Event-ID: {hello.id}") as events:
        assert events.read_event()[0] == "hello"
        assert read_codes(events, 1) == ["missed"]


@pytest.mark.parametrize("store", STORES)
def test_a_reconnect_gets_any_number_of_missed_events(store: str, tmp_path: Path) -> None:
    with serving(where(store, tmp_path), api_limits=ApiLimits(max_listed=3)) as server:
        for number in range(10):
            server.deliver(message(code=str(number)))
        with server.api.events("/api/events?after=1") as events:
            assert events.read_event()[0] == "hello"
            assert read_codes(events, 9) == list("123456789")


def test_a_cursor_of_another_inbox_hides_no_message(served: Serving) -> None:
    served.deliver(message(code="1"))
    with served.api.events("/api/events", f"Last-Event-ID: {last(served) + 1000}") as events:
        assert events.next() == Event("hello", 0, {"last": last(served)})
        assert read_codes(events, 1) == ["1"]
        served.deliver(message(code="2"))
        assert read_codes(events, 1) == ["2"]


def test_replay_and_arrivals_join_without_gap_or_duplicate(both: Serving) -> None:
    both.deliver(message(code="0"))
    cursor = last(both) - 1

    def write() -> None:
        with Client(both.url) as client:
            for number in range(1, 300):
                client.post(message(code=str(number)), target="/")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        for _ in range(10):
            with both.api.events(f"/api/events?after={cursor}") as events:
                assert events.read_event()[0] == "hello"
                wanted = last(both) - cursor
                assert read_codes(events, wanted) == [str(number) for number in range(wanted)]
        writing.result(TIMEOUT)


def test_a_quiet_stream_is_kept_alive() -> None:
    with serving(api_limits=ApiLimits(keep_alive_seconds=0.02)) as server, server.api.events() as events:
        assert events.read_event()[0] == "hello"
        assert events.next() == events.next() == Event("", None, None)
        server.deliver(message(code="1"))
        event = events.next()
        while event == Event("", None, None):
            event = events.next()
        assert event is not None
        assert event.data["code"] == "1"


def test_a_stream_ends_when_the_server_stops() -> None:
    with serving() as server:
        server.deliver()
        with server.api.events("/api/events?after=0") as events:
            assert [events.read_event()[0] for _ in range(2)] == ["hello", "message"]
            server.stop()
            assert events.next() is None


LONG = "https://example.com/" + "x" * 200_000


def slow(server: Serving) -> Client:
    """Open a stream of events and read only its beginning."""
    client = server.api.send("GET", "/api/events")
    client.head()
    wait_until(lambda: server.listeners() == 1)
    return client


def test_a_client_that_falls_behind_can_reconnect() -> None:
    with serving(api_limits=ApiLimits(max_queued_events=5)) as server:
        with slow(server) as client:
            for number in range(60):
                server.deliver({**MESSAGE, "payload": {"code": str(number), "link": LONG}})
            # The client reads to the end of the stream without a gap.
            raw = b"".join(Stream(client).chunks())
        ids = [int(line[4:]) for line in raw.decode().split("\n") if line.startswith("id: ")]
        assert ids == list(range(ids[-1] + 1))
        assert ids[-1] < 60
        with server.api.events("/api/events", f"Last-Event-ID: {ids[-1]}") as events:
            assert events.read_event()[0] == "hello"
            assert read_codes(events, 60 - ids[-1]) == [str(number) for number in range(ids[-1], 60)]


def test_a_client_that_stops_reading_is_disconnected() -> None:
    with serving(limits=Limits(request_seconds=0.3, sweep_seconds=0.05)) as server, slow(server):
        for _ in range(60):
            server.deliver({**MESSAGE, "payload": {"link": LONG}})
        wait_until(lambda: server.listeners() == 0)


# Scripted replies.


def deliver_and_read(server: Serving, to: str = "foo@example.com") -> bytes:
    """Deliver a message and return everything received until the connection ends."""
    with Client(server.url) as client:
        client.send(client.request(message(to), target="/"))
        return client.read()


def recorded_response(server: Serving) -> str:
    text: str = server.api.get("/api/messages?limit=1")["messages"][0]["response"]
    return text


def test_a_response_is_sent_as_scripted(both: Serving) -> None:
    listing = both.api.script(
        {"status": 503, "body": "später", "headers": {"Retry-After": "5", "x-B": "ü"}, "to": None}
    )
    assert listing == [
        {
            "reply": "response",
            "to": None,
            "times": 1,
            "status": 503,
            "body": "später",
            "headers": {"Retry-After": "5", "x-B": "ü"},
            "delay": 0,
        }
    ]
    assert deliver_and_read(both) == (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nx-B: \xfc\r\nContent-Length: 7\r\n"
        b"Connection: close\r\n\r\nsp\xc3\xa4ter"
    )
    assert recorded_response(both) == "503 (scripted)"
    summary = both.api.get("/api/messages")["messages"][0]
    assert (summary["status"], summary["valid"]) == (200, True)
    assert both.api.get("/api/replies") == {"replies": []}
    assert both.deliver().json == {"accepted": True}
    assert recorded_response(both) == "200"


def test_a_response_can_be_delayed(served: Serving) -> None:
    served.api.script({"delay": 0.1})
    began = time.monotonic()
    assert served.deliver().status == 200
    assert time.monotonic() - began >= 0.1
    assert recorded_response(served) == "200 after 0.1 s (scripted)"


def test_the_message_is_in_the_inbox_before_a_delayed_response(served: Serving) -> None:
    served.api.script({"reply": "silence"})
    with Client(served.url) as client:
        client.send(client.request(message(code="early"), target="/"))
        assert served.api.get("/api/messages/latest?wait=10")["code"] == "early"


def test_a_redirect_has_its_status_and_location(served: Serving) -> None:
    (listed,) = served.api.script({"reply": "redirect", "location": "https://mail.test/x"})
    assert (listed["status"], listed["location"]) == (307, "https://mail.test/x")
    response = served.deliver()
    assert (response.status, response.headers["location"], response.body) == (307, "https://mail.test/x", b"")
    served.api.script({"reply": "redirect", "location": "/x", "status": 303})
    assert served.deliver().status == 303


def test_a_scripted_reset_resets_the_connection(served: Serving) -> None:
    served.api.script({"reply": "reset"})
    with pytest.raises(ConnectionResetError):
        deliver_and_read(served)
    assert recorded_response(served) == "a reset (scripted)"


def test_silence_lasts_until_the_client_disconnects_or_the_server_stops() -> None:
    with serving() as server:
        server.api.script({"reply": "silence", "times": 2})
        with Client(server.url) as client:
            client.send(client.request(target="/"))
            wait_until(lambda: server.listeners() == 1)
            assert recorded_response(server) == "no response (scripted)"
            client.socket.settimeout(0.05)
            with pytest.raises(TimeoutError):
                client.read(1)
        wait_until(lambda: server.listeners() == 0)
        with Client(server.url) as client:
            client.send(client.request(target="/"))
            wait_until(lambda: server.listeners() == 1)
            server.stop()
            assert client.read() == b""


def test_an_endless_body_lasts_until_the_client_disconnects(served: Serving) -> None:
    served.api.script({"reply": "endless"})
    with Client(served.url) as client:
        client.send(client.request(target="/"))
        status, headers = client.head()
        assert (status, "content-length" in headers) == (200, False)
        assert client.read(3) == b"..."
    wait_until(lambda: served.listeners() == 0)
    assert recorded_response(served) == "a body without end (scripted)"


def test_scripted_garbage_is_not_http(served: Serving) -> None:
    served.api.script({"reply": "garbage"})
    received = deliver_and_read(served)
    assert received
    assert not received.startswith(b"HTTP")
    assert recorded_response(served) == "garbage (scripted)"


def test_a_drip_sends_the_response_byte_by_byte(served: Serving) -> None:
    served.api.script({"reply": "drip", "status": 299, "body": "slow", "interval": 0.001})
    began = time.monotonic()
    received = deliver_and_read(served)
    assert received.startswith(b"HTTP/1.1 299 ")
    assert received.endswith(b"\r\n\r\nslow")
    assert time.monotonic() - began >= 0.001 * (len(received) - 1)
    assert recorded_response(served) == "299, byte by byte (scripted)"


@pytest.mark.parametrize("kind", ["response", "reset", "garbage", "endless", "drip", "late reset"])
def test_a_client_that_resets_during_a_scripted_reply_causes_no_error(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply: dict[str, Any] = {"reply": kind.removeprefix("late "), "times": None}
    if kind == "drip":
        reply |= {"body": "x" * 10_000, "interval": 1e-9}
    with serving() as server:
        if kind == "late reset":
            # A thread can be this slow on a busy machine.
            reset = StandingWire.reset

            def late(wire: StandingWire) -> None:
                wait_until(lambda: not server.listeners())
                reset(wire)

            monkeypatch.setattr(StandingWire, "reset", late)
        server.api.script(reply)
        for _ in range(10):
            client = Client(server.url)
            client.send(client.request(target="/"))
            if kind == "drip":
                client.head()
            client.reset()
        wait_until(lambda: server.listeners() == 0)


def test_times_and_standing_replies(both: Serving) -> None:
    both.api.script({"status": 500, "times": None})
    both.api.script({"status": 501, "times": 2})
    both.api.script({"status": 502})
    due = [(reply["status"], reply["times"]) for reply in both.api.script({"status": 503, "times": None})]
    assert due == [(501, 2), (502, 1), (503, None)]
    assert both.deliver().status == 501
    assert both.api.get("/api/replies")["replies"][0]["times"] == 1
    assert [both.deliver().status for _ in range(4)] == [501, 502, 503, 503]
    assert both.api.request("DELETE", "/api/replies").json == {"deleted": 1}
    assert both.deliver().status == 200


def test_replies_for_the_recipient_are_used_first(both: Serving) -> None:
    both.api.script({"status": 500, "times": 2})
    both.api.script({"status": 501, "to": "foo@example.com"})
    due = both.api.script({"status": 502, "to": "foo@example.com", "times": None})
    assert {(reply["to"], reply["status"]) for reply in due} == {
        (None, 500),
        ("foo@example.com", 501),
        ("foo@example.com", 502),
    }
    assert [both.deliver().status for _ in range(3)] == [501, 502, 502]
    assert both.deliver(message("bar@example.com")).status == 500
    near = {"deleted": 0, "near": ["foo@example.com"]}
    assert both.api.request("DELETE", "/api/replies?to=Foo@example.com").json == near
    assert both.api.request("DELETE", "/api/replies?to=foo@example.com").json == {"deleted": 1}
    assert [both.deliver().status for _ in range(2)] == [500, 200]


def test_refused_deliveries_use_up_no_reply(both: Serving) -> None:
    both.api.script({"status": 503, "to": "foo@example.com"})
    both.api.script({"status": 504})
    assert both.deliver(INVALID).status == 400
    assert both.deliver(MESSAGE, "Content-Type: text/plain").status == 415
    assert both.deliver(b"nonsense").status == 400
    assert [reply["times"] for reply in both.api.get("/api/replies")["replies"]] == [1, 1]
    assert [both.deliver().status for _ in range(3)] == [503, 504, 200]


@pytest.mark.parametrize(
    "posted",
    [
        {"reply": "response", "status": 404, "body": "x", "headers": {"A": "b"}, "delay": 1.5},
        {"reply": "response", "status": 302, "body": "x", "headers": {"Location": "/x"}, "delay": 0},
        {"reply": "response", "status": 302, "body": "", "headers": {"Location": "/x"}, "delay": 2},
        {"reply": "response", "status": 204, "body": "", "headers": {}, "delay": 86400},
        {"reply": "redirect", "status": 308, "location": "/x"},
        {"reply": "reset"},
        {"reply": "silence"},
        {"reply": "endless"},
        {"reply": "garbage"},
        {"reply": "drip", "status": 200, "body": "x", "interval": 0.25},
    ],
)
def test_the_listing_of_replies_shows_the_posted_reply(served: Serving, posted: dict[str, Any]) -> None:
    whole = {**posted, "to": "foo@example.com", "times": 3}
    assert served.api.script(whole) == [whole]
    assert served.api.get("/api/replies") == {"replies": [whole]}


@pytest.mark.parametrize(
    ("posted", "error"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 501, "no JSON"),
        ([], "a JSON object; it was an array of 0"),
        (None, "a JSON object; it was null"),
        ({"reply": "fire"}, "one of response, redirect, reset, silence, endless, garbage, drip"),
        ({"reply": None}, "one of response"),
        ({"reply": ["response"]}, "one of response"),
        ({"reply": "answer"}, 'it was "answer"'),
        (
            {"statuss": 500},
            'no "statuss"; it has: reply, to, toCaseInsensitive, times, status, body, headers, delay',
        ),
        (
            {"reply": "reset", "status": 500},
            'kind reset has no "status"; it has: reply, to, toCaseInsensitive, times',
        ),
        ({"status": "500"}, 'status is a whole number; it was "500"'),
        ({"status": 500.5}, "status is a whole number"),
        ({"status": True}, "status is a whole number; it was true"),
        ({"status": 99}, "three digits"),
        ({"status": 1000}, "three digits"),
        (b'{"status": 1e999}', "status is a whole number"),
        ({"body": {}}, "body is text; it was an empty object"),
        ({"headers": []}, "headers is an object"),
        ({"headers": {"A": 1}}, "A header's value is text; it was 1"),
        ({"headers": {"A": "x\r\nB: y"}}, "cannot be sent as a header line"),
        ({"headers": {"A b": "x"}}, "cannot be sent as a header line"),
        ({"headers": {"": "x"}}, "cannot be sent as a header line"),
        ({"headers": {"A": "\u0100"}}, "cannot be sent as a header line"),
        ({"delay": -1}, "delay"),
        ({"delay": "1"}, 'delay is a number; it was "1"'),
        ({"delay": False}, "delay is a number; it was false"),
        (b'{"delay": 1e999}', "delay is"),
        ({"delay": 86401}, "86400"),
        ({"delay": 10**400}, "86400"),
        ({"reply": "drip", "interval": 0}, "more than 0"),
        ({"reply": "drip", "interval": -1}, "more than 0"),
        ({"reply": "drip", "interval": 86401}, "86400"),
        ({"reply": "redirect"}, "A redirect has a location"),
        ({"reply": "redirect", "location": "x\ny"}, "cannot be sent as a header line"),
        ({"to": 1}, "to is an address or null; it was 1"),
        ({"times": 0}, "times is 1 or more, or null"),
        ({"times": 1.5}, "times is 1 or more, or null"),
        ({"times": True}, "times is 1 or more, or null"),
        ({"times": "2"}, "times is 1 or more, or null"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_wrong_reply_is_refused_with_the_valid_choices(served: Serving, posted: Any, error: str) -> None:
    body = posted if isinstance(posted, bytes) else json.dumps(posted).encode()
    assert error in served.api.read_refusal("/api/replies", 400, "POST", body)
    assert served.api.get("/api/replies") == {"replies": []}
    if not isinstance(posted, bytes):
        assert not validator("components", "schemas", "Reply").is_valid(posted)


@pytest.mark.parametrize("type", ["", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_replies_must_be_json(served: Serving, type: str) -> None:
    lines = [f"Content-Type: {type}"] if type else []
    response = served.api.request("POST", "/api/replies", *lines, body=b"{}")
    assert (response.status, "Content-Type: application/json" in response.json["error"]) == (415, True)
    lines = ["Content-Type: Application/JSON; charset=utf-8"]
    assert served.api.request("POST", "/api/replies", *lines, body=b"{}").status == 201


def test_the_number_of_scripts_is_limited(served: Serving) -> None:
    large = json.dumps({"body": "x" * 2 * 1024 * 1024}).encode()
    assert "of which at most 2097152 are read" in served.api.read_refusal("/api/replies", 400, "POST", large)

    def fill() -> None:
        for _ in range(1000):
            served.endpoint.script(Query(), Reset(), 1)

    served.call(fill)
    assert "1000 replies are scripted already" in served.api.read_refusal("/api/replies", 409, "POST", b"{}")
    assert served.api.request("DELETE", "/api/replies").json == {"deleted": 1000}


@pytest.mark.parametrize(
    "script",
    [
        {"body": "x" * 500_000},
        {"to": "x" * 500_000},
        {"headers": {f"X-{number}": "x" * 1000 for number in range(500)}},
        {"reply": "redirect", "location": "/" + "x" * 500_000},
        {"reply": "drip", "body": "x" * 500_000},
    ],
    ids=lambda script: "-".join(script),
)
def test_the_size_of_scripts_is_limited(served: Serving, script: dict[str, Any]) -> None:
    for _ in range(2):
        served.api.script(script)
    refusal = served.api.read_refusal("/api/replies", 409, "POST", json.dumps(script).encode())
    assert "bytes together, and 1048576 are allowed" in refusal
    assert served.api.request("DELETE", "/api/replies").json == {"deleted": 2}


def test_an_incomplete_script_is_refused(served: Serving) -> None:
    head = b"POST /api/replies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with Client(served.url) as client:
        client.send(head + b"Content-Length: 100\r\n\r\n{}")
        client.end()
        response = client.read_response()
    check("POST", "/api/replies", response)
    assert (response.status, "but 2 bytes came" in response.json["error"]) == (400, True)
    assert served.api.get("/api/replies") == {"replies": []}
    with Client(served.url) as client:
        client.send(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nnonsense\r\n\r\n")
        response = client.read_response()
    check("POST", "/api/replies", response)
    assert response.status == 400
    assert served.api.get("/api/replies") == {"replies": []}


# The server.


def test_health_shows_the_state(both: Serving) -> None:
    both.deliver()
    state = both.api.get("/healthz")
    assert state == {
        "status": "ok",
        "version": __version__,
        "revision": "1.35",
        "layer": "guard",
        "authorization": False,
        "total": 1,
        "dropped": state["dropped"],
        "last": last(both),
    }


class FailingStore(MemoryStore):
    """A store whose disk fails when a test says so.

    Args:
        limit: How many deliveries it stores.
    """

    def __init__(self, _: str, limit: int) -> None:
        super().__init__(limit)
        self.is_full = False
        self.readable: float = math.inf
        """How many more reads succeed."""

    def add(self, recorded: Recorded, on_stored: OnStored) -> None:
        if self.is_full:
            on_stored(StoreProblem("the disk is full"))
        else:
            super().add(recorded, on_stored)

    def _read(self) -> None:
        self.readable -= 1
        if self.readable < 0:
            raise StoreProblem("the disk is gone")

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        self._read()
        return super().select(query, limit, newest=newest)

    def select_ids(self, query: Query, limit: int | None, *, newest: bool) -> list[int]:
        self._read()
        return super().select_ids(query, limit, newest=newest)

    def get(self, id: int) -> Recorded | None:
        self._read()
        return super().get(id)

    def delete(self, recipients: frozenset[str] | None) -> int:
        if self.readable <= 0:
            raise StoreProblem("the disk is gone")
        return super().delete(recipients)


@contextmanager
def failing(**options: Any) -> Iterator[tuple[Serving, FailingStore]]:
    """Run a server whose store can be set to fail."""
    with serving(opening=FailingStore, **options) as server:
        assert isinstance(server.endpoint.store, FailingStore)
        yield server, server.endpoint.store


def test_health_shows_that_the_store_cannot_be_written() -> None:
    with failing() as (server, store):
        store.is_full = True
        assert server.deliver().status == 503
        health = server.api.request("GET", "/healthz")
        assert health.status == 503
        assert (health.json["status"], health.json["error"]) == ("failing", "the disk is full")
        store.is_full = False
        assert server.deliver().status == 200
        assert server.api.get("/healthz")["status"] == "ok"


def test_a_store_that_cannot_be_read_is_503() -> None:
    with failing() as (server, store):
        store.readable = 0
        for target in ("", "/latest", "/latest?wait=5", "/1", "/1/code", "/1/link", "/1/raw"):
            assert server.api.read_refusal(f"/api/messages{target}", 503) == "the disk is gone"
        assert server.api.read_refusal("/api/violations", 503) == "the disk is gone"
        assert server.api.read_refusal("/api/events?after=0", 503) == "the disk is gone"
        assert server.api.read_refusal("/api/messages", 503, "DELETE") == "the disk is gone"
        assert server.listeners() == 0


def test_a_stream_ends_when_the_store_fails_while_it_is_open() -> None:
    with failing() as (server, store):
        server.deliver(message(code="0"))
        with server.api.events("/api/events?after=0") as events:
            assert events.read_event()[0] == "hello"
            assert read_codes(events, 1) == ["0"]
            server.deliver(message(code="1"))
            assert read_codes(events, 1) == ["1"]
            store.readable = 0
            server.deliver(message(code="2"))
            assert events.next() is None


READABLE = ["/api/messages", "/api/violations", "/api/replies", "/api/openapi.json", "/healthz"]


def test_head_is_get_without_the_body(served: Serving) -> None:
    served.deliver()
    one = f"/api/messages/{last(served)}"
    for target in [*READABLE, "/api/messages/latest", one, f"{one}/code", f"{one}/raw"]:
        got, head = served.api.request("GET", target), served.api.request("HEAD", target)
        assert head.status == got.status == 200
        del got.headers["date"], head.headers["date"]
        assert head.headers == got.headers
    assert served.api.request("HEAD", f"{one}/link").status == 404


def test_head_of_the_events_ends_at_once(served: Serving) -> None:
    with served.api.send("HEAD", "/api/events") as client:
        status, headers = client.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        client.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.read_response().json["status"] == "ok"
    assert served.listeners() == 0


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/api/messages", "GET, HEAD, DELETE"),
        ("/api/messages/latest", "GET, HEAD"),
        ("/api/messages/1", "GET, HEAD"),
        ("/api/messages/1/code", "GET, HEAD"),
        ("/api/violations", "GET, HEAD"),
        ("/api/events", "GET, HEAD"),
        ("/api/replies", "GET, HEAD, POST, DELETE"),
        ("/api/openapi.json", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ],
)
def test_another_method_is_405_and_not_recorded(served: Serving, target: str, allowed: str) -> None:
    for method in ("OPTIONS", "PUT", "PATCH", "POST", "DELETE"):
        if method not in allowed:
            lines = ["Origin: https://stranger.test", f"Access-Control-Request-Method: {method}"]
            response = served.api.request(method, target, *lines)
            assert (response.status, response.headers["allow"]) == (405, allowed)
            assert response.json["error"] == f"{target} allows {allowed}, not {method}."
    assert served.api.get("/api/messages")["total"] == 0


@pytest.mark.parametrize(
    "target", ["/api", "/api/", "/api/mails", "/api/messages/", "/%61pi/x", "/api/../etc/passwd"]
)
def test_an_unknown_path_is_404_and_not_recorded(served: Serving, target: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        with served.api.send(method, target) as client:
            response = client.read_response()
        assert response.status == 404
        assert "/api/openapi.json lists the paths" in response.json["error"]
        if not target.startswith("/%"):
            check(method, target, response)
    assert served.api.get("/api/messages")["total"] == 0


OWN = [
    "localhost",
    "LOCALHOST:8025",
    "127.0.0.1",
    "127.0.0.1:8025",
    "[::1]",
    "[::1]:8025",
    "mail",
    "mail:8025",
]
OWN += ["host.docker.internal:8025", "mail.test", "app.localhost", "mybox.local", "inbox.home.arpa"]
FOREIGN = [
    "example.com",
    "example.com:8025",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "a.nip.io",
    "a.b",
]
FOREIGN += [
    "test.example.org",
    "[::1].example.com",
    "localhost@example.com",
    "1.2.3.4x.de",
    "xn--e1afmkfd.com",
]


@pytest.mark.parametrize("host", OWN)
def test_local_host_names_are_served(served: Serving, host: str) -> None:
    for target in READABLE:
        assert served.api.request("GET", target, f"Host: {host}").status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_public_host_name_is_refused(served: Serving, host: str) -> None:
    for method, target in (
        ("GET", "/api/messages"),
        ("GET", "/api/events"),
        ("DELETE", "/api/messages"),
        ("POST", "/api/replies"),
        ("GET", "/api/messages/latest?wait=300"),
        ("GET", "/api/nothing"),
        ("PUT", "/api/replies"),
    ):
        response = served.api.request(method, target, f"Host: {host}")
        assert (response.status, "http://localhost" in response.json["error"]) == (403, True)
    assert served.api.request("GET", "/healthz", f"Host: {host}").status == 200
    # Logto may use any host name for the endpoint.
    lines = ["Content-Type: application/json", f"Host: {host}"]
    with served.api.send("POST", "/", *lines, body=json.dumps(MESSAGE).encode()) as client:
        assert client.read_response().status == 200


def test_beyond_loopback_every_host_name_is_served() -> None:
    with serving(guard_host=False) as server:
        assert server.api.request("GET", "/api/messages", "Host: mail.example.com").status == 200


def test_a_half_closed_client_gets_its_response(both: Serving) -> None:
    both.api.script({"status": 299, "delay": 0.01, "to": "slow@example.com"})
    with Client(both.url) as client:
        for request, status in (
            (client.request(target="/"), 200),
            (client.request(message("slow@example.com"), target="/"), 299),
            (client.request(b"{", target="/"), 400),
            (b"GET /api/messages HTTP/1.1\r\nHost: mail.test\r\n\r\n", 200),
            (b"GET /api/messages/latest?to=x HTTP/1.1\r\nHost: mail.test\r\n\r\n", 404),
        ):
            response = exchange(both.url, request)
            assert response.startswith(f"HTTP/1.1 {status} ".encode()), response
        twice = exchange(both.url, client.request(target="/") * 2)
        assert twice.count(b'{"accepted":true}') == 2


# Any request gets a documented response: Api.request checks each against the document.

NAMES = st.sampled_from(["to", "type", "since", "after", "limit", "wait", "x", ""]) | st.text(max_size=5)
VALUES = st.sampled_from(
    [
        "",
        "0",
        "1",
        "-1",
        "1e3",
        "nan",
        "inf",
        "9" * 15,
        "9" * 400,
        "foo@example.com",
        "SignIn",
        "\0",
        "\ud7ff",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-31T12:00:00Z",
        "2026-06-30T23:59:60Z",
    ]
) | st.text(alphabet=st.characters(codec="utf-8"), max_size=10).filter(lambda text: not text.isdecimal())


@settings(deadline=None)
@given(
    path=st.sampled_from(
        ["/api/messages", "/api/violations", "/api/messages/latest", "/api/messages/1/code"]
    ),
    query=st.lists(st.tuples(NAMES, VALUES).filter(lambda pair: pair != ("wait", "1")), max_size=3),
)
def test_any_query_has_a_documented_response(
    running: Serving, path: str, query: list[tuple[str, str]]
) -> None:
    response = running.api.request("GET", f"{path}?{urlencode(query)}")
    assert response.status in (200, 400, 404)


@settings(deadline=None)
@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=30)
)
def test_any_text_as_a_query_has_a_documented_response(running: Serving, query: str) -> None:
    assert running.api.request("GET", f"/api/messages?{query}").status in (200, 400)


ODD: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-1, 1001) | st.floats() | st.text(max_size=5) | st.just([])
)
HEADERS: st.SearchStrategy[Any] = st.dictionaries(
    st.text(max_size=3) | st.just("Location"), st.text(max_size=3) | ODD, max_size=2
)
REPLIES = st.fixed_dictionaries(
    {},
    optional={
        "reply": st.sampled_from(["response", "redirect", "reset", "silence", "endless", "garbage", "drip"])
        | ODD,
        "to": st.sampled_from([None, "foo@example.com"]) | ODD,
        "times": st.sampled_from([None, 1, 2.0, 10**30, 1e300]) | ODD,
        "status": st.integers(100, 999) | ODD,
        "body": st.text(max_size=5) | ODD,
        "headers": HEADERS | ODD,
        "delay": st.floats(0, 86400) | st.integers(0, 90000) | ODD,
        "location": st.text(max_size=5) | ODD,
        "interval": st.floats(0, 86400) | ODD,
        "x": ODD,
    },
)


@settings(deadline=None, max_examples=200)
@given(REPLIES.filter(lambda reply: len(reply) < 5) | ODD)
def test_the_api_accepts_exactly_the_replies_that_the_schema_allows(running: Serving, posted: Any) -> None:
    # Strict JSON: Python's NaN and Infinity are not allowed.
    body = json.dumps(posted).encode()
    try:
        possible = bool(json.dumps(posted, allow_nan=False))
    except ValueError:
        possible = False
    valid = possible and validator("components", "schemas", "PostedReply").is_valid(json.loads(body))
    lines = ["Content-Type: application/json"]
    try:
        response = running.api.request("POST", "/api/replies", *lines, body=body)
        assert response.status == (201 if valid else 400), response.body
        if valid:
            (listed,) = response.json["replies"]
            # A listed reply can be posted again, and is listed unchanged.
            running.api.request("DELETE", "/api/replies")
            assert running.api.script(listed) == [listed]
    finally:
        running.api.request("DELETE", "/api/replies")
