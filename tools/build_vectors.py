"""Writes the vectors: labelled messages for every schema, into ``schemas/vectors/``.

The facts about each revision stand here a second time, in tables of their own, so that a slip in the schemas'
generator does not repeat itself in what the schemas are tested with.

    python tools/build_vectors.py            write the files
    python tools/build_vectors.py --check    write nothing; exit 1 and name the files that differ
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "schemas"
RECORDED = ROOT / "tests" / "schemas" / "data" / "recorded-bodies-v1.42.0.ndjson"

Json = dict[str, Any]
Error = tuple[str, str]

OLD = ("SignIn", "Register", "ForgotPassword", "Generic", "UserPermissionValidation", "BindNewIdentifier")
ALL_TYPES = (*OLD, "OrganizationInvitation", "MfaVerification", "BindMfa", "Test")

GUARD_TYPES = {
    "1.22": (*OLD, "OrganizationInvitation", "Test"),
    "1.25": (*OLD, "OrganizationInvitation"),
    "1.31": (*OLD, "OrganizationInvitation", "MfaVerification"),
    "1.32": (*OLD, "OrganizationInvitation", "MfaVerification", "BindMfa"),
    "1.35": (*OLD, "OrganizationInvitation", "MfaVerification", "BindMfa"),
}
TYPED = {
    "1.22": ("code", "link"),
    "1.25": ("code", "link", "locale"),
    "1.31": ("code", "link", "locale"),
    "1.32": ("code", "link", "locale", "uiLocales"),
    "1.35": ("code", "link", "locale", "uiLocales"),
}
REVISIONS = (*GUARD_TYPES,)
CURRENT = "1.35"

NO_STRINGS: dict[str, Any] = {
    "null": None,
    "number": 123456,
    "boolean": True,
    "array": ["x"],
    "object": {},
}
NO_OBJECTS: dict[str, Any] = {"null": None, "string": "x", "number": 1, "boolean": False, "array": []}

BRANDING = {
    "logoUrl": "https://example.com/logo.png",
    "darkLogoUrl": "javascript:alert(1)",
    "favicon": 'https://example.com/"><img src=x>',
    "darkFavicon": "https://example.com/dark.ico",
}
APPLICATION: Json = {
    "id": "a1z9g7jcl36qklitq4a3d",
    "name": "Shop",
    "branding": BRANDING,
    "displayName": "The <b>Shop</b>",
}
ORGANIZATION: Json = {"id": "uavz4qsvncw7", "name": "Org <b>\"&'</b>", "branding": {}}
PROFILE: Json = {
    "familyName": "Foo",
    "givenName": "Bar",
    "middleName": "Baz",
    "nickname": "n<i>",
    "preferredUsername": "foo",
    "profile": "https://example.com/foo",
    "website": "javascript:1",
    "gender": "x",
    "birthdate": "2000-01-01",
    "zoneinfo": "Europe/Berlin",
    "locale": "de",
    "address": {
        "formatted": "x\ny",
        "streetAddress": "x",
        "locality": "y",
        "region": "z",
        "postalCode": "01234",
        "country": "DE",
    },
}
USER: Json = {
    "id": "w13v2u89sxbs",
    "avatar": "https://example.com/foo.png",
    "name": "Foo <script>",
    "primaryEmail": "foo@example.com",
    "primaryPhone": "15550001",
    "username": "_foo1",
    "profile": PROFILE,
}
NULL_USER: Json = {
    "id": "w13v2u89sxbs",
    "avatar": None,
    "name": None,
    "primaryEmail": None,
    "primaryPhone": None,
    "username": None,
    "profile": {},
}
CONTEXT: Json = {"application": APPLICATION, "organization": ORGANIZATION, "user": USER}
NULLABLE = {"avatar": 2048, "name": 128, "primaryEmail": 128, "primaryPhone": 128, "username": 128}

# White space as JavaScript knows it, and characters that other languages take for it.
WHITE_SPACE = (
    *(0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0xA0, 0x1680),
    *range(0x2000, 0x200B),
    *(0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF),
)
NO_WHITE_SPACE = (0x00, 0x1C, 0x1F, 0x85, 0x180E, 0x200B, 0x2060)


def slug(name: str) -> str:
    """Return ``name`` in lower case with hyphens: ``uiLocales`` becomes ``ui-locales``."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", separated.lower()).strip("-")


def pointer(*steps: str) -> str:
    """Return the JSON Pointer of ``steps``."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def put(message: Json, steps: Sequence[str], value: Any) -> Json:
    """Return a copy of ``message`` with ``value`` at ``steps``."""
    first, *rest = steps
    return message | {first: put(message.get(first, {}), rest, value) if rest else value}


def drop(message: Json, steps: Sequence[str]) -> Json:
    """Return a copy of ``message`` without the member at ``steps``."""
    first, *rest = steps
    if rest:
        return message | {first: drop(message[first], rest)}
    return {key: value for key, value in message.items() if key != first}


@dataclass
class Suite:
    """The vectors of one schema, while they are being collected."""

    revision: str
    layer: str
    groups: dict[str, list[Json]] = field(default_factory=dict)
    group: str = ""

    def test(self, name: str, description: str, data: Any, error: Error | None = None) -> None:
        """Add a vector whose message is a JSON value; ``error`` is the keyword and pointer, none if valid."""
        self.add(name, description, {"data": data}, error)

    def text(self, name: str, description: str, text: str, error: Error | None = None) -> None:
        """Add a vector whose message is JSON text, or text that is no JSON."""
        self.add(name, description, {"text": text}, error)

    def add(self, name: str, description: str, message: Json, error: Error | None) -> None:
        """Add a vector to the current group."""
        told = {} if error is None else {"keyword": error[0], "pointer": error[1]}
        self.groups.setdefault(self.group, []).append(
            {"id": name, "description": description, "valid": error is None} | message | told
        )

    def document(self) -> list[Json]:
        """Return the file's content."""
        reference = {"$ref": f"urn:logto-mail-contract:schema:{self.revision}:{self.layer}"}
        return [
            {"description": description, "schema": reference, "tests": tests}
            for description, tests in self.groups.items()
        ]


