"""Messages that *deliver* rules send together, and the mails that come of them.

Every message goes to a recipient of its own. Its unique letters distinguish its mails from all others, and
no other message has its code or link. Only mails of accepted messages are waited for: what a receiver wrongly
refuses is the business of ``receiver/accept/*``. Mails may come after the response, within the limit of the
settings. That there are no more of them is concluded from a short quiet time.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..judging.responses import format_outcome, is_accepted
from ..judging.typical import typical
from ..suite.results import NotJudged
from .mail_reading import ReadMail
from .outbox import Mail, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .trial import ReceiverTrial

INVITATION = "OrganizationInvitation"


@dataclass(frozen=True)
class Sent:
    """A message that was sent.

    Attributes:
        token: Letters that stand in its recipient and nowhere else.
        to: Its recipient.
        code: Its code, empty when it has none.
        mark: Letters that stand in its link and nowhere else, empty when it has none.
    """

    call: Call
    token: str
    to: str
    code: str
    mark: str
    outcome: Outcome

    @property
    def response(self) -> str:
        """The receiver's response, for a person to read."""
        return format_outcome(self.outcome)


class Round:
    """The messages that a rule sends, and the mails that come of them."""

    def __init__(self, trial: ReceiverTrial) -> None:
        self.trial = trial
        self.sent: list[Sent] = []
        self.mails: list[ReadMail] = []
        self._codes: set[str] = set()
        self._patience = 0.0
        assert trial.run.outbox is not None, "the rule is registered as one that needs an outbox"
        self.outbox = trial.run.outbox
        self._before = len(list(self.outbox()))

    @property
    def revision(self) -> str:
        return self.trial.receiver.revision

    def knows(self, revision: str) -> bool:
        """Return whether the receiver's revision is that one or a later one."""
        known = catalogue.revisions()
        return known.index(self.revision) >= known.index(revision)

    # Sending.

    def make_code(self, zeros: int = 0) -> str:
        """Return a code that no other message of this round has.

        Args:
            zeros: With how many zeros it begins.
        """
        while True:
            digits = "0" * zeros + str(secrets.randbelow(9) + 1)
            digits += "".join(str(secrets.randbelow(10)) for _ in range(6 - len(digits)))
            # 111111 and its like are colours, and the code of another message may not be met by chance.
            if digits not in self._codes and len(set(digits)) >= 4:
                self._codes.add(digits)
                return digits

    def make_message(self, type: str, token: str, to: str = "", **changed: Any) -> dict[str, Any]:
        """Return a message as Logto sends it, to a recipient of its own."""
        if type == INVITATION:
            changed.setdefault("link", f"https://app.example.com/join/{make_token()}?org=1&token=n4c1x")
        else:
            changed.setdefault("code", self.make_code())
        return typical(type, self.revision, to=to or f"mc-{token}@example.com", **changed)

    def send(self, token: str, call: Call) -> Sent:
        """Send a request, and keep it for when the mails are gathered."""
        sent = record_sent(token, call, self.trial.exchange(call))
        self.sent.append(sent)
        return sent

    def post(self, type: str, to: str = "", **changed: Any) -> Sent:
        """Send a message; ``{}`` in the recipient becomes its token."""
        token = make_token()
        address = to.replace("{}", token)
        return self.send(
            token, self.trial.requests.make_call(self.make_message(type, token, address, **changed))
        )

    # Reading the mails.

    @property
    def accepted(self) -> list[Sent]:
        return [sent for sent in self.sent if is_accepted(sent.outcome)]

    def wait(self, *, quiet: bool = False, as_long_again: bool = False, beside: Container[str] = ()) -> None:
        """Wait until each accepted message has its mail, and read the mails.

        Args:
            quiet: Whether to wait a little more for unexpected mails.
            as_long_again: Whether to wait as long again: a second mail may need as long after the first one.
            beside: Tokens of messages whose mails are not waited for.
        """
        tokens = [sent.token for sent in self.accepted if sent.token not in beside]

        def all_came() -> bool:
            addresses = [join_recipients(mail) for mail in self._mails()]
            return all(
                sum(token in found for found in addresses) >= tokens.count(token) for token in set(tokens)
            )

        run, settings = self.trial.run, self.trial.settings
        # A receiver whose mails do not come at all is not waited for to the end with every rule.
        self._patience = settings.fail_after
        if run.mails_missing:
            self._patience = min(settings.warn_after, settings.fail_after)
        start = time.monotonic()
        came = wait_until(all_came, self._patience)
        took = time.monotonic() - start
        run.mails_missing = not (came or self._mails())
        if quiet or as_long_again:
            time.sleep(max(run.quiet_seconds, took if came and as_long_again else 0))
        self.mails = [ReadMail(mail) for mail in self._mails()]

    def gather(
        self, *, quiet: bool = False, as_long_again: bool = False, beside: Container[str] = ()
    ) -> list[Sent]:
        """Wait as ``wait`` does, and return the accepted messages.

        Args:
            quiet: Whether to wait a little more for unexpected mails.
            as_long_again: Whether to wait as long again.
            beside: Tokens of messages whose mails are not waited for.

        Raises:
            NotJudged: The receiver accepted none.
        """
        expected = self.accepted
        if not expected:
            raise NotJudged("the receiver accepted none of the messages; see receiver/accept/*")
        self.wait(quiet=quiet, as_long_again=as_long_again, beside=beside)
        return expected

    def format_missing(self, sent: Sent) -> str:
        """Return that a message has no mail, for a person to read."""
        return f"{sent.response}, and no mail to {sent.to} within {self._patience:g} s"

    def _mails(self) -> list[Mail]:
        mails = list(self.outbox())
        # An outbox that was cleared meanwhile holds new mails alone.
        return mails[self._before :] if len(mails) >= self._before else mails

    def find_mails_to(self, token: str) -> list[ReadMail]:
        """Return the mails to the recipient with that token."""
        return [read for read in self.mails if token in join_recipients(read.mail)]


def join_recipients(mail: Mail) -> str:
    """Return the recipients of a mail's envelope, without regard to case, in one text."""
    return " ".join(mail.recipients).casefold()


def make_token() -> str:
    """Return ten letters that stand in no other message."""
    return "".join(secrets.choice(ascii_lowercase) for _ in range(10))


def record_sent(token: str, call: Call, outcome: Outcome) -> Sent:
    """Return what was sent, with the code and the mark of the link that stand in its body."""
    message = json.loads(call.body)
    mark = re.search(r"/join/([a-z]+)", message["payload"].get("link", ""))
    code = message["payload"].get("code", "")
    return Sent(call, token, message["to"], code, mark[1] if mark else "", outcome)


def share_round(fill: Callable[[Round], None]) -> Callable[[ReceiverTrial], Round]:
    """Return what gives the same round, sent and gathered, to each rule that looks at it.

    Args:
        fill: Sends the messages of a round, and waits for their mails.
    """

    def round_for(trial: ReceiverTrial) -> Round:
        rounds = trial.run.rounds
        round: Round | None
        round, rules = rounds.get(fill, (None, set()))
        if round is None or round.outbox is not trial.run.outbox or trial.rule.id in rules:
            round, rules = Round(trial), set()
            fill(round)
            rounds[fill] = round, rules
        rules.add(trial.rule.id)
        return round

    return round_for
