"""Good receivers that mail over SMTP, each in a way of its own: no rule may fail for them at MUST.

``serve_mailing(GOOD["queue"], sink.port, delay=0.1)`` serves one of them.
"""

# Names describe what receivers and methods do. An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002, D101
from __future__ import annotations

import html
import queue
import smtplib
import threading
import time
from contextlib import closing, contextmanager
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, parseaddr
from typing import TYPE_CHECKING, Any

import ada_url
import flask
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, Served
from tests.support.limited_receivers import LimitPerSecond
from tests.support.server_threads import serving_in_thread
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedIOBase

SENDER = "shop@example.org"
_MAX_NAME_CHARS = 100
_SMTP_SECONDS = 5.0


class Mailing(Good):
    """A correct receiver. It sends a mail with a text and an HTML part before it answers.

    Args:
        smtp_port: The port of the mail server on loopback.
        delay: How many seconds pass before each answer.
    """

    text = b""
    is_parallel = True
    undeliverable = 422
    """The status where the mail server refuses the recipient, or the recipient is no address of SMTP."""
    unavailable = 503
    """The status where the mail server fails in any other way."""

    def __init__(self, smtp_port: int, delay: float) -> None:
        self.smtp_port = smtp_port
        self.delay = delay

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        time.sleep(self.delay)
        return super().respond(request)

    def read_body(self, stream: BufferedIOBase, length: int) -> bytes:
        body = stream.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client left within the body")
        return body

    def handle(self, message: Any, request: Request) -> None:
        self.check_recipient(message["to"])
        self.send(message["to"], self.render(message))

    def check_recipient(self, to: str) -> None:
        if parseaddr(to) != ("", to) or not to.isprintable():
            raise Refused(self.undeliverable, "no address")

    def send(self, to: str, mail: bytes) -> None:
        try:
            self.send_over_smtp(to, mail)
        except smtplib.SMTPRecipientsRefused:
            raise Refused(self.undeliverable, "the recipient was refused") from None
        except (smtplib.SMTPException, OSError):
            raise Refused(self.unavailable, "the mail was not sent") from None

    def send_over_smtp(self, to: str, mail: bytes) -> None:
        options = () if to.isascii() else ("SMTPUTF8",)
        with smtplib.SMTP("127.0.0.1", self.smtp_port, "localhost", _SMTP_SECONDS) as client:
            client.sendmail(SENDER, [to], mail, mail_options=options)

    def render(self, message: dict[str, Any]) -> bytes:
        payload = message["payload"]
        secrets = self.secrets(message["type"], payload)
        names = [_name(payload.get(member)) for member in ("application", "organization", "user", "inviter")]
        shown = ", ".join(filter(None, names))
        subject = Header(f"Your mail from {shown}", "utf-8").encode(linesep="\r\n")
        body = EmailMessage()
        body.set_content("\n\n".join([f"Hello {shown}", *secrets, ""]), cte="base64")
        body.add_alternative(
            f"<!doctype html><p>Hello {html.escape(shown)}</p>{''.join(map(_html_of, secrets))}",
            subtype="html",
            cte="base64",
        )
        head = (
            f"From: Shop <{SENDER}>",
            f"To: {message['to']}",
            f"Subject: {subject}",
            f"Date: {formatdate()}",
            f"Message-ID: {make_msgid(domain='example.org')}",
        )
        return "".join(f"{line}\r\n" for line in head).encode() + body.as_bytes(policy=SMTP)

    def secrets(self, type: str, payload: dict[str, Any]) -> list[str]:
        """Return what the mail is about: the code, the link, or both."""
        values = [value for name in ("code", "link") if isinstance(value := payload.get(name), str) and value]
        if not values:
            raise Refused(422, "neither code nor link")
        # JSON has lone surrogates, and UTF-8 has not.
        return [value.encode("utf-8", "replace").decode() for value in values]

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Listen on a free port of loopback, and return the URL."""
        with Served(self, threads=self.is_parallel) as served:
            yield served.url

    def close(self) -> None:
        """Finish the work in the background."""


def _name(context: object) -> str:
    """Return a name as one line, without what no header can hold; empty where there is none."""
    if not isinstance(context, dict):
        return ""
    names = (context.get(member) for member in ("displayName", "name", "username", "primaryEmail"))
    name = next((name for name in names if isinstance(name, str) and name), "")
    return "".join(char if char.isprintable() else " " for char in name)[:_MAX_NAME_CHARS]


def _html_of(secret: str) -> str:
    shown = html.escape(secret)
    if secret.lower().startswith(("https:", "http:")):
        return f'<p><a href="{shown}">{shown}</a></p>'
    return f"<p>{shown}</p>"


# Good receivers.


class Queueing(Mailing):
    """Answers 202 and mails later. It tries a mail again after a temporary refusal."""

    status = 202
    tries = 4
    pause = 0.05

    def __init__(self, smtp_port: int, delay: float) -> None:
        super().__init__(smtp_port, delay)
        self._waiting: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="mail queue")
        self._worker.start()

    def send(self, to: str, mail: bytes) -> None:
        self._waiting.put((to, mail))

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            for number in range(self.tries):
                try:
                    self.send_over_smtp(*item)
                    break
                except (smtplib.SMTPException, OSError):
                    time.sleep(self.pause * 2**number)

    def close(self) -> None:
        self._waiting.put(None)
        self._worker.join()


class Retrying(Mailing):
    """Tries a mail again before it answers."""

    def send_over_smtp(self, to: str, mail: bytes) -> None:
        try:
            super().send_over_smtp(to, mail)
        except (smtplib.SMTPException, OSError):
            super().send_over_smtp(to, mail)


class NoContent(Mailing):
    status = 204

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        if status == 204:
            yield b"HTTP/1.1 204 No Content\r\n\r\n"
        else:
            yield from super().raw(status, headers, body)


class Chunked(Mailing):
    text = b'{"accepted": true}'

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        lines = {"transfer-encoding": "chunked", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        yield f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode()
        for start in range(0, len(body), 7):
            chunk = body[start : start + 7]
            yield b"%x\r\n%b\r\n" % (len(chunk), chunk)
        yield b"0\r\n\r\n"


class Http10(Mailing):
    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        for piece in super().raw(status, headers, body):
            yield piece.replace(b"HTTP/1.1", b"HTTP/1.0", 1)

    def keeps_open(self, request: Request) -> bool:
        return False


class Serial(Mailing):
    """Works on one request at a time, whatever connection it came on."""

    def __init__(self, smtp_port: int, delay: float) -> None:
        super().__init__(smtp_port, delay)
        self._lock = threading.Lock()

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            return super().respond(request)


class OneConnection(Mailing):
    """Accepts the next connection after it has closed the last one, as simple WSGI servers do."""

    is_parallel = False

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        return super().raw(status, {**headers, "connection": "close"}, body)

    def keeps_open(self, request: Request) -> bool:
        return False


class Limited(LimitPerSecond, Mailing):
    """Answers 429 to more than ``per_second`` requests within a second."""

    per_second = 50.0


class BadGateway(Mailing):
    """Answers 502 whatever the mail server refuses."""

    undeliverable = unavailable = 502


class Punycode(Mailing):
    """Writes international domains in Punycode: SMTPUTF8 is for what stands before the @ alone."""

    def handle(self, message: Any, request: Request) -> None:
        self.check_recipient(message["to"])
        local, _, domain = message["to"].rpartition("@")
        encoded = ada_url.idna_to_ascii(domain).decode() or domain
        super().handle({**message, "to": f"{local}@{encoded}"}, request)


class Hidden(Mailing):
    """Answers 404 to a wrong credential, as if nothing were there."""

    def check_authorization(self, request: Request) -> None:
        if not self.authorized(",".join(request.values("authorization"))):
            raise Refused(404)


class ClosesAfterErrors(Mailing):
    """Closes the connection after an error, and does not announce it."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        yield from super().raw(status, headers, body)
        if status >= 400:
            raise ConnectionAbortedError