def roots(suite: Suite, message: Json) -> None:
    """Add what is no object at all, and each of the three required members missing."""
    suite.group = "The message as a whole"
    wrong: dict[str, Any] = {
        "array": [],
        "array-of-messages": [message],
        "null": None,
        "string": "SignIn",
        "number": 1,
        "boolean": True,
    }
    for name, value in wrong.items():
        suite.test(f"root-{name}", f"The message is an object, not {name}.", value, ("type", ""))
    for member in ("to", "type", "payload"):
        suite.test(f"missing-{member}", f"{member} is required.", drop(message, [member]), ("required", ""))


def wrong_types(suite: Suite, message: Json, known: Sequence[str]) -> None:
    """Add values of ``type`` that no revision knows and names of other revisions."""
    suite.group = "The template type"
    for name in ALL_TYPES:
        if name not in known:
            suite.test(
                f"type-{slug(name)}-unknown",
                f"{name} is not a type of this layer and revision.",
                put(message, ["type"], name),
                ("enum", "/type"),
            )
    wrong: dict[str, Any] = {
        "upper-case": "SIGNIN",
        "lower-case": "signIn",
        "other-spelling": "BindMFA",
        "leading-space": " SignIn",
        "trailing-space": "SignIn ",
        "trailing-newline": "SignIn\n",
        "empty": "",
        "constructor": "constructor",
        "to-string": "toString",
        "proto": "__proto__",
        "future": "MagicLink",
        "null": None,
        "number": 0,
        "boolean": True,
        "array": ["SignIn"],
        "object": {},
    }
    for name, value in wrong.items():
        suite.test(
            f"type-{name}",
            "type is one of the names, exactly.",
            put(message, ["type"], value),
            ("enum", "/type"),
        )
    suite.test(
        "type-unknown-decides",
        "With an unknown type nothing else about the payload is judged by type: one error.",
        {"to": "foo@example.com", "type": "MagicLink", "payload": {"token": "x"}},
        ("enum", "/type"),
    )
    suite.test(
        "type-missing-decides",
        "Without a type nothing is judged by type: one error.",
        {"to": "foo@example.com", "payload": {"x": "y"}},
        ("required", ""),
    )


NO_JSON = {
    "empty": "",
    "white-space": " \n",
    "truncated": '{"to":"a@b.c","type":"SignIn"',
    "nan": '{"to":"a@b.c","type":"SignIn","payload":{"x":NaN}}',
    "infinity": '{"to":"a@b.c","type":"SignIn","payload":{"x":Infinity}}',
    "minus-infinity": '{"to":"a@b.c","type":"SignIn","payload":{"x":-Infinity}}',
    "single-quotes": "{'to':'a@b.c'}",
    "byte-order-mark": '\ufeff{"to":"a@b.c","type":"SignIn","payload":{}}',
    "comment": '/**/{"to":"a@b.c","type":"SignIn","payload":{}}',
    "trailing-comma": '{"to":"a@b.c","type":"SignIn","payload":{},}',
    "leading-zero": '{"to":"a@b.c","type":"SignIn","payload":{"x":01}}',
    "plus-sign": '{"to":"a@b.c","type":"SignIn","payload":{"x":+1}}',
    "bare-point": '{"to":"a@b.c","type":"SignIn","payload":{"x":1.}}',
    "raw-newline": '{"to":"a@b.c\n","type":"SignIn","payload":{}}',
    "raw-nul": '{"to":"a@b.c\u0000","type":"SignIn","payload":{}}',
    "vertical-tab": '\u000b{"to":"a@b.c","type":"SignIn","payload":{}}',
    "no-break-space": '\u00a0{"to":"a@b.c","type":"SignIn","payload":{}}',
    "bad-escape": '{"to":"a\\x40b.c","type":"SignIn","payload":{}}',
    "trailing-text": '{"to":"a@b.c","type":"SignIn","payload":{}}x',
    "two-documents": '{"to":"a@b.c","type":"SignIn","payload":{}}{"to":"a@b.c","type":"SignIn","payload":{}}',
    "form": "to=a%40b.c&type=SignIn",
    "python-literal": '{"to":"a@b.c","type":"SignIn","payload":{"x":None}}',
}


def no_json(suite: Suite, names: Sequence[str]) -> None:
    """Add texts that are not JSON."""
    suite.group = "Text that is not JSON"
    for name in names:
        suite.text(f"syntax-{name}", "JSON.parse refuses this text.", NO_JSON[name], ("syntax", ""))


def recorded(suite: Suite) -> None:
    """Add the request bodies that a real Logto v1.42.0 posted."""
    suite.group = "Bodies that Logto v1.42.0 posted, recipients as recorded"
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        suite.test(
            f"recorded-{slug(entry['flow'])}", f"Recorded: {entry['flow']}.", json.loads(entry["body"])
        )


# ---------------------------------------------------------------------------------------------------
# guard
# ---------------------------------------------------------------------------------------------------

OTHER_VARIABLES = (
    *(
        "application",
        "organization",
        "user",
        "inviter",
        "x",
        "ip",
        "to",
        "type",
        "Code",
        "code ",
        "",
        "a/b~c",
    ),
    *("constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then", "toJSON", "length"),
)


