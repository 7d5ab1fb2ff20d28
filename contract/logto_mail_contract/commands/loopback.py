"""Guards a command that posts to another machine, or that others can reach."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from .exit_codes import WrongUse

if TYPE_CHECKING:
    from ..connector.channel import UrlTarget


def is_loopback(address: str) -> bool:
    """Return whether an IP address, with or without a zone, is one of this machine's loopback."""
    return ip_address(address.partition("%")[0]).is_loopback


def refuse_remote(target: UrlTarget, *, allowed: bool) -> None:
    """Refuse a receiver on another machine, because a receiver under test may really send mail.

    Args:
        target: The receiver.
        allowed: Whether the receiver may be on another machine.

    Raises:
        WrongUse: The receiver is on another machine and that is not allowed, or its host is not known.
    """
    host, port = target.address
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise WrongUse(f"the host {host} is not known: {reason}") from None
    remote = sorted(address for address in addresses if not is_loopback(address))
    if remote and not allowed:
        raise WrongUse(
            f"{host} is another machine ({', '.join(remote)}), and a receiver may really send mail: "
            "add --allow-remote if it may"
        )
