"""One run of rules at one sender, and what it learns of the sender."""

from __future__ import annotations

import importlib.util
import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..clock import read_monotonic, sleep
from ..judging.typical import minimal
from ..judging.validation import validate
from ..suite.causes import Causes
from ..suite.results import NotJudged, OwnFault
from .destination import ACCEPTING, Attempt
from .driver import MAX_WAIT_SECONDS, Patience, SenderUnusable
from .rules import CHECKS
from .sender import SenderSettings
from .series import Series, make_attempts
from .trial import SenderTrial, format_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..findings import Rule
    from ..suite.checks import Checks
    from .destination import Destination, Script
    from .sender import Sender

MAX_UNSENT_MESSAGES = 5
"""Messages without a request after which a sender counts as one that sends nothing."""

MAX_SILENT_IN_A_ROW = 4
"""Messages in a row without a report after which nothing more is sent. A single series is cut before."""

MAX_SILENT_IN_A_RUN = 8
"""Messages without a report after which nothing more is sent, whatever came between them."""

TIME_IS_OVER = "the time for the run is over"


class SenderRun:
    """One run of rules at one sender.

    Args:
        sender: The sender.
        destination: The endpoint that it is given.
        settings: How it is tried; the defaults when None.

    Attributes:
        sender: The sender.
        destination: The endpoint that it is given.
        settings: How it is tried.
        deadline: The time of the monotonic clock at which every wait ends and nothing more is sent. It may
            be set during the run, from any thread. A wait that is under way ends within about 0.1 s.
        requests: How many messages had a request.
        lost: Why the sender cannot be driven; None while it can.
        causes: The causes of the failures so far.
        diagnosis: Empty: nothing is said of a sender as a whole.
    """

    diagnosis = ""

    def __init__(
        self, sender: Sender, destination: Destination, settings: SenderSettings | None = None
    ) -> None:
        self.sender = sender
        self.destination = destination
        self.settings = settings or SenderSettings()
        self.deadline = math.inf
        self._over = TIME_IS_OVER
        self.requests = 0
        self.lost: SenderUnusable | None = None
        self.causes = Causes()
        self._unsent = 0
        self._silent = 0
        self._silent_in_all = 0
        self._last_ended = -math.inf
        self._rule = ""
        self._series: dict[str, Series] = {}

    @property
    def checks(self) -> Checks[SenderTrial]:
        return CHECKS

    @property
    def revision(self) -> str:
        return self.sender.revision

    @property
    def strict(self) -> bool:
        return self.settings.strict

    def start(self, rule: Rule) -> SenderTrial:
        # A command is started again for its next message, and would hide that it ended.
        if self.lost is not None:
            raise self.lost
        self._rule = rule.id
        return SenderTrial(rule, self)

    def missing(self, need: str) -> str:
        assert need == "https"
        if importlib.util.find_spec("trustme") is None:
            return "an endpoint over https needs trustme: pip install 'logto-mail-contract[https]'"
        return ""

    def prepare(self, rules: Sequence[str]) -> None:
        """Do nothing: a sender is driven one message at a time."""

    def interrupt(self, reason: str) -> None:
        """End every wait; may be called from any thread.

        Args:
            reason: Why, for the rules that are not judged because of it.
        """
        self._over = reason
        self.deadline = -math.inf

    def require_usable(self) -> None:
        """Have one plain message sent, whatever comes of it.

        Raises:
            SenderUnusable: The sender cannot be driven: it does not start, ends, keeps silent, or writes a
                line that is no result.
        """
        try:
            attempt = self.send(minimal("SignIn", self.sender.revision))
        except NotJudged:
            return  # the deadline is over, as each rule will say
        except SenderUnusable as problem:
            problem.context = ""  # no rule and no message of interest
            raise
        if attempt.report.ok is None:
            self.lost = SenderUnusable(
                f"the sender gave {attempt.report}: it was its first message, which was accepted at once"
            )
            raise self.lost

    def take_attempts(self, *names: str) -> Iterator[Attempt]:
        """Yield the attempts of some series; those that no rule has asked for before are made now.

        Args:
            names: The names of the series.

        Raises:
            NotJudged: A series was cut short. It is raised after the last attempt.
            SenderUnusable: The sender cannot be driven.
        """
        cut: NotJudged | None = None
        for name in names:
            if name not in self._series:
                self._series[name] = Series(make_attempts(name, self))
            try:
                yield from self._series[name]
            except NotJudged as problem:
                cut = cut or problem
        if cut is not None:
            raise cut

    def take_settled_attempts(self, *names: str) -> Iterator[Attempt]:
        """Yield the attempts of some series when all are made, and requests that come later have come.

        Args:
            names: The names of the series.

        Raises:
            NotJudged: As for ``take_attempts``.
            SenderUnusable: The sender cannot be driven.
        """
        with suppress(NotJudged):
            for _ in self.take_attempts(*names):
                pass
        self._settle()
        yield from self.take_attempts(*names)

    def _settle(self) -> None:
        """Wait until the last attempt is as long ago as the settings want."""
        self.pause(self._last_ended + self.settings.settle - read_monotonic())

    def require_request(self) -> None:
        """Have plain messages sent until a request comes.

        Raises:
            NotJudged: None came.
        """
        while not self.requests:
            self.send(minimal("SignIn", self.sender.revision))

    def send(
        self,
        message: Mapping[str, Any],
        script: Script = ACCEPTING,
        *,
        what: str = "200",
        expected: bool | None = True,
        is_generated: bool = False,
        authorization: str | None = None,
        path: str = "/mail",
        origin: str | None = None,
        late: float = 0.0,
    ) -> Attempt:
        """Have a message sent and return the attempt.

        Args:
            message: The message; one that the revision allows.
            script: What requests are responded to with.
            what: As for ``Attempt``.
            expected: As for ``Attempt``.
            is_generated: As for ``Attempt``.
            authorization: The value of ``Authorization``; none is configured when None.
            path: The end of the endpoint's URL: path, and query if any.
            origin: The origin of the endpoint, one where no request is to come; the destination's own when
                None.
            late: Seconds until each response.

        Raises:
            NotJudged: The time of the run is over, or the sender sends nothing or gives no report.
            OwnFault: The message is none that the revision allows.
            SenderUnusable: The sender cannot be driven.
        """
        if read_monotonic() >= self.deadline:
            raise NotJudged(self._over)
        if not self.requests and self._unsent >= MAX_UNSENT_MESSAGES:
            raise NotJudged(f"no request came for any of the first {self._unsent} messages")
        if self._silent >= MAX_SILENT_IN_A_ROW:
            raise NotJudged(f"the sender gave no report {self._silent} times in a row")
        if self._silent_in_all >= MAX_SILENT_IN_A_RUN:
            raise NotJudged(f"the sender gave no report {self._silent_in_all} times")
        findings = validate(dict(message), self.sender.revision, "guard")
        if findings:
            problem = "; ".join(f"{finding.rule} at {finding.pointer!r}" for finding in findings)
            raise OwnFault(
                f"{self._rule} wanted a message of {self.sender.revision}, but: {problem}: {message}"
            )
        # Through JSON: surrogate halves side by side are one character, and the sender has a copy of its own.
        text = json.dumps(message)
        token = self.destination.make_token()
        url = f"{origin or self.destination.url}/{token}{path}"
        attempt = Attempt(
            json.loads(text),
            url,
            authorization,
            script,
            what=what,
            expected=expected,
            is_generated=is_generated,
        )
        self.destination.expect(token, attempt)
        try:
            attempt.report = self.sender.driver.send(
                json.loads(text),
                url,
                authorization,
                Patience(self.settings.patience + late, lambda: self.deadline),
                lambda: self.destination.release(attempt),
            )
        except SenderUnusable as lost:
            lost.context = (
                f"\n  rule      {self._rule}\n  message   {format_message(message)}\n  response  {what}"
            )
            self.lost = lost
            raise
        finally:
            attempt.over.set()
            attempt.ended = self._last_ended = read_monotonic()
        if attempt.report.ok is None and read_monotonic() >= self.deadline:
            raise NotJudged(self._over)
        is_silent = attempt.report.ok is None
        self._silent = self._silent + 1 if is_silent else 0
        self._silent_in_all += is_silent
        if origin is None:
            if attempt.report.ok is not False:
                # A sender may report success, and send only then. What was cut off arrives a little later.
                attempt.wait(self.limit_wait(self.settings.settle))
            if not attempt.arrivals and read_monotonic() >= self.deadline:
                raise NotJudged(self._over)
            self.requests += bool(attempt.arrivals)
            self._unsent += not attempt.arrivals
        return attempt

    def limit_wait(self, seconds: float) -> float:
        """Return how many of the seconds are left until the deadline."""
        return max(0.0, min(seconds, self.deadline - read_monotonic()))

    def pause(self, seconds: float) -> None:
        """Wait, at most until the deadline."""
        end = read_monotonic() + seconds
        while (left := self.limit_wait(end - read_monotonic())) > 0:
            sleep(min(left, MAX_WAIT_SECONDS))