def guard(revision: str) -> Suite:
    """Return the vectors of the guard layer."""
    suite = Suite(revision, "guard")
    base: Json = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "123456"}}
    strings_only = revision == "1.22"
    roots(suite, base)
    suite.test("minimal", "The three members, with an empty payload.", base | {"payload": {}})
    suite.test("usual", "A sign-in code.", base)
    for name, value in (NO_STRINGS | {"string": "x"}).items():
        suite.test(
            f"extra-member-{name}", "Unknown top-level members are tolerated.", base | {"extra": value}
        )
    for name in ("constructor", "toString", "hasOwnProperty", "then", "toJSON", "length"):
        suite.test(
            f"extra-member-named-{slug(name)}",
            "A member named like one of JavaScript's own is no different.",
            base | {name: {"to": 1}},
        )

    suite.group = "The recipient"
    for name, value in {
        "empty": "",
        "no-address": "not an address",
        "control-characters": "a\u0000\r\nb",
        "html": '"><svg/onload=1>@x.y',
        "long": "a" * 300 + "@example.com",
        "line-separator": "a\u2028@example.com",
    }.items():
        suite.test(f"to-{name}", "Any string is a recipient to the guard.", put(base, ["to"], value))
    for name, value in NO_STRINGS.items():
        suite.test(f"to-{name}", "to is a string.", put(base, ["to"], value), ("type", "/to"))

    wrong_types(suite, base, GUARD_TYPES[revision])
    for name in GUARD_TYPES[revision]:
        suite.test(f"type-{slug(name)}", f"{name} is a type of this revision.", put(base, ["type"], name))
        suite.test(
            f"type-{slug(name)}-any-variables",
            "No variable is tied to a type.",
            {"to": "foo@example.com", "type": name, "payload": {"link": "", "other": "x"}},
        )

    suite.group = "The payload"
    for name, value in NO_OBJECTS.items():
        suite.test(
            f"payload-{name}", "payload is an object.", put(base, ["payload"], value), ("type", "/payload")
        )
    suite.test(
        "payload-array-of-objects",
        "payload is an object.",
        put(base, ["payload"], [{}]),
        ("type", "/payload"),
    )

    suite.group = "The variables that the type names"
    for variable in ("code", "link", "locale", "uiLocales"):
        steps = ["payload", variable]
        for name, value in {"string": "000000", "empty": "", "html": "<b>", "nul": "a\u0000b"}.items():
            suite.test(f"{slug(variable)}-{name}", f"{variable} may be any string.", put(base, steps, value))
        typed = strings_only or variable in TYPED[revision]
        for name, value in NO_STRINGS.items():
            suite.test(
                f"{slug(variable)}-{name}",
                f"{variable} is {'a string' if typed else 'not typed in this revision'}.",
                put(base, steps, value),
                ("type", pointer(*steps)) if typed else None,
            )

    suite.group = "Other variables"
    for position, variable in enumerate(OTHER_VARIABLES):
        steps = ["payload", variable]
        title = {
            "": "empty-name",
            "a/b~c": "name-to-escape",
            "Code": "code-capital",
            "code ": "code-space",
        }.get(variable, slug(variable))
        suite.test(f"other-{title}-string", "Any other variable may be a string.", put(base, steps, "x"))
        wrong: dict[str, Any] = {**NO_STRINGS, "nested": {"a": {"b": [1, None, "x"]}}}
        if position > 4:
            wrong = {name: wrong[name] for name in ("null", "object")}
        for name, value in wrong.items():
            suite.test(
                f"other-{title}-{name}",
                "Every variable is a string."
                if strings_only
                else "Any other variable may be any JSON value.",
                put(base, steps, value),
                ("type", pointer(*steps)) if strings_only else None,
            )

    suite.group = "The member ip"
    for name, value in {
        "v4": "203.0.113.7",
        "mapped": "::ffff:203.0.113.7",
        "empty": "",
        "text": "unknown",
    }.items():
        suite.test(f"ip-{name}", "ip may be any string.", base | {"ip": value})
    for name, value in NO_STRINGS.items():
        typed = revision == CURRENT
        suite.test(
            f"ip-{name}",
            "ip is a string where present." if typed else "ip is not known yet, so any value is tolerated.",
            base | {"ip": value},
            ("type", "/ip") if typed else None,
        )

    guard_texts(suite, strings_only=strings_only)
    no_json(suite, (*NO_JSON,))
    if revision == CURRENT:
        recorded(suite)
    return suite


def guard_texts(suite: Suite, *, strings_only: bool) -> None:
    """Add messages that only JSON text can carry from one language to another."""
    suite.group = "Messages that depend on how JSON text is read"
    of_x: Error | None = ("type", "/payload/x") if strings_only else None
    proto: Error | None = ("type", "/payload/__proto__") if strings_only else None
    texts: dict[str, tuple[str, str, Error | None]] = {
        "surrogate-in-to": ("to", '{"to":"\\ud800","type":"SignIn","payload":{}}', None),
        "surrogate-in-value": (
            "a value",
            '{"to":"a","type":"SignIn","payload":{"code":"\\udc00\\ud800"}}',
            None,
        ),
        "surrogate-in-name": ("a name", '{"to":"a","type":"SignIn","payload":{"\\ud800":"x"}}', None),
        "surrogate-in-type": ("type", '{"to":"a","type":"SignIn\\ud800","payload":{}}', ("enum", "/type")),
        "surrogate-beside-fault": (
            "to",
            '{"to":"\\ud800","type":"SignIn","payload":[]}',
            ("type", "/payload"),
        ),
    }
    for name, (where, text, error) in texts.items():
        suite.text(name, f"A lone surrogate in {where}.", text, error)
    twice: dict[str, tuple[str, Error | None]] = {
        "to-bad-then-good": ('{"to":1,"to":"a","type":"SignIn","payload":{}}', None),
        "to-good-then-bad": ('{"to":"a","to":1,"type":"SignIn","payload":{}}', ("type", "/to")),
        "payload-bad-then-good": ('{"to":"a","type":"SignIn","payload":null,"payload":{}}', None),
        "code-good-then-bad": (
            '{"to":"a","type":"SignIn","payload":{"code":"1","code":1}}',
            ("type", "/payload/code"),
        ),
        "code-by-escape": (
            '{"to":"a","type":"SignIn","payload":{"code":"1","\\u0063ode":1}}',
            ("type", "/payload/code"),
        ),
    }
    for name, (text, error) in twice.items():
        suite.text(f"duplicate-{name}", "Of duplicate keys the last counts.", text, error)
    numbers = {
        "zero": "0",
        "minus-zero": "-0",
        "beyond-double": "1e400",
        "below-double": "-1e400",
        "big-integer": "12345678901234567890",
        "huge-integer": "1" * 400,
        "tiny": "1e-400",
        "fraction": "0.1",
    }
    for name, number in numbers.items():
        suite.text(
            f"number-{name}",
            "A number is no string, however large." if strings_only else "Any number is tolerated.",
            f'{{"to":"a","type":"SignIn","payload":{{"x":{number}}}}}',
            of_x,
        )
    suite.text(
        "number-beyond-double-as-to",
        "A number is no string, however large.",
        '{"to":1e400,"type":"SignIn","payload":{}}',
        ("type", "/to"),
    )
    for name, brackets in {"arrays": ("[", "]"), "objects": ('{"a":', "}")}.items():
        deep = brackets[0] * 1000 + "1" + brackets[1] * 1000
        suite.text(
            f"depth-1000-{name}",
            "A value nested a thousand levels deep.",
            f'{{"to":"a","type":"SignIn","payload":{{"x":{deep}}}}}',
            of_x,
        )
    for name, value, error in (
        ("string", '"x"', None),
        ("object", '{"code":1}', proto),
        ("null", "null", proto),
    ):
        suite.text(
            f"proto-{name}",
            "A variable named __proto__ is a variable like others and supplies nothing.",
            f'{{"to":"a","type":"SignIn","payload":{{"__proto__":{value}}}}}',
            error,
        )
    suite.text(
        "proto-extra-member",
        "A member named __proto__ is an unknown member like others.",
        '{"to":"a","type":"SignIn","payload":{},"__proto__":{"to":1}}',
    )
    suite.text(
        "proto-supplies-nothing",
        "A member named __proto__ does not stand in for a missing one.",
        '{"type":"SignIn","payload":{},"__proto__":{"to":"a"}}',
        ("required", ""),
    )
    suite.text(
        "white-space-around",
        "JSON's own white space around the message is fine.",
        ' \t\r\n{ "to" : "a" ,\n"type":"SignIn","payload":{}}\n',
    )


