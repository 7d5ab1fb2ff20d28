"""A sender under test, the endpoint that it is given, and what runs a rule against it."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from .. import catalogue
from ..endpoint.server import MailServer
from ..findings import Finding, Rule
from ..judging.validation import validate
from ..suite.results import NotApplicable, OwnFault, Result
from ..wire.replies import Reply, ScriptedResponse
from .driver import CallableDriver, CommandDriver, Report, Send, SenderUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from hypothesis import Phase

    from ..wire.requests import Request
    from .driver import Driver

__all__ = [
    "Arrival",
    "Attempt",
    "Desk",
    "NotApplicable",
    "OwnFault",
    "Report",
    "Result",
    "Sender",
    "SenderSettings",
    "SenderTrial",
    "SenderUnusable",
    "check",
    "sender_rules",
    "try_sender_rule",
]

_TOKEN = re.compile(r"/([0-9a-f]{12})(?![0-9a-f])")
_MOST_ARRIVALS = 200
_MOST_SILENT = 3
_MOST_CASES_TOLD = 5
_MOST_MESSAGE_SHOWN = 2000
_SHRINKING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How a sender is tried.

    Attributes:
        examples: How many messages are generated for a rule that generates some.
        seed: What they are generated from; the same seed, the same messages.
        strict: Whether a broken SHOULD counts as broken.
        slow: Seconds that an answer takes which is late and still in time; Logto's sign-in page waits 10.
        patience: Seconds that a sender may take for one message, beside those that a late answer takes.
        settle: Seconds to wait for a request that nobody should send any more.
    """

    examples: int = 25
    seed: int = 0
    strict: bool = False
    slow: float = 6.0
    patience: float = 20.0
    settle: float = 0.25


class Sender:
    """A sender under test; made by ``Sender.calling`` or ``Sender.command``.

    Attributes:
        driver: How it is asked to send.
        revision: The contract revision whose messages it is given.
        words: The command, None for a callable.
        memory: What came of the messages that several rules look at, so that they are sent once.
    """

    def __init__(self, driver: Driver, revision: str | None, words: Sequence[str] | None = None) -> None:
        self.driver = driver
        self.revision = catalogue.resolve_revision(revision or catalogue.current_revision())
        self.words = words
        self.memory: dict[SenderSettings, tuple[list[Attempt], list[Attempt]]] = {}

    @classmethod
    def calling(cls, send: Send, *, revision: str | None = None) -> Sender:
        """Return a callable as a sender.

        Args:
            send: Takes the message, the URL of the endpoint, and the value of ``Authorization`` (None when
                none is configured); returns when the message was taken and raises when it was not.
            revision: A contract revision or Logto release; the current revision when None.

        Raises:
            catalogue.UnknownRevision: There is no such revision or release.
        """
        return cls(CallableDriver(send), revision)

    @classmethod
    def command(cls, words: Sequence[str], *, revision: str | None = None) -> Sender:
        """Return a command as a sender; it is started for the first message.

        Args:
            words: The program and its arguments. It reads jobs from standard input, a line of JSON each:
                ``{"message": …, "endpoint": …, "authorization": …}``, the last absent where none is
                configured. It answers each with a line: ``{"ok": true}`` or ``{"ok": false, "error": …}``.
            revision: A contract revision or Logto release; the current revision when None.

        Raises:
            catalogue.UnknownRevision: There is no such revision or release.
        """
        return cls(CommandDriver(words), revision, tuple(words))

    def close(self) -> None:
        """End what runs."""
        self.driver.close()


class Arrival(NamedTuple):
    """One request that arrived.

    Attributes:
        request: The request as it came.
        elsewhere: Whether it came to the desk's other origin.
    """

    request: Request
    elsewhere: bool


Script = Callable[[Arrival, int], Reply]
"""Returns the reply to a request, given its number within the attempt, from 0."""


def always(reply: Reply) -> Script:
    """Return a script that answers every request alike."""
    return lambda arrival, number: reply  # noqa: ARG005 - a Script


TAKING = always(ScriptedResponse(200, b'{"accepted":true}', {"Content-Type": "application/json"}))
"""Takes every message, as the fake endpoint answers."""


