"""The rules ``receiver/deliver/*`` about the link of an invitation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..cases import batch
from ..checks import check
from ..mail_links import find_link_change
from ..requests import INVITATION
from .deliver import require_mails

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..cases import Batch, Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_MARK = re.compile("n4c[0-9]+")
_LINKS = (
    "https://app.example.com/join?org=1&token={}",
    "https://app.example.com/join?plan=pro&region=eu&copy=1&lt=2&sig=a_b_c*d*&token={}#/accept?step=1",
    "https://app.example.com/join?next=%2Fa%3Fb%3D1%26c%3D2&note=a%20b&amp;x=~_.-&y=1&token={}",
    "https://app.example.com/join?q=a+b%2Bc%20d&to=x%40example.com&token={}",
    "https://app.example.com:8443/Join/Team-A/?Token={}&Sig=AbC%2bd%2Fe+f==",
    "http://app.example.com/join/{}/",
    "https://app.example.com/#/join/{}?step=1%20",
    "https://app.example.com/join?twice=%252F%2525&back=https://example.com/?a=1&token={}",
    "https://app.example.com/join?price=$&$1'x&token={}",
)
_ODD_LINKS = (
    "com.example.app://join?token={}",
    "myapp:join/{}",
    "/join/{}",
    "{}",
    "https://münchen.example/join?name=Zoë&token={}",
)


def _make_invitations(maker: RequestMaker, forms: Iterable[str]) -> Iterator[Case]:
    for form in forms:
        link = form.replace("{}", f"n4c{maker.make_code()}")
        yield maker.make_case(maker.make_typical(INVITATION, link=link))


@batch()
def _links(maker: RequestMaker) -> Iterator[Case]:
    long = f"https://app.example.com/join?token={{}}&state={maker.make_mark() * 50}&org=1"
    yield from _make_invitations(maker, (*_LINKS, long))
    # An invitation is about its link, whatever else a caller adds.
    yield maker.make_case(maker.make_typical(INVITATION, code=maker.make_code()))


@batch()
def _odd_links(maker: RequestMaker) -> Iterator[Case]:
    yield from _make_invitations(maker, _ODD_LINKS)


def _judge_links(trial: ReceiverTrial, links: Batch) -> None:
    found = trial.find_mails(trial.send(links))
    if not found:
        trial.skip("the receiver accepted no invitation; see receiver/accept/organization-invitation")
        return
    for exchange, mails in found.items():
        case = exchange.case
        for read in mails:
            [mark] = _MARK.findall(case.link)
            change = find_link_change(read, case.link, mark)
            trial.judge(case.call, change is None, str(change or ""))
    require_mails(trial)


@check("receiver/deliver/link-intact", "outbox", batches=(_links,))
def _link_intact(trial: ReceiverTrial) -> None:
    _judge_links(trial, _links)


@check("receiver/deliver/odd-link-intact", "outbox", batches=(_odd_links,))
def _odd_link_intact(trial: ReceiverTrial) -> None:
    _judge_links(trial, _odd_links)