# ---------------------------------------------------------------------------------------------------
# emitted
# ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flow:
    """What messages of one code type carry, beside the code."""

    locale: str
    context: tuple[str, ...] = ()
    ui_locales: bool = False
    ip: bool = False
    longest: int | None = 128


VISITOR = ("application", "organization")
ACCOUNT = ("application", "user")
BOTH = ("application", "organization", "user")


def same(names: Sequence[str], flow: Flow) -> dict[str, Flow]:
    """Return the same flow for several types."""
    return dict.fromkeys(names, flow)


FLOWS: dict[str, dict[str, Flow]] = {
    "1.22": same(OLD, Flow("never")) | {"Generic": Flow("never", longest=None)},
    "1.25": same(OLD[:3], Flow("always", VISITOR))
    | same(OLD[4:], Flow("always", ACCOUNT))
    | {"Generic": Flow("maybe", longest=None)},
    "1.31": same((*OLD[:3], "MfaVerification"), Flow("always", VISITOR))
    | {
        "UserPermissionValidation": Flow("always", ACCOUNT),
        "BindNewIdentifier": Flow("always", BOTH),
        "Generic": Flow("maybe", longest=None),
    },
    "1.32": same((*OLD[:3], "MfaVerification"), Flow("always", VISITOR, ui_locales=True))
    | same(OLD[4:], Flow("always", ACCOUNT, ui_locales=True))
    | {
        "BindMfa": Flow("always", BOTH, ui_locales=True),
        "Generic": Flow("maybe", ui_locales=True, longest=None),
    },
    "1.35": same((*OLD[:3], "MfaVerification"), Flow("always", VISITOR, ui_locales=True, ip=True))
    | same(OLD[4:], Flow("always", ACCOUNT, ui_locales=True))
    | {
        "BindMfa": Flow("always", BOTH, ui_locales=True, ip=True),
        "Generic": Flow("maybe", ui_locales=True, ip=True, longest=None),
    },
}

WRONG_CODES: dict[str, tuple[Any, str]] = {
    "five-digits": ("12345", "pattern"),
    "seven-digits": ("1234567", "maxLength"),
    "five-digits-newline": ("12345\n", "pattern"),
    "six-digits-newline": ("123456\n", "maxLength"),
    "empty": ("", "pattern"),
    "letters": ("abcdef", "pattern"),
    "many-letters": ("abcdefgh", "maxLength"),
    "leading-space": (" 12345", "pattern"),
    "sign": ("-12345", "pattern"),
    "other-digits": ("\u0661\u0662\u0663\u0664\u0665\u0666", "pattern"),
    "wide-digits": ("\uff11\uff12\uff13\uff14\uff15\uff16", "pattern"),
    "number": (123456, "type"),
    "null": (None, "type"),
    "array": (["123456"], "type"),
    "boolean": (True, "type"),
    "object": ({}, "type"),
}

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

RECIPIENT_CASES = (
    *("no-at", "no-dot", "nothing-before-at", "nothing-before-dot", "nothing-after-dot"),
    *("trailing-newline", "only-white-space", "number", "null"),
)

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


def long_address(length: int) -> str:
    """Return an address of exactly ``length`` characters."""
    return "a" * (length - len("@example.com")) + "@example.com"


def minimal(name: str, flow: Flow) -> Json:
    """Return the smallest message of a code type."""
    payload: Json = {"code": "012345"}
    if flow.locale == "always":
        payload["locale"] = "en"
    return {"to": "foo@example.com", "type": name, "payload": payload}


def full(name: str, flow: Flow) -> Json:
    """Return a message of a code type with all that may come."""
    message = minimal(name, flow)
    if flow.locale != "never":
        message = put(message, ["payload", "locale"], "pt-BR")
    if flow.ui_locales:
        message = put(message, ["payload", "uiLocales"], "pt-BR <script> de")
    for variable in flow.context:
        message = put(message, ["payload", variable], CONTEXT[variable])
    return message | ({"ip": "::ffff:203.0.113.7"} if flow.ip else {})


def code_type(suite: Suite, name: str, flow: Flow) -> None:
    """Add the vectors of one template type that carries a code."""
    suite.group = f"Messages of type {name}"
    prefix = slug(name)
    least = minimal(name, flow)
    suite.test(f"{prefix}-minimal", "Only what always comes.", least)
    suite.test(f"{prefix}-full", "All that may come.", full(name, flow))
    suite.test(
        f"{prefix}-code-zeros", "The code of a connector test.", put(least, ["payload", "code"], "000000")
    )
    suite.test(
        f"{prefix}-without-code",
        "The code always comes.",
        drop(least, ["payload", "code"]),
        ("required", "/payload"),
    )
    for case in ("five-digits", "seven-digits", "number"):
        value, keyword = WRONG_CODES[case]
        suite.test(
            f"{prefix}-code-{case}",
            "The code is six digits, as a string.",
            put(least, ["payload", "code"], value),
            (keyword, "/payload/code"),
        )
    for case, value in NO_OBJECTS.items():
        suite.test(
            f"{prefix}-payload-{case}",
            "payload is an object.",
            least | {"payload": value},
            ("type", "/payload"),
        )
    variables(suite, prefix, least, flow)
    for case in RECIPIENT_CASES:
        value, keyword = WRONG_RECIPIENTS[case]
        suite.test(
            f"{prefix}-to-{case}",
            "to is an address without white space.",
            least | {"to": value},
            (keyword, "/to"),
        )
    longest = flow.longest or 1000
    suite.test(
        f"{prefix}-to-{longest}", "An address may be that long.", least | {"to": long_address(longest)}
    )
    if flow.longest:
        suite.test(
            f"{prefix}-to-{longest + 1}",
            "An address is at most 128 characters long.",
            least | {"to": long_address(longest + 1)},
            ("maxLength", "/to"),
        )
    address(suite, prefix, least, allowed=flow.ip)
    if flow.locale == "always":
        suite.test(
            f"{prefix}-locale-one-character",
            "No form is demanded of a language tag.",
            put(least, ["payload", "locale"], "x"),
        )


