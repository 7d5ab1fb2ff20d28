"""Recipients: those that Logto's check of addresses refuses, and odd ones that it lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..files import Json
    from .suite import Suite

WRONG_RECIPIENTS: dict[str, tuple[Any, str]] = {
    "empty": ("", "pattern"),
    "no-at": ("example.com", "pattern"),
    "no-dot": ("foo@example", "pattern"),
    "nothing-before-at": ("@example.com", "pattern"),
    "nothing-before-dot": ("foo@.com", "pattern"),
    "nothing-after-dot": ("foo@example.", "pattern"),
    "phone": ("15550001", "pattern"),
    "trailing-newline": ("foo@example.com\n", "not"),
    "trailing-space": ("foo@example.com ", "not"),
    "only-white-space": (" ", "not"),
    "null": (None, "type"),
    "number": (1, "type"),
    "array": (["foo@example.com"], "type"),
    "object": ({}, "type"),
    "boolean": (True, "type"),
}

WRONG_RECIPIENTS_OF_A_TYPE = {
    name: WRONG_RECIPIENTS[name]
    for name in (
        *("no-at", "no-dot", "nothing-before-at", "nothing-before-dot", "nothing-after-dot"),
        *("trailing-newline", "only-white-space", "number", "null"),
    )
}
"""Those that stand once more for each template type."""

ODD_RECIPIENTS = {
    "html": '"><svg/onload=1>@x.y',
    "capitals": "FOO@example.com",
    "comma-and-brackets": "a,<b>;'c'@example.com",
    "two-at": "a@b@example.com",
    "dots": "foo@example..",
    "shortest": "a@b.c",
    "unicode": "f\u00f6\u00f6@ex\u00e4mple.test",
    "astral": "\U0001f600@example.com",
}


# White space as JavaScript knows it, and characters that other languages count as white space.
WHITE_SPACE = (
    *(0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0xA0, 0x1680),
    *range(0x2000, 0x200B),
    *(0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF),
)
NO_WHITE_SPACE = (0x01, 0x1C, 0x1F, 0x85, 0x180E, 0x200B, 0x2060)


# What zod's email() refuses, besides what it shares with Logto's own check, and odd ones that it accepts.
WRONG_INVITED: dict[str, tuple[Any, str]] = {
    "display-name": ("Foo <foo@example.com>", "not"),
    "markup": ('"><svg/onload=1>@example.com', "not"),
    "comma": ("foo@example.com,bar@example.com", "not"),
    "nul": ("foo\0@example.com", "not"),
    "umlaut": ("f\u00f6\u00f6@example.com", "not"),
    "umlaut-domain": ("foo@ex\u00e4mple.test", "not"),
    "percent": ("foo%bar@example.com", "not"),
    "bracket": ("foo[`@example.com", "not"),
    "slash": ("foo/bar@example.com", "not"),
    "colon": ("foo:bar@example.com", "not"),
    "empty": ("", "pattern"),
    "leading-dot": (".foo@example.com", "pattern"),
    "trailing-dot": ("foo.@example.com", "pattern"),
    "two-dots": ("foo..bar@example.com", "pattern"),
    "two-dots-in-domain": ("foo@example..com", "pattern"),
    "trailing-quote": ("foo'@example.com", "pattern"),
    "only-quote": ("'@example.com", "pattern"),
    "two-at": ("a@b@example.com", "pattern"),
    "two-at-dot": ("a@b.c@example.com", "pattern"),
    "two-at-together": ("foo@@example.com", "pattern"),
    "nothing-between": ("foo@", "pattern"),
    "hyphen-first": ("foo@-example.com", "pattern"),
    "hyphen-second": ("foo@a.-b.com", "pattern"),
    "quote-in-domain": ("foo@exa'mple.com", "pattern"),
    "underscore-in-domain": ("foo@exa_mple.com", "pattern"),
    "plus-in-domain": ("foo@exa+mple.com", "pattern"),
    "short-top": ("foo@example.c", "pattern"),
    "digit-top": ("foo@example.c0m", "pattern"),
    "hyphen-top": ("foo@example.co-", "pattern"),
    "dot-at-end": ("foo@example.com.", "pattern"),
    "no-domain": ("foo@example", "pattern"),
    "dots-only": ("foo@...", "pattern"),
}
ODD_INVITED = {
    "one-letter": "a@b.cd",
    "plus": "foo+tag@example.com",
    "quote-first": "'o@example.com",
    "all-local": "azmAZM059_'+-.azmAZM059_'+-x@example.com",
    **{f"last-{number}": f"foo.{last}@example.com" for number, last in enumerate("azmAZM059_+-")},
    "dots": "a.b.c@d.e.example.com",
    "all-domain": "a@azmAZM059-.0-a.9z.Az.Z9.azmAZM",
    **{f"domain-{number}": f"a@{first}.zz" for number, first in enumerate("azmAZM059")},
    "hyphens-in-domain": "a@b--c-.com",
    "capital-top": "a@b.AZ",
    "long-top": "a@b.abcdefghijklmnopqrstuvwxyz",
}


def make_address(length: int) -> str:
    """Return an address of exactly ``length`` characters."""
    return "a" * (length - len("@example.com")) + "@example.com"


def add_wrong_recipients(suite: Suite, message: Json, prefix: str, description: str) -> None:
    """Add the recipients that stand once more for each template type."""
    suite.at(message, "to").add_each_wrong(prefix, description, WRONG_RECIPIENTS_OF_A_TYPE)


def add_lengths(suite: Suite, message: Json, prefix: str, *, longest: int, bounded: bool = True) -> None:
    """Add an address of the greatest length, and where there is such a bound one that is longer."""
    to = suite.at(message, "to")
    to.add(f"{prefix}-to-{longest}", "An address may be that long.", make_address(longest))
    if bounded:
        description = f"An address is at most {longest} characters long."
        to.add(f"{prefix}-to-{longest + 1}", description, make_address(longest + 1), "maxLength")
