"""What a response body gives away: secrets of its request, and the program behind it."""

from __future__ import annotations

import base64
import gzip
import html
import json
from urllib.parse import quote

import pytest

from logto_mail_contract.judging.leaks import find_internals, find_secrets
from logto_mail_contract.wire.outcomes import Response


def repeated_secrets(body: bytes, *authorizations: str, encoding: str = "") -> list[str]:
    """Return the names of the secrets of a request that a response body repeats."""
    headers = (("content-encoding", encoding),) if encoding else ()
    response = Response(400, headers, body, 0)
    return find_secrets(
        response, code="739105", link="token=a.b", address="foo@", authorizations=authorizations
    )


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"no", []),
        (b"code 739105.", ["the code"]),
        (b"number 1739105, id a739105, id 739105b", []),
        (b"https://app.example.com/?token=a.b", ["the link"]),
        (b"https://app.example.com/?token=axb", []),
        (b"739105 for foo@example.com", ["the code", "the address"]),
        (b"Bearer s3cret-T0ken is wrong", ["the Authorization"]),
        (b"s3cret-T0ken is wrong", ["the Authorization"]),
        (b"a Bearer token is needed", []),
    ],
)
def test_secrets_that_a_body_repeats_are_found(body: bytes, found: list[str]) -> None:
    assert repeated_secrets(body, "Bearer s3cret-T0ken") == found
    assert repeated_secrets(gzip.compress(body), "Bearer s3cret-T0ken", encoding="gzip") == found


@pytest.mark.parametrize("authorization", ["", "token", "secret", "Bearer x"])
def test_an_authorization_that_may_be_an_ordinary_word_is_no_secret(authorization: str) -> None:
    assert repeated_secrets(b"Bearer x: the secret token is wrong", authorization) == []


def test_empty_secrets_are_not_found() -> None:
    response = Response(400, (), b"123456", 0)
    assert find_secrets(response, code="", link="", address="", authorizations=()) == []


TOKEN = "s3cret/T0ken+ü&more"
VALUE = f"Bearer {TOKEN}"


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "shown",
    [
        VALUE,
        TOKEN,
        encode(VALUE),
        encode(TOKEN),
        encode(TOKEN).rstrip("="),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        *(encode(f"{before}{VALUE}{after}") for before in ("", "x", "xy") for after in ("", "x", "xy")),
        encode(json.dumps({"authorization": VALUE}, ensure_ascii=False)),
        quote(TOKEN),
        quote(TOKEN, safe=""),
        json.dumps(TOKEN),
        TOKEN.replace("/", "\\/"),
        html.escape(TOKEN),
        TOKEN.encode().hex(),
    ],
)
def test_an_encoded_credential_is_found(shown: str) -> None:
    assert repeated_secrets(f'{{"got": "{shown}"}}'.encode(), VALUE) == ["the Authorization"]
    assert repeated_secrets(f'{{"got": "{shown[: len(shown) // 2]}"}}'.encode(), VALUE) == []


@pytest.mark.parametrize("shown", ["shop:pass-4711", "pass-4711"])
def test_user_and_password_of_basic_are_found(shown: str) -> None:
    body = f"wrong credential {shown}".encode()
    assert repeated_secrets(body, f"Basic {encode('shop:pass-4711')}") == ["the Authorization"]
    assert repeated_secrets(body, f"Basic {encode('shop:other-4711')}") == []


def test_a_credential_of_basic_that_is_no_base64_is_looked_for_as_it_is() -> None:
    assert repeated_secrets(b"not base64: pass:4711!", "Basic pass:4711!") == ["the Authorization"]


def test_encoded_links_and_addresses_are_found() -> None:
    assert repeated_secrets(b"?next=token%3Da.b") == ["the link"]
    assert repeated_secrets(f"got {encode('see https://a.example/?token=a.b')}".encode()) == ["the link"]
    assert repeated_secrets(b"to=foo%40example.com") == ["the address"]