class Attempt:
    """One message on its way: what the sender was given, what arrived, what the sender said.

    Attributes:
        message: The message that was handed to the sender.
        url: The endpoint that was handed to it.
        authorization: The authorization that was handed to it.
        arrivals: What arrived, in that order.
        strays: What came on its connections and was no request.
        report: What the sender said; set when it has.
        over: Set when nobody waits for the sender any more.
    """

    report: Report

    def __init__(self, message: Any, url: str, authorization: str | None, script: Script) -> None:
        self.message = message
        self.url = url
        self.authorization = authorization
        self.arrivals: list[Arrival] = []
        self.strays: list[str] = []
        self.over = threading.Event()
        self._script = script
        self._changed = threading.Condition()

    @property
    def requests(self) -> list[Request]:
        """The requests that arrived, wherever they did."""
        return [arrival.request for arrival in self.arrivals]

    def arrived(self, arrival: Arrival) -> Reply:
        """Record a request and return its reply."""
        with self._changed:
            number = len(self.arrivals)
            if number < _MOST_ARRIVALS:
                self.arrivals.append(arrival)
            self._changed.notify_all()
            # Whatever comes late is taken, so that a sender which tries for ever ends.
            return ScriptedResponse(200) if self.over.is_set() else self._script(arrival, number)

    def wait(self, seconds: float) -> None:
        """Wait until something has arrived."""
        with self._changed:
            self._changed.wait_for(lambda: self.arrivals or self.strays, seconds)


class _Origin(MailServer):
    """A server that records whatever comes and answers as the attempt says."""

    def __init__(self, desk: Desk, *, elsewhere: bool) -> None:
        super().__init__()
        self._desk = desk
        self._elsewhere = elsewhere
        self._attempts = threading.local()

    def deliver(self, request: Request, wire: Any) -> bool:
        """Record a request and answer it."""
        attempt = self._desk.attempt_of(request.target)
        if attempt is None:
            ScriptedResponse(200).send(wire)
            return True
        # Each connection has a thread of its own.
        self._attempts.last = attempt
        wire.closing = attempt.over
        attempt.arrived(Arrival(request, self._elsewhere)).send(wire)
        return True

    def stray(self, what: str) -> None:
        """Note what was no request at the attempt that came on that connection before, else at this one."""
        attempt = getattr(self._attempts, "last", None) or self._desk.current
        if attempt is not None:
            attempt.strays.append(what)

    def hang_up(self) -> None:
        """End every connection."""
        for connection in list(self.connections):
            connection.hang_up()


class Desk:
    """The endpoint that senders under test are given: two origins, and a port where nobody listens.

    A context manager.
    """

    def __init__(self) -> None:
        self.current: Attempt | None = None
        self._origins = (_Origin(self, elsewhere=False), _Origin(self, elsewhere=True))
        self._dead = socket.socket()
        self._attempts: dict[str, Attempt | None] = {}

    def __enter__(self) -> Self:
        try:
            for origin in self._origins:
                origin.start()
            # Bound and never listened at: nobody else can take the port, and every connection is refused.
            self._dead.bind(("127.0.0.1", 0))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop."""
        for origin in self._origins:
            if origin.is_running():
                origin.stop()
        self._dead.close()

    @property
    def url(self) -> str:
        """The origin that senders are given."""
        return self._origins[0].url

    @property
    def other_url(self) -> str:
        """Another origin, at another port."""
        return self._origins[1].url

    @property
    def dead_url(self) -> str:
        """An origin where nobody listens."""
        return f"http://127.0.0.1:{self._dead.getsockname()[1]}"

    def begin(self) -> None:
        """Let earlier attempts be past: what still comes for them reaches no other attempt."""
        self.current = None
        self._attempts = dict.fromkeys(self._attempts)

    def token(self) -> str:
        """Return a new first segment for a path."""
        return f"{secrets.token_hex(3)}{len(self._attempts):06x}"

    def expect(self, token: str, attempt: Attempt) -> None:
        """Let requests whose path begins with a token be an attempt's."""
        self._attempts[token] = self.current = attempt

    def attempt_of(self, target: str) -> Attempt | None:
        """Return the attempt that a request belongs to; None for one that is past."""
        found = _TOKEN.search(target)
        # What has lost its token on the way is that of the message under way.
        return self._attempts[found[1]] if found and found[1] in self._attempts else self.current

    def let_go(self, attempt: Attempt) -> None:
        """End every connection, and take whatever still comes."""
        attempt.over.set()
        for origin in self._origins:
            origin.hang_up()


