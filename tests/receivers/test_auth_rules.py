"""The rules about wrong credentials: what each finds, how grave it is, and what it says without a mail."""

# Names describe what receivers do. An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002, D101
from __future__ import annotations

import base64
import hmac
import shutil
import subprocess
import time
from contextlib import ExitStack, closing
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, Served
from tests.support.runs import has_failed, try_rules

from logto_mail_contract.masking import basic_credential
from logto_mail_contract.receivers.credentials import make_wrong_values
from logto_mail_contract.receivers.outbox import Mail
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.suite.checks import list_rule_ids

if TYPE_CHECKING:
    from logto_mail_contract.suite.results import Result

RULES = [rule for rule in list_rule_ids("receiver") if rule.startswith("receiver/auth/")]
SILENT = "receiver/deliver/no-silent-acceptance"
CREDENTIAL = TOKEN.partition(" ")[2]
BASIC = f"Basic {base64.b64encode(b'foo:p4ssw0rd').decode()}"
FORMS = (TOKEN, BASIC, "s3cret-T0ken", "Token x", "Bearer x", "x", "Token über-9")


# The values.


@pytest.mark.parametrize("right", FORMS)
def test_no_wrong_value_is_the_right_one(right: str) -> None:
    values = [value for values in make_wrong_values(right).values() for value in values]
    assert right not in values
    assert len(values) >= 12


@pytest.mark.parametrize("right", FORMS)
def test_the_shell_makes_the_value_that_was_sent(right: str) -> None:
    if shutil.which("sh") is None:
        pytest.skip("there is no shell here")
    for values in make_wrong_values(right).values():
        for value, shell in values.items():
            if shell:
                command = f'printf %s "{shell}"'
                made = subprocess.run(
                    ["sh", "-c", command], env={"NAME": right}, capture_output=True, check=True, timeout=10
                )
                assert made.stdout.decode() == value


@pytest.mark.parametrize("right", [TOKEN, BASIC, "s3cret-T0ken"])
def test_a_value_without_a_shell_shows_nothing_of_the_right_one(right: str) -> None:
    pair = base64.b64decode(right.partition(" ")[2]) if right is BASIC else b"s3cret-T0ken"
    for values in make_wrong_values(right).values():
        for value, shell in values.items():
            decoded = (basic_credential(value) or "").encode()
            for part in (pair[:4], pair[-4:], b"p4ss"):
                assert shell is not None or part not in value.encode() + decoded


def test_basic_values_keep_the_form_and_change_the_password() -> None:
    pairs = {
        name: [base64.b64decode(value.partition(" ")[2]).decode(errors="replace") for value in values]
        for name, values in make_wrong_values(BASIC).items()
        if name.startswith(("cut", "extended", "case", "changed", "same"))
    }
    assert pairs == {
        "cut-authorization": ["foo:p4ssw0r"],
        "extended-authorization": ["foo:p4ssw0rd0"],
        "case-changed-authorization": ["foo:P4SSW0RD"],
        "changed-start-authorization": ["foo:x4ssw0rd", "foo:4ssw0rd", "foo:xp4ssw0rd", "xoo:p4ssw0rd"],
        "same-length-authorization": ["xxx:xxxxxxxx"],
    }


# The rules.


