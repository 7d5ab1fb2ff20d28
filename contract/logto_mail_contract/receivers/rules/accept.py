"""The rules ``receiver/accept/*``: what a receiver accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import catalogue
from ...judging.responses import format_outcome, is_accepted, is_no_crash
from ...judging.typical import (
    LINK,
    application,
    minimal,
    organization,
    template_types,
    user,
)
from ...suite.results import NotApplicable
from ...suite.search import draw_examples
from ..cases import batch
from ..checks import check, expect_each
from ..generated import MAX_SEARCH_REQUESTS, expect_generated
from ..requests import INVITATION, is_ordinary_address
from .ordinary import ordinary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import SearchStrategy

    from ...wire.outcomes import Outcome
    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

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
UNKNOWN_TYPES = ("NewTemplate", "PasskeyRegistered")
_LARGE_BYTES = 900_000


def _accepts_type(type: str) -> Callable[[ReceiverTrial], None]:
    def accepts_type(trial: ReceiverTrial) -> None:
        for exchange in trial.send(ordinary):
            if exchange.case.type == type:
                trial.expect(is_accepted, exchange)

    return accepts_type


for _type, _slug in _SLUGS.items():
    check(f"receiver/accept/{_slug}", batches=(ordinary,))(_accepts_type(_type))


@batch()
def _minimal(maker: RequestMaker) -> Iterator[Case]:
    for type in template_types(maker.revision):
        yield maker.make_case(maker.make_fresh(minimal(type, maker.revision)))


expect_each("receiver/accept/minimal", _minimal, is_accepted)


@batch()
def _older_revisions(maker: RequestMaker) -> Iterator[Case]:
    known = catalogue.revisions()
    for revision in known[: known.index(maker.revision)]:
        for type in template_types(revision):
            yield maker.make_case(maker.make_typical(type, revision), revision=revision)


@check("receiver/accept/older-revisions", batches=(_older_revisions,))
def _accepts_older_revisions(trial: ReceiverTrial) -> None:
    if trial.receiver.revision == catalogue.revisions()[0]:
        raise NotApplicable(f"there is no revision before {trial.receiver.revision}")
    trial.expect_each(_older_revisions)


@batch()
def null_user(maker: RequestMaker) -> Iterator[Case]:
    """Users without anything but an id."""
    if not maker.knows("1.25"):
        return
    empty = user(avatar=None, name=None, primaryEmail=None, primaryPhone=None, username=None, profile={})
    for type in ("UserPermissionValidation", "BindNewIdentifier"):
        yield maker.make_case(maker.make_typical(type, user=empty))
    yield maker.make_case(maker.make_typical(INVITATION, inviter=empty))


expect_each("receiver/accept/null-user", null_user, is_accepted)


@batch()
def _empty_branding(maker: RequestMaker) -> Iterator[Case]:
    bare = organization(branding={})
    yield maker.make_case(
        maker.make_typical("SignIn", application=application(branding={}), organization=bare)
    )
    yield maker.make_case(maker.make_typical(INVITATION, organization=bare))


expect_each("receiver/accept/empty-branding", _empty_branding, is_accepted)


@batch()
def _unknown_variable(maker: RequestMaker) -> Iterator[Case]:
    values: list[Any] = ["text", None, 1, True, [], {"a": None}]
    if maker.revision == "1.22":  # its guard allows only strings
        values = ["text"]
    for value in values:
        yield maker.make_case(maker.make_typical(newVariable=value), layer="guard")


expect_each("receiver/accept/unknown-variable", _unknown_variable, is_accepted)


@batch()
def _unknown_member(maker: RequestMaker) -> Iterator[Case]:
    for value in ("text", None, 1, {"a": 1}):
        yield maker.make_case({**maker.make_typical(), "newMember": value}, layer="guard")


expect_each("receiver/accept/unknown-member", _unknown_member, is_accepted)


@batch()
def _ip_forms(maker: RequestMaker) -> Iterator[Case]:
    absent = maker.make_typical("SignIn")
    del absent["ip"]
    yield maker.make_case(absent)
    for form in (
        "203.0.113.7",
        "2001:db8::1",
        "::1",
        "::ffff:203.0.113.7",
        "203.0.113.7:5678",
        "unknown",
        "<script>alert(1)</script>",
        "x" * 5000,
    ):
        yield maker.make_case({**maker.make_typical("SignIn"), "ip": form})


expect_each("receiver/accept/ip-forms", _ip_forms, is_accepted)


@batch()
def unicode_names(maker: RequestMaker) -> Iterator[Case]:
    """Names in several scripts, in each kind of context."""
    for name in (
        "Zoë Müller",
        "Łukasz Ćwikła",
        "Ольга",
        "東京支店",
        "شركة المثال",
        "🙂 Ltd",
        "a\u202eb",
        "e\u0301",
    ):
        yield from make_named(maker, name)


def make_named(maker: RequestMaker, name: str) -> Iterator[Case]:
    """Yield a message for each kind of context, with a name wherever one may stand; revision 1.22 has none.

    Args:
        maker: Makes the cases.
        name: The name.
    """
    if not maker.knows("1.25"):
        return
    shop: dict[str, Any] = {"application": application(name=name, displayName=name)}
    acme: dict[str, Any] = {"organization": organization(name=name)}
    person = user(name=name, profile={"givenName": name, "nickname": name})
    yield maker.make_case(maker.make_typical("SignIn", **shop, **acme))
    yield maker.make_case(maker.make_typical("BindNewIdentifier", **shop, user=person))
    yield maker.make_case(maker.make_typical(INVITATION, **acme, inviter=person))


expect_each("receiver/accept/unicode", unicode_names, is_accepted)


@batch()
def odd_names(maker: RequestMaker) -> Iterator[Case]:
    """Names that break markup, statements and headers, in each kind of context."""
    for name in (
        "Org <b>\"&'</b>",
        "<script>alert(1)</script>",
        "a\r\nBcc: eve@example.com",
        # What follows an empty line may become the body, without the charset and the type of a part.
        "a\r\n\r\nb & Zoë",
        "O'Brien",
        " ",
    ):
        yield from make_named(maker, name)


expect_each("receiver/accept/odd-names", odd_names, is_accepted)

TEMPLATE_SYNTAXES = (
    "{x} {code} {0} {}",
    "%(code)s %s %d %",
    r"\0 \1 \g<0> \n",
    "$& $1 $' $x $code $$",
    "${x} ${code} #{code}",
    "{{x}} {{{code}}} {{7*7}}",
    "{% x %} @{x} [[code]]",
    "<%= code %>",
)
"""What template engines and formatting functions read as instructions. Some fail at the first unknown one."""


@batch()
def template_names(maker: RequestMaker) -> Iterator[Case]:
    """Names with the syntax of templates between ``mcx`` and ``ltd``, in each kind of context."""
    for syntax in TEMPLATE_SYNTAXES:
        # Short: receivers may cut long names.
        yield from make_named(maker, f"mcx {syntax} ltd")


expect_each("receiver/accept/template-syntax", template_names, is_accepted)


@batch()
def long_values(maker: RequestMaker) -> Iterator[Case]:
    """Values as long as Logto's database allows."""
    if maker.knows("1.25"):
        url = "https://example.com/" + "a" * 2028
        long = application(name="n" * 256, displayName="d" * 256)
        yield maker.make_case(maker.make_typical("SignIn", application=long))
        long = organization(name="n" * 128, branding={"logoUrl": url})
        yield maker.make_case(maker.make_typical("SignIn", organization=long))
        long = user(name="n" * 128, avatar=url, username="u" * 128)
        yield maker.make_case(maker.make_typical("UserPermissionValidation", user=long))
    message = maker.make_typical(INVITATION)
    link = f"{message['payload']['link']}&state={'s' * 2000}"
    yield maker.make_case({**message, "payload": {**message["payload"], "link": link}})


