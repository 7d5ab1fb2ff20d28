"""A receiver under test, and what runs a rule against it."""

from __future__ import annotations

import base64
import re
import secrets
import shlex
import ssl
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import unquote

from .. import catalogue
from ..connector.channel import UrlTarget
from ..connector.encoding import check_authorization, connector_call
from ..connector.posting import deliver
from ..findings import Finding, Rule
from ..judging.javascript_json import stringify
from ..judging.responses import format_outcome, is_accepted
from ..judging.typical import CODE, LINK, RECIPIENT, typical
from ..judging.validation import validate
from ..masking import escape_unprintable
from ..suite.results import NotApplicable, OwnFault, Result
from ..wire.outcomes import NoResponse, Outcome, Response
from ..wire.urls import same_origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

    from ..connector.channel import Channel, Target
    from ..wire.calls import Call
    from .outbox import Mail

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_SHRINKING_SECONDS = 5.0
_MOST_MESSAGE_SHOWN = 2000
_REFUSED = re.compile(r"\b[45][0-9]{2} |^[a-z]")
"""What is told of an outcome that is no success: a status, or why there is no answer."""

_COMES_BACK = 2.0
"""Seconds in which a receiver that is gone may come back: something may be starting it anew."""
_NOT_BY_CURL = {"receiver/respond/keep-alive", "receiver/concurrent/burst"}
"""Rules that one request cannot show again."""

Outbox = Callable[[], "Iterable[Mail]"]
"""Returns the mails that the receiver has sent so far, oldest first."""


class ReceiverGone(Exception):
    """The receiver cannot be reached, so nothing can be said of it; the text says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a receiver is tried.

    Attributes:
        examples: How many messages are generated for a rule that generates some.
        seed: What they are generated from; the same seed, the same messages, but for
            their recipients: those are new in each run.
        strict: Whether a broken SHOULD counts as broken.
        warn_after: Seconds after which an answer is late.
        fail_after: Seconds after which an answer counts as never given.
        recipient_domain: The domain of every recipient; reserved domains when None.
    """

    examples: int = 25
    seed: int = 0
    strict: bool = False
    warn_after: float = 2.0
    fail_after: float = 10.0
    recipient_domain: str | None = None

    def __post_init__(self) -> None:
        domain = self.recipient_domain
        if domain is not None and not _DOMAIN.fullmatch(domain):
            raise ValueError(f"A recipient domain is a host name, example.com say; it was {domain!r}")


