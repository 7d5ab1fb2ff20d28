"""The rules ``receiver/accept/*`` about recipients: ordinary addresses, rarer ones, and odd ones.

The addresses are fixed: whether one is refused must not depend on what is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...judging.responses import is_accepted, is_no_crash
from ...wire.outcomes import Response
from ..cases import batch
from ..checks import check, expect_each
from .accept import odd_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...wire.outcomes import Outcome
    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_LONG = "mc." + "long" * 20
"""Cut to what fits."""

_ORDINARY_ADDRESSES = (
    "mc.foo.bar@example.com",
    "mc-foo@example.com",
    "mc_foo@example.org",
    "1234@example.com",
    "o'foo@example.com",
    "mc.foo+tag@example.com",
    "McFoo@Example.COM",
    "mc@mail.eu-west.example.com",
    "mc@4711.example.net",
    "mc@foo-bar.example",
    "mc@xn--mnchen-3ya.example",
    "mc@mail.invalid",
    "mc@a.test",
    f"{_LONG}@example.com",
    # 100 characters, and the 128 that Logto's database holds: packages/schemas/tables/passcodes.sql, v1.22.0.
    f"{_LONG}@{'a' * 27}.example",
    f"{_LONG}@{'a' * 43}.{'b' * 11}.example",
)
_ROLES = ("admin", "info", "mail", "no-reply", "root", "sales", "support", "test")
_RARE_ADDRESSES = (
    "mc!foo#bar@example.com",
    "mc$foo%bar&x@example.com",
    "mc*foo/bar=x?y@example.com",
    "mc^foo`bar@example.com",
    "mc{foo|bar}x~y@example.com",
    "mc@münchen.example",
    "müller@example.com",
    "用户@例子.example",
)


def _vary(addresses: tuple[str, ...], maker: RequestMaker) -> Iterable[str]:
    """Return the addresses, or where all get one domain, those that differ before the @."""
    if maker.settings.recipient_domain is None:
        return addresses
    return {address.rpartition("@")[0]: address for address in addresses}.values()


@batch()
def ordinary_addresses(maker: RequestMaker) -> Iterator[Case]:
    """Messages to addresses that every mail server takes."""
    if maker.settings.recipient_domain is None:
        # One letter before the @ leaves no room for what makes a recipient unique: the domain has it.
        number = maker.make_recipient("n@example.com").partition("@")[0]
        yield maker.make_case(maker.make_typical(to=f"a@{number}.example.com"))
        yield maker.make_case(maker.make_typical(to=f"7@{number}.example.com"))
        # People read the mails of these too, and some programs drop them unseen.
        for local in _ROLES:
            yield maker.make_case(maker.make_typical(to=f"{local}@{number}.example.com"))
    for address in _vary(_ORDINARY_ADDRESSES, maker):
        yield maker.make_case(maker.make_typical(to=maker.make_recipient(address)))


expect_each("receiver/accept/ordinary-addresses", ordinary_addresses, is_accepted)


@batch()
def _rare_addresses(maker: RequestMaker) -> Iterator[Case]:
    for address in _vary(_RARE_ADDRESSES, maker):
        yield maker.make_case(maker.make_typical(to=maker.make_recipient(address)), mail="SHOULD")


expect_each("receiver/accept/rare-addresses", _rare_addresses, is_accepted)


def _is_no_crash_of_address(outcome: Outcome) -> bool:
    # 502 and 503 are how a receiver says that its mail provider refused the address.
    return is_no_crash(outcome) or (isinstance(outcome, Response) and outcome.status in (502, 503))


@check("receiver/accept/odd-addresses", batches=(odd_addresses, _rare_addresses))
def _survives_odd_addresses(trial: ReceiverTrial) -> None:
    trial.expect_each(odd_addresses, _is_no_crash_of_address)
    trial.expect_each(_rare_addresses, _is_no_crash_of_address)
