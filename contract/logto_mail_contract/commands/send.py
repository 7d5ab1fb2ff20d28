"""The command ``mail-contract send``: posts one message as Logto's connector does."""

from __future__ import annotations

import json
import ssl
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..connector.channel import UrlTarget
from ..connector.encoding import encode_body, list_call_secrets
from ..connector.posting import post
from ..judging.responses import format_outcome
from ..judging.typical import template_types, typical
from ..judging.validation import validate
from ..wire.outcomes import NoResponse
from .exit_codes import FAILED, PASSED, UNREACHABLE, WrongUse, read_authorization, say
from .loopback import refuse_remote

if TYPE_CHECKING:
    import argparse

_TEXT_MEMBERS = ("code", "link", "locale")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    authorization = read_authorization(options.authorization_env)
    message = _build_message(options.type, options.set)
    for finding in validate(message):
        where = finding.pointer or "the top"
        say(f"the message is invalid: {finding.rule} at {where}; it is sent all the same")
    try:
        tls = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else None
    except OSError as problem:
        raise WrongUse(f"--ca-file {options.ca_file} cannot be used: {problem.strerror or problem}") from None
    try:
        target = UrlTarget(options.url)
        refuse_remote(target, allowed=options.allow_remote)
        outcome = post(options.url, message, authorization, timeout=options.timeout, tls=tls)
    except ValueError as problem:
        raise WrongUse(str(problem)) from None
    sys.stdout.write(encode_body(message).decode() + "\n")
    secrets = list_call_secrets(target.path, *filter(None, (authorization, target.authorization)))
    sys.stdout.write(format_outcome(replace(outcome, secrets=secrets)) + "\n")
    if isinstance(outcome, NoResponse):
        return UNREACHABLE if outcome.kind == "unreachable" else FAILED
    return PASSED if 200 <= outcome.status < 300 else FAILED


def _build_message(type: str, assignments: list[str]) -> dict[str, Any]:
    known = type in template_types()
    message = typical(type) if known else {**typical("Generic"), "type": type}
    for assignment in assignments:
        _set_member(message, assignment)
    return message


def _set_member(message: dict[str, Any], assignment: str) -> None:
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise WrongUse(f"invalid --set {assignment!r}: expected PATH=VALUE, for example payload.code=012345")
    *outer, last = path.split(".")
    target = message
    for name in outer:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise WrongUse(f"invalid --set {assignment!r}: {name} is not an object")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    # 123456 is JSON and 012345 is not: a code would be a number or text by its first digit.
    is_number = isinstance(value, (int, float))
    target[last] = text if is_number and last in _TEXT_MEMBERS else value
