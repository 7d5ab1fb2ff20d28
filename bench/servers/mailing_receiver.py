"""A healthy receiver that mails within 5 ms; it can be slow, serial, hanging or faulty. For the benchmarks.

    python mailing_receiver.py PORT SMTP_PORT [--delay SECONDS] [--serial] [--hang] [--faults]

``GET /count`` returns how many requests it had.
"""

# An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002
from __future__ import annotations

import argparse
import asyncio
import base64
import html
import json
import traceback
from email.utils import parseaddr
from typing import Any

AUTHORIZATION = "Bearer s3cret"
SENDER = "shop@example.org"
KNOWN_TYPES = {
    *("SignIn", "Register", "ForgotPassword", "OrganizationInvitation", "Generic"),
    *("UserPermissionValidation", "BindNewIdentifier", "MfaVerification", "BindMfa"),
}
MAX_HEAD_BYTES = 256 * 1024
BACKLOG = 256

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):
    """A response other than 200: status and body."""


class MailServer:
    """The SMTP side. It keeps idle connections: a new one for each mail costs the sink a millisecond."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    async def send(self, to: str, mail: str) -> None:
        connection = self._idle.pop() if self._idle else await self._connect()
        option = "" if to.isascii() else " SMTPUTF8"
        for command in (f"MAIL FROM:<{SENDER}>{option}", f"RCPT TO:<{to}>", "DATA", f"{mail}\r\n."):
            code = await self._ask(connection, command)
            if code not in (b"250", b"354"):
                connection[1].close()
                raise Refused(422, f"the mail server said {code.decode()}")
        self._idle.append(connection)

    async def _connect(self) -> Connection:
        connection = await asyncio.open_connection("127.0.0.1", self._port)
        await connection[0].readline()
        await self._ask(connection, "EHLO localhost")
        return connection

    async def _ask(self, connection: Connection, command: str) -> bytes:
        connection[1].write(f"{command}\r\n".encode())
        while (line := await connection[0].readline())[3:4] == b"-":
            pass
        return line[:3]


class Receiver:
    """The receiver that passes every rule.

    Args:
        mails: Takes the mails.
        delay: How many seconds it waits before each answer.
        lock: Held for each answer, so that one is made at a time; None for any number.
        is_hanging: Whether it never answers.
    """

    def __init__(
        self, mails: MailServer, delay: float, lock: asyncio.Lock | None, *, is_hanging: bool
    ) -> None:
        self.mails = mails
        self.delay = delay
        self.lock = lock
        self.is_hanging = is_hanging
        self.count = 0

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                fields = [line.partition(":") for line in lines if line]
                headers = [(name.lower(), value.strip()) for name, _, value in fields]
                length = next((int(value) for name, value in headers if name == "content-length"), 0)
                body = await reader.readexactly(length)
                method, target, _ = first.split()
                status, text = await self.respond(method, target, headers, body)
                writer.write(f"HTTP/1.1 {status} Said\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (EOFError, ConnectionError, ValueError, asyncio.LimitOverrunError):
            pass  # the client closed the connection, or speaks no HTTP
        finally:
            writer.close()

    async def respond(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, bytes]:
        if target == "/count":
            return 200, b"%d" % self.count
        self.count += 1
        if self.is_hanging:
            await asyncio.Event().wait()
        if self.lock is None:
            return await self.answer(method, headers, body)
        async with self.lock:
            return await self.answer(method, headers, body)

    async def answer(self, method: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        if self.delay:
            await asyncio.sleep(self.delay)
        try:
            self.check_head(method, [value for name, value in headers if name == "authorization"])
            message = self.read(body)
            self.check(message)
            await self.mail(message)
        except Refused as refused:
            return refused.args[0], refused.args[1].encode()
        except Exception as error:  # noqa: BLE001 - as a framework does
            return 500, self.describe(error).encode()
        return 200, b""

    def check_head(self, method: str, authorization: list[str]) -> None:
        if method != "POST":
            raise Refused(405, "")
        if authorization != [AUTHORIZATION]:
            raise Refused(401, "")

    def read(self, body: bytes) -> Any:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, self.describe(error)) from None
        if not isinstance(message, dict):
            self.refuse_value(message)
        if [type(message.get(name)) for name in ("to", "type", "payload")] != [str, str, dict]:
            raise Refused(422, "")
        return message

    def refuse_value(self, value: object) -> None:
        raise Refused(422, "no object")

    def check(self, message: dict[str, Any]) -> None:
        to = message["to"]
        if parseaddr(to) != ("", to) or not to.isprintable():
            raise Refused(422, "no address")

    async def mail(self, message: dict[str, Any]) -> None:
        payload = message["payload"]
        secrets = [_text(payload[name]) for name in ("code", "link") if isinstance(payload.get(name), str)]
        if not secrets:
            raise Refused(422, "neither code nor link")
        names = ", ".join(
            self.name(payload.get(member)) for member in ("application", "organization", "user")
        )
        text = "\n\n".join([f"Hello {names}", *map(self.show, secrets)])
        shown = "".join(f"<p>{html.escape(self.show(secret))}</p>" for secret in secrets)
        markup = f"<!doctype html><p>Hello {self.escape(names)}</p>{shown}"
        await self.mails.send(
            message["to"],
            f"From: {SENDER}\r\nTo: {message['to']}\r\nSubject: Your mail\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/alternative; boundary=part\r\n\r\n"
            f"--part\r\n{_encode('plain', text)}\r\n--part\r\n{_encode('html', markup)}\r\n--part--",
        )

    def name(self, context: object) -> str:
        name = context.get("name") if isinstance(context, dict) else None
        return _text(name)[:100] if isinstance(name, str) else ""

    def show(self, secret: str) -> str:
        return secret

    def escape(self, text: str) -> str:
        return html.escape(text)

    def describe(self, error: Exception) -> str:
        return "no"


class Faulty(Receiver):
    """A receiver with ten faults."""

    def check_head(self, method: str, authorization: list[str]) -> None:
        # 1: a credential in any case
        known = [value.lower() for value in authorization] == [AUTHORIZATION.lower()]
        super().check_head(method, [AUTHORIZATION] if known else [])

    def refuse_value(self, value: object) -> None:
        raise TypeError  # 2: a crash on JSON that is no object

    def check(self, message: dict[str, Any]) -> None:
        super().check(message)
        if message["type"] == "BindMfa":
            raise Refused(400, "no such template")  # 3: a type that is missing
        if message["type"] not in KNOWN_TYPES:
            raise Refused(400, "no such template")  # 4: unknown types
        if "+" in message["to"]:
            raise Refused(422, "no address")  # 5: addresses with a plus sign

    async def mail(self, message: dict[str, Any]) -> None:
        if not str(message["payload"].get("locale")).startswith("fr"):
            await super().mail(message)  # 6: mails in French are lost

    def name(self, context: object) -> str:
        if isinstance(context, dict) and "name" in context:
            return _text(context["name"].strip())  # 7: a crash on a name that is null
        return ""

    def show(self, secret: str) -> str:
        return str(int(secret)) if secret.isdigit() else secret  # 8: a code without its leading zeros

    def escape(self, text: str) -> str:
        return text  # 9: markup in the mail

    def describe(self, error: Exception) -> str:
        return "".join(traceback.format_exception(error))  # 10: a stack trace in the answer


def _text(text: str) -> str:
    """Return a text without lone surrogates and line ends."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _encode(kind: str, text: str) -> str:
    data = base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    return f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{data}"


async def serve(options: argparse.Namespace) -> None:
    make = Faulty if options.faults else Receiver
    lock = asyncio.Lock() if options.serial else None
    receiver = make(MailServer(options.smtp_port), options.delay, lock, is_hanging=options.hang)
    server = await asyncio.start_server(
        receiver.serve_client, "127.0.0.1", options.port, limit=MAX_HEAD_BYTES, backlog=BACKLOG
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("smtp_port", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--serial", action="store_true")
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--faults", action="store_true")
    asyncio.run(serve(parser.parse_args()))