@pytest.mark.parametrize(
    "text",
    [
        "Cannot PUT /app/hook.php",
        '{"path": "/app/hook.php", "error": "Not Found"}',
        "http://localhost:3000/app/hook.php",
        '<script src="/srv/x.js"></script><link href="/opt/app.css">',
        "see https://example.com/home/user/docs and /docs/errors",
        "at 12:30 (UTC)\nat position 3",
        "application/json; charset=utf-8",
        "Expected:\\nsomething",
        "ratio 1/2/3 and/or",
        "invalid type at payload (line 3)",
        "/_next/static/chunks/pages/_error-1a2b.js",
        # Ordinary errors.
        "no such user",
        "no such template: NewTemplate",
        '{"type":"https://example.com/probs/invalid","title":"Bad Request","status":400,"detail":"at 10:30"}',
        '{"instance":"/payload/user","errors":[{"pointer":"#/payload/user","detail":"is null"}]}',
        '{"error":{"code":"invalid_type","path":["payload","code"],"message":"Expected string, got object"}}',
        '{"detail":[{"type":"missing","loc":["body","type"],"msg":"Field required","input":{"to":"a"}}]}',
        '{"timestamp":"2026-01-01T00:00:00+00:00","status":400,"error":"Bad Request","path":"/app/hook.php"}',
        '{"message":"The type field is required.","errors":{"type":["The type field is required."]}}',
        "<!doctype html><html lang=en><title>404 Not Found</title><h1>Not Found</h1>",
        "<p>The requested URL was not found on the server. Please check your spelling and try again.</p>",
        "<html><body>\r\n<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx/1.27.0</center>\r\n",
        '<p class="at">Look at <a href="/docs/errors.php?line=3">the docs</a>, line 3</p>',
        "Unexpected token ] in JSON at position 12",
        "Expecting value: line 1 column 1 (char 0)",
        '{"error":"Bad Request","message":["type must be one of these values: SignIn"],"statusCode":400}',
        "json: cannot unmarshal array into Go struct field Message.payload of type main.Payload",
        "<h1>HTTP Status 400 - Bad Request</h1><hr class=line><p><b>Type</b> Status Report</p>",
        "The JSON value could not be converted. Path: $.to | LineNumber: 0 | BytePositionInLine: 8.",
        "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
        "please select a template from the list, or update it and set a name",
        "duplicate message; the key is not unique",
        "the table does not exist",
        "error in field 'type': unknown value 'NewTemplate'",
        "at example.com (see below)\n  at noon",
        "#1 of 3: invalid",
        "org.example.mail: wrong type; com.example.acme",
        "File a report, line by line",
        "ERROR_INVALID_TYPE ER_INVALID_TYPE",
        '{"trace": "4bf92f3577b34da6", "file": null, "line": 1}',
    ],
)
def test_text_without_internals_has_no_finding(text: str) -> None:
    assert shown_internals(text) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('Traceback (most recent call last):\n  File "x.py", line 3, in f', "a stack trace"),
        ('{"e": "Traceback (most recent call last):\\n  File \\"x.py\\", line 3"}', "a stack trace"),
        ("<br> &nbsp; &nbsp;at parse (/app/node_modules/body-parser/lib/json.js:92:19)", "a stack trace"),
        ('{"stack":"Error: x\\n    at async handle (file:///app/x.mjs:1:2)"}', "a stack trace"),
        ("Error\n    at file:///app/server.mjs:10:5", "a stack trace"),
        ("java.lang.NullPointerException\n\tat com.example.Mail.send(Mail.java:42)", "a stack trace"),
        ("   at Mail.Hook.Post(String b) in C:\\src\\Hook.cs:line 12", "a stack trace"),
        ("panic: runtime error: index out of range\n\ngoroutine 1 [running]:", "a stack trace"),
        ("thread 'main' panicked at src/main.rs:3:5", "a stack trace"),
        ("#0 /var/www/html/index.php(12): handle()", "a stack trace"),
        ("/srv/mail/app.rb:12:in `call'", "a stack trace"),
        # Java and Kotlin
        (
            '{"status":500,"trace":"a.b.MailProblem: null\\r\\n\\tat a.b.Mail.send(Mail.java:42)"}',
            "a stack trace",
        ),
        ("\tat java.base/java.lang.Thread.run(Thread.java:833)", "a stack trace"),
        ("  at com.example.MailKt$send$1.invokeSuspend(Mail.kt:7)", "a stack trace"),
        ("at jdk.internal.Reflect.invoke(Native Method)", "a stack trace"),
        ('Exception in thread "main" x', "a stack trace"),
        ("<pre>Caused by: com.acme.MailException: x</pre>", "a stack trace"),
        ("<p><b>Exception</b></p><pre>java.lang.IllegalStateException: x</pre>", "the class of an exception"),
        ("org.springframework.web.HttpMessageNotReadableException: x", "the class of an exception"),
        # .NET
        (
            "   at Shop.Hook.Post(String body)\r\n   at Shop.Program.<Main>$(String[] args)\r\n",
            "a stack trace",
        ),
        (
            r'{"detail":"x\r\n   at Shop.Hook.\u003CPost\u003Ed__5.MoveNext() in /src/Hook.cs:line 12"}',
            "a stack trace",
        ),
        ("--- End of stack trace from previous location ---", "a stack trace"),
        ("<h2><i>x</i></h2><pre>[NullReferenceException: Object reference not set]</pre>", "a stack trace"),
        ("System.NullReferenceException: Object reference not set", "the class of an exception"),
        ("Newtonsoft.Json.JsonReaderException: x", "the class of an exception"),
        # PHP
        (
            "<br />\n<b>Warning</b>:  Undefined key in <b>/srv/x.php</b> on line <b>12</b><br />",
            "a stack trace",
        ),
        ("PHP Fatal error: Uncaught TypeError: x", "a stack trace"),
        ("#1 {main}\n  thrown", "a stack trace"),
        (
            '{"message":"x","exception":"E","file":"\\/a\\/b.php","line":3,"trace":[{"file":"c"}]}',
            "a stack trace",
        ),
        (r'{"exception":"Illuminate\\Database\\QueryException"}', "the class of an exception"),
        # Go
        ("runtime error: invalid memory address or nil pointer dereference", "a stack trace"),
        ("main.handle(0x1)\n\t/go/src/main.go:42 +0x1d", "a stack trace"),
        ('{"stack":"goroutine 7 [running]:\\nmain.f()"}', "a stack trace"),
        # Ruby
        ("hook.rb:3:in 'Integer#+'", "a stack trace"),
        ('{"status":500,"traces":{"Application Trace":[]}}', "a stack trace"),
        ("Extracted source (around line <strong>#12</strong>):", "a stack trace"),
        # Node
        ("SyntaxError: x<br> &nbsp; &nbsp;at JSON.parse (&lt;anonymous&gt;)", "a stack trace"),
        (
            "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
            "a stack trace",
        ),
        (r"{'stack': 'x\n    at Object.<anonymous> (C:\\app\\x.js:3:4)'}", "a stack trace"),
        # Python
        ("<p>File <span>&quot;app/x.py&quot;</span>, line <b>12</b>, in f</p>", "a stack trace"),
        ('<tr><th scope="row">Exception Type:</th><td>KeyError</td></tr>', "a stack trace"),
        ("<title>KeyError: 'x' // Werkzeug Debugger</title>", "a stack trace"),
        # Rust, Elixir, Perl
        ("called `Option::unwrap()` on a `None` value", "a stack trace"),
        ("stack backtrace:\n   0: rust_begin_unwind", "a stack trace"),
        ("(shop 0.1.0) lib/shop/hook.ex:12: Shop.Hook.call/2", "a stack trace"),
        ("Died at hook.pl line 3.", "a stack trace"),
        # PostgreSQL
        (
            'ERROR: duplicate key value violates unique constraint "mails_pkey" (SQLSTATE 23505)',
            "an SQL error",
        ),
        ('pq: relation "mails" does not exist', "an SQL error"),
        ('null value in column "code" violates not-null constraint', "an SQL error"),
        ('syntax error at or near "x"', "an SQL error"),
        ('{"error":"invalid input syntax for type uuid: \\"x\\""}', "an SQL error"),
        ("psycopg2.errors.UniqueViolation", "an SQL error"),
        ("(psycopg.OperationalError) connection failed", "an SQL error"),
        ("PG::UndefinedTable: x", "an SQL error"),
        ('"pq: password authentication failed"', "an SQL error"),
        # MySQL
        ("You have an error in your SQL syntax; check the manual", "an SQL error"),
        ('{"code":"ER_DUP_ENTRY","errno":1062}', "an SQL error"),
        ("Error 1062: Duplicate entry 'a@b' for key 'to'", "an SQL error"),
        ("Unknown column 'x' in 'field list'", "an SQL error"),
        ("SQLSTATE[42S02]: x", "an SQL error"),
        ("Table &#39;shop.mails&#39; doesn&#39;t exist", "an SQL error"),
        ("Incorrect string value: '\\xF0\\x9F' for column", "an SQL error"),
        # SQLite
        ('near "x": syntax error', "an SQL error"),
        ("SQLITE_CONSTRAINT: UNIQUE constraint failed: mails.to", "an SQL error"),
        ("sqlite3.OperationalError: no such table: mails", "an SQL error"),
        ("no such column: mails.to", "an SQL error"),
        # Microsoft SQL Server, Oracle
        ("Unclosed quotation mark after the character string ''.", "an SQL error"),
        ("Incorrect syntax near 'x'.", "an SQL error"),
        ("Microsoft.Data.SqlClient.SqlException", "an SQL error"),
        ("Invalid object name 'mails'.", "an SQL error"),
        ("ORA-00942: table or view does not exist", "an SQL error"),
        # Mappers and statements
        ("could not execute statement; SQL [n/a]", "an SQL error"),
        ("(sqlalchemy.exc.IntegrityError)", "an SQL error"),
        ("SequelizeUniqueConstraintError: Validation error", "an SQL error"),
        ("ActiveRecord::RecordNotUnique", "an SQL error"),
        ("Invalid `prisma.mail.create()` invocation", "an SQL error"),
        ("org.postgresql.util.PSQLException: x", "the class of an exception"),
        ("com.mysql.cj.jdbc.exceptions.CommunicationsException: x", "the class of an exception"),
        ("Npgsql.PostgresException (0x80004005): 42P01", "the class of an exception"),
        ("Key (to)=(ann@example.com) already exists.", "an SQL error"),
        ("mysqli_sql_exception: x", "an SQL error"),
        ("django.db.utils.IntegrityError: x", "an SQL error"),
        ("PrismaClientKnownRequestError", "an SQL error"),
        ("(Ecto.ConstraintError) x", "an SQL error"),
        ("MongoServerError: E11000 duplicate key error collection: shop.mails", "an SQL error"),
        ("INSERT INTO mails (code) VALUES (?)", "an SQL error"),
        ("SELECT * FROM mails WHERE x", "an SQL error"),
        ("UPDATE `mails` SET code = 1", "an SQL error"),
        ("open /etc/mail/templates: no such file", "a file path"),
        ("ENOENT: no such file, open '/app/templates/NewTemplate.js'", "a file path"),
        ("ENOENT: no such file, open '/home/deploy/mail/x.html'", "a file path"),
        ('{"file": "\\/var\\/www\\/html\\/index.php"}', "a file path"),
        ('{"file": "C:\\\\inetpub\\\\mail"}', "a file path"),
        ("Module not found: node_modules/express", "a file path"),
        ("/usr/local/lib/python3.11/json/decoder.py", "a file path"),
    ],
)
def test_internals_in_a_text_are_found(text: str, what: str) -> None:
    assert what in shown_internals(text)


def test_a_reference_to_a_huge_character_is_no_fault_of_ours() -> None:
    assert shown_internals(f"<p>&#{'9' * 5000};&#{'9' * 5000}</p>") == []
    assert shown_internals("<p>&#47;var&#0000000047;www/hook.php</p>") == ["a file path"]


def shown_internals(text: str) -> list[str]:
    """Return the kinds of internals in a response body of a receiver at ``/app/hook.php``."""
    return find_internals(Response(500, (), text.encode(), 0), "/app/hook.php")


@pytest.mark.parametrize(
    "piece",
    [
        "/a",
        "-/",
        "\n",
        " ",
        "at a.",
        "at a(.",
        "at a() in ",
        'src="',
        "<a ",
        "&amp;",
        "\\",
        "\\u0041",
        "[a",
        "SELECT ",
        "a:\\b ",
        "File ",
        "#0 ",
    ],
)
def test_a_large_body_is_read_to_its_end(piece: str) -> None:
    large = piece * (300_000 // len(piece))
    assert "an SQL error" in shown_internals(f"{large}>\nORA-00942: x")