def variables(suite: Suite, prefix: str, least: Json, flow: Flow) -> None:
    """Add each variable: where it may come, where it must, where it never does."""
    texts = {"locale": flow.locale, "uiLocales": "maybe" if flow.ui_locales else "never", "link": "never"}
    for variable, when in texts.items():
        steps = ["payload", variable]
        title = f"{prefix}-{slug(variable)}"
        if when == "never":
            suite.test(
                f"{title}-surplus",
                f"{variable} never comes with this type.",
                put(least, steps, "en"),
                ("additionalProperties", "/payload"),
            )
            continue
        suite.test(f"{title}-string", f"{variable} may come.", put(least, steps, "de"))
        for case in ("number", "null"):
            suite.test(
                f"{title}-{case}",
                f"{variable} is a string.",
                put(least, steps, NO_STRINGS[case]),
                ("type", pointer(*steps)),
            )
        if when == "always":
            suite.test(
                f"{title}-missing", f"{variable} always comes.", drop(least, steps), ("required", "/payload")
            )
        suite.test(
            f"{title}-empty",
            f"{variable} is {'never empty here' if when == 'always' else 'any text here'}.",
            put(least, steps, ""),
            ("minLength", pointer(*steps)) if when == "always" else None,
        )
    for variable in ("application", "organization", "user"):
        steps = ["payload", variable]
        title = f"{prefix}-{variable}"
        if variable in flow.context:
            suite.test(f"{title}-alone", f"{variable} may come.", put(least, steps, CONTEXT[variable]))
            for case in ("null", "string"):
                suite.test(
                    f"{title}-{case}",
                    f"{variable} is an object where it comes.",
                    put(least, steps, NO_OBJECTS[case]),
                    ("type", pointer(*steps)),
                )
        else:
            suite.test(
                f"{title}-surplus",
                f"{variable} never comes with this type.",
                put(least, steps, CONTEXT[variable]),
                ("additionalProperties", "/payload"),
            )
    for variable in ("inviter", "x", "ip", ""):
        suite.test(
            f"{prefix}-{variable or 'empty-name'}-surplus",
            "No other variable comes with a code.",
            put(least, ["payload", variable], "x"),
            ("additionalProperties", "/payload"),
        )


def address(suite: Suite, prefix: str, least: Json, *, allowed: bool) -> None:
    """Add the member ``ip``: where it may come and where it never does."""
    values: dict[str, tuple[Any, str]] = {
        "v4": ("203.0.113.7", ""),
        "mapped": ("::ffff:203.0.113.7", ""),
        "v6": ("2001:db8::1", ""),
        "free-text": ("<script>, unknown", ""),
        "one-character": ("x", ""),
        "empty": ("", "minLength"),
        "number": (1, "type"),
        "null": (None, "type"),
    }
    for name, (value, keyword) in values.items():
        error: Error | None
        if suite.revision != CURRENT:
            error = ("additionalProperties", "")
        elif not allowed:
            error = ("not", "/ip")
        else:
            error = (keyword, "/ip") if keyword else None
        suite.test(
            f"{prefix}-ip-{name}",
            "ip is a string that is not empty."
            if allowed
            else "ip never comes with this type in this revision.",
            least | {"ip": value},
            error,
        )


def shapes(suite: Suite, flows: dict[str, Flow]) -> None:
    """Add the inner shapes of application, organization and user."""
    sign_in = full("SignIn", flows["SignIn"])
    account = full("UserPermissionValidation", flows["UserPermissionValidation"])
    place: dict[str, tuple[Json, Json, tuple[str, ...], dict[str, int]]] = {
        "application": (sign_in, APPLICATION, ("id", "name"), {"id": 21, "name": 256, "displayName": 256}),
        "organization": (sign_in, ORGANIZATION, ("id", "name", "branding"), {"id": 21, "name": 128}),
        "user": (account, USER, (*USER,), {"id": 12, **NULLABLE}),
    }
    for variable, (message, value, required, lengths) in place.items():
        suite.group = f"The shape of {variable}"
        steps = ["payload", variable]
        for key in value:
            suite.test(
                f"{variable}-without-{slug(key)}",
                f"{key} {'always comes' if key in required else 'may be missing'}.",
                drop(message, [*steps, key]),
                ("required", pointer(*steps)) if key in required else None,
            )
        suite.test(
            f"{variable}-surplus",
            "No other member comes.",
            put(message, [*steps, "customData"], {}),
            ("additionalProperties", pointer(*steps)),
        )
        suite.test(
            f"{variable}-array",
            f"{variable} is an object.",
            put(message, steps, []),
            ("type", pointer(*steps)),
        )
        for key, longest in lengths.items():
            inner = [*steps, key]
            letter = "1" if key == "primaryPhone" else "x"
            for name, wrong in NO_STRINGS.items():
                nullable = name == "null" and key in NULLABLE and variable == "user"
                suite.test(
                    f"{variable}-{slug(key)}-{name}",
                    f"{key} is null when unset." if nullable else f"{key} is a string.",
                    put(message, inner, wrong),
                    None if nullable else ("type", pointer(*inner)),
                )
            suite.test(
                f"{variable}-{slug(key)}-{longest}",
                f"{key} may be that long.",
                put(message, inner, letter * longest),
            )
            suite.test(
                f"{variable}-{slug(key)}-{longest + 1}",
                f"{key} is at most {longest} characters long.",
                put(message, inner, letter * (longest + 1)),
                ("maxLength", pointer(*inner)),
            )
    users(suite, account)
    brandings(suite, sign_in)