Problem = Callable[[Attempt], "str | None"]
"""Returns what is wrong with an attempt; None when nothing is."""


class _Probe(Exception):
    """Carries a broken attempt through Hypothesis."""


class _Enough(Exception):
    """The sender keeps silent: every further message would cost its time."""


@dataclass(slots=True)
class SenderTrial:
    """One rule being tried at one sender: sends, and gathers what broke.

    Attributes:
        rule: The rule.
        sender: The sender.
        desk: The endpoint that it is given.
        settings: How it is tried.
        cases: How many cases were judged so far.
        failures: The broken cases, and what came.
        silent: How many messages the sender gave no report for.
        last: What came of the last message that it gave no report for.
    """

    rule: Rule
    sender: Sender
    desk: Desk
    settings: SenderSettings
    cases: int = 0
    failures: list[tuple[Attempt, str]] = field(default_factory=list)
    silent: int = 0
    last: Attempt | None = None

    def send(
        self,
        message: Mapping[str, Any],
        script: Script = TAKING,
        *,
        authorization: str | None = None,
        path: str = "/mail",
        origin: str | None = None,
        late: float = 0.0,
    ) -> Attempt:
        """Have a message sent and return what came of it.

        Args:
            message: The message; one that the revision allows.
            script: What requests are answered with.
            authorization: The value of ``Authorization``; none is configured when None.
            path: The end of the endpoint's URL: path, and query if any.
            origin: The origin of the endpoint; the desk's own when None.
            late: Seconds that the answers take.

        Raises:
            OwnFault: The message is none that the revision allows.
            SenderUnusable: The sender cannot be driven.
        """
        findings = validate(dict(message), self.sender.revision, "guard")
        if findings:
            told = "; ".join(f"{finding.rule} at {finding.pointer!r}" for finding in findings)
            raise OwnFault(
                f"{self.rule.id} wanted a message of {self.sender.revision}, but: {told}: {message}"
            )
        # Through JSON: surrogate halves side by side are one character, and the sender has a copy of its own.
        text = json.dumps(message)
        token = self.desk.token()
        url = f"{origin or self.desk.url}/{token}{path}"
        attempt = Attempt(json.loads(text), url, authorization, script)
        self.desk.expect(token, attempt)
        try:
            attempt.report = self.sender.driver.send(
                json.loads(text),
                url,
                authorization,
                self.settings.patience + late,
                lambda: self.desk.let_go(attempt),
            )
        except SenderUnusable as problem:
            problem.context = f"\n  rule      {self.rule.id}\n  message   {_shown(message)}"
            raise
        finally:
            attempt.over.set()
        if attempt.report.ok is None:
            self.silent += 1
            self.last = attempt
        if origin is None:
            attempt.wait(self.settings.settle)
        return attempt

    def judge(self, attempt: Attempt, problem: str | None) -> None:
        """Count a case, and note it as broken where there is a problem."""
        self._count(attempt, problem)
        self._stop_if_silent()

    def _count(self, attempt: Attempt, problem: str | None) -> None:
        self.cases += 1
        if problem is not None:
            self.failures.append((attempt, problem))

    def _stop_if_silent(self) -> None:
        if self.last is None or self.silent < _MOST_SILENT:
            return
        if not self.failures:
            # Nobody could wait for this sender, whatever else it does.
            told = (
                f"no report within {self.settings.patience:g} s, {self.silent} times; the rest is not tried"
            )
            self.failures.append((self.last, told))
        raise _Enough

    def settle(self) -> None:
        """Wait for what nobody should send any more."""
        time.sleep(self.settings.settle)

    def every(self, messages: Iterable[Mapping[str, Any]], problem: Problem) -> None:
        """Judge what came of messages, and of generated ones, of which a broken one is shrunk.

        All are sent once, for every rule that judges by this.

        Args:
            messages: The messages; the same for every rule.
            problem: Judges what came of one.

        Raises:
            SenderUnusable: The sender cannot be driven.
        """
        if self.settings not in self.sender.memory:
            self.sender.memory[self.settings] = self._send_every(messages)
        prepared, generated = self.sender.memory[self.settings]
        silent = [attempt for attempt in (*prepared, *generated) if attempt.report.ok is None]
        self.silent, self.last = len(silent), silent[-1] if silent else None
        for attempt in prepared:
            self._count(attempt, problem(attempt))
        small = bool(self.failures)
        for attempt in generated:
            found = problem(attempt)
            self._count(attempt, found)
            if found is not None and not small:
                # The prepared messages are small as they are; what only a generated one shows is shrunk.
                self.failures[-1] = self._smallest(problem) or self.failures[-1]
                small = True
        self._stop_if_silent()

    def _send_every(self, messages: Iterable[Mapping[str, Any]]) -> tuple[list[Attempt], list[Attempt]]:
        import hypothesis

        prepared: list[Attempt] = []
        generated: list[Attempt] = []
        for message in messages:
            if self.silent >= _MOST_SILENT:
                break
            prepared.append(self.send(message))
        self._generate(generated.append, lambda: False, (hypothesis.Phase.generate,))
        # What is too much after a request is read when that is answered.
        self.settle()
        return prepared, generated

    def _smallest(self, problem: Problem) -> tuple[Attempt, str] | None:
        """Look for the smallest generated message that shows a problem, and return it."""
        import hypothesis

        smallest: tuple[Attempt, str] | None = None
        give_up = 0.0

        def look(attempt: Attempt) -> None:
            nonlocal smallest, give_up
            found = problem(attempt)
            if found is not None:
                if smallest is None:
                    # Where every try costs all patience, one is enough.
                    give_up = time.monotonic() + (0 if attempt.report.ok is None else _SHRINKING_SECONDS)
                smallest = attempt, found
                raise _Probe

        self._generate(
            look,
            lambda: smallest is not None and time.monotonic() > give_up,
            (hypothesis.Phase.generate, hypothesis.Phase.shrink),
        )
        return smallest

    def _generate(
        self, look: Callable[[Attempt], None], enough: Callable[[], bool], phases: Sequence[Phase]
    ) -> None:
        """Send generated messages of the guard and emitted layers.

        Args:
            look: Called with what came of each; a _Probe that it raises is shrunk.
            enough: Returns whether to stop.
            phases: Hypothesis' phases.
        """
        import hypothesis
        from hypothesis.errors import Flaky

        from ..strategies import messages

        revision = self.sender.revision
        unusable: SenderUnusable | None = None

        @hypothesis.seed(self.settings.seed)
        @hypothesis.settings(
            max_examples=self.settings.examples,
            database=None,
            deadline=None,
            phases=phases,
            suppress_health_check=list(hypothesis.HealthCheck),
            verbosity=hypothesis.Verbosity.quiet,
            print_blob=False,
            report_multiple_bugs=False,
        )
        @hypothesis.given(messages(revision, "guard") | messages(revision, "emitted"))
        def probe(message: dict[str, Any]) -> None:
            nonlocal unusable
            if unusable is not None or self.silent >= _MOST_SILENT or enough():
                return
            try:
                attempt = self.send(message)
            except SenderUnusable as error:
                # Hypothesis would look for a smaller message that ends the sender too.
                unusable = error
                return
            look(attempt)

        # Hypothesis calls a failure flaky that does not come again, when shrinking was given up say.
        with contextlib.suppress(_Probe, Flaky):
            probe()
        if unusable is not None:
            raise unusable

    # What comes out.

    def findings(self) -> tuple[Finding, ...]:
        """Return the broken cases as one finding, told by those with the smallest message."""
        if not self.failures:
            return ()
        message = min(
            (attempt.message for attempt, _ in self.failures), key=lambda told: len(json.dumps(told))
        )
        actual = list(dict.fromkeys(text for attempt, text in self.failures if attempt.message == message))
        if len(actual) > _MOST_CASES_TOLD:
            actual[_MOST_CASES_TOLD:] = [f"and {len(actual) - _MOST_CASES_TOLD} more"]
        rule = self.rule
        return (
            Finding(
                rule=rule.id,
                level=rule.level,
                layer=None,
                pointer="",
                expected=rule.outcomes,
                actual="; ".join(actual),
                requirement=rule.requirement,
                consequence=rule.consequence,
                share=f"{len(self.failures)} of {self.cases} cases" if self.cases > 1 else "",
                message=_shown(message),
                reproduce=self._reproduce(),
            ),
        )

    def _reproduce(self) -> str:
        if self.sender.words is None:
            return f"pytest -k {shlex.quote(self.rule.id)}"
        words = ["mail-contract", "verify-sender", "--rules", self.rule.id, "--seed", str(self.settings.seed)]
        if self.settings.examples != SenderSettings().examples:
            words += ["--examples", str(self.settings.examples)]
        if self.settings.slow != SenderSettings().slow:
            words += ["--slow", f"{self.settings.slow:g}"]
        if self.sender.revision != catalogue.current_revision():
            words += ["--revision", self.sender.revision]
        return shlex.join([*words, "--", *self.sender.words])


