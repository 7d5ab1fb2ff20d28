"""The rules ``sender/body/*``: whether what was handed in arrives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ... import catalogue
from ...judging.javascript_json import NotJson, NotUtf8, TooDeep, parse, parse_with_duplicates, walk
from ...masking import format_value
from ..checks import check
from .request import REQUEST_SERIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.requests import Request
    from ..destination import Attempt
    from ..trial import SenderTrial

_KNOWN = ("to", "type", "payload", "ip")


def _judge_bodies(trial: SenderTrial, problem: Callable[[Request], str | None]) -> None:
    _judge_messages(trial, lambda attempt: _find_problem(attempt, problem))


def _judge_messages(trial: SenderTrial, problem: Callable[[Attempt], str | None]) -> None:
    """Judge attempts by their bodies, where these came whole: another rule judges the framing."""
    for attempt in trial.run.take_attempts(*REQUEST_SERIES):
        if any(request.framing for request in attempt.requests):
            trial.skip("the body did not come whole")
        else:
            trial.judge_each([attempt], problem)


def _find_problem(attempt: Attempt, problem: Callable[[Request], str | None]) -> str | None:
    # A GET without body, for example, is reported by the rule on methods.
    posted = [request for request in attempt.requests if request.body or request.method == "POST"]
    return next(filter(None, map(problem, posted)), None)


def _utf8(request: Request) -> str | None:
    if request.body.startswith(b"\xef\xbb\xbf"):
        return "a byte order mark before the body"
    try:
        request.body.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{request.body[error.start]:02x} at offset {error.start}: {error.reason}"
    return None


@check("sender/body/utf-8")
def _check_utf8(trial: SenderTrial) -> None:
    _judge_bodies(trial, _utf8)


def _text(request: Request) -> str:
    """Return a body's text, also where the rule on its encoding fails."""
    try:
        return request.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return request.body.decode("utf-8", "replace")


def _json(request: Request) -> str | None:
    try:
        parse(_text(request))
    except (NotJson, TooDeep) as problem:
        return f"{problem}; the body begins with {format_value(_text(request)[:60])}"
    return None


@check("sender/body/json")
def _check_json(trial: SenderTrial) -> None:
    _judge_bodies(trial, _json)


def _unique_keys(request: Request) -> str | None:
    try:
        duplicates = parse_with_duplicates(_text(request)).duplicates
    except (NotJson, TooDeep):
        return None  # another rule reports it
    if not duplicates:
        return None
    first = duplicates[0]
    return f"{format_value(first.key)} more than once in the object at {first.pointer or 'the top'}"


@check("sender/body/unique-keys")
def _check_unique_keys(trial: SenderTrial) -> None:
    _judge_bodies(trial, _unique_keys)


def _leaf(value: Any) -> tuple[object, ...]:
    """Return a value as JavaScript reads it, of an array or object its form alone."""
    if isinstance(value, dict):
        return ("object", frozenset(value))
    if isinstance(value, list):
        return ("array", len(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        # Infinity is what JavaScript reads, and null is what it writes for it.
        return ("number", number) if math.isfinite(number) else ("null", None)
    return ("null", None) if value is None else (type(value).__name__, value)


def find_difference(handed_in: Any, arrived: Any) -> str | None:
    """Return where a value is another one than what was handed in, None when JavaScript reads the same.

    Args:
        handed_in: A JSON value.
        arrived: The JSON value that came in its place.
    """
    wanted, came = dict(walk(handed_in)), dict(walk(arrived))
    for pointer, value in wanted.items():
        # The parents of a place come before it, and had the same form.
        if _leaf(value) != _leaf(came[pointer]):
            if isinstance(value, dict) and isinstance(came[pointer], dict):
                missing, added = value.keys() - came[pointer].keys(), came[pointer].keys() - value.keys()
                found = [
                    *(f"no {format_value(key)}" for key in missing),
                    *(f"{format_value(key)} too" for key in added),
                ]
                return f"{pointer or 'the message'} has {' and '.join(sorted(found))}"
            return f"{pointer} is {format_value(came[pointer])} in place of {format_value(value)}"
    return None


def _values(attempt: Attempt, *, knows_ip: bool) -> str | None:
    members = ["to", "type", "payload"]
    # An empty one is left out; another rule speaks of that.
    members += ["ip"] if knows_ip and attempt.message.get("ip") else []
    handed_in = {name: attempt.message[name] for name in members}

    def problem(request: Request) -> str | None:
        try:
            value = parse(request.body.removeprefix(b"\xef\xbb\xbf"))
        except (NotUtf8, NotJson, TooDeep) as error:
            return f"a body that cannot be read: {error}"
        if not isinstance(value, dict):
            return f"the body is {format_value(value)}, not an object"
        return find_difference(handed_in, {name: value[name] for name in members if name in value})

    return _find_problem(attempt, problem)


@check("sender/body/values")
def _check_values(trial: SenderTrial) -> None:
    knows_ip = "ip" in catalogue.schema(trial.run.revision, "guard")["properties"]
    _judge_messages(trial, lambda attempt: _values(attempt, knows_ip=knows_ip))


def _members(request: Request) -> dict[str, Any]:
    """Return the members of a body, none where it is no object: another rule reports that."""
    try:
        value = parse(_text(request))
    except (NotJson, TooDeep):
        return {}
    return value if isinstance(value, dict) else {}


@check("sender/body/no-other-members")
def _check_no_other_members(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        def problem_of_request(request: Request) -> str | None:
            # Members that the caller adds are not the sender's fault. Logto's connector drops them.
            added = [name for name in _members(request) if name not in {*_KNOWN, *attempt.message}]
            return f"also {' and '.join(map(format_value, added))}" if added else None

        return _find_problem(attempt, problem_of_request)

    _judge_messages(trial, problem)


@check("sender/body/ip")
def _check_ip(trial: SenderTrial) -> None:
    def problem_of_request(request: Request) -> str | None:
        members = _members(request)
        return f"ip is {format_value(members['ip'])}" if "ip" in members else None

    def problem(attempt: Attempt) -> str | None:
        return None if attempt.message.get("ip") else _find_problem(attempt, problem_of_request)

    _judge_messages(trial, problem)