expect_each("receiver/accept/long-values", long_values, is_accepted)


@batch()
def _leading_zeros(maker: RequestMaker) -> Iterator[Case]:
    for zeros in (1, 2, 2):
        message = maker.make_typical("SignIn")
        code = maker.make_code(zeros)
        yield maker.make_case({**message, "payload": {**message["payload"], "code": code}})


expect_each("receiver/accept/leading-zeros", _leading_zeros, is_accepted)


@batch()
def _connector_test(maker: RequestMaker) -> Iterator[Case]:
    test = {"to": maker.make_recipient(), "type": "Generic", "payload": {"code": "000000"}}
    if maker.revision == catalogue.current_revision():
        test["ip"] = "::ffff:203.0.113.7"
    yield maker.make_case(test)


expect_each("receiver/accept/connector-test", _connector_test, is_accepted)


@batch()
def resend(maker: RequestMaker) -> Iterator[Case]:
    """An invitation that is sent twice, the same to the byte."""
    yield maker.make_case(maker.make_typical(INVITATION), repeats=2)


@check("receiver/accept/resend", batches=(resend,))
def _accepts_resend(trial: ReceiverTrial) -> None:
    for exchange in trial.send(resend):
        # The first one is an ordinary message, which rules of its own are about.
        if exchange.earlier:
            trial.expect(is_accepted, exchange)
        else:
            trial.skip(f"the first of two equal messages is not accepted: {format_outcome(exchange.outcome)}")