class FlaskBeginner(Mailing):
    """Uses ``get_json`` and ``get``, and checks no type: it answers 500 to bodies that Logto cannot send."""

    @contextmanager
    def serve(self) -> Iterator[str]:
        app = flask.Flask(__name__)
        # An exception becomes a 500, as in production, without a traceback in the output of the tests.
        app.logger.disabled = True
        app.add_url_rule("/hook", view_func=self.receive, methods=["POST"])
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        with serving_in_thread(server) as url:
            yield url

    def receive(self) -> tuple[str, int]:
        time.sleep(self.delay)
        if flask.request.headers.get("Authorization") != TOKEN:
            return "", 401
        message = flask.request.get_json()
        payload = message.get("payload")
        known = {member: payload.get(member) for member in ("code", "link", "organization", "user")}
        to, type = message.get("to"), message.get("type")
        try:
            self.check_recipient(to)
            self.send(to, self.render({"to": to, "type": type, "payload": known}))
        except Refused as refused:
            return str(refused), refused.status
        return "", 200


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Print no line for each request."""


GOOD: dict[str, type[Mailing]] = {
    "delayed": Mailing,
    "queue": Queueing,
    "retries": Retrying,
    "no-content": NoContent,
    "chunked": Chunked,
    "http-1.0": Http10,
    "serial": Serial,
    "one-connection": OneConnection,
    "limited": Limited,
    "flask": FlaskBeginner,
    "bad-gateway": BadGateway,
    "punycode": Punycode,
    "hidden": Hidden,
    "closes-after-errors": ClosesAfterErrors,
}


@contextmanager
def serve_mailing(make: type[Mailing], smtp_port: int, delay: float = 0.0) -> Iterator[str]:
    """Serve a receiver on loopback, and return its URL. Its authorization is ``TOKEN``.

    Args:
        make: Its class.
        smtp_port: The port of the mail server on loopback, for example of an ``SmtpSink``.
        delay: How many seconds it needs for each answer.
    """
    with closing(make(smtp_port, delay)) as mailing, mailing.serve() as url:
        yield url