class Receiver:
    """A receiver under test; made by ``Receiver.url``, ``Receiver.wsgi`` or ``Receiver.asgi``.

    Attributes:
        target: How it is called.
        authorization: The value of ``Authorization`` that it wants; None when it wants none.
        authorization_name: The environment variable that commands to copy take ``authorization`` from.
        ca_file: The file with the authorities to trust for https; None for the system's.
        revision: The contract revision whose messages it is held to.
        ordinary: What it answers to an ordinary message, by template type and revision; kept by Trial.
        numbers: Makes recipients that nobody has sent to before, other ones in each run: a receiver may take
            no more than some mails to one recipient.
        shared: What rules keep for others that are tried after them.
        shut: Why it takes no ordinary message any more, though it did; empty while it does; kept by Trial.
        untold: The message that showed this and what came of it, until a rule has told it; kept by Trial.
    """

    def __init__(self, target: Target, authorization: str | None, revision: str | None) -> None:
        self.target = target
        self.authorization = check_authorization(authorization)
        self.authorization_name = "AUTHORIZATION"
        self.ca_file: str | None = None
        self.ordinary: dict[tuple[str, str], Outcome] = {}
        self.shared: dict[Any, Any] = {}
        self.shut = ""
        self.untold: tuple[Call, str] | None = None
        self.numbers = count(10_000 + secrets.randbelow(80_000))
        self.revision = catalogue.resolve_revision(revision or catalogue.current_revision())
        self._channel: Channel | None = None

    @classmethod
    def url(
        cls,
        url: str,
        *,
        authorization: str | None = None,
        revision: str | None = None,
        ca_file: str | Path | None = None,
    ) -> Receiver:
        """Return the receiver at a URL.

        Args:
            url: Its endpoint, http or https.
            authorization: The value of ``Authorization`` that it wants.
            revision: A contract revision or Logto release; the current revision when None.
            ca_file: A PEM file with the authorities to trust for https; the system's when None.

        Raises:
            ValueError: The URL is not one of http or https, or ``authorization`` is what no header can carry.
            catalogue.UnknownRevision: There is no such revision or release.
            OSError: The file cannot be read.
        """
        tls = ssl.create_default_context(cafile=str(ca_file)) if ca_file is not None else None
        target = UrlTarget(url, tls)
        receiver = cls(target, target.authorization or authorization, revision)
        receiver.ca_file = None if ca_file is None else str(ca_file)
        return receiver

    @classmethod
    def wsgi(
        cls,
        app: Callable[..., Any],
        path: str = "/",
        *,
        authorization: str | None = None,
        revision: str | None = None,
    ) -> Receiver:
        """Return a WSGI application as a receiver, called in this process.

        Args:
            app: The application.
            path: The path of its endpoint.
            authorization: The value of ``Authorization`` that it wants.
            revision: A contract revision or Logto release; the current revision when None.

        Raises:
            ValueError: ``authorization`` is what no header can carry.
            catalogue.UnknownRevision: There is no such revision or release.
        """
        from .in_process import WsgiTarget

        return cls(WsgiTarget(app, path), authorization, revision)

    @classmethod
    def asgi(
        cls,
        app: Callable[..., Any],
        path: str = "/",
        *,
        authorization: str | None = None,
        revision: str | None = None,
    ) -> Receiver:
        """Return an ASGI application as a receiver, called in this process.

        Args:
            app: The application.
            path: The path of its endpoint.
            authorization: The value of ``Authorization`` that it wants.
            revision: A contract revision or Logto release; the current revision when None.

        Raises:
            ValueError: ``authorization`` is what no header can carry.
            catalogue.UnknownRevision: There is no such revision or release.
        """
        from .in_process import AsgiTarget

        return cls(AsgiTarget(app, path), authorization, revision)

    @property
    def channel(self) -> Channel:
        """The channel that rules without parallel requests share."""
        if self._channel is None:
            self._channel = self.target.open()
        return self._channel

    @property
    def placeholders(self) -> dict[str, str]:
        """What names in commands to copy stand for, where nobody chose those names."""
        target = self.target
        if not isinstance(target, UrlTarget):
            return {}
        told = {}
        if target.authorization:
            told[self.authorization_name] = "Basic $(printf %s 'USER:PASSWORD' | base64), as in the URL"
        if target.has_query:
            told["ENDPOINT"] = "the whole URL, with its query"
        return told

    def rest(self) -> None:
        """Let go of the shared channel, so that a receiver that serves one connection at a time is free."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def close(self) -> None:
        """Let go of connections, threads and event loops."""
        self.rest()
        self.ordinary.clear()
        self.shared.clear()
        self.shut, self.untold = "", None
        self.target.close()


class Expectation(Protocol):
    """Whether an outcome is acceptable."""

    def __call__(self, outcome: Outcome, /) -> bool:
        """Return whether the outcome is acceptable."""


class _Enough(Exception):
    """There was no answer in time; the cases that are left would cost as long each."""


class _Probe(Exception):
    """Carries a broken exchange through Hypothesis."""

    def __init__(self, call: Call, actual: str) -> None:
        super().__init__(actual)
        self.call = call
        self.actual = actual


@dataclass(slots=True)
class Trial:
    """One rule being tried at one receiver: sends, and gathers what broke.

    Attributes:
        rule: The rule.
        receiver: The receiver.
        settings: How it is tried.
        outbox: Returns the mails that the receiver sent; None when the test gives none.
        cases: How many cases were judged so far.
        failures: The broken cases: what was sent, and what came.
        skipped: Why cases were not judged.
        shell: How a shell makes an ``Authorization`` that must not be printed, by its value.
        followed: The requests that were redirected, and followed.
    """

    rule: Rule
    receiver: Receiver
    settings: Settings
    outbox: Outbox | None = None
    cases: int = 0
    failures: list[tuple[Call | None, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    shell: dict[str, str] = field(default_factory=dict)
    followed: set[Call] = field(default_factory=set)
    _made: int = 0

    # Making requests.

    def typical(self, type: str, revision: str | None = None, **changed: Any) -> dict[str, Any]:
        """Return an ordinary message as ``cases.typical`` does, with a code or link of its own.

        Args:
            type: One of the template types of the revision.
            revision: A contract revision; the receiver's when None.
            changed: Variables to set in the payload, and ``to`` for the recipient.
        """
        return self.fresh(typical(type, revision or self.receiver.revision, **changed))

    def fresh(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message with a code and a link of its own, in the place of those of ``cases``.

        So a receiver that takes no message twice breaks the rule about that, and no other.
        """
        self._made += 1
        number = f"{zlib.crc32(f'{self.rule.id} {self._made}'.encode()) % 900_000 + 100_000}"
        own = {CODE: number, LINK: LINK.replace("n4c1x", f"n4c{number}")}
        payload = {
            name: own.get(value, value) if name in ("code", "link") else value
            for name, value in message["payload"].items()
        }
        return {**message, "payload": payload}

    def call(
        self, message: Mapping[str, Any], *, layer: str | None = "emitted", revision: str | None = None
    ) -> Call:
        """Return the request that delivers a message, after a check that it is what it should be.

        Args:
            message: The message; its recipient becomes what ``addressed`` makes of it.
            layer: The layer in which it is valid; None for one that is not valid in any.
            revision: The revision in which it is valid; the receiver's when None.

        Raises:
            OwnFault: The message is not what it should be.
        """
        findings = validate(dict(message), revision or self.receiver.revision, layer or "guard")
        if bool(findings) == (layer is not None):
            told = (
                "; ".join(f"{finding.rule} at {finding.pointer!r}" for finding in findings) or "it is valid"
            )
            raise OwnFault(f"{self.rule.id} wanted a message for layer {layer}, but: {told}: {message}")
        return self.raw(stringify(self.addressed(message)))

    def raw(self, body: bytes) -> Call:
        """Return a request with any body, otherwise as the connector writes it.

        Args:
            body: The body.
        """
        return connector_call(self.receiver.target, body, self.receiver.authorization)

    def addressed(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return a message whose recipient is in the recipient domain of the settings.

        In the place of the recipient of ``cases`` it gets one of its own.
        """
        domain = self.settings.recipient_domain
        address = message.get("to")
        if address == RECIPIENT:
            return {**message, "to": self.recipient(RECIPIENT)}
        if domain is None or not isinstance(address, str) or "@" not in address:
            return dict(message)
        return {**message, "to": f"{address.rpartition('@')[0]}@{domain}"}

    def recipient(self, address: str) -> str:
        """Return an address like another one that nothing was sent to before.

        Args:
            address: The other one; it stays within what mail servers and Logto's database take.
        """
        local, _, domain = address.rpartition("@")
        # Before a tag: to some receivers, what follows the plus sign makes no other recipient.
        name, plus, tag = local.partition("+")
        number = str(next(self.receiver.numbers))
        room = min(64, max(128, len(address)) - len(domain) - 1) - len(plus + tag + number)
        return f"{name[: max(room, 0)]}{number}{plus}{tag}@{self.settings.recipient_domain or domain}"

    # Sending and judging.

    def exchange(self, call: Call, channel: Channel | None = None) -> Outcome:
        """Send a request, follow redirects as Logto does, and return what came.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        outcome = self.reached(
            lambda: deliver(channel or self.receiver.channel, call, self.settings.fail_after)
        )
        if outcome.redirects:
            self.followed.add(call)
        if channel is None and isinstance(outcome, Response) and outcome.status >= 400:
            # Its body may be left unread on the connection: a rule of its own looks at that.
            self.receiver.rest()
        return outcome

    def reached(self, send: Callable[[], Outcome]) -> Outcome:
        """Return what comes of an exchange, tried again for a while where the receiver cannot be reached.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        until = time.monotonic() + _COMES_BACK
        while True:
            outcome = send()
            if not (isinstance(outcome, NoResponse) and outcome.kind == "unreachable"):
                return outcome
            if time.monotonic() > until:
                raise ReceiverGone(f"the receiver cannot be reached: {outcome.problem}")
            time.sleep(_COMES_BACK / 20)

    def expect(self, acceptable: Expectation, call: Call, outcome: Outcome | None = None) -> Outcome:
        """Send a request, count it as a case, and note it as broken unless the outcome is acceptable.

        Where there is no answer in time, the rule ends with that.

        Args:
            acceptable: What is acceptable.
            call: The request.
            outcome: What came of it, where it was sent already.

        Raises:
            NotApplicable: The request was redirected to another origin, where nothing is sent.
        """
        if outcome is None:
            outcome = self.exchange(call)
        if isinstance(outcome, Response):
            location = outcome.redirect()
            if location is not None and same_origin(call, location) is None:
                raise NotApplicable(
                    "the receiver redirects to another origin, where nothing is sent; "
                    "see receiver/respond/no-redirect"
                )
        self.judge(call, acceptable(outcome), format_outcome(outcome))
        if isinstance(outcome, NoResponse) and outcome.kind == "timeout":
            raise _Enough
        return outcome

    def judge(self, call: Call | None, kept: bool, actual: str) -> None:
        """Count a case, and note it as broken unless it was kept."""
        self.cases += 1
        if not kept:
            self.failures.append((call, actual))

    def takes(self, type: str, revision: str | None = None, acceptable: Expectation = is_accepted) -> bool:
        """Return whether the receiver takes an ordinary message of a type; if not, that is noted.

        A case that adds something odd to an ordinary message tells nothing where that itself is refused.

        Args:
            type: A template type of the revision.
            revision: A contract revision; the receiver's when None.
            acceptable: What counts as taken.
        """
        revision = revision or self.receiver.revision
        known = self.receiver.ordinary
        if self.is_shut():
            return False
        if (type, revision) not in known:
            if self.is_silent():
                return False
            call = self.call(self.typical(type, revision), revision=revision)
            known[type, revision] = self.exchange(call)
        if acceptable(known[type, revision]):
            return True
        self.skip(
            f"an ordinary message of type {type} is not taken either: {format_outcome(known[type, revision])}"
        )
        return False

    def is_silent(self) -> bool:
        """Return whether an ordinary message had no answer in time; if so, that is noted.

        Whatever is tried at such a receiver costs as long once more, and says nothing new.
        """
        for (type, _), outcome in self.receiver.ordinary.items():
            if isinstance(outcome, NoResponse) and outcome.kind == "timeout":
                self.skip(f"{type} had no answer in time; see receiver/respond/within-limit")
                return True
        return False

    def is_shut(self) -> bool:
        """Return whether the receiver was seen to take no ordinary message any more; if so, that is noted.

        The first rule that counts tells it as broken, the others are not judged.
        """
        receiver = self.receiver
        if receiver.untold is not None and (self.rule.level == "MUST" or self.settings.strict):
            call, actual = receiver.untold
            receiver.untold = None
            self.judge(call, kept=False, actual=actual)
        elif receiver.shut:
            self.skip(receiver.shut)
        return bool(receiver.shut)

    def look_again(self) -> str:
        """Withdraw failures that an ordinary message, taken before, meets by now too, and return why.

        A receiver that has had enough refuses whatever comes, and that says nothing of what a rule is about.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        known = self.receiver.ordinary
        taken = [key for key, outcome in known.items() if is_accepted(outcome)]
        if not taken or not any(_REFUSED.search(actual) for _, actual in self.failures):
            return ""
        type, revision = taken[0]
        call = self.call(self.typical(type, revision), revision=revision)
        outcome = self.exchange(call)
        came = format_outcome(outcome)
        what = came.partition(" after ")[0]
        own = [(failed, actual) for failed, actual in self.failures if what not in actual]
        if is_accepted(outcome) or len(own) == len(self.failures):
            return ""
        known |= dict.fromkeys(taken, outcome)
        self.receiver.shut = f"the receiver takes no ordinary message any more: {what}"
        told = (
            f"{came}; such an ordinary message was taken before. It may be a limit that all messages share, "
            "or what one of them left behind; rules that need an ordinary message are not judged any more"
        )
        self.receiver.untold = (call, told)
        self.cases -= len(self.failures) - len(own)
        self.failures = own
        self.is_shut()
        return self.receiver.shut

    def skip(self, reason: str) -> None:
        """Note why a case is not judged; without any case the rule is not applicable."""
        self.skipped.append(self._without_secrets(reason))

    def generated(
        self,
        messages: SearchStrategy[Any],
        acceptable: Expectation,
        call_for: Callable[[Any], Call],
    ) -> None:
        """Send generated messages; a broken one is shrunk, and noted as one case.

        Args:
            messages: What to draw from.
            acceptable: Which outcomes are.
            call_for: Makes the request for what was drawn.
        """
        import hypothesis

        last: _Probe | None = None
        give_up = 0.0
        gone: ReceiverGone | None = None

        @hypothesis.seed(self.settings.seed)
        @hypothesis.settings(
            max_examples=self.settings.examples,
            database=None,
            deadline=None,
            derandomize=False,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
            suppress_health_check=list(hypothesis.HealthCheck),
            verbosity=hypothesis.Verbosity.quiet,
            print_blob=False,
            report_multiple_bugs=False,
        )
        @hypothesis.given(messages)
        def probe(drawn: Any) -> None:
            nonlocal last, give_up, gone
            if gone is not None or (last is not None and time.monotonic() > give_up):
                return
            call = call_for(drawn)
            try:
                outcome = self.exchange(call)
            except ReceiverGone as problem:  # nothing to shrink
                gone = problem
                return
            if last is None:  # what shrinking tries is not counted
                self.cases += 1
            if not acceptable(outcome):
                if last is None:
                    # Where every try costs a time-out, one is enough.
                    slow = isinstance(outcome, NoResponse) and outcome.kind == "timeout"
                    give_up = time.monotonic() + (0 if slow else _SHRINKING_SECONDS)
                last = _Probe(call, format_outcome(outcome))
                raise last

        try:
            probe()
        except _Probe as smallest:
            self.failures.append((smallest.call, smallest.actual))
        except OwnFault:
            raise
        except Exception:
            # Hypothesis calls a failure flaky that does not come again, when shrinking was given up say.
            if last is None:
                raise
            sometimes = "" if time.monotonic() > give_up else "; not every time that this message is sent"
            self.failures.append((last.call, last.actual + sometimes))
        if gone is not None:
            raise gone

    # What comes out.

    def findings(self) -> tuple[Finding, ...]:
        """Return the broken cases as one finding, told by the case with the smallest request."""
        if not self.failures:
            return ()
        call, actual = min(self.failures, key=lambda failure: len(failure[0].body) if failure[0] else 0)
        rule = self.rule
        return (
            Finding(
                rule=rule.id,
                level=rule.level,
                layer=None,
                pointer="",
                expected=rule.outcomes,
                actual=self._without_secrets(actual),
                requirement=rule.requirement,
                consequence=rule.consequence,
                share=f"{len(self.failures)} of {self.cases} cases" if self.cases > 1 else "",
                message=_shown_body(call) if call else "",
                reproduce=self._reproduce(call) if call else "",
            ),
        )

    def _reproduce(self, call: Call) -> str:
        target = self.receiver.target
        if not isinstance(target, UrlTarget):
            return f"pytest -k {shlex.quote(self.rule.id)}"
        name = self.receiver.authorization_name
        url = target.plain_url
        shell_url = '"${ENDPOINT}"' if target.has_query else shlex.quote(url)
        by_curl = self.rule.id not in _NOT_BY_CURL and len(call.body) <= _MOST_MESSAGE_SHOWN
        words = ["curl", "-i"]
        # As the connector follows: posting again, but for 303. With -X it would post again there too.
        follows = call in self.followed
        words += ["-L", "--post301", "--post302"] if follows else []
        words += [] if follows and call.method == "POST" else ["-X", call.method]
        words += ["-g"] if any(mark in url for mark in "[]{}") else []
        words += ["--cacert", self.receiver.ca_file] if self.receiver.ca_file else []
        line = f"{shlex.join(words)} {shell_url}"
        for header, value in call.headers:
            if header.lower() == "authorization":
                # A credential is never printed: the shell puts it in.
                told = f"${{{name}}}" if value == self.receiver.authorization else self.shell.get(value)
                by_curl = by_curl and (told is not None or not any(s in value for s in self._secrets()))
                # curl sends an empty header only when it is written with a semicolon.
                literal = shlex.quote(f"{header}: {value}" if value else f"{header};")
                line += f" -H {literal}" if told is None else f' -H "{header}: {told}"'
            elif header.lower() == "content-type":
                line += f" -H {shlex.quote(f'{header}: {value}')}"
        if not by_curl:
            own = f" --authorization-env {name}" if self.receiver.authorization else ""
            ca = f" --ca-file {shlex.quote(self.receiver.ca_file)}" if self.receiver.ca_file else ""
            return f"mail-contract verify {shell_url} --rules {self.rule.id}{own}{ca}{self._options()}"
        if not call.body:
            return line if call.method != "POST" else f"{line} --data-raw ''"
        try:
            return f"{line} --data-raw {shlex.quote(call.body.decode())}"
        except UnicodeDecodeError:
            octal = "".join(f"\\{byte:03o}" for byte in call.body)
            return f"printf '{octal}' | {line} --data-binary @-"

    def _secrets(self) -> list[str]:
        """Return what must not be printed, the longest first."""
        whole = self.receiver.authorization or ""
        query = self.receiver.target.path.partition("?")[2]
        found = {part.partition("=")[2] or part for part in query.split("&")}
        found |= {unquote(value) for value in found}
        if whole:
            found |= {whole, whole.partition(" ")[2], *self.shell}
            found |= {value.partition(" ")[2] for value in self.shell}
            basic = basic_credential(whole) or ""
            found |= {basic, basic.partition(":")[2]}
        return sorted((text for text in found if len(text) > 3 or text == whole != ""), key=len, reverse=True)

    def _options(self) -> str:
        """Return the options of the command line by which these settings differ from the usual ones."""
        usual = Settings()
        options = "".join(
            f" --{name.replace('_', '-')} {getattr(self.settings, name)}"
            for name in ("examples", "seed", "warn_after", "fail_after", "recipient_domain")
            if getattr(self.settings, name) != getattr(usual, name)
        )
        older = self.receiver.revision != catalogue.current_revision()
        return options + (f" --revision {self.receiver.revision}" if older else "")

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets():
            text = text.replace(secret, "(masked)")
        return text


def basic_credential(authorization: str) -> str | None:
    """Return user and password of a value for Basic authorization; None for any other."""
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(credential, validate=True).decode()
    except ValueError:
        return None
    return pair if ":" in pair else None


def _shown_body(call: Call) -> str:
    text = escape_unprintable(call.body[:_MOST_MESSAGE_SHOWN].decode(errors="backslashreplace"))
    prefix = "" if call.method == "POST" else f"{call.method} "
    more = f"… ({len(call.body)} bytes)" if len(call.body) > _MOST_MESSAGE_SHOWN else ""
    return f"{prefix}{text or 'an empty body'}{more}"


Check = Callable[[Trial], None]

_CHECKS: dict[str, tuple[Check, tuple[str, ...]]] = {}


def check(rule: str, *needs: Literal["wire", "authorization", "outbox"]) -> Callable[[Check], Check]:
    """Register the function that tries a rule.

    Args:
        rule: The rule's id.
        needs: What a receiver must have so that the rule is applicable.
    """

    def register(function: Check) -> Check:
        _CHECKS[rule] = (function, needs)
        return function

    return register


def _checks() -> Mapping[str, tuple[Check, tuple[str, ...]]]:
    # The modules register themselves when they are imported.
    for name in ("accept", "answer", "deliver"):
        import_module(f".rules.{name}", __package__)
    return _CHECKS


def receiver_rules() -> tuple[str, ...]:
    """Return the ids of the rules for receivers, in the order of the catalogue."""
    return tuple(rule for rule in catalogue.rules() if rule.startswith("receiver/"))


def try_rule(
    rule: str, receiver: Receiver, settings: Settings | None = None, outbox: Outbox | None = None
) -> Result:
    """Try one rule at a receiver.

    Args:
        rule: The rule's id.
        receiver: The receiver.
        settings: How to try it; the defaults when None.
        outbox: Returns the mails that the receiver sent; the *deliver* rules need it.

    Raises:
        KeyError: There is no such rule for receivers.
        OwnFault: A message of ours was not what it should be.
        ReceiverGone: The receiver cannot be reached.
    """
    function, needs = _checks()[rule]
    trial = Trial(catalogue.rules()[rule], receiver, settings or Settings(), outbox)
    start = time.monotonic()
    reason = ""
    try:
        _require(trial, needs)
        function(trial)
        reason = trial.look_again()
        if not trial.cases and not trial.skipped:
            raise OwnFault(f"{rule} judged no case")
    except NotApplicable as problem:
        reason = str(problem)
    except _Enough:
        pass  # noted as broken
    except ReceiverGone:
        # What it was sent before may be what ended it, and is told; the next rule finds it gone.
        if not trial.failures:
            raise
    seconds = time.monotonic() - start
    findings = trial.findings()
    if not findings and (reason or not trial.cases):
        reason = reason or trial.skipped[0]
        return Result(trial.rule, "not applicable", (), reason, trial.cases, seconds)
    return Result(trial.rule, "broken" if findings else "kept", findings, "", trial.cases, seconds)


def _require(trial: Trial, needs: tuple[str, ...]) -> None:
    revisions = catalogue.revisions()
    if revisions.index(trial.rule.since) > revisions.index(trial.receiver.revision):
        raise NotApplicable(f"the receiver is held to revision {trial.receiver.revision}; this came later")
    if "wire" in needs and not trial.receiver.target.on_wire:
        raise NotApplicable("the receiver runs in this process, so nothing goes over a wire")
    if "authorization" in needs and not trial.receiver.authorization:
        raise NotApplicable("the receiver is given no authorization")
    if "outbox" in needs and trial.outbox is None:
        raise NotApplicable("the test gives no outbox with the mails that the receiver sends")