class Mails(Good):
    """A good receiver that also mails; it knows when it was called."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def handle(self, message: Any, request: Request) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "shop@example.com", message["to"], "Your code"
        mail.set_content(str(message["payload"].get("code") or message["payload"].get("link")))
        self.mails.append(Mail.from_message(mail))


def try_auth(receiver: Mails, *, outbox: bool = False, token: str = TOKEN) -> dict[str, Result]:
    """Return the results of the rules about credentials by id, without the group."""
    with Served(receiver) as served, closing(Receiver.url(served.url, authorization=token)) as subject:
        results = try_rules(
            [*RULES, SILENT],
            subject,
            Settings(examples=1, fail_after=5),
            (lambda: receiver.mails) if outbox else None,
        )
    return {result.rule.id.split("/")[2]: result for result in results}


def find_failed(results: dict[str, Result]) -> dict[str, str]:
    """Return the level of each rule that failed."""
    return {name: result.rule.level for name, result in results.items() if has_failed(result)}


class OpenForOneType(Mails):
    def check_authorization(self, request: Request) -> None:
        if b'"type":"BindMfa"' not in request.body:
            super().check_authorization(request)


class OpenForNewTypes(Mails):
    def check_authorization(self, request: Request) -> None:
        if b'"type":"NewTemplate"' not in request.body:
            super().check_authorization(request)


class OpenForText(Mails):
    def check_authorization(self, request: Request) -> None:
        if request.values("content-type") != ["text/plain"]:
            super().check_authorization(request)


class OpenForCharsets(Mails):
    def check_authorization(self, request: Request) -> None:
        if not any("charset" in value for value in request.values("content-type")):
            super().check_authorization(request)


class ComparesLengths(Mails):
    def authorized(self, value: str) -> bool:
        return len(value) == len(TOKEN) and value.startswith("Bearer ")


class LooksAtTheEnd(Mails):
    def authorized(self, value: str) -> bool:
        return value.endswith(TOKEN)


class SkipsTheFirstCharacter(Mails):
    def authorized(self, value: str) -> bool:
        return value[:7] == "Bearer " and value[8:] == CREDENTIAL[1:]


class LooksForTheToken(Mails):
    def authorized(self, value: str) -> bool:
        return TOKEN in value


class IgnoresTheScheme(Mails):
    def authorized(self, value: str) -> bool:
        return value.rpartition(" ")[2] == CREDENTIAL


class MayLackTheScheme(Mails):
    def authorized(self, value: str) -> bool:
        return value in (TOKEN, CREDENTIAL)


class DropsWhatIsNotAscii(Mails):
    def authorized(self, value: str) -> bool:
        return value.encode("ascii", "ignore").decode() == TOKEN


class ComparesAsciiAlone(Mails):
    """``compare_digest`` raises TypeError for texts that are not ASCII."""

    def authorized(self, value: str) -> bool:
        return hmac.compare_digest(value, TOKEN)


class CrashesOnOtherSchemes(Mails):
    def authorized(self, value: str) -> bool:
        scheme, credential = value.split(" ")
        return scheme == "Bearer" and credential == CREDENTIAL


class HidesTheEndpoint(Mails):
    status_for_wrong = 404

    def check_authorization(self, request: Request) -> None:
        if request.values("authorization") != [TOKEN]:
            raise Refused(self.status_for_wrong)


class SaysBadRequest(HidesTheEndpoint):
    status_for_wrong = 400


class RedirectsToALogin(HidesTheEndpoint):
    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        if refused.status == 404:
            return 302, {"Location": "https://id.example/login"}, b""
        return super().refusal(refused, request)


CRASHES = {"wrong-authorization-is-no-crash": "MUST"}
DOUBLED = {"doubled-authorization": "SHOULD"}
ODD_STATUS = {"says-unauthorized": "SHOULD"}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (OpenForOneType, {"wrong-for-every-type": "MUST"}),
        (OpenForNewTypes, {"wrong-for-every-type": "MUST"}),
        (OpenForText, {"wrong-for-every-content-type": "MUST"}),
        (OpenForCharsets, {"wrong-for-every-content-type": "MUST"}),
        (
            ComparesLengths,
            {
                "same-length-authorization": "MUST",
                "case-changed-authorization": "MUST",
                "changed-start-authorization": "MUST",
            },
        ),
        (LooksAtTheEnd, {"other-scheme-authorization": "SHOULD", **DOUBLED}),
        (SkipsTheFirstCharacter, {"changed-start-authorization": "MUST"}),
        (
            LooksForTheToken,
            {
                "extended-authorization": "MUST",
                "not-ascii-authorization": "MUST",
                "other-scheme-authorization": "SHOULD",
                **DOUBLED,
            },
        ),
        (
            IgnoresTheScheme,
            {"other-scheme-authorization": "SHOULD", "bare-authorization": "SHOULD", **DOUBLED},
        ),
        (MayLackTheScheme, {"bare-authorization": "SHOULD"}),
        (DropsWhatIsNotAscii, {"not-ascii-authorization": "MUST"}),
        (ComparesAsciiAlone, CRASHES),
        (CrashesOnOtherSchemes, CRASHES),
        (HidesTheEndpoint, ODD_STATUS),
        (SaysBadRequest, ODD_STATUS),
        (RedirectsToALogin, ODD_STATUS),
    ],
)
@pytest.mark.parametrize("outbox", [False, True])
def test_a_wrong_check_fails_its_rules_alone(
    make: type[Mails], expected: dict[str, str], outbox: bool
) -> None:
    assert find_failed(try_auth(make(), outbox=outbox)) == expected


def test_basic_authorization_is_compared_as_a_whole() -> None:
    class LooksAtThePasswordAlone(Mails):
        token = BASIC

        def authorized(self, value: str) -> bool:
            try:
                pair = base64.b64decode(value.removeprefix("Basic "), validate=True).decode()
            except ValueError:
                return False
            return pair.partition(":")[2] == "p4ssw0rd"

    class FailsToDecode(Mails):
        token = BASIC

        def authorized(self, value: str) -> bool:
            scheme, _, rest = value.partition(" ")
            return scheme == "Basic" and base64.b64decode(rest + "==").decode() == "foo:p4ssw0rd"

    class Good(Mails):
        token = BASIC

    assert find_failed(try_auth(LooksAtThePasswordAlone(), token=BASIC)) == {
        "changed-start-authorization": "MUST",
        "bare-authorization": "SHOULD",
    }
    assert find_failed(try_auth(FailsToDecode(), token=BASIC)) == CRASHES
    assert find_failed(try_auth(Good(), token=BASIC, outbox=True)) == {}


# What became of the mail.


class AcceptsSilently(Mails):
    """Answers 200 to a wrong credential, and mails nothing."""

    def check_authorization(self, request: Request) -> None:
        if request.values("authorization") != [TOKEN]:
            raise Refused(200)


class LooksAtNothing(Mails):
    token = None


class MailsNothing(LooksAtNothing):
    def handle(self, message: Any, request: Request) -> None:
        """Mail nothing, whoever asks."""


def test_a_silent_acceptance_is_one_finding() -> None:
    results = try_auth(AcceptsSilently(), outbox=True)
    assert find_failed(results) == {"no-silent-acceptance": "MUST"}
    (finding,) = results["no-silent-acceptance"].findings
    assert "mails vanish" in finding.consequence
    assert "and no mail to foo" in finding.actual
    assert "see receiver/deliver/no-silent-acceptance" in results["wrong-authorization"].reason


@pytest.mark.parametrize(
    ("make", "outbox"),
    [(LooksAtNothing, True), (LooksAtNothing, False), (AcceptsSilently, False), (MailsNothing, True)],
)
def test_an_open_endpoint_is_said_to_be_open_where_nothing_else_is_known(
    make: type[Mails], outbox: bool
) -> None:
    results = try_auth(make(), outbox=outbox)
    failed = find_failed(results)
    assert {"missing-authorization", "wrong-authorization", "wrong-for-every-type"} <= failed.keys()
    assert "no-silent-acceptance" not in failed
    assert "can send mail in your name" in results["wrong-authorization"].findings[0].consequence


# Crashes and hangs.


def test_a_hang_and_a_cut_connection_are_crashes() -> None:
    class Hangs(Mails):
        def authorized(self, value: str) -> bool:
            if value == "Bearer wrong":
                time.sleep(1.2)
            return super().authorized(value)

    class Cuts(Mails):
        def raw(self, status: int, headers: dict[str, str], body: bytes) -> Any:
            return [] if status == 401 else super().raw(status, headers, body)

        def keeps_open(self, request: Request) -> bool:
            return request.values("authorization") == [TOKEN]

    for make, what in ((Hangs, "no end of the response"), (Cuts, "the connection ended")):
        with ExitStack() as stack:
            served = stack.enter_context(Served(make()))
            receiver = stack.enter_context(closing(Receiver.url(served.url, authorization=TOKEN)))
            results = try_rules(RULES, receiver, Settings(examples=1, fail_after=0.6))
        failed = {result.rule.id: result.findings[0].actual for result in results if has_failed(result)}
        assert failed.keys() == {"receiver/auth/wrong-authorization-is-no-crash"}
        assert what in failed["receiver/auth/wrong-authorization-is-no-crash"]


def test_an_error_that_is_due_to_the_content_type_is_no_crash() -> None:
    class ParsesFirst(Mails):
        def check_authorization(self, request: Request) -> None:
            if request.values("content-type") != ["application/json"]:
                raise RuntimeError
            super().check_authorization(request)

    assert find_failed(try_auth(ParsesFirst())) == {}


def test_other_statuses_that_say_unauthorized_pass() -> None:
    class Forbids(HidesTheEndpoint):
        status_for_wrong = 403

    class BlocksGuesses(HidesTheEndpoint):
        status_for_wrong = 429

    for make in (Mails, Forbids, BlocksGuesses):
        assert find_failed(try_auth(make(), outbox=True)) == {}
