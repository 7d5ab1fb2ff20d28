"""What the body of a response gives away: secrets of its request, and the program behind it.

Each pattern starts with a literal or is bounded, so that the cost is linear in the body.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

from ..masking import is_distinctive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..wire.outcomes import Response


def find_secrets(
    response: Response, *, code: str, link: str, address: str, authorizations: Iterable[str]
) -> list[str]:
    """Return which secrets of a request the body of its response repeats: ``the code``, for example.

    Link, address and Authorization are found in base64, percent-encoded and escaped as JSON or HTML too.

    Args:
        response: The response.
        code: The verification code.
        link: The part of the link by which it can be recognised.
        address: The part of the recipient's address by which it can be recognised.
        authorizations: Values of ``Authorization``; those that may be an ordinary word are ignored.
    """
    text = response.content.decode(errors="replace")
    credentials = {
        part for value in authorizations if is_distinctive(value) for part in _list_credentials(value)
    }
    secrets = {
        "the link": {link},
        "the address": {address},
        "the Authorization": {part for part in credentials if is_distinctive(part)},
    }
    found = [
        name
        for name, parts in secrets.items()
        if any(form in text for part in parts if part for form in _list_forms(part))
    ]
    # Not as a part of a longer number or of an identifier, where it appears by chance.
    if code and re.search(rf"(?<![0-9A-Za-z]){re.escape(code)}(?![0-9A-Za-z])", text):
        found.insert(0, "the code")
    return found


def _list_credentials(authorization: str) -> Iterator[str]:
    """Yield a value of ``Authorization``, its token, and user and password of the scheme Basic."""
    scheme, _, token = authorization.partition(" ")
    yield from (authorization, token)
    if scheme.lower() == "basic":
        try:
            user = base64.b64decode(token, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield from (user, user.partition(":")[2])


def _list_forms(secret: str) -> set[str]:
    """Return the forms in which a program may write a text that it was given."""
    data = secret.encode("utf-8", "surrogatepass")
    forms = {secret, quote(data), quote(data, safe=""), quote_plus(data), html.escape(secret), data.hex()}
    forms |= {json.dumps(secret)[1:-1], secret.replace("/", "\\/"), secret.replace("&", "\\u0026")}
    for before in range(3):
        # Inside other text that is encoded too, three different texts stand for it. Those characters at
        # both ends that its neighbours change are left out.
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        rest = (before + len(data)) % 3
        inner = encoded[(0, 2, 3)[before] : len(encoded) - (1 if rest else 0)]
        forms |= {inner, inner.translate(_URL_SAFE)} if len(inner) >= _MIN_BASE64_CHARACTERS else set()
    return forms


_URL_SAFE = str.maketrans("+/", "-_")
_MIN_BASE64_CHARACTERS = 8
"""A shorter text may stand in a response by chance."""


def _compile(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.MULTILINE) for pattern in patterns)


_STACK_TRACE = _compile(
    # Python
    r"Traceback \(most recent call last\)",
    r"\bFile [\"']?[^\"'\n]{1,300}[\"']?, line [0-9]+",
    r"Exception Type:\s{0,20}\w",  # Django
    r"Werkzeug Debugger",
    # Java, Kotlin, Scala
    r"\bat [\w.$<>/@\[\]-]{1,300}\((?:[\w$-]{1,100}\.(?:java|kt|scala|groovy):[0-9]+|"
    r"Unknown Source|Native Method)\)",
    r"Exception in thread \"",
    r"Caused by: [\w.$]{1,200}(?:Exception|Error)\b",
    # Node, Deno, Bun
    r"\bat (?:async |new )?[\w.$<>\[\]]{1,300} ?\([^()\s]{0,300}[./][^()\s]{0,300}:[0-9]+(?::[0-9]+)?\)",
    r"\bat (?:async |new )?[\w.$]{1,200} \(<anonymous>\)",
    r"^[ \t]*at (?:async )?(?:file://)?/?[\w.\-/]{1,300}:[0-9]+:[0-9]+",
    # .NET
    r"^[ \t]*at [\w.$`<>\[\],+|]{1,300}\([^\n]{0,300}\) in [^\n]{1,300}:line [0-9]+",
    r"(?:^[ \t]*at [\w$`<>\[\],+|]{1,200}\.[\w.$`<>\[\],+|]{1,200}\([^()\n]{0,300}\)[ \t\r]*(?:\n|\Z)){2}",
    r"--- End of (?:inner exception )?stack trace",
    r"\[\w{1,100}Exception(?: \(0x[0-9a-f]{1,16}\))?: ",
    # Go
    r"\bgoroutine [0-9]+ \[",
    r"\bpanic: runtime error",
    r"\bruntime error: (?:invalid memory address|index out of range|slice bounds|integer divide)",
    r"\.go:[0-9]+ \+0x[0-9a-f]",
    # Rust
    r"\bpanicked at ",
    r"stack backtrace:",
    r"called `(?:Result|Option)::",
    # PHP
    r"^#[0-9]+ \S{1,300}\([0-9]+\): ",
    r"^#[0-9]+ \{main\}",
    r"Fatal error: Uncaught ",
    r"\.php(?:\([0-9]+\)|:[0-9]+| on line [0-9]+)",
    r"\"trace\"\s{0,20}:\s{0,20}\[\s{0,20}\{",  # Laravel, Symfony
    r"\"file\"\s{0,20}:\s{0,20}\"[^\"\n]{1,300}\"\s{0,20},\s{0,20}\"line\"\s{0,20}:\s{0,20}[0-9]",
    # Ruby
    r"\.rb:[0-9]+:in [`']",
    r"Application Trace\b",  # Rails
    r"Extracted source \(around line",
    # Elixir, Perl
    r"\.exs?:[0-9]+: [\w.]{1,200}/[0-9]",
    r"\.p[lm] line [0-9]+\.",
)
_EXCEPTION = _compile(
    r"\b(?:javax?|jakarta|kotlin|scala|org\.(?:springframework|hibernate|json|apache|jboss|postgresql)|"
    r"com\.(?:fasterxml|google|microsoft|mysql|sun)|oracle\.jdbc|"
    r"io\.(?:ktor|micronaut|netty|quarkus))(?:\.[a-z]\w{0,60}){0,10}\.[A-Z][\w$]{0,100}(?:Exception|Error)\b",
    r"\b(?:System|Microsoft|Newtonsoft|Npgsql|MySqlConnector)\.(?:\w{1,60}\.){0,10}\w{1,100}Exception\b",
    r"\b(?:Illuminate|Symfony)\\{1,2}[\w\\]{1,200}Exception\b",
)
_SQL_ERROR = _compile(
    r"\bSQLSTATE",
    r"\bSQLCODE\W{1,3}-?[0-9]",
    # PostgreSQL
    r"duplicate key value violates",
    r"Key \([^)\n]{1,200}\)=\([^\n]{0,300}\) (?:already exists|is not present)",
    r"violates (?:foreign key|check|unique|not-null|exclusion) constraint",
    r"syntax error at or near \"",
    r"relation \"[^\"\n]{1,200}\" does not exist",
    r"column \"?[\w.]{1,200}\"? (?:of relation \"[^\"\n]{1,200}\" )?does not exist",
    r"invalid input syntax for (?:type )?[a-z]",
    r"unterminated quoted string at or near",
    r"value too long for type character",
    r"\bpsycopg[0-9]?(?:\.|2\.)?(?:errors|\w{0,20}Error)\b",
    r"\basyncpg\.exceptions",
    r"\bPG::[A-Z]\w",
    r"(?:^|[\"': ])pq: [a-z]",
    # MySQL, MariaDB
    r"error in your SQL syntax",
    r"\bER_(?:DUP_|PARSE_ERROR|BAD_(?:FIELD|NULL|DB|TABLE)|NO_SUCH_TABLE|NO_REFERENCED|ROW_IS_|DATA_TOO_|LOCK_|"
    r"TRUNCATED_|ACCESS_DENIED|CON_COUNT|NO_DEFAULT|CHECK_CONSTRAINT|SYNTAX)",
    r"Duplicate entry '[^\n]{0,300}' for key",
    r"Unknown column '[^'\n]{1,200}' in",
    r"Table '[^'\n]{1,200}' doesn't exist",
    r"Data too long for column",
    r"Column '[^'\n]{1,200}' cannot be null",
    r"Incorrect string value: '",
    r"\b(?:pymysql\.|MySQLdb\.|mysqli_sql_exception)",
    # SQLite
    r"near \"[^\"\n]{0,200}\": syntax error",
    r"\bSQLITE_[A-Z]",
    r"no such (?:table|column): \w",
    r"(?:UNIQUE|NOT NULL|FOREIGN KEY|CHECK) constraint failed",
    r"unrecognized token: \"",
    r"\bsqlite3\.\w{0,40}Error",
    # Microsoft SQL Server
    r"Unclosed quotation mark after the character string",
    r"Incorrect syntax near ",
    r"Violation of (?:PRIMARY|UNIQUE) KEY constraint",
    r"Cannot insert (?:duplicate key|the value NULL)",
    r"Invalid (?:object|column) name '",
    r"String or binary data would be truncated",
    r"\bData\.SqlClient\.",
    r"\[SQL Server\]",
    # Oracle
    r"\bORA-[0-9]{5}\b",
    # Object-relational mappers and drivers
    r"\bjava\.sql\.SQL",
    r"could not execute (?:statement|query|batch)",
    r"\bsqlalchemy\.exc\.",
    r"\bSequelize\w{1,60}Error\b",
    r"\bQueryFailedError\b",
    r"\bActiveRecord::[A-Z]",
    r"Invalid `prisma\.",
    r"\bPDOException\b",
    r"\bPrismaClient\w{1,60}Error\b",
    r"\bdjango\.db\.utils\.",
    r"\bEcto\.\w{1,60}Error\b",
    r"\bE11000 duplicate key",  # MongoDB
    # The statement itself
    r"\bINSERT INTO [`\"\[]?\w",
    r"\bDELETE FROM [`\"\[]?\w",
    r"\bSELECT [^\n]{1,300} FROM [`\"\[]?\w",
    r"\bUPDATE [`\"\[]?[\w.]{1,100}[`\"\]]? SET ",
)
_FILE_PATH = _compile(
    r"(?<![\w:/.])/(?:usr/(?:local|lib|src|share)|var/(?:www|lib|task|app|log|opt|runtime)|etc|tmp|root|"
    r"(?:home|Users)/[\w.\-]{1,100})/[\w.\-]",
    # Folders that can as well be those of a URL, so only with what is a source of a program.
    r"(?<![\w:/.\-])/(?:[\w.\-]+/)*[\w\-]+\.(?:py|rb|php|go|java|kt|cs|rs|exs?)\b(?=[:\"',)\s]|$)",
    r"(?<![\w:/.\-])/(?:app|srv|opt|code|work(?:space)?|project|build|data)/(?:[\w.\-]+/)*[\w.\-]+\.(?:tsx?|[cm]?js)\b",
    r"(?<!\w)[A-Za-z]:\\{1,2}[\w.\- ]{1,100}\\{1,2}[\w.\-]",
    r"\b(?:node_modules|site-packages)/",
)
_SETTINGS = _compile(
    # A password in a URL
    r"\b[a-z][a-z0-9+.\-]{1,20}://[^\s:/@\"'<>]{0,100}:[^\s/@\"'<>]{1,200}@[\w.\-]",
    r"\b[A-Z][A-Z0-9_]{0,60}_(?:PASSWORD|PASSWD|PASS|SECRET|TOKEN|KEY|DSN)\b\"?\s{0,5}(?:=>?|:)\s{0,5}[\"']?[^\s\"',;]",
)
_INTERNALS = {
    "a stack trace": _STACK_TRACE,
    "the class of an exception": _EXCEPTION,
    "an SQL error": _SQL_ERROR,
    "a file path": _FILE_PATH,
    "settings with a password": _SETTINGS,
}


def find_internals(response: Response, target: str) -> list[str]:
    """Return what the body of a response shows of the program behind it.

    These are ``a stack trace``, ``the class of an exception``, ``an SQL error``, ``a file path`` and
    ``settings with a password``.

    Args:
        response: The response.
        target: The target of its request, which a body may repeat.
    """
    texts = _list_readings(response.content.decode(errors="replace"), target)
    return [
        name
        for name, patterns in _INTERNALS.items()
        if any(pattern.search(text) for pattern in patterns for text in texts)
    ]


_HTML_ADDRESS = re.compile(
    r"\b(?:src|href|action)\s{0,20}=\s{0,20}(?:\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>")
_REFERENCE = re.compile(r"&#0*([0-9]{1,8})[0-9]*")
_JSON_ESCAPE = re.compile(r"\\(?:u00([0-7][0-9A-Fa-f])|([nrt\"/\\]))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def _list_readings(text: str, target: str) -> list[str]:
    """Return an error's text without the target of its request: as it is, as JSON, and as HTML."""
    text = _HTML_ADDRESS.sub("", text)
    readings = [text]
    if "\\" in text:
        readings.append(_JSON_ESCAPE.sub(_decode_escape, text))
    if "<" in text or "&" in text:
        # In HTML inside JSON too.
        lines = re.sub(r"<(?:br|/p|/div|/li|/tr)\b[^<>]{0,20}>", "\n", readings[-1])
        readings += [_unescape(lines), _unescape(_TAG.sub("", lines))]
    path = target.partition("?")[0]
    for own in (target, path, unquote(path)):
        if len(own) > 1:
            pattern = rf"(?<![\w.\-/]){re.escape(own)}"
            readings = [re.sub(pattern, "(the path)", reading) for reading in readings]
    return [reading.replace("\xa0", " ") for reading in readings]


def _unescape(text: str) -> str:
    # Python refuses to read a number of more than 4300 digits. No character has more than seven.
    return html.unescape(_REFERENCE.sub(r"&#\1", text))


def _decode_escape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _ESCAPED.get(escape[2], escape[2])