def users(suite: Suite, account: Json) -> None:
    """Add what is particular to a user's members."""
    suite.group = "The members of user"
    steps = ["payload", "user"]
    suite.test("user-all-null", "Everything unset is null.", put(account, steps, NULL_USER))
    phone = [*steps, "primaryPhone"]
    for name, value in {
        "plus": "+15550001",
        "newline": "15550001\n",
        "letters": "1a",
        "wide": "\uff11",
    }.items():
        suite.test(
            f"user-primary-phone-{name}",
            "A phone number is ASCII digits only.",
            put(account, phone, value),
            ("not", pointer(*phone)),
        )
    suite.test(
        "user-primary-phone-empty",
        "A phone number is never empty.",
        put(account, phone, ""),
        ("minLength", pointer(*phone)),
    )
    username = [*steps, "username"]
    for name, value in {
        "digit-first": "1foo",
        "hyphen": "foo-bar",
        "at-sign": "foo@bar",
        "newline": "foo\n",
        "umlaut": "f\u00f6\u00f6",
    }.items():
        suite.test(
            f"user-username-{name}",
            "A username is ASCII letters, digits and underscores, no digit in front.",
            put(account, username, value),
            ("not", pointer(*username)),
        )
    for name, value in {"underscore": "_", "capitals": "FOO_1"}.items():
        suite.test(f"user-username-{name}", "Such a username is fine.", put(account, username, value))
    suite.test(
        "user-username-empty",
        "A username is never empty.",
        put(account, username, ""),
        ("minLength", pointer(*username)),
    )
    for key in ("name", "avatar", "primaryEmail"):
        suite.test(f"user-{slug(key)}-empty", f"{key} may be empty.", put(account, [*steps, key], ""))
    profile = [*steps, "profile"]
    suite.test("user-profile-empty", "A profile is {} by default.", put(account, profile, {}))
    suite.test(
        "user-profile-null",
        "A profile is an object, also when unset.",
        put(account, profile, None),
        ("type", pointer(*profile)),
    )
    suite.test(
        "user-profile-other-key",
        "Other keys of a profile are not ruled out.",
        put(account, [*profile, "x"], "y"),
    )
    for key in PROFILE:
        wrong: dict[str, Any] = {"null": None, "number": 1}
        for name, value in wrong.items():
            suite.test(
                f"user-profile-{slug(key)}-{name}",
                f"{key} is {'an object' if key == 'address' else 'a string'} where present.",
                put(account, [*profile, key], value),
                ("type", pointer(*profile, key)),
            )
    street = [*profile, "address"]
    suite.test("user-profile-address-empty", "An address may be empty.", put(account, street, {}))
    suite.test(
        "user-profile-address-other-key",
        "Other keys of an address are not ruled out.",
        put(account, [*street, "x"], "y"),
    )
    for key in PROFILE["address"]:
        suite.test(
            f"user-profile-address-{slug(key)}-null",
            f"{key} is a string where present.",
            put(account, [*profile, "address", key], None),
            ("type", pointer(*profile, "address", key)),
        )


def brandings(suite: Suite, sign_in: Json) -> None:
    """Add the branding of applications and organizations."""
    suite.group = "Branding"
    for variable in ("application", "organization"):
        steps = ["payload", variable, "branding"]
        suite.test(f"{variable}-branding-empty", "Branding may be empty.", put(sign_in, steps, {}))
        suite.test(f"{variable}-branding-full", "Branding has four members.", put(sign_in, steps, BRANDING))
        for name, wrong in NO_OBJECTS.items():
            suite.test(
                f"{variable}-branding-{name}",
                "Branding is an object.",
                put(sign_in, steps, wrong),
                ("type", pointer(*steps)),
            )
        suite.test(
            f"{variable}-branding-surplus",
            "Branding has no other member.",
            put(sign_in, [*steps, "color"], "red"),
            ("additionalProperties", pointer(*steps)),
        )
        for key in BRANDING:
            suite.test(
                f"{variable}-branding-{slug(key)}-null",
                f"{key} is a string where present.",
                put(sign_in, [*steps, key], None),
                ("type", pointer(*steps, key)),
            )
    steps = ["payload", "application", "displayName"]
    suite.test("application-display-name-short", "One character is a name.", put(sign_in, steps, "x"))
    suite.test(
        "application-display-name-empty",
        "displayName is left out rather than empty.",
        put(sign_in, steps, ""),
        ("minLength", pointer(*steps)),
    )


def invitation(suite: Suite) -> None:
    """Add the vectors of invitations: Logto's members, and whatever the caller adds."""
    suite.group = "Messages of type OrganizationInvitation"
    strings_only = suite.revision == "1.22"
    base: Json = {"to": "foo@example.com", "type": "OrganizationInvitation", "payload": {}}
    link = "https://app.example.com/join?a=1&b=2"
    suite.test("invitation-empty", "Nothing is sure to be there.", base)
    suite.test("invitation-link", "A link from the caller.", put(base, ["payload", "link"], link))
    for variable in ("code", "link", "locale", "uiLocales"):
        steps = ["payload", variable]
        typed = strings_only or variable in TYPED[suite.revision]
        for name, value in {
            "empty": "",
            "short": "1",
            "scheme": "javascript:alert(1)",
            "nul": "a\u0000b",
        }.items():
            suite.test(
                f"invitation-{slug(variable)}-{name}",
                f"{variable} is the caller's own text.",
                put(base, steps, value),
            )
        for name, value in NO_STRINGS.items():
            suite.test(
                f"invitation-{slug(variable)}-{name}",
                f"{variable} is {'a string where present' if typed else 'not typed in this revision'}.",
                put(base, steps, value),
                ("type", pointer(*steps)) if typed else None,
            )
    for variable in (
        "organization",
        "inviter",
        "application",
        "user",
        "seats",
        "to",
        "type",
        "ip",
        "constructor",
    ):
        steps = ["payload", variable]
        suite.test(
            f"invitation-variable-{variable}-string",
            "The caller may write anything.",
            put(base, steps, "mine"),
        )
        for name, value in NO_STRINGS.items():
            suite.test(
                f"invitation-variable-{variable}-{name}",
                "Every variable is a string." if strings_only else "The caller may write anything.",
                put(base, steps, value),
                ("type", pointer(*steps)) if strings_only else None,
            )
    if not strings_only:
        told = base | {"payload": {"organization": ORGANIZATION, "inviter": NULL_USER, "link": link}}
        suite.test("invitation-usual", "Organization, inviter and link.", told)
        nested = {"a": [1, None, True], "n": 1.5}
        suite.test(
            "invitation-nested", "The caller may nest values.", put(told, ["payload", "nested"], nested)
        )
    for name, value in NO_OBJECTS.items():
        suite.test(
            f"invitation-payload-{name}",
            "payload is an object.",
            base | {"payload": value},
            ("type", "/payload"),
        )
    suite.text(
        "invitation-proto",
        "Logto core lets no variable named __proto__ through.",
        '{"to":"foo@example.com","type":"OrganizationInvitation","payload":{"__proto__":"x"}}',
        ("propertyNames", "/payload"),
    )
    for name in ("__proto__\n", "__proto", "proto"):
        suite.test(
            f"invitation-like-proto-{len(name)}",
            "Names that are only like __proto__ get through.",
            put(base, ["payload", name], "x"),
        )
    for case in RECIPIENT_CASES:
        value, keyword = WRONG_RECIPIENTS[case]
        suite.test(f"invitation-to-{case}", "to is an address.", base | {"to": value}, (keyword, "/to"))
    suite.test("invitation-to-256", "An address may be that long.", base | {"to": long_address(256)})
    suite.test(
        "invitation-to-257",
        "An address is at most 256 characters long.",
        base | {"to": long_address(257)},
        ("maxLength", "/to"),
    )
    address(suite, "invitation", base, allowed=suite.revision == CURRENT)


