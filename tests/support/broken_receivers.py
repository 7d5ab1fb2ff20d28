"""A receiver that passes every rule, and one for every way to fail one: the negative controls of the rules.

Each control is the good receiver with one method changed, registered with exactly the rules that it fails.
"""

# Names describe what controls and methods do. An overriding method keeps the parameters of the original.
# ruff: noqa: ARG001, ARG002, D101
from __future__ import annotations

import contextlib
import gzip
import hashlib
import ipaddress
import json
import re
import socket
import socketserver
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from logto_mail_contract.receivers.receiver import Receiver, Settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable
    from io import BufferedIOBase

TOKEN = "Bearer s3cret-T0ken"
KNOWN_TYPES = {
    "SignIn": "sign-in",
    "Register": "register",
    "ForgotPassword": "forgot-password",
    "OrganizationInvitation": "organization-invitation",
    "Generic": "generic",
    "UserPermissionValidation": "user-permission-validation",
    "BindNewIdentifier": "bind-new-identifier",
    "MfaVerification": "mfa-verification",
    "BindMfa": "bind-mfa",
}
KNOWN_VARIABLES = {
    *("code", "link", "locale", "uiLocales", "application", "organization", "user", "inviter"),
}


@dataclass(frozen=True)
class Request:
    """One request: method, target, headers with names as sent, body."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return the values of every header line with that name, in any case."""
        return [value for header, value in self.headers if header.lower() == name]


class Refused(Exception):
    """A response of 4xx, or of any other status than 200."""

    def __init__(self, status: int, text: str = "no", **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class Good:
    """The receiver that passes every rule."""

    token: str | None = TOKEN
    status = 200
    text = b"taken"
    headers: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the response."""
        try:
            self.check_method(request)
            self.check_authorization(request)
            message = self.read(request.body)
            self.check(message)
            self.handle(message, request)
        except Refused as refused:
            return self.refusal(refused, request)
        except Exception as error:  # noqa: BLE001 - as a framework does
            return self.crash_response(error)
        return self.status, self.headers, self.text

    def check_method(self, request: Request) -> None:
        if request.method != "POST":
            raise Refused(405)

    def check_authorization(self, request: Request) -> None:
        if self.token is not None and not self.authorized(",".join(request.values("authorization"))):
            raise Refused(401)

    def authorized(self, value: str) -> bool:
        return value == self.token

    def read(self, body: bytes) -> Any:
        if not body:
            return self.empty()
        try:
            return json.loads(body)
        except RecursionError:
            return self.too_deep()
        except ValueError:
            return self.not_json()

    def empty(self) -> Any:
        raise Refused(400, "empty")

    def too_deep(self) -> Any:
        raise Refused(400, "too deep")

    def not_json(self) -> Any:
        raise Refused(400, "not JSON")

    def check(self, message: Any) -> None:
        if not isinstance(message, dict):
            self.not_an_object()
            return
        for name, kind in (("to", str), ("type", str), ("payload", dict)):
            if not isinstance(message.get(name), kind):
                self.mistyped(name, message)

    def not_an_object(self) -> None:
        raise Refused(422, "not an object")

    def mistyped(self, name: str, message: dict[str, Any]) -> None:
        raise Refused(422, f"{name} is missing or mistyped")

    def handle(self, message: Any, request: Request) -> None:
        """Render the mail and hand it over."""

    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        return refused.status, refused.headers, str(refused).encode()

    def crash_response(self, error: Exception) -> tuple[int, dict[str, str], bytes]:
        return 500, {}, b"Internal Server Error"

    # On the wire.

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        """Return the bytes of a response, in the pieces in which they are sent."""
        lines = {"content-length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        yield f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body

    def keeps_open(self, request: Request) -> bool:
        """Return whether the connection stays open after the response."""
        return True

    def read_body(self, stream: BufferedIOBase, length: int) -> bytes:
        """Return the body of a request."""
        return stream.read(length)

    def reads_body(self, headers: tuple[tuple[str, str], ...]) -> bool:
        """Return whether the body is read before the response."""
        return True


def wsgi(receiver: Good) -> Callable[..., Iterable[bytes]]:
    """Return a receiver as a WSGI application."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        headers = [(key[5:].replace("_", "-"), value) for key, value in environ.items() if key[:5] == "HTTP_"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        request = Request(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            tuple(headers),
            environ["wsgi.input"].read(length),
        )
        status, lines, body = receiver.respond(request)
        start_response(f"{status} Said", [("Content-Length", str(len(body))), *lines.items()])
        return [body]

    return app


