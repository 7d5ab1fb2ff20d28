"""Compares the requests of the connector with those of our client: members, headers, redirects, verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.logto.wire import Reply, Wire, WireRequest, reply

from logto_mail_contract.catalogue import current_revision, index
from logto_mail_contract.connector.posting import post
from logto_mail_contract.judging.responses import is_accepted

from .changes import (
    CHECKS,
    ENCODING,
    FACTS,
    POSTING,
    RULES,
    VARIABLES,
    WORKER,
    Change,
    format_message,
    make_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.logto.node import NodeWorker

AUTHORIZATION = "Bearer s3cret"
MAX_POST_SECONDS = 10
REDIRECTS = (300, 301, 302, 303, 304, 305, 306, 307, 308)
STATUSES = (200, 201, 204, 299, 304, 400, 401, 429, 500, 503)


@dataclass(frozen=True)
class Exchange:
    """What one send did: whether it succeeded, and the requests that arrived."""

    succeeded: bool
    requests: tuple[WireRequest, ...]


def compare_wire(facts: Mapping[str, Any], worker: NodeWorker) -> Iterator[Change]:
    """Yield the differences on the wire.

    Args:
        facts: What the packages state: see ``facts.mjs``.
        worker: The worker ``connector.mjs`` beside the packages.
    """
    if facts["connector"] is not None:
        files = (WORKER, FACTS)
        yield Change(
            "the connector has another form", facts["connector"], "makes it by its export", "", files
        )
        return
    if facts["silence"] is not None:
        yield Change(
            "the connector no longer waits for a silent endpoint",
            f"ends the send: {facts['silence']}",
            "has no time-out",
            format_message(make_message()),
            (RULES,),
        )
    yield from _compare_requests(worker)
    for status in STATUSES:
        yield from _compare_response(worker, f"status {status}", reply(f"{status} Odd"))
    for status in REDIRECTS:
        moved = reply(f"{status} Moved", "location: /there")
        yield from _compare_response(worker, f"redirect {status}", moved, reply("200 OK"))
    yield from _compare_response(worker, "more than ten redirects", reply("307 Moved", "location: /mail"))
    yield from _compare_other_origin(worker)


def _exchange(
    worker: NodeWorker, message: dict[str, Any], authorization: str | None, *replies: Reply
) -> tuple[Exchange, Exchange]:
    """Send a message with the connector and with our client to the same server; return both exchanges."""
    with Wire(*replies) as wire:
        url = f"{wire.origin}/mail"
        settings = {} if authorization is None else {"authorization": authorization}
        theirs = worker.ask({"endpoint": url, "message": message, **settings})
        arrived = tuple(wire.requests)
        wire.requests.clear()
        ours = post(url, message, authorization, timeout=MAX_POST_SECONDS)
        return (
            Exchange(theirs["ok"], tuple(map(_normalize, arrived))),
            Exchange(is_accepted(ours), tuple(map(_normalize, wire.requests))),
        )


def _normalize(request: WireRequest) -> WireRequest:
    # The encodings that it accepts depend on Node.
    headers = tuple(line.replace(", br, zstd", ", br") for line in request.headers)
    return replace(request, headers=headers, connection=0)


def _compare_requests(worker: NodeWorker) -> Iterator[Change]:
    revision = next(entry for entry in index()["revisions"] if entry["id"] == current_revision())
    generic = make_message()
    messages = [
        *((make_message(name), AUTHORIZATION) for name in revision["templateTypes"]),
        *((generic, authorization) for authorization in (None, "")),
        *(({**generic, "ip": ip}, None) for ip in ("::1", "", None)),
        ({**generic, "messageId": "1"}, None),
        (make_message(other=[None]), None),
        *((make_message(**{name: value}), None) for name, value in VARIABLES.items()),
        (make_message(**VARIABLES), None),
    ]
    told = set()
    for message, authorization in messages:
        theirs, ours = _exchange(worker, message, authorization)
        for change in _compare_first(message, theirs, ours):
            if change.what not in told:
                told.add(change.what)
                yield change


def _compare_first(message: dict[str, Any], theirs: Exchange, ours: Exchange) -> Iterator[Change]:
    if not theirs.requests:
        yield Change(
            "the connector sends no request",
            "nothing arrives",
            "one POST",
            format_message(message),
            (CHECKS,),
        )
        return
    (their, our) = theirs.requests[0], ours.requests[0]
    if their.start != our.start:
        yield Change("the request line", their.start, our.start, format_message(message), (ENCODING, CHECKS))
    yield from _compare_bodies(message, their, our)
    yield from _compare_headers(message, their, our)


def _compare_bodies(message: dict[str, Any], their: WireRequest, our: WireRequest) -> Iterator[Change]:
    if their.body == our.body:
        return
    try:
        their_members, our_members = json.loads(their.body), json.loads(our.body)
        added = [name for name in their_members if name not in our_members]
        missing = [name for name in our_members if name not in their_members]
    except (ValueError, TypeError):
        added = missing = []
    what = ", ".join(
        [
            *(f"the body has the new member {name}" for name in added),
            *(f"the body lacks {name}" for name in missing),
        ]
    )
    yield Change(
        what or "the body is written otherwise",
        f"posts {their.body.decode(errors='replace')}",
        f"posts {our.body.decode()}",
        format_message(message),
        (ENCODING, CHECKS, "tools/contract_source/schemas/"),
    )


def _compare_headers(message: dict[str, Any], their: WireRequest, our: WireRequest) -> Iterator[Change]:
    # The length follows the body, which is compared by itself.
    lines = [
        [line for line in request.headers if not line.startswith("content-length")]
        for request in (their, our)
    ]
    if lines[0] == lines[1]:
        return
    added = [line for line in lines[0] if line not in lines[1]]
    missing = [line for line in lines[1] if line not in lines[0]]
    what = [
        *(f"new header line {line!r}" for line in added),
        *(f"no header line {line!r}" for line in missing),
    ]
    yield Change(
        ", ".join(what) or "the header lines have another order",
        " | ".join(their.headers),
        " | ".join(our.headers),
        format_message(message),
        (ENCODING, CHECKS),
    )


def _compare_response(worker: NodeWorker, name: str, *replies: Reply) -> Iterator[Change]:
    message = make_message()
    theirs, ours = _exchange(worker, message, AUTHORIZATION, *replies)
    logto, contract = _describe_exchange(theirs), _describe_exchange(ours)
    if logto != contract:
        yield Change(f"after {name}", logto, contract, format_message(message), (POSTING, CHECKS))


def _describe_exchange(exchange: Exchange) -> str:
    described = []
    for request in exchange.requests[:3]:
        method, target, _ = request.start.split(" ")
        parts = ["the message"] if request.body else []
        parts += ["authorization"] if request.header("authorization") else []
        described.append(
            f"{method} {target} with {' and '.join(parts) or 'neither message nor authorization'}"
        )
    return (
        f"{'succeeds' if exchange.succeeded else 'fails'} after {len(exchange.requests)} requests: "
        + ", then ".join(described)
    )


def _compare_other_origin(worker: NodeWorker) -> Iterator[Change]:
    message = make_message()
    with Wire() as there, Wire(reply("307 Moved", f"location: {there.origin}/there")) as here:
        worker.ask({"endpoint": here.origin, "message": message, "authorization": AUTHORIZATION})
        arrived = [(bool(request.body), request.header("authorization")) for request in there.requests]
    if arrived != [(True, [])]:
        yield Change(
            "a redirect to another origin",
            f"sends {arrived or 'nothing'} there",
            "sends the message there, without authorization",
            format_message(message),
            (POSTING, CHECKS),
        )
