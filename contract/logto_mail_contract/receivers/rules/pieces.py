"""The rule ``receiver/accept/pieces``: requests that arrive in several TCP segments."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...judging.javascript_json import stringify
from ...judging.responses import format_outcome, is_accepted
from ...judging.typical import minimal
from ...masking import escape_unprintable
from ..cases import batch
from ..checks import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...wire.calls import Call
    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

    FindCuts = Callable[[bytes], tuple[int, ...]]

_END_OF_HEAD = b"\r\n\r\n"
_NAME = "Zoë 🙂"
_SHOWN_BYTES = 8
_MAX_WHOLE = 7
"""Most messages that are sent again in one piece."""


def _find(*parts: tuple[bytes, int]) -> FindCuts:
    """Return what finds the places in a request that lie so many bytes behind each start of a part."""
    return lambda data: tuple(
        sorted(found.start() + place for part, place in parts for found in re.finditer(re.escape(part), data))
    )


def _find_every(step: int) -> FindCuts:
    """Return what finds the end of the head, and each so many bytes of the body."""
    return lambda data: tuple(range(data.index(_END_OF_HEAD) + len(_END_OF_HEAD), len(data), step))


@batch()
def _pieces(maker: RequestMaker) -> Iterator[Case]:
    def make(find_cuts: FindCuts, message: dict[str, Any], body: bytes | None = None) -> Case:
        case = maker.make_raw_case(body or stringify(message), message)
        call = replace(case.call, cuts=find_cuts(case.call.encode()))
        return replace(case, call=call, mail="MUST")

    yield make(_find((_END_OF_HEAD, 4)), maker.make_typical())
    yield make(_find((b"POST", 2), (b"content-type", 7), (_END_OF_HEAD, 1)), maker.make_typical())
    yield make(_find((_END_OF_HEAD, 2), (b'"payload"', 4)), maker.make_typical())
    yield make(_find_every(60), maker.make_typical())
    yield make(_find_every(1), maker.make_fresh(minimal(maker.base_type, maker.revision)))
    message = _put_name(maker.make_typical(), _NAME)
    if _NAME in str(message):
        # Inside characters, and inside their escapes.
        yield make(_find(("ë".encode(), 1), ("🙂".encode(), 2)), message)
        message = _put_name(maker.make_typical(), _NAME)
        escaped = json.dumps(message, separators=(",", ":")).encode()
        yield make(_find((rb"\u00eb", 4), (rb"\ud83d", 1), (rb"\ude42", 0)), message, escaped)


def _put_name(message: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a message in whose context everything has a name."""
    payload = {
        key: {**value, **dict.fromkeys(value.keys() & {"displayName"} | {"name"}, name)}
        if isinstance(value, dict)
        else value
        for key, value in message["payload"].items()
    }
    return {**message, "payload": payload}


@check("receiver/accept/pieces", "wire", batches=(_pieces,), requests=_MAX_WHOLE)
def _accepts_pieces(trial: ReceiverTrial) -> None:
    for exchange in trial.send(_pieces):
        outcome, call = exchange.outcome, exchange.case.call
        if not is_accepted(outcome):
            whole = trial.send_case(replace(exchange.case, call=replace(call, cuts=())))
            if not is_accepted(whole.outcome):
                trial.skip(f"{format_outcome(whole.outcome)} to the same message in one piece")
                continue
        trial.judge(call, is_accepted(outcome), f"{format_outcome(outcome)}, {_format_cuts(call)}", outcome)
    trial.require_reachable()


def _format_cuts(call: Call) -> str:
    data, place = call.encode(), call.cuts[0]
    shown = [
        escape_unprintable(part.decode(errors="backslashreplace"))
        for part in (data[max(0, place - _SHOWN_BYTES) : place], data[place : place + _SHOWN_BYTES])
    ]
    return f"in {len(call.cuts) + 1} pieces, the first cut at {'|'.join(shown)}"