class Served:
    """A receiver that listens on a loopback port; a context manager.

    Args:
        receiver: Responds to the requests.
        threads: Whether each connection has its own thread.
        port: The port; a free one when 0.
        tls: The context for https; plain http when None.

    Attributes:
        requests: The number of requests received.
    """

    def __init__(
        self,
        receiver: Good,
        *,
        threads: bool = True,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        kind = socketserver.ThreadingTCPServer if threads else socketserver.TCPServer
        self.requests = 0
        self._open: set[socket.socket] = set()
        served = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 20

            def handle(self) -> None:
                served._open.add(self.connection)
                try:
                    while served._handle_request(self, receiver):
                        pass
                except (OSError, ValueError):
                    pass  # the client closed the connection
                finally:
                    served._open.discard(self.connection)

        class Server(kind):  # type: ignore[misc, valid-type]
            request_queue_size = 64
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def stop_listening(self) -> None:
        """Refuse new connections; open ones stay."""
        self._server.socket.close()

    def _handle_request(self, handler: socketserver.StreamRequestHandler, receiver: Good) -> bool:
        first = handler.rfile.readline(65537).decode("latin-1")
        if not first:
            return False
        parts = first.split()
        if len(parts) != 3 or not parts[2].startswith("HTTP/"):
            handler.wfile.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return True
        headers = []
        while (line := handler.rfile.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        reads = receiver.reads_body(tuple(headers))
        body = receiver.read_body(handler.rfile, sum(lengths)) if reads else b""
        self.requests += 1
        request = Request(parts[0], parts[1], tuple(headers), body)
        for piece in receiver.raw(*receiver.respond(request)):
            handler.wfile.write(piece)
        return receiver.keeps_open(request)

    @property
    def url(self) -> str:
        """The URL of its endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # the client closed it first
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


@dataclass(frozen=True)
class Control:
    """A receiver that fails some rules, and those rules.

    Attributes:
        make: Makes the receiver.
        failed_rules: The rules, without ``receiver/``: its own first, then those that necessarily fail too.
        drawn: Whether generated messages may contain the value that it rejects, so that the rule about
            them may fail too.
        wire: Whether it must be reached over a socket.
        threads: Whether it serves connections in parallel.
        settings: The settings of its run.
    """

    make: type[Good]
    failed_rules: tuple[str, ...]
    drawn: bool
    wire: bool
    threads: bool
    settings: Settings


CONTROLS: dict[str, Control] = {}
SETTINGS = Settings(examples=10, warn_after=3, fail_after=6)
IMPATIENT = Settings(examples=2, warn_after=0.2, fail_after=0.4)
CHANGED_CREDENTIALS = (
    *("auth/changed-start-authorization", "auth/same-length-authorization", "auth/not-ascii-authorization"),
    *("auth/wrong-for-every-type", "auth/wrong-for-every-content-type"),
)
TYPES = tuple(f"accept/{slug}" for slug in KNOWN_TYPES.values())


def control(
    *failed_rules: str,
    drawn: bool = False,
    wire: bool = False,
    threads: bool = True,
    settings: Settings = SETTINGS,
) -> Callable[[type[Good]], type[Good]]:
    """Register a receiver that fails exactly these rules."""

    def register(make: type[Good]) -> type[Good]:
        CONTROLS[make.__name__] = Control(make, failed_rules, drawn, wire, threads, settings)
        return make

    return register


# receiver/accept


for _type, _slug in KNOWN_TYPES.items():

    def _refuse(self: Good, message: Any, request: Request, type: str = _type) -> None:
        if message["type"] == type:
            raise Refused(400, "no such template")

    control(f"accept/{_slug}")(type(f"Refuses{_type}", (Good,), {"handle": _refuse}))


@control(*TYPES)
class BodyParserAfterTheRoute(Good):
    def read(self, body: bytes) -> Any:
        return None

    def check(self, message: Any) -> None:
        message["type"]


@control("accept/organization-invitation")
class RequiresCode(Good):
    def handle(self, message: Any, request: Request) -> None:
        message["payload"]["code"]


@control("accept/minimal", "accept/older-revisions", drawn=True)
class RequiresContext(Good):
    """The first revision had no context."""

    def handle(self, message: Any, request: Request) -> None:
        if message["type"] in ("SignIn", "Register") and "application" not in message["payload"]:
            raise Refused(400)


@control("accept/minimal", "accept/older-revisions", drawn=True)
class RequiresMoreThanALink(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["payload"].keys() == {"link"}:
            raise Refused(400)


@control("accept/older-revisions")
class RequiresLocaleOfASignIn(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["type"] == "SignIn":
            message["payload"]["locale"]


def _people(message: Any) -> list[dict[str, Any]]:
    payload = message["payload"]
    return [payload[name] for name in ("user", "inviter") if isinstance(payload.get(name), dict)]


def _named(message: Any) -> list[dict[str, Any]]:
    payload = message["payload"]
    found = [payload[name] for name in ("application", "organization") if isinstance(payload.get(name), dict)]
    return [*found, *_people(message)]


@control("accept/null-user", drawn=True)
class NullNameDereferenced(Good):
    def handle(self, message: Any, request: Request) -> None:
        for person in _people(message):
            person.get("name", "").strip()


@control("accept/context-forms", drawn=True)
class NeedsALogoInBranding(Good):
    def handle(self, message: Any, request: Request) -> None:
        for thing in _named(message):
            if thing.get("branding"):
                thing["branding"]["logoUrl"]


@control("accept/empty-branding", "accept/context-forms", "accept/caller-values", drawn=True)
class NeedsALogo(Good):
    def handle(self, message: Any, request: Request) -> None:
        for thing in _named(message):
            if "branding" in thing:
                thing["branding"]["logoUrl"]


@control("accept/unknown-variable")
class ForbidsUnknownVariables(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["payload"].keys() - KNOWN_VARIABLES:
            raise Refused(400)


@control("accept/unknown-member")
class ForbidsUnknownMembers(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message.keys() - {"to", "type", "payload", "ip"}:
            raise Refused(400)


@control("accept/ip-forms", "accept/connector-test", drawn=True)
class ReadsIPv4Alone(Good):
    """The test in the console has an IPv4 address mapped into IPv6."""

    def handle(self, message: Any, request: Request) -> None:
        if "ip" in message:
            ipaddress.IPv4Address(message["ip"])


@control("accept/locale-forms", "accept/odd-locales", drawn=True)
class MatchesLocales(Good):
    def handle(self, message: Any, request: Request) -> None:
        if not re.fullmatch("[a-z]{2}(-[A-Z]{2})?", message["payload"].get("locale", "en")):
            raise Refused(400)


@control("accept/ui-locales-forms", drawn=True)
class MatchesUiLocales(Good):
    def handle(self, message: Any, request: Request) -> None:
        if not re.fullmatch("[a-zA-Z -]*", message["payload"].get("uiLocales", "")):
            raise Refused(400)


@control("accept/unicode", drawn=True)
class WritesLatin1(Good):
    def handle(self, message: Any, request: Request) -> None:
        for thing in _named(message):
            str(thing.get("displayName") or thing.get("name")).encode("latin-1")


@control("accept/odd-names", "accept/template-syntax", drawn=True)
class RefusesMarkup(Good):
    def handle(self, message: Any, request: Request) -> None:
        if any(set("<>\r\n") & set(str(thing.get("name"))) for thing in _named(message)):
            raise Refused(400)


@control("accept/long-values", drawn=True)
class RefusesLongNames(Good):
    def handle(self, message: Any, request: Request) -> None:
        if any(len(str(thing.get("name"))) > 100 for thing in _named(message)):
            raise Refused(400)


@control("accept/leading-zeros", "accept/connector-test", drawn=True)
class ReadsCodesAsNumbers(Good):
    """The code of the test in the console is 000000."""

    def handle(self, message: Any, request: Request) -> None:
        code = message["payload"].get("code")
        if code is not None and re.fullmatch("[0-9]{6}", code) and int(code) < 100_000:
            raise Refused(400)


@control("accept/connector-test", drawn=True)
class RefusesTheTest(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["payload"].get("code") == "000000":
            raise Refused(400)


@control("accept/resend")
class TakesNothingTwice(Good):
    def __init__(self) -> None:
        self._seen: set[str] = set()

    def handle(self, message: Any, request: Request) -> None:
        digest = hashlib.sha256(request.body).hexdigest()
        if digest in self._seen:
            raise Refused(409)
        self._seen.add(digest)


@control("accept/large-invitation")
class CrashesOnLargeBodies(Good):
    def handle(self, message: Any, request: Request) -> None:
        if len(request.body) > 800_000:
            raise MemoryError


@control("accept/odd-addresses", "accept/rare-addresses")
class WritesAsciiAddresses(Good):
    def handle(self, message: Any, request: Request) -> None:
        message["to"].encode("ascii")


@control("accept/invitation-without-link")
class DereferencesTheLink(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["type"] == "OrganizationInvitation":
            message["payload"]["link"]


@control("accept/caller-values")
class TrustsTheOrganization(Good):
    def handle(self, message: Any, request: Request) -> None:
        message["payload"].get("organization", {}).get("name")


@control("accept/unknown-type")
class ClosedListOfTypes(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["type"] not in KNOWN_TYPES:
            raise Refused(400)


@control("accept/unknown-type-is-no-crash", "accept/unknown-type")
class LooksTheTemplateUp(Good):
    def handle(self, message: Any, request: Request) -> None:
        KNOWN_TYPES[message["type"]]


@control("accept/unknown-type-is-no-crash")
class TypeAsAPath(Good):
    def handle(self, message: Any, request: Request) -> None:
        if "/" in message["type"]:
            raise FileNotFoundError


@control("accept/generated", settings=Settings(examples=200, warn_after=3, fail_after=6))
class StumblesOverAShortId(Good):
    """No deterministic case has so short an identifier."""

    def handle(self, message: Any, request: Request) -> None:
        if any(len(str(thing.get("id", ""))) == 3 for thing in _named(message)):
            raise Refused(400)


# receiver/auth


@control(
    *("auth/missing-authorization", "auth/empty-authorization", "auth/wrong-authorization"),
    *("auth/cut-authorization", "auth/extended-authorization", "auth/case-changed-authorization"),
    *("auth/scheme-only-authorization", "auth/doubled-authorization", "auth/bare-authorization"),
    *("auth/other-scheme-authorization", *CHANGED_CREDENTIALS),
    wire=True,
)
class LooksAtNoAuthorization(Good):
    def authorized(self, value: str) -> bool:
        return True


@control("auth/missing-authorization")
class TakesWithoutAuthorization(Good):
    def check_authorization(self, request: Request) -> None:
        if request.values("authorization"):
            super().check_authorization(request)


@control("auth/empty-authorization", "auth/missing-authorization")
class ChecksWhatIsThere(Good):
    """A missing header reads as empty text too."""

    def authorized(self, value: str) -> bool:
        return not value or value == self.token


@control(
    *("auth/wrong-authorization", "auth/cut-authorization", "auth/extended-authorization"),
    *("auth/case-changed-authorization", "auth/doubled-authorization", *CHANGED_CREDENTIALS),
    wire=True,
)
class ChecksTheSchemeAlone(Good):
    def authorized(self, value: str) -> bool:
        return value.startswith("Bearer ")


@control("auth/other-scheme-authorization")
class IgnoresTheFirstCharacter(Good):
    def authorized(self, value: str) -> bool:
        return len(value) == len(TOKEN) and value[1:] == TOKEN[1:]


@control("auth/cut-authorization", "auth/scheme-only-authorization")
class TokenStartsWithTheValue(Good):
    def authorized(self, value: str) -> bool:
        return bool(value) and TOKEN.startswith(value)


@control("auth/extended-authorization", "auth/not-ascii-authorization")
class ValueStartsWithTheToken(Good):
    def authorized(self, value: str) -> bool:
        return value.startswith(TOKEN)


@control("auth/case-changed-authorization")
class LowersTheToken(Good):
    def authorized(self, value: str) -> bool:
        return value.lower() == TOKEN.lower()


@control("auth/scheme-only-authorization")
class TakesAnEmptyCredential(Good):
    def authorized(self, value: str) -> bool:
        return value in ("Bearer", TOKEN)


@control("auth/doubled-authorization", wire=True)
class TakesTheLastHeader(Good):
    def check_authorization(self, request: Request) -> None:
        if request.values("authorization")[-1:] != [TOKEN]:
            raise Refused(401)


@control("auth/header-name-case", wire=True)
class LooksForTheLowerCaseName(Good):
    def check_authorization(self, request: Request) -> None:
        if [value for name, value in request.headers if name == "authorization"] != [TOKEN]:
            raise Refused(401)


@control("auth/header-name-case", *TYPES, wire=True)
class LooksForTheTitleCaseName(Good):
    """Logto writes it in lower case."""

    def check_authorization(self, request: Request) -> None:
        if [value for name, value in request.headers if name == "Authorization"] != [TOKEN]:
            raise Refused(401)


# receiver/reject


def _accept(*_: object) -> None:
    raise Refused(200, "taken")


def _crash(*_: object) -> None:
    raise RuntimeError


for _kind, _method in {
    "not-json": "not_json",
    "not-an-object": "not_an_object",
    "empty-body": "empty",
    "deep-nesting": "too_deep",
}.items():
    control(f"reject/{_kind}")(type(f"Takes_{_method}", (Good,), {_method: _accept}))
    control(f"reject/{_kind}-is-no-crash")(type(f"CrashesOn_{_method}", (Good,), {_method: _crash}))


@control("reject/wrong-method")
class TakesEveryMethod(Good):
    def check_method(self, request: Request) -> None:
        """Accept every method. A request without body is refused later."""


@control(
    "reject/wrong-method-is-no-crash",
)
class CrashesOnOtherMethods(Good):
    def check_method(self, request: Request) -> None:
        if request.method != "POST":
            raise RuntimeError


def _for_member(name: str, run: Callable[[], None]) -> Callable[..., None]:
    def mistyped(self: Good, member: str, message: dict[str, Any]) -> None:
        if member == name:
            run()
        raise Refused(422)

    return mistyped


for _member in ("to", "type", "payload"):
    control(f"reject/broken-{_member}")(
        type(f"TakesBroken{_member}", (Good,), {"mistyped": _for_member(_member, _accept)})
    )
    control(f"reject/broken-{_member}-is-no-crash")(
        type(f"CrashesOnBroken{_member}", (Good,), {"mistyped": _for_member(_member, _crash)})
    )


# receiver/respond


@control("respond/no-redirect")
class AddsASlash(Good):
    def check_method(self, request: Request) -> None:
        super().check_method(request)
        if not request.target.endswith("/"):
            raise Refused(308, Location=f"{request.target}/")


@control("respond/no-redirect")
class ThanksElsewhere(Good):
    """Redirects with 303 to a page that responds with success."""

    def check_method(self, request: Request) -> None:
        if request.target == "/thanks":
            raise Refused(200)
        super().check_method(request)

    def handle(self, message: Any, request: Request) -> None:
        raise Refused(303, Location="/thanks")


@control("respond/no-redirect")
class RedirectsToAnotherHost(Good):
    def handle(self, message: Any, request: Request) -> None:
        raise Refused(307, Location="https://mail.example.com/hook")


@control("respond/no-redirect")
class SaysNotModified(Good):
    status, text = 304, b""


@control("respond/within-limit", *TYPES, settings=IMPATIENT)
class AnswersTooLate(Good):
    """Responds after the limit to every message: what needs an accepted one is not tried."""

    def handle(self, message: Any, request: Request) -> None:
        time.sleep(0.6)


@control(
    *("respond/within-limit", "accept/unknown-type", "accept/unknown-type-is-no-crash"),
    settings=Settings(examples=2, fail_after=0.5),
)
class HangsOnUnknownTypes(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["type"] not in KNOWN_TYPES:
            time.sleep(0.7)


@control("respond/within-limit", *TYPES, wire=True, settings=IMPATIENT)
class Drips(Good):
    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"
        for _ in range(30):
            time.sleep(0.05)
            yield b"x"


@control("respond/within-limit", *TYPES, wire=True, settings=IMPATIENT)
class PromisesMoreAndWaits(Good):
    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        yield from super().raw(status, {**headers, "content-length": str(len(body) + 5)}, body)


@control("respond/promptly", settings=Settings(examples=2, warn_after=0.2, fail_after=6))
class TakesItsTime(Good):
    def handle(self, message: Any, request: Request) -> None:
        if message["type"] == "BindMfa":
            time.sleep(0.25)


@control("respond/framing", wire=True)
class SaysNoContentAndTalks(Good):
    status, text = 204, b"taken"


@control("respond/framing", wire=True)
class TalksAfterNoContent(Good):
    """Sends the body after the client has read the head, and announces the end of the connection."""

    status, text = 204, b""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        yield from super().raw(status, {**headers, "connection": "close"}, body)
        if status == 204:
            time.sleep(0.005)
            yield b"taken"

    def keeps_open(self, request: Request) -> bool:
        return False


@control("respond/framing", wire=True)
class PromisesLess(Good):
    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        yield from super().raw(status, {**headers, "content-length": str(len(body) - 1)}, body)


@control("respond/framing", *TYPES, wire=True)
class PromisesMoreAndCloses(Good):
    """Logto accepts no response that is cut off."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        yield from super().raw(status, {**headers, "content-length": str(len(body) + 5)}, body)

    def keeps_open(self, request: Request) -> bool:
        return False


@control("respond/framing", *TYPES, wire=True)
class WritesBareLineFeeds(Good):
    """Node's parser refuses bare line feeds."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        for piece in super().raw(status, headers, body):
            yield piece.replace(b"\r\n", b"\n")


@control("respond/framing", wire=True)
class SaysGzip(Good):
    headers = {"content-encoding": "gzip"}  # noqa: RUF012


@control("respond/keep-alive", "respond/keep-alive-after-error", wire=True)
class ClosesWithoutAWord(Good):
    def keeps_open(self, request: Request) -> bool:
        return False


@control("respond/keep-alive", wire=True)
class LeavesTheBodyOfWhatItRefuses(Good):
    def reads_body(self, headers: tuple[tuple[str, str], ...]) -> bool:
        return ("authorization", TOKEN) in ((name.lower(), value) for name, value in headers)


@control("respond/keep-alive-after-error", wire=True)
class ClosesAfterAnErrorWithoutAWord(Good):
    def keeps_open(self, request: Request) -> bool:
        return request.values("authorization") == [TOKEN]


@control("respond/no-shared-limit")
class AcceptsHundredFiftyMessages(Good):
    limit = 150

    def handle(self, message: Any, request: Request) -> None:
        self.limit -= 1
        if self.limit < 0:
            raise Refused(429, "slow down")


@control("respond/keeps-accepting")
class BreaksAtALongName(Good):
    """What it remembers of one message makes it fail on all that follow."""

    is_broken = False

    def handle(self, message: Any, request: Request) -> None:
        if self.is_broken:
            raise RuntimeError
        self.is_broken = len(message["payload"].get("application", {}).get("name", "")) > 200


@control("accept/leading-zeros", "accept/connector-test", drawn=True, wire=True, threads=True)
class CrashesOnLeadingZeros(Good):
    """Must not be taken for one that fails under load, though it fails among others."""

    def handle(self, message: Any, request: Request) -> None:
        super().handle(message, request)
        time.sleep(0.03)  # a fast receiver gets one request at a time
        if str(message["payload"].get("code", "1")).startswith("0"):
            raise RuntimeError


@control("respond/error-without-secrets")
class EchoesTheBody(Good):
    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        return refused.status, {}, b"cannot read " + request.body


@control("respond/error-without-secrets", wire=True)
class EchoesTheBodyCompressed(Good):
    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        return refused.status, {"content-encoding": "gzip"}, gzip.compress(request.body[:5000])


@control("respond/error-without-secrets")
class EchoesTheAuthorization(Good):
    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        values = request.values("authorization")
        return refused.status, {}, f"not allowed: {values}".encode() if refused.status == 401 else b"no"


@control("respond/error-without-secrets")
class TellsTheToken(Good):
    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        return refused.status, {}, b"expected s3cret-T0ken" if refused.status == 401 else b"no"


@control("respond/error-without-internals")
class TellsAPath(Good):
    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        return refused.status, {}, b'{"error": "\\/var\\/www\\/hook.php: bad request"}'


@control(
    "respond/error-without-internals",
    "reject/broken-to-is-no-crash",
)
class TellsAStackTrace(Good):
    """A stack trace needs a crash, which fails its own rule too."""

    mistyped = _for_member("to", _crash)

    def crash_response(self, error: Exception) -> tuple[int, dict[str, str], bytes]:
        return 500, {}, "".join(traceback.format_exception(error)).encode()


@control("respond/error-without-internals", "accept/null-user", drawn=True)
class TellsAStackTraceOfAValidMessage(NullNameDereferenced):
    """Only a valid message makes it crash."""

    def crash_response(self, error: Exception) -> tuple[int, dict[str, str], bytes]:
        return 500, {}, "".join(traceback.format_exception(error)).encode()


# receiver/concurrent


@control("concurrent/burst")
class OneAtATime(Good):
    def __init__(self) -> None:
        self._lock = threading.Lock()

    def handle(self, message: Any, request: Request) -> None:
        if not self._lock.acquire(blocking=False):
            raise Refused(503)
        time.sleep(0.002)
        self._lock.release()


@control(
    "concurrent/burst", wire=True, threads=False, settings=Settings(examples=2, warn_after=3, fail_after=1.5)
)
class OneConnectionAtATime(Good):
    """Holds its connection open, so that the next one waits."""


def make_receiver(name: str) -> tuple[Receiver, Served | None]:
    """Return the receiver of a control, and its server if it has one, not yet started."""
    chosen = CONTROLS[name]
    if chosen.wire:
        served = Served(chosen.make(), threads=chosen.threads)
        return Receiver.url(served.url, authorization=TOKEN), served
    return Receiver.wsgi(wsgi(chosen.make()), "/hook", authorization=TOKEN), None
