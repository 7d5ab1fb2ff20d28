"""The small commands of ``mail-contract``: ``rules``, ``sample`` and ``send``."""

from __future__ import annotations

import difflib
import ipaddress
import json
import socket
import ssl
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..connector.channel import UrlTarget
from ..connector.encoding import encode_body
from ..connector.posting import post
from ..judging.javascript_json import stringify
from ..judging.responses import format_outcome
from ..judging.typical import template_types, typical
from ..judging.validation import validate
from ..wire.outcomes import NoResponse
from .exit_codes import FAILED, PASSED, UNREACHABLE, WrongUse, authorization_from, say

if TYPE_CHECKING:
    import argparse


def refuse_remote(target: UrlTarget, *, allowed: bool) -> None:
    """Refuse a receiver on another machine.

    Args:
        target: The receiver.
        allowed: Whether it may be on another machine.

    Raises:
        WrongUse: It is on another machine and may not, or its host is not known.
    """
    host, port = target.address
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as problem:
        told = getattr(problem, "strerror", None) or problem
        raise WrongUse(f"the host {host} is not known: {told}") from None
    remote = [
        address for address in addresses if not ipaddress.ip_address(address.partition("%")[0]).is_loopback
    ]
    if remote and not allowed:
        raise WrongUse(
            f"{host} is another machine ({', '.join(sorted(remote))}), and a receiver may really send mail; "
            "--allow-remote allows it"
        )


def rules(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    known = catalogue.rules()
    if options.id is None:
        for rule in known.values():
            sys.stdout.write(f"{rule.level:<7}{rule.id:<50}{rule.requirement}\n")
        return PASSED
    if options.id not in known:
        near = difflib.get_close_matches(options.id, known, 1)
        raise WrongUse(f"there is no rule {options.id!r}" + (f"; did you mean {near[0]}?" if near else ""))
    rule = known[options.id]
    told = [
        ("requires", rule.requirement),
        ("expected", ", or ".join(rule.outcomes)),
        ("in Logto", rule.consequence),
        ("source", rule.source),
        ("since", f"contract revision {rule.since}"),
    ]
    sys.stdout.write(f"{rule.id}  {rule.level}\n")
    for name, text in told:
        sys.stdout.write(
            textwrap.fill(text, 100, initial_indent=f"  {name:<10}", subsequent_indent=" " * 12) + "\n"
        )
    return PASSED


def sample(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    for message in samples(options.n, options.seed, options.revision, options.layer, options.type):
        sys.stdout.write(stringify(message).decode() + "\n")
    return PASSED


def samples(
    number: int, seed: int, revision: str | None, layer: str, type: str | None
) -> list[dict[str, Any]]:
    """Return generated messages; the same arguments give the same messages.

    Args:
        number: How many.
        seed: What they are generated from.
        revision: A contract revision or Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        type: A template type of the revision; any when None.

    Raises:
        WrongUse: There is no such revision, layer or type.
    """
    import hypothesis

    from ..strategies import messages

    try:
        strategy = messages(revision=revision, layer=layer, types=None if type is None else [type])
    except (catalogue.UnknownRevision, catalogue.UnknownLayer, ValueError) as problem:
        raise WrongUse(str(problem)) from None
    drawn: list[dict[str, Any]] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(message: dict[str, Any]) -> None:
        drawn.append(message)

    collect()
    return drawn[:number]


def send(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    authorization = authorization_from(options.authorization_env)
    known = options.type in template_types()
    message = typical(options.type) if known else {**typical("Generic"), "type": options.type}
    for assignment in options.set:
        _assign(message, assignment)
    for finding in validate(message):
        where = finding.pointer or "the top"
        say(f"the message is not valid: {finding.rule} at {where}; it is sent all the same")
    try:
        tls = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else None
        refuse_remote(UrlTarget(options.url), allowed=options.allow_remote)
        outcome = post(options.url, message, authorization, timeout=options.timeout, tls=tls)
    except (ValueError, OSError) as problem:
        raise WrongUse(str(problem)) from None
    sys.stdout.write(encode_body(message).decode() + "\n")
    sys.stdout.write(format_outcome(outcome) + "\n")
    if isinstance(outcome, NoResponse):
        return UNREACHABLE if outcome.kind == "unreachable" else FAILED
    return PASSED if 200 <= outcome.status < 300 else FAILED


def _assign(message: dict[str, Any], assignment: str) -> None:
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise WrongUse(f"--set takes PATH=VALUE, payload.code=012345 say; it was {assignment!r}")
    *outer, last = path.split(".")
    target = message
    for name in outer:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise WrongUse(f"--set {assignment!r}: {name} is no object")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    # A code of digits is text to whoever types it, though it would be a number as JSON.
    target[last] = text if isinstance(value, (int, float)) and last in ("code", "link", "locale") else value