def emitted(revision: str) -> Suite:
    """Return the vectors of the emitted layer."""
    suite = Suite(revision, "emitted")
    flows = FLOWS[revision]
    base = minimal("SignIn", flows["SignIn"])
    roots(suite, base)
    for name, value in (NO_STRINGS | {"string": "x"}).items():
        suite.test(
            f"extra-member-{name}",
            "The connector writes no other member.",
            base | {"extra": value},
            ("additionalProperties", ""),
        )
    suite.group = "The recipient"
    for name, (value, keyword) in WRONG_RECIPIENTS.items():
        suite.test(
            f"to-{name}", "to is an address without white space.", base | {"to": value}, (keyword, "/to")
        )
    for name, value in ODD_RECIPIENTS.items():
        suite.test(f"to-{name}", "Logto's check lets this through.", base | {"to": value})
    for point in WHITE_SPACE:
        suite.test(
            f"to-white-space-{point:04x}",
            "White space to JavaScript, so no part of an address.",
            base | {"to": f"a{chr(point)}b@example.com"},
            ("not", "/to"),
        )
    for point in NO_WHITE_SPACE:
        suite.test(
            f"to-no-white-space-{point:04x}",
            "No white space to JavaScript, whatever other languages say.",
            base | {"to": f"a{chr(point)}b@example.com"},
        )
    wrong_types(suite, base, (*flows, "OrganizationInvitation"))
    suite.test(
        "type-missing-decides-payload",
        "Without a type the payload is not judged: one error.",
        {"to": "foo@example.com", "payload": []},
        ("required", ""),
    )
    suite.group = "The code"
    for name, (value, keyword) in WRONG_CODES.items():
        suite.test(
            f"code-{name}",
            "The code is six ASCII digits, as a string.",
            put(base, ["payload", "code"], value),
            (keyword, "/payload/code"),
        )
    for name, flow in flows.items():
        code_type(suite, name, flow)
    if revision != "1.22":
        shapes(suite, flows)
    invitation(suite)
    suite.group = "Messages that depend on how JSON text is read"
    if revision in ("1.32", "1.35"):
        suite.text(
            "surrogate-in-ui-locales",
            "A lone surrogate arrives as an escape.",
            '{"to":"a@b.c","type":"SignIn","payload":{"code":"123456","locale":"en","uiLocales":"\\ud800"}}',
        )
    suite.text(
        "surrogate-in-code",
        "A lone surrogate is no digit.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"12345\\ud800"}}',
        ("pattern", "/payload/code"),
    )
    suite.text(
        "proto-beside-code",
        "No variable named __proto__ beside a code.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"123456","__proto__":"x"}}',
        ("additionalProperties", "/payload"),
    )
    suite.text(
        "proto-extra-member",
        "No member named __proto__.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"123456"},"__proto__":{}}',
        ("additionalProperties", ""),
    )
    suite.text(
        "duplicate-code-good-then-bad",
        "Of duplicate keys the last counts.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"123456","code":"1"}}',
        ("pattern", "/payload/code"),
    )
    no_json(suite, ("empty", "nan", "byte-order-mark", "two-documents"))
    if revision == CURRENT:
        recorded(suite)
    return suite


# ---------------------------------------------------------------------------------------------------
# documented
# ---------------------------------------------------------------------------------------------------

DOC_APPLICATION: Json = APPLICATION
DOC_USER: Json = USER
PROMISES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "SignIn": (("code", "application"), ("organization",)),
    "Register": (("code", "application"), ("organization",)),
    "ForgotPassword": (("code", "application"), ("organization",)),
    "MfaVerification": (("code", "application"), ("organization",)),
    "Generic": (("code",), ()),
    "OrganizationInvitation": (("link", "organization"), ("inviter",)),
    "UserPermissionValidation": (("code", "user"), ("application",)),
    "BindNewIdentifier": (("code", "user"), ("application",)),
    "BindMfa": (("code", "user"), ("application",)),
}
DOC_VALUES: Json = {
    "code": "012345",
    "link": "https://app.example.com/join",
    "application": APPLICATION,
    "organization": ORGANIZATION,
    "user": USER,
    "inviter": USER,
}


def documented_type(suite: Suite, name: str) -> None:
    """Add the vectors of one template type as the docs describe it."""
    promised, optional = PROMISES[name]
    prefix = slug(name)
    suite.group = f"Messages of type {name}"
    least: Json = {
        "to": "foo@example.com",
        "type": name,
        "payload": {key: DOC_VALUES[key] for key in promised},
    }
    suite.test(f"{prefix}-promised", "Exactly what the docs promise.", least)
    everything = least | {
        "payload": {**DOC_VALUES, "locale": "pt-BR", "uiLocales": "pt-BR de"},
        "ip": "203.0.113.7",
    }
    suite.test(f"{prefix}-everything", "All documented variables at once are tolerated.", everything)
    suite.test(
        f"{prefix}-extra-variable", "Other variables are tolerated.", put(least, ["payload", "x"], [None, 1])
    )
    for key in promised:
        suite.test(
            f"{prefix}-without-{key}",
            f"The docs promise {key}.",
            drop(least, ["payload", key]),
            ("required", "/payload"),
        )
    for key in ("code", "link", "locale", "uiLocales"):
        steps = ["payload", key]
        suite.test(f"{prefix}-{slug(key)}-empty", f"{key} may be any string.", put(least, steps, ""))
        for case in ("null", "number"):
            suite.test(
                f"{prefix}-{slug(key)}-{case}",
                f"{key} is a string.",
                put(least, steps, NO_STRINGS[case]),
                ("type", pointer(*steps)),
            )
    for key in ("application", "organization", "user", "inviter"):
        steps = ["payload", key]
        known = key in promised or key in optional
        if key in optional:
            suite.test(f"{prefix}-with-{key}", f"{key} may come.", put(least, steps, DOC_VALUES[key]))
        for case in ("null", "string"):
            suite.test(
                f"{prefix}-{key}-{case}",
                f"{key} is an object."
                if known
                else f"{key} is not documented for this type, so anything goes.",
                put(least, steps, NO_OBJECTS[case]),
                ("type", pointer(*steps)) if known else None,
            )
    for case, value in NO_OBJECTS.items():
        suite.test(
            f"{prefix}-payload-{case}",
            "payload is an object.",
            least | {"payload": value},
            ("type", "/payload"),
        )


