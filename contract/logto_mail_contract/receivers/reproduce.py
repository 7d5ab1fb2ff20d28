"""The command that shows a failure at a receiver again, without a secret in it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..connector.channel import UrlTarget
from ..connector.encoding import list_call_secrets
from ..program import read_program_name
from ..suite.reproduce import format_options, format_pytest_command, quote_argument
from ..suite.trial import MAX_SHOWN_MESSAGE_CHARACTERS
from .checks import sends_drawn
from .credentials import make_wrong_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..wire.calls import Call
    from .receiver import Receiver, Settings

_NOT_BY_CURL = {
    "receiver/accept/resend",
    "receiver/respond/framing",
    "receiver/respond/keep-alive",
    "receiver/respond/keep-alive-after-error",
    "receiver/respond/no-shared-limit",
    "receiver/respond/keeps-accepting",
    "receiver/concurrent/burst",
    "receiver/deliver/codes-do-not-cross",
    "receiver/deliver/later-messages",
    "receiver/deliver/resend-is-sent",
}
"""Rules about what one request of curl does not show: several requests, or the framing of a response."""


def reproduce(
    rules: Sequence[str],
    receiver: Receiver,
    settings: Settings,
    call: Call,
    shell: Mapping[str, str],
    *,
    follows: bool,
    is_shown_by_curl: bool = True,
    sink_port: int | None = None,
) -> str:
    """Return a command to copy: curl where one request shows it, else ``mail-contract verify`` or pytest.

    Args:
        rules: The rule's id, and those of the rules that must be tried with it so that its requests are sent.
        receiver: The receiver.
        settings: How it was tried.
        call: The request that failed.
        shell: How a shell makes an ``Authorization`` that must not be printed, by its value.
        follows: Whether the request was redirected, and followed.
        is_shown_by_curl: Whether the request alone shows the failure again.
        sink_port: The port of the SMTP sink; None without one.
    """
    target = receiver.target
    if not isinstance(target, UrlTarget):
        return format_pytest_command(rules[0])
    url = '"${ENDPOINT}"' if target.has_query else shlex.quote(target.plain_url)
    headers = _header_options(call, receiver, shell)
    is_shown_by_curl = is_shown_by_curl and rules[0] not in _NOT_BY_CURL and not call.cuts
    # No mail shows without the sink: it ends with the run.
    is_shown_by_curl = is_shown_by_curl and (
        sink_port is None or not rules[0].startswith("receiver/deliver/")
    )
    if not is_shown_by_curl or len(call.body) > MAX_SHOWN_MESSAGE_CHARACTERS or headers is None:
        return _verify_command(rules, receiver, settings, url, sink_port)
    arguments = ["curl", "-i"]
    # As the connector follows: posting again, but for 303. With -X it would post again there too.
    arguments += ["-L", "--post301", "--post302"] if follows else []
    arguments += [] if follows and call.method == "POST" else ["-X", call.method]
    arguments += ["-g"] if any(mark in target.plain_url for mark in "[]{}") else []
    arguments += ["--cacert", receiver.ca_file] if receiver.ca_file else []
    line = f"{' '.join(map(quote_argument, arguments))} {url}{headers}"
    if not call.body:
        return line if call.method != "POST" else f"{line} --data-raw ''"
    try:
        return f"{line} --data-raw {shlex.quote(call.body.decode())}"
    except UnicodeDecodeError:
        octal = "".join(f"\\{byte:03o}" for byte in call.body)
        return f"printf '{octal}' | {line} --data-binary @-"


def _header_options(call: Call, receiver: Receiver, shell: Mapping[str, str]) -> str | None:
    """Return curl's options for the header lines; None where one would print a secret."""
    options = ""
    for header, value in call.headers:
        if header.lower() == "authorization":
            # A credential is never printed: the shell puts it in.
            is_own = value == receiver.authorization
            expanded = f"${{{receiver.authorization_name}}}" if is_own else shell.get(value) or None
            if expanded is None and any(secret in value for secret in list_secrets(receiver)):
                return None
            # curl sends an empty header only when it is written with a semicolon.
            literal = shlex.quote(f"{header}: {value}" if value else f"{header};")
            options += f" -H {literal}" if expanded is None else f' -H "{header}: {expanded}"'
        elif header.lower() == "content-type":
            options += f" -H {shlex.quote(f'{header}: {value}')}"
    if call.body and not any(header.lower() == "content-type" for header, _ in call.headers):
        options += " -H 'content-type:'"  # or curl adds one
    return options


def _verify_command(
    rules: Sequence[str], receiver: Receiver, settings: Settings, url: str, sink_port: int | None
) -> str:
    """Return the command line that tries rules again, with the options that are not the usual ones."""
    line = f"{read_program_name()} verify {url} --rules {' '.join(rules)}"
    if receiver.authorization:
        line += f" --authorization-env {receiver.authorization_name}"
    if receiver.ca_file:
        line += f" --ca-file {quote_argument(receiver.ca_file)}"
    if sink_port is not None:
        line += f" --smtp-sink {sink_port}"
    if settings.seed or any(map(sends_drawn, rules)):
        line += f" --seed {settings.seed}"
    names = ("examples", "warn_after", "fail_after", "recipient_domain", "workers", "pace")
    return line + format_options(settings, names, receiver.revision)


def list_secrets(receiver: Receiver) -> frozenset[str]:
    """Return what must not be printed: credentials, those made of them, and the values of the URL's query."""
    own = receiver.authorization or ""
    made = make_wrong_values(own).values() if own else ()
    wrong = {value for values in made for value, shell in values.items() if shell is not None}
    return list_call_secrets(receiver.target.path, own, *wrong)
