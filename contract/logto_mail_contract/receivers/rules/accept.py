"""The rules ``receiver/accept/*``: what a receiver accepts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ... import catalogue
from ...judging.responses import is_accepted, is_no_crash
from ...judging.typical import (
    LINK,
    RECIPIENT,
    application,
    minimal,
    organization,
    template_types,
    user,
    without,
)
from ...suite.results import NotApplicable
from ..checks import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ...wire.outcomes import Outcome
    from ..trial import Expectation, ReceiverTrial

_SLUGS = {
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
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN_ADDRESS = re.compile(rf"[A-Za-z0-9+]+(?:\.[A-Za-z0-9+]+)*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}")
UNKNOWN_TYPES = ("NewTemplate", "PasskeyRegistered")
_LARGE_BYTES = 900_000


def _expect_all(
    trial: ReceiverTrial,
    messages: Iterable[Mapping[str, Any]],
    layer: str | None = "emitted",
    acceptable: Expectation = is_accepted,
) -> None:
    """Expect the same of messages, each of which adds something to an ordinary one of its type."""
    for message in messages:
        if trial.baseline_accepted(message["type"], acceptable=acceptable):
            trial.expect(acceptable, trial.requests.make_call(message, layer=layer))


def _sign_in(trial: ReceiverTrial, **changed: Any) -> dict[str, Any]:
    return trial.requests.make_typical("SignIn", **changed)


def _invitation(trial: ReceiverTrial, **changed: Any) -> dict[str, Any]:
    return trial.requests.make_typical("OrganizationInvitation", **changed)


def _accepts(type: str) -> Callable[[ReceiverTrial], None]:
    def accepts(trial: ReceiverTrial) -> None:
        trial.require_responsive()
        trial.require_not_exhausted()
        call = trial.requests.make_call(trial.requests.make_typical(type))
        outcome = trial.exchange(call)
        trial.run.baselines[type, trial.receiver.revision] = outcome
        trial.expect(is_accepted, call, outcome)

    return accepts


for _type, _slug in _SLUGS.items():
    check(f"receiver/accept/{_slug}")(_accepts(_type))


@check("receiver/accept/minimal")
def _minimal(trial: ReceiverTrial) -> None:
    revision = trial.receiver.revision
    _expect_all(
        trial, [trial.requests.make_fresh(minimal(type, revision)) for type in template_types(revision)]
    )


@check("receiver/accept/older-revisions")
def _older_revisions(trial: ReceiverTrial) -> None:
    known = catalogue.revisions()
    older = known[: known.index(trial.receiver.revision)]
    if not older:
        raise NotApplicable(f"there is no revision before {trial.receiver.revision}")
    for revision in older:
        for type in template_types(revision):
            if trial.baseline_accepted(type):
                call = trial.requests.make_call(
                    trial.requests.make_typical(type, revision), revision=revision
                )
                trial.expect(is_accepted, call)


@check("receiver/accept/null-user")
def _null_user(trial: ReceiverTrial) -> None:
    empty_user = user(avatar=None, name=None, primaryEmail=None, primaryPhone=None, username=None, profile={})
    messages = [
        trial.requests.make_typical(type, user=empty_user)
        for type in ("UserPermissionValidation", "BindNewIdentifier")
    ]
    _expect_all(trial, [*messages, _invitation(trial, inviter=empty_user)])


@check("receiver/accept/empty-branding")
def _empty_branding(trial: ReceiverTrial) -> None:
    bare = {"application": application(branding={}), "organization": organization(branding={})}
    _expect_all(
        trial,
        [_sign_in(trial, **bare), _invitation(trial, organization=bare["organization"])],
    )


@check("receiver/accept/unknown-variable")
def _unknown_variable(trial: ReceiverTrial) -> None:
    values: list[Any] = ["text", None, 1, True, [], {"a": None}]
    if trial.receiver.revision == "1.22":  # its guard allows only strings
        values = ["text"]
    _expect_all(trial, [_sign_in(trial, newVariable=value) for value in values], "guard")


@check("receiver/accept/unknown-member")
def _unknown_member(trial: ReceiverTrial) -> None:
    for value in ("text", None, 1, {"a": 1}):
        _expect_all(trial, [{**_sign_in(trial), "newMember": value}], "guard")


@check("receiver/accept/ip-forms")
def _ip_forms(trial: ReceiverTrial) -> None:
    forms = (
        "203.0.113.7",
        "2001:db8::1",
        "::1",
        "::ffff:203.0.113.7",
        "203.0.113.7:5678",
        "unknown",
        "<script>alert(1)</script>",
        "x" * 5000,
    )
    absent = _sign_in(trial)
    del absent["ip"]
    _expect_all(trial, [absent, *({**_sign_in(trial), "ip": form} for form in forms)])


@check("receiver/accept/locale-forms")
def _locale_forms(trial: ReceiverTrial) -> None:
    forms = ("de", "pt-BR", "fa-IR", "zh-Hant-TW", "x-klingon")
    messages = [_sign_in(trial, locale=form) for form in forms]
    free = [_invitation(trial, locale=form) for form in ("", "no such language", "<b>")]
    _expect_all(trial, [*messages, *free, without(_invitation(trial), "locale")])


@check("receiver/accept/ui-locales-forms")
def _ui_locales_forms(trial: ReceiverTrial) -> None:
    forms = (
        "de",
        "fr-CA fr en",
        "pt-BR <script> de",
        "<img src=x onerror=alert(1)> " + "z" * 200,
        "é\u202e🙂",
    )
    _expect_all(trial, [_sign_in(trial, uiLocales=form) for form in forms])


@check("receiver/accept/unicode")
def _unicode(trial: ReceiverTrial) -> None:
    for name in ("Łukasz Ćwikła", "東京支店", "شركة المثال", "🙂 Ltd", "a\u202eb", "e\u0301"):
        _expect_all(
            trial,
            [
                _sign_in(
                    trial, application=application(displayName=name), organization=organization(name=name)
                ),
                trial.requests.make_typical("UserPermissionValidation", user=user(name=name)),
            ],
        )


@check("receiver/accept/odd-names")
def _odd_names(trial: ReceiverTrial) -> None:
    for name in (
        "Org <b>\"&'</b>",
        "<script>alert(1)</script>",
        "a\r\nBcc: eve@example.com",
        "{{code}} ${code} %s",
        "'",
    ):
        _expect_all(
            trial,
            [
                _sign_in(trial, application=application(name=name), organization=organization(name=name)),
                trial.requests.make_typical("BindNewIdentifier", user=user(name=name)),
                _invitation(trial, inviter=user(name=name)),
            ],
        )


@check("receiver/accept/long-values")
def _long_values(trial: ReceiverTrial) -> None:
    url = "https://example.com/" + "a" * 2028
    _expect_all(
        trial,
        [
            _sign_in(trial, application=application(name="n" * 256, displayName="d" * 256)),
            _sign_in(trial, organization=organization(name="n" * 128, branding={"logoUrl": url})),
            trial.requests.make_typical(
                "UserPermissionValidation",
                user=user(name="n" * 128, avatar=url, username="u" * 128),
            ),
            _invitation(trial, link=f"{LINK}&state={'s' * 2000}"),
        ],
    )


@check("receiver/accept/leading-zeros")
def _leading_zeros(trial: ReceiverTrial) -> None:
    _expect_all(trial, [_sign_in(trial, code=code) for code in ("000001", "012345", "099999")])


@check("receiver/accept/connector-test")
def _connector_test(trial: ReceiverTrial) -> None:
    tests = [{"to": RECIPIENT, "type": "Generic", "payload": {"code": "000000"}, "ip": "::ffff:203.0.113.7"}]
    if trial.receiver.revision != catalogue.current_revision():
        del tests[0]["ip"]
    _expect_all(trial, tests)


@check("receiver/accept/resend")
def _resend(trial: ReceiverTrial) -> None:
    if not trial.baseline_accepted("OrganizationInvitation"):
        return
    call = trial.requests.make_call(_invitation(trial))
    trial.exchange(call)
    trial.expect(is_accepted, call)


@check("receiver/accept/large-invitation")
def _large_invitation(trial: ReceiverTrial) -> None:
    def in_time(outcome: Outcome) -> bool:
        return is_no_crash(outcome) and outcome.seconds <= trial.settings.warn_after

    _expect_all(trial, [_invitation(trial, note="n" * _LARGE_BYTES)], acceptable=in_time)


@check("receiver/accept/odd-addresses")
def _odd_addresses(trial: ReceiverTrial) -> None:
    addresses = (
        '"><svg/onload=1>@example.com',
        "FOO@example.com",
        "foo+bar@example.com",
        "f,o@example.com",
        "é@example.com",
    )
    _expect_all(trial, [_sign_in(trial, to=address) for address in addresses], acceptable=is_no_crash)


@check("receiver/accept/invitation-without-link")
def _invitation_without_link(trial: ReceiverTrial) -> None:
    empty = {"to": RECIPIENT, "type": "OrganizationInvitation", "payload": {}}
    _expect_all(trial, [without(_invitation(trial), "link"), empty], acceptable=is_no_crash)


@check("receiver/accept/caller-values")
def _caller_values(trial: ReceiverTrial) -> None:
    for changed in (
        {"organization": "mine"},
        {"inviter": {"name": "boss"}},
        {"organization": None, "inviter": 1},
        {"code": "1", "nested": {"a": [1, None, True]}},
        {"to": "z", "type": "SignIn", "ip": "9.9.9.9", "constructor": "c", "": 1},
        # Database columns reject these: half a character, and NUL.
        {"note": "\ud800"},
        {"note": "\0"},
    ):
        message = _invitation(trial)
        message["payload"].update(changed)
        _expect_all(trial, [message], acceptable=is_no_crash)


def _expect_of_unknown(trial: ReceiverTrial, types: Iterable[str], acceptable: Expectation) -> None:
    if trial.baseline_accepted("SignIn", acceptable=acceptable):
        for type in types:
            trial.expect(acceptable, trial.requests.make_call({**_sign_in(trial), "type": type}, layer=None))


@check("receiver/accept/unknown-type")
def _unknown_type(trial: ReceiverTrial) -> None:
    _expect_of_unknown(trial, UNKNOWN_TYPES, is_accepted)


@check("receiver/accept/unknown-type-is-no-crash")
def _unknown_type_is_no_crash(trial: ReceiverTrial) -> None:
    odd = ("", "__proto__", "constructor", "toString", "../../etc/passwd")
    _expect_of_unknown(trial, (*UNKNOWN_TYPES, *odd), is_no_crash)


@check("receiver/accept/generated")
def _generated(trial: ReceiverTrial) -> None:
    from ...strategies import messages

    revision = trial.receiver.revision
    accepted = [type for type in template_types(revision) if trial.baseline_accepted(type)]
    if not accepted:
        return

    def ordinary(message: dict[str, Any]) -> dict[str, Any]:
        # A caller of the invitation API can replace link and context; other rules cover that.
        if message["type"] != "OrganizationInvitation":
            return message
        payload = dict(message["payload"])
        if revision != "1.22":
            payload = {
                name: value for name, value in payload.items() if name in ("locale", "uiLocales", "code")
            }
        return {**message, "payload": {**payload, "link": LINK}}

    strategy = messages(revision=revision, layer="emitted", types=accepted).map(ordinary).filter(_mailable)
    trial.expect_generated(
        strategy,
        is_accepted,
        lambda drawn: trial.requests.make_call({**drawn, "to": trial.requests.make_recipient(drawn["to"])}),
    )


def _mailable(message: Mapping[str, Any]) -> bool:
    """Return whether the address is one that no receiver may find odd: a dot-atom that SMTP carries."""
    to = message["to"]
    # RFC 5321, 4.5.3.1: at most 64 octets before the @, and 254 in all.
    return bool(_PLAIN_ADDRESS.fullmatch(to)) and len(to) <= 254 and to.index("@") <= 64