@batch("alone")
def _large_invitation(maker: RequestMaker) -> Iterator[Case]:
    yield maker.make_case(maker.make_typical(INVITATION, note="n" * _LARGE_BYTES))


@check("receiver/accept/large-invitation", batches=(ordinary, _large_invitation))
def _accepts_large_invitation(trial: ReceiverTrial) -> None:
    # A receiver that is slow for every invitation is the concern of receiver/respond/promptly.
    invitations = (one for one in trial.send(ordinary) if one.case.type == INVITATION)
    usual = min((one.outcome.seconds for one in invitations), default=0.0)

    def in_time(outcome: Outcome) -> bool:
        return is_no_crash(outcome) and outcome.seconds <= usual + trial.settings.warn_after

    trial.expect_each(_large_invitation, in_time)


@batch()
def odd_addresses(maker: RequestMaker) -> Iterator[Case]:
    """Messages to addresses that a mail server may refuse, and to some that only look odd."""
    for address in (
        '"><svg/onload=1>@example.com',
        "FOO@example.com",
        "foo+bar@example.com",
        "f,o@example.com",
        "é@example.com",
    ):
        yield maker.make_case(maker.make_typical("SignIn", to=maker.make_recipient(address)))


expect_each("receiver/accept/odd-addresses", odd_addresses, is_no_crash)


def _make_unknown(maker: RequestMaker, type: str) -> Case:
    message = {**maker.make_typical("SignIn"), "type": type}
    # A rule of its own looks for its mail.
    return maker.make_case(message, layer=None, type="SignIn", mail="none")


@batch()
def unknown_types(maker: RequestMaker) -> Iterator[Case]:
    """Messages of template types that Logto may add."""
    for type in UNKNOWN_TYPES:
        yield _make_unknown(maker, type)


@batch()
def _odd_types(maker: RequestMaker) -> Iterator[Case]:
    for type in ("", "__proto__", "constructor", "toString", "../../etc/passwd"):
        yield _make_unknown(maker, type)


expect_each("receiver/accept/unknown-type", unknown_types, is_accepted)


@check("receiver/accept/unknown-type-is-no-crash", batches=(unknown_types, _odd_types))
def _survives_unknown_types(trial: ReceiverTrial) -> None:
    trial.expect_each(unknown_types, is_no_crash)
    trial.expect_each(_odd_types, is_no_crash)


def _draw_from(maker: RequestMaker) -> SearchStrategy[dict[str, Any]]:
    from ...strategies import messages

    def ordinary_link(message: dict[str, Any]) -> dict[str, Any]:
        # A caller of the invitation API can replace link and context; other rules cover that.
        if message["type"] != INVITATION:
            return message
        payload = dict(message["payload"])
        if maker.revision != "1.22":
            payload = {
                name: value for name, value in payload.items() if name in ("locale", "uiLocales", "code")
            }
        return {**message, "payload": {**payload, "link": LINK}}

    drawn = messages(revision=maker.revision, layer="emitted", types=list(maker.accepted_types))
    return drawn.map(ordinary_link).filter(lambda message: is_ordinary_address(message["to"]))


_DRAWN_DOMAINS = (
    "a.b.c.test",
    "bar.example",
    "example.com",
    "example.net",
    "example.org",
    "foo.invalid",
    "foo.test",
    "xn--bcher-kva.example",
)
"""The domains of the ordinary addresses that Hypothesis draws; it is not imported only to announce them."""


def _make_drawn(maker: RequestMaker, drawn: dict[str, Any]) -> Case:
    message = maker.make_fresh(drawn)
    if "code" in message["payload"]:
        message["payload"]["code"] = maker.make_code()
    return maker.make_case({**message, "to": maker.make_recipient(drawn["to"])})


@batch("drawn", domains=_DRAWN_DOMAINS)
def generated(maker: RequestMaker) -> Iterator[Case]:
    """Messages that Hypothesis draws."""
    if maker.accepted_types:
        settings = maker.settings
        for drawn in draw_examples(_draw_from(maker), settings.examples, settings.seed):
            yield _make_drawn(maker, drawn)


@check("receiver/accept/generated", batches=(generated,), requests=MAX_SEARCH_REQUESTS)
def _accepts_generated(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    maker = trial.run.maker
    expect_generated(
        trial, generated, _draw_from(maker), is_accepted, lambda drawn: _make_drawn(maker, drawn)
    )
