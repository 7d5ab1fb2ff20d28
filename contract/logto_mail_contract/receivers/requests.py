"""Makes the cases of rules: each message valid as claimed, with a recipient, a code and a link of its own."""

from __future__ import annotations

import re
from random import Random
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..connector.encoding import connector_call
from ..judging.javascript_json import stringify
from ..judging.typical import CODE, LINK, RECIPIENT, template_types, typical
from ..judging.validation import validate
from ..suite.results import OwnFault
from .attempts import Refusal
from .cases import MIN_TELLING_DIGITS, Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..wire.calls import Call
    from .cases import MailNeed
    from .receiver import Receiver, Settings

INVITATION = "OrganizationInvitation"

_LINK_MARK = re.compile("n4c[0-9]+")
"""What makes the link of a message its own."""

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ORDINARY_ADDRESS = re.compile(
    rf"(?![^@]{{65}})[A-Za-z0-9+_'-]+(?:\.[A-Za-z0-9+_'-]+)*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}"
)


class RequestMaker:
    """Makes the cases of one run.

    Args:
        receiver: The receiver that they are for.
        settings: How it is tried.
        numbers: Makes recipients unique: other numbers in each run.
        accepted_types: The template types whose ordinary messages are accepted; all when None.
        refuse: Tells the mail server to fail for a recipient, as ``SmtpSink.refuse``; None where nothing can.

    Attributes:
        receiver: The receiver.
        revision: The contract revision of the messages.
        accepted_types: The template types whose ordinary messages are accepted.
        group: The name of the batch whose cases are made.
    """

    def __init__(
        self,
        receiver: Receiver,
        settings: Settings,
        numbers: Iterator[int],
        accepted_types: Sequence[str] | None = None,
        refuse: Callable[..., None] | None = None,
    ) -> None:
        self.receiver = receiver
        self.revision = receiver.revision
        self.settings = settings
        self.accepted_types = template_types(self.revision) if accepted_types is None else accepted_types
        self._numbers = numbers
        self._refuse = refuse
        self._random = Random()  # noqa: S311 - codes and marks are no secret
        self._codes: set[str] = set()
        self.enter("")

    def enter(self, group: str) -> None:
        """Begin the cases of a batch: the same seed gives the same codes, whatever was sent before.

        Args:
            group: The name of the batch.
        """
        self.group = group
        self._random.seed(f"{self.settings.seed} {group}")

    @property
    def base_type(self) -> str:
        """The template type of messages for which any will do."""
        return next(iter(self.accepted_types), "SignIn")

    @property
    def can_refuse(self) -> bool:
        """Whether the mail server can be told to fail for a recipient."""
        return self._refuse is not None

    def knows(self, revision: str) -> bool:
        """Return whether the receiver's revision is that one or a later one."""
        known = catalogue.revisions()
        return known.index(self.revision) >= known.index(revision)

    # Parts of messages.

    def make_code(self, zeros: int = 0) -> str:
        """Return a code that no other message of the run has.

        Args:
            zeros: With how many zeros it begins.
        """
        while True:
            digits = f"{'0' * zeros}{self._random.randrange(10 ** (5 - zeros), 10 ** (6 - zeros))}"
            # 111111 and its like are colours, and the code of another message may not be met by chance.
            if digits not in self._codes and len(set(digits)) >= MIN_TELLING_DIGITS:
                self._codes.add(digits)
                return digits

    def make_mark(self) -> str:
        """Return letters that stand in one value of one message of the run, and nowhere else."""
        return "mcq" + "".join(self._random.choices(ascii_lowercase, k=8))

    def make_recipient(self, address: str = RECIPIENT) -> str:
        """Return an address like another one that nothing was sent to before.

        Args:
            address: The other one; it stays within the limits of mail servers and of Logto's database.
        """
        local, _, domain = address.rpartition("@")
        # Before a tag: to some receivers, what follows the plus sign makes no other recipient.
        name, plus, tag = local.partition("+")
        number = str(next(self._numbers))
        domain = self.settings.recipient_domain or domain
        room = min(64, max(128, len(address)) - len(domain) - 1) - len(plus + tag + number)
        return f"{name[: max(room, 0)]}{number}{plus}{tag}@{domain}"

    def make_typical(
        self, type: str | None = None, revision: str | None = None, **changed: Any
    ) -> dict[str, Any]:
        """Return an ordinary message, with a recipient, a code and a link of its own.

        Args:
            type: One of the template types of the revision; any that is accepted when None.
            revision: A contract revision; the receiver's when None.
            changed: Variables to set in the payload, and ``to`` for the recipient.
        """
        return self.make_fresh(typical(type or self.base_type, revision or self.revision, **changed))

    def make_fresh(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message with a recipient, a code and a link of its own, for those of ``judging.typical``.

        So a receiver that accepts no message twice fails the rule about that, and no other.
        """
        code = self.make_code()
        own = {CODE: code, LINK: LINK.replace("n4c1x", f"n4c{code}")}
        payload = {
            name: own.get(value, value) if name in ("code", "link") else value
            for name, value in message["payload"].items()
        }
        to = self.make_recipient() if message["to"] == RECIPIENT else message["to"]
        domain = self.settings.recipient_domain
        if domain is not None and "@" in to:
            to = f"{to.rpartition('@')[0]}@{domain}"
        return {**message, "to": to, "payload": payload}

    # Cases.

    def make_case(
        self,
        message: Mapping[str, Any],
        *,
        layer: str | None = "emitted",
        revision: str | None = None,
        type: str | None = None,
        mail: MailNeed | None = None,
        repeats: int = 1,
        refusal: Refusal | None = None,
    ) -> Case:
        """Return the case that delivers a message, after a check that it is what it should be.

        Args:
            message: The message.
            layer: The layer in which it is valid; None for one that is not valid in any.
            revision: The revision in which it is valid; the receiver's when None.
            type: The template type whose ordinary message must be accepted; the message's own when None.
            mail: Whether an accepted one must be mailed; it must when None, to an odd address it should.
            repeats: How often it is sent.
            refusal: How the mail server fails for its recipient; None where it does not.

        Raises:
            OwnFault: The message is not what it should be.
        """
        findings = validate(dict(message), revision or self.revision, layer or "guard")
        if bool(findings) == (layer is not None):
            problem = (
                "; ".join(f"{finding.rule} at {finding.pointer!r}" for finding in findings) or "it is valid"
            )
            raise OwnFault(f"a message for layer {layer} was wanted, but: {problem}: {message}")
        if mail is None:
            mail = "MUST" if is_ordinary_address(message["to"]) else "SHOULD"
        call = connector_call(self.receiver.target, stringify(message), self.receiver.authorization)
        self._arrange_refusal(message["to"], refusal)
        return Case(call, type or message["type"], message, mail, repeats, self.group, refusal)

    def _arrange_refusal(self, recipient: str, refusal: Refusal | None) -> None:
        if refusal is not None:
            assert self._refuse is not None, "only batches of rules that need refusals have any"
            # A 451 asks for a later try, and that one is accepted.
            self._refuse(recipient, refusal, times=1 if refusal is Refusal.TEMPORARY else None)

    def make_raw_case(
        self, body: bytes | Mapping[str, Any], message: Mapping[str, Any] | None = None
    ) -> Case:
        """Return the case of any body, otherwise as the connector writes it.

        Args:
            body: The body, or what to write as JSON.
            message: The message that it was made of.
        """
        data = body if isinstance(body, bytes) else stringify(body)
        call = connector_call(self.receiver.target, data, self.receiver.authorization)
        return self.make_call_case(call, message)

    def make_call_case(self, call: Call, message: Mapping[str, Any] | None = None) -> Case:
        """Return the case of any request.

        Args:
            call: The request.
            message: The message that it was made of.
        """
        return Case(call, self.base_type, message, group=self.group)

    def make_call(self, message: Mapping[str, Any], authorization: str | None) -> Call:
        """Return the request that delivers a message with an authorization; without one when None."""
        return connector_call(self.receiver.target, stringify(message), authorization)

    def make_again(self, case: Case) -> Case:
        """Return a case once more, with another recipient, code and link; no mail is expected.

        A mail with the link of the case would else look like one of the case to another recipient.

        Args:
            case: The case.
        """
        body, message = case.call.body, case.message
        if message is None or not case.to:
            return Case(case.call, case.type, message, group=case.group)
        to = self.make_recipient(case.to)
        zeros = len(case.code) - len(case.code.lstrip("0"))
        # Another form of code may be what fails.
        renewed = {"code": self.make_code(zeros)} if case.has_telling_code else {}
        if case.link:
            renewed["link"] = _LINK_MARK.sub(f"n4c{self.make_code()}", case.link)
        own = {case.to: to} | {message["payload"][name]: value for name, value in renewed.items()}
        for old, new in own.items():
            body = body.replace(stringify(old), stringify(new))
        payload = {**message["payload"], **renewed} if renewed else message.get("payload")
        message = {**message, "to": to, "payload": payload}
        call = case.call.replace_body(body)
        self._arrange_refusal(to, case.refusal)
        return Case(call, case.type, message, group=case.group, refusal=case.refusal)


def is_ordinary_address(address: str) -> bool:
    """Return whether every mail server takes an address: a dot-atom of RFC 5321 in a domain of ASCII.

    RFC 5321, 4.5.3.1: at most 64 octets before the @, and 254 in all.
    """
    return len(address) <= 254 and _ORDINARY_ADDRESS.fullmatch(address) is not None