def documented_shapes(suite: Suite) -> None:
    """Add the inner shapes that the docs give."""
    shapes_of: dict[str, tuple[str, tuple[str, ...]]] = {
        "application": ("SignIn", ("id", "name")),
        "organization": ("OrganizationInvitation", ("id", "name")),
        "user": ("BindMfa", ("id",)),
        "inviter": ("OrganizationInvitation", ("id",)),
    }
    for variable, (name, required) in shapes_of.items():
        suite.group = f"The shape of {variable}"
        message: Json = {
            "to": "foo@example.com",
            "type": name,
            "payload": {key: DOC_VALUES[key] for key in (*PROMISES[name][0], variable)},
        }
        steps = ["payload", variable]
        value: Json = DOC_VALUES[variable]
        suite.test(f"{variable}-extra", "Other members are tolerated.", put(message, [*steps, "x"], None))
        suite.test(
            f"{variable}-least",
            "Only the promised members.",
            put(message, steps, {key: value[key] for key in required}),
        )
        for key, sample in value.items():
            inner = [*steps, key]
            suite.test(
                f"{variable}-without-{slug(key)}",
                f"{key} is {'promised' if key in required else 'optional'}.",
                drop(message, inner),
                ("required", pointer(*steps)) if key in required else None,
            )
            for case, wrong in (NO_STRINGS if isinstance(sample, str) else NO_OBJECTS).items():
                suite.test(
                    f"{variable}-{slug(key)}-{case}",
                    f"{key} is {'a string' if isinstance(sample, str) else 'an object'}, null is no value.",
                    put(message, inner, wrong),
                    ("type", pointer(*inner)),
                )
        if "branding" in value:
            for key in BRANDING:
                inner = [*steps, "branding", key]
                suite.test(
                    f"{variable}-branding-{slug(key)}-null",
                    f"{key} is a string where present.",
                    put(message, inner, None),
                    ("type", pointer(*inner)),
                )
            suite.test(
                f"{variable}-branding-extra",
                "Other members of a branding are tolerated.",
                put(message, [*steps, "branding", "color"], 1),
            )
        else:
            suite.test(f"{variable}-all-null", "Real Logto sends such a user.", put(message, steps, USER))


def documented(revision: str) -> Suite:
    """Return the vectors of the documented layer."""
    suite = Suite(revision, "documented")
    base: Json = {"to": "foo@example.com", "type": "Generic", "payload": {"code": "012345"}}
    roots(suite, base)
    for name, value in (NO_STRINGS | {"string": "x"}).items():
        suite.test(f"extra-member-{name}", "Other members are tolerated.", base | {"extra": value})
    suite.group = "The recipient"
    for name, value in NO_STRINGS.items():
        suite.test(f"to-{name}", "to is a string.", base | {"to": value}, ("type", "/to"))
    suite.test("to-empty", "The docs say nothing of the form.", base | {"to": ""})
    wrong_types(suite, base, (*PROMISES,))
    suite.group = "The member ip"
    for name, value in {"v4": "203.0.113.7", "empty": ""}.items():
        suite.test(f"ip-{name}", "ip may be any string.", base | {"ip": value})
    for name, value in NO_STRINGS.items():
        suite.test(f"ip-{name}", "ip is a string where present.", base | {"ip": value}, ("type", "/ip"))
    for name in PROMISES:
        documented_type(suite, name)
    documented_shapes(suite)
    suite.group = "Messages that depend on how JSON text is read"
    suite.text(
        "surrogate-in-code",
        "A lone surrogate in a string.",
        '{"to":"a@b.c","type":"Generic","payload":{"code":"\\ud800"}}',
    )
    suite.text(
        "depth-1000",
        "A tolerated value a thousand levels deep.",
        f'{{"to":"a@b.c","type":"Generic","payload":{{"code":"1","x":{"[" * 1000}{"]" * 1000}}}}}',
    )
    no_json(suite, ("empty", "nan", "byte-order-mark", "two-documents"))
    return suite


# ---------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------


def documents() -> Iterator[tuple[str, list[Json]]]:
    """Yield the path below ``schemas/`` and the content of every file."""
    for revision in REVISIONS:
        yield f"vectors/{revision}/guard.json", guard(revision).document()
        yield f"vectors/{revision}/emitted.json", emitted(revision).document()
    yield f"vectors/{CURRENT}/documented.json", documented(CURRENT).document()


def render(document: Sequence[Json]) -> str:
    """Return the text of a file: ASCII, one test a line."""
    groups = []
    for group in document:
        tests = ",\n".join(f"      {json.dumps(test)}" for test in group["tests"])
        groups.append(
            "  {\n"
            f'    "description": {json.dumps(group["description"])},\n'
            f'    "schema": {json.dumps(group["schema"])},\n'
            f'    "tests": [\n{tests}\n    ]\n'
            "  }"
        )
    return "[\n" + ",\n".join(groups) + "\n]\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` compare them, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when files differ")
    parser.add_argument("--folder", type=Path, default=SCHEMAS, help="the folder to write or to compare")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    differing = []
    for name, document in documents():
        path = folder / name
        rendered = render(document).encode()
        if path.is_file() and path.read_bytes() == rendered:
            continue
        differing.append(name)
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rendered)
    for name in differing:
        sys.stdout.write(f"{'differs' if options.check else 'wrote'}: {name}\n")
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