def _shown(message: Mapping[str, Any]) -> str:
    text = json.dumps(message, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(message)
    return (
        text
        if len(text) <= _MOST_MESSAGE_SHOWN
        else f"{text[:_MOST_MESSAGE_SHOWN]}… ({len(text)} characters)"
    )


Check = Callable[[SenderTrial], None]

_CHECKS: dict[str, Check] = {}


def check(rule: str) -> Callable[[Check], Check]:
    """Register the function that tries a rule.

    Args:
        rule: The rule's id.
    """

    def register(function: Check) -> Check:
        _CHECKS[rule] = function
        return function

    return register


def _checks() -> Mapping[str, Check]:
    # The module registers its functions when it is imported.
    import_module(".rules", __package__)
    return _CHECKS


def sender_rules() -> tuple[str, ...]:
    """Return the ids of the rules for senders, in the order of the catalogue."""
    return tuple(rule for rule in catalogue.rules() if rule.startswith("sender/"))


def try_sender_rule(
    rule: str, sender: Sender, settings: SenderSettings | None = None, desk: Desk | None = None
) -> Result:
    """Try one rule at a sender.

    Args:
        rule: The rule's id.
        sender: The sender.
        settings: How to try it; the defaults when None.
        desk: The endpoint that it is given; one of its own when None.

    Raises:
        KeyError: There is no such rule for senders.
        OwnFault: A message of ours was not what it should be.
        SenderUnusable: The sender cannot be driven.
    """
    if desk is None:
        with Desk() as own:
            return try_sender_rule(rule, sender, settings, own)
    function = _checks()[rule]
    desk.begin()
    trial = SenderTrial(catalogue.rules()[rule], sender, desk, settings or SenderSettings())
    start = time.monotonic()
    revisions = catalogue.revisions()
    if revisions.index(trial.rule.since) > revisions.index(sender.revision):
        reason = f"the sender is given messages of revision {sender.revision}; this came later"
        return Result(trial.rule, "not applicable", (), reason, 0, 0.0)
    try:
        function(trial)
        if not trial.cases:
            raise OwnFault(f"{rule} judged no case")
    except NotApplicable as problem:
        return Result(trial.rule, "not applicable", (), str(problem), trial.cases, time.monotonic() - start)
    except _Enough:
        pass
    findings = trial.findings()
    outcome: Literal["kept", "broken"] = "broken" if findings else "kept"
    return Result(trial.rule, outcome, findings, "", trial.cases, time.monotonic() - start)


def require_usable(sender: Sender, desk: Desk, settings: SenderSettings) -> None:
    """Have one plain message sent, whatever comes of it.

    Raises:
        SenderUnusable: The sender cannot be driven: it does not start, ends, keeps silent, or answers what
            nobody can read.
    """
    from ..judging.typical import minimal

    desk.begin()
    trial = SenderTrial(catalogue.rules()["sender/request/method"], sender, desk, settings)
    try:
        attempt = trial.send(minimal("SignIn", sender.revision))
    except SenderUnusable as problem:
        problem.context = ""  # no rule and no message of interest
        raise
    if attempt.report.ok is None:
        raise SenderUnusable(
            f"the sender gave {attempt.report}: it was its first message, which was taken at once"
        )
