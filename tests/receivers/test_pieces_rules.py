"""Requests in pieces: they arrive as they are cut, and who reads once fails one rule, which says why."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import SETTINGS, TOKEN, Good, Served, wsgi
from tests.support.runs import has_failed, try_rule, try_rules
from tests.support.server_threads import serving_in_thread

from logto_mail_contract.connector.channel import UrlTarget
from logto_mail_contract.receivers.receiver import Receiver
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.wire.calls import Call
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Callable

PIECES = "receiver/accept/pieces"
RULES = [rule for rule in list_rule_ids("receiver") if not rule.startswith("receiver/deliver/")]


# How they are sent.


def test_a_call_arrives_in_the_pieces_that_it_is_cut_into() -> None:
    """The server waits for each piece before it reads on, and the client pauses before each."""
    call = Call("/hook", (("Host", "x"), ("content-length", "4")), b"abcd", cuts=(5, 50, 52))
    segments: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                while len(b"".join(segments)) < len(call.encode()):
                    segments.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(UrlTarget(f"http://127.0.0.1:{listening.getsockname()[1]}/").open()) as channel:
            outcome = channel.exchange(call, 5)
        thread.join()
    data = call.encode()
    assert isinstance(outcome, Response)
    assert outcome.status == 204
    # A busy machine may join pieces; none is torn.
    ends = [len(b"".join(segments[: number + 1])) for number in range(len(segments))]
    assert b"".join(segments) == data
    assert set(ends) <= {5, 50, 52, len(data)}
    assert len(ends) > 1


def test_a_response_before_the_last_piece_counts() -> None:
    call = Call("/hook", (("Host", "x"), ("content-length", "9")), b"abcdefghi", cuts=(20, 30, 40))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(UrlTarget(f"http://127.0.0.1:{listening.getsockname()[1]}/").open()) as channel:
            outcome = channel.exchange(call, 5)
        thread.join()
    assert isinstance(outcome, Response)
    assert outcome.status == 413


# What the rule finds.


class ReadsOnce(http.server.BaseHTTPRequestHandler):
    """Reads what came so far of the body, and no more."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def read_body(self, length: int) -> bytes:
        return self.rfile.read1(length)

    def do_POST(self) -> None:
        body = self.read_body(int(self.headers["content-length"] or 0))
        status = 401
        if self.headers.get_all("authorization") == [TOKEN]:
            status = 200
            try:
                message = json.loads(body.decode())
                kinds = [type(message.get(name)) for name in ("to", "type", "payload")]
                status = 200 if kinds == [str, str, dict] else 422
            except (ValueError, AttributeError, RecursionError):
                status = 400
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(405)
        self.send_header("content-length", "0")
        self.end_headers()

    do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls


class ReadsWhole(ReadsOnce):
    """The good one beside it: reads as many bytes as the length says."""

    def read_body(self, length: int) -> bytes:
        return self.rfile.read(length)


class DecodesEachPiece(ReadsOnce):
    """Decodes each piece by itself, so that a character across the cut is lost."""

    def read_body(self, length: int) -> bytes:
        text = ""
        while length:
            piece = self.rfile.read1(length)
            length -= len(piece)
            text += piece.decode()
        return text.encode()


class DropsTheLastByteOfManyPieces(ReadsOnce):
    """Reads at most a few times."""

    def read_body(self, length: int) -> bytes:
        pieces = [self.rfile.read1(length)]
        for _ in range(4):
            if left := length - len(b"".join(pieces)):
                pieces.append(self.rfile.read1(left))
        return b"".join(pieces)


class Server(http.server.ThreadingHTTPServer):
    """A server for many connections at once."""

    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Print nothing."""


def find_failed(url: str) -> dict[str, str]:
    with closing(Receiver.url(url, authorization=TOKEN)) as receiver:
        results = try_rules(RULES, receiver, SETTINGS)
    return {result.rule.id: str(result.findings[0]) for result in results if has_failed(result)}


def test_a_receiver_that_reads_once_fails_the_rule_and_no_other() -> None:
    """The rest of a body that was left is answered too; no other rule speaks of that."""
    with serving_in_thread(Server(("127.0.0.1", 0), ReadsOnce)) as url:
        failed = find_failed(url)
    assert failed.keys() == {PIECES}
    assert "pieces, the first cut at " in failed[PIECES]
    assert f"reproduce mail-contract verify {url} --rules {PIECES} --authorization-env" in failed[PIECES]


@pytest.mark.parametrize(
    ("handler", "place"), [(DecodesEachPiece, r"Zo\xc3|"), (DropsTheLastByteOfManyPieces, "|{")]
)
def test_a_receiver_that_reads_pieces_badly_fails_the_rule(handler: type[ReadsOnce], place: str) -> None:
    with (
        serving_in_thread(Server(("127.0.0.1", 0), handler)) as url,
        closing(Receiver.url(url, authorization=TOKEN)) as receiver,
    ):
        result = try_rule(PIECES, receiver, SETTINGS)
    assert result.outcome == "failed"
    assert place in result.findings[0].actual


@pytest.mark.parametrize(
    "serve", [lambda: serving_in_thread(Server(("127.0.0.1", 0), ReadsWhole)), lambda: Served(Good())]
)
def test_a_receiver_that_reads_to_the_end_passes(serve: Callable[[], Any]) -> None:
    with serve() as served:
        url = served if isinstance(served, str) else served.url
        assert find_failed(url) == {}


def test_a_receiver_in_this_process_is_not_judged() -> None:
    with closing(Receiver.wsgi(wsgi(Good()), authorization=TOKEN)) as receiver:
        assert try_rule(PIECES, receiver).outcome == "not applicable"


def test_what_fails_in_one_piece_too_is_not_blamed_on_the_pieces() -> None:
    class CrashesOnEmoji(ReadsWhole):
        def read_body(self, length: int) -> bytes:
            body = super().read_body(length)
            return b"{" if any(form in body for form in ("🙂".encode(), rb"\ud83d")) else body

    with (
        serving_in_thread(Server(("127.0.0.1", 0), CrashesOnEmoji)) as url,
        closing(Receiver.url(url, authorization=TOKEN)) as receiver,
    ):
        unicode, pieces = try_rules(("receiver/accept/unicode", PIECES), receiver, SETTINGS)
    assert has_failed(unicode)
    assert (pieces.outcome, pieces.cases) == ("passed", 5)


def test_names_are_cut_wherever_they_stand() -> None:
    bodies: list[list[bytes]] = []

    class RecordsPieces(ReadsOnce):
        def read_body(self, length: int) -> bytes:
            pieces = []
            while length:
                pieces.append(self.rfile.read1(length))
                length -= len(pieces[-1])
            bodies.append(pieces)
            return b"".join(pieces)

    with (
        serving_in_thread(Server(("127.0.0.1", 0), RecordsPieces)) as url,
        closing(Receiver.url(url, authorization=TOKEN)) as receiver,
    ):
        assert try_rule(PIECES, receiver, SETTINGS).outcome == "passed"
    split = [piece for pieces in bodies for piece in pieces if piece.endswith("ë".encode()[:1])]
    assert any(b'"displayName":"Zo' in piece for piece in split)
    assert len(split) >= 3
