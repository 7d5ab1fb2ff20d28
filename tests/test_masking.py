"""What a program may make of a secret that it was given, and what of it is printed."""

from __future__ import annotations

import base64
import html
import json
import quopri
from urllib.parse import quote, quote_plus

import pytest

from logto_mail_contract.connector.encoding import list_call_secrets
from logto_mail_contract.masking import MIN_PART_BYTES, credential_forms, mask_secrets

SECRET = 'Tok&n/0+<ü>"s3cret\\x'
PAIR = base64.b64encode(f"ann:{SECRET}".encode()).decode()
FORMS = {
    "as it is": SECRET,
    "in capitals": SECRET.upper(),
    "percent-encoded": quote(SECRET, safe=""),
    "percent-encoded in small letters": quote(SECRET, safe="").lower(),
    "percent-encoded but for some": quote(SECRET, safe="/&+<>"),
    "percent-encoded twice": quote(quote(SECRET)),
    "as in a form": quote_plus(SECRET),
    "JSON": json.dumps(SECRET),
    "JSON in UTF-8": json.dumps(SECRET, ensure_ascii=False),
    "JSON with an escaped slash": json.dumps(SECRET).replace("/", "\\/"),
    "JSON for HTML": json.dumps(SECRET).replace("&", "\\u0026").replace("<", "\\u003c"),
    "JSON in JSON": json.dumps(json.dumps(SECRET)),
    "every character escaped": "".join(f"\\u{ord(mark):04X}" for mark in SECRET),
    "HTML": html.escape(SECRET),
    "HTML by numbers": "".join(f"&#{ord(mark)};" for mark in SECRET),
    "HTML by hexadecimal numbers": "".join(f"&#x{ord(mark):X};" for mark in SECRET),
    "HTML with names": SECRET.replace("&", "&amp;").replace("ü", "&uuml;").replace('"', "&quot;"),
    "JSON in HTML": html.escape(json.dumps(SECRET)),
    "bytes of Python": repr(SECRET.encode()),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "user and password in base64": PAIR,
    "base64 behind one byte": base64.b64encode(f"x{SECRET}".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "base64, percent-encoded": quote(PAIR, safe=""),
    "base64 in lines": "\r\n".join((PAIR[:20], PAIR[20:])),
    "base64 in lines, as JSON": json.dumps(f"{PAIR[:20]}\n{PAIR[20:]}"),
    "hex": SECRET.encode().hex(),
    "hex in capitals": SECRET.encode().hex().upper(),
    "an array of bytes": str(list(SECRET.encode()))[1:-1],
    "an array of bytes in lines": json.dumps(list(SECRET.encode()), indent=2)[4:-2],
    "an array of bytes, as JSON": json.dumps(dict(enumerate(SECRET.encode())))[6:-1],
    "bytes of Go": str(list(SECRET.encode()))[1:-1].replace(",", ""),
    "hex with blanks": SECRET.encode().hex(" "),
    "hex with colons": SECRET.encode().hex(":"),
    "hex with dashes, in capitals": SECRET.encode().hex("-").upper(),
    "hex of C": ", ".join(map(hex, SECRET.encode())),
    "hex in groups": SECRET.encode().hex(" ", 2),
    "code points in braces": "".join(f"\\u{{{ord(mark):x}}}" for mark in SECRET),
    "code points after a percent sign": "".join(f"%u{ord(mark):04x}" for mark in SECRET),
    "octal": "".join(f"\\{byte:03o}" for byte in SECRET.encode()),
    "octal in JSON": json.dumps("".join(f"\\{byte:03o}" for byte in SECRET.encode())),
    "quoted-printable": "".join(f"={byte:02X}" for byte in SECRET.encode()),
    "quoted-printable where it must be": quopri.encodestring(SECRET.encode()).decode(),
    "quoted-printable in lines": "=\r\n".join((SECRET[:7], SECRET[7:])),
    "HTML by numbers without semicolons": "".join(f"&#{ord(mark)}" for mark in SECRET),
    "HTML by hexadecimal numbers without semicolons": "".join(f"&#x{ord(mark):x}" for mark in SECRET),
    "base64 twice": base64.b64encode(PAIR.encode()).decode(),
    "base64 twice, behind one byte": base64.b64encode(b"x" + base64.b64encode(SECRET.encode())).decode(),
    "base32": base64.b32encode(SECRET.encode()).decode(),
    "base32 behind one byte": base64.b32encode(f"x{SECRET}".encode()).decode(),
    "wide letters": "".join(chr(ord(mark) + 0xFEE0) if "!" <= mark <= "~" else mark for mark in SECRET),
    "with tags": "<b></b>".join(SECRET),
    "with colors of a terminal": "\x1b[0m".join(SECRET),
    "with colors of a terminal, as JSON": json.dumps("\x1b[0m".join(SECRET)),
    "with characters without a width": "\u200b".join(SECRET),
    "UTF-16 read as another encoding": SECRET.encode("utf-16-le").decode("latin-1"),
}


def list_telling_parts(form: str) -> list[str]:
    """Return the parts of a form that nobody may see."""
    return [form[start : start + 16] for start in range(max(1, len(form) - 15))]


@pytest.mark.parametrize("name", FORMS)
def test_a_secret_is_masked_in_every_form(name: str) -> None:
    form = FORMS[name]
    masked = mask_secrets(f"before {form} after €", {SECRET})
    assert masked.startswith("before ")
    assert masked.endswith(" after €")
    assert "(masked)" in masked
    assert not [part for part in list_telling_parts(form) if part in masked]


@pytest.mark.parametrize("end", range(MIN_PART_BYTES, 19))
def test_a_secret_that_was_cut_is_masked_too(end: int) -> None:
    secret = "Abc123Def456Ghi789x"
    for part in (secret[:end], secret[-end:], secret[3 : 3 + end]):
        assert mask_secrets(f"<{part}…", {secret}) == "<(masked)…"


@pytest.mark.parametrize(
    "text",
    [
        "Bearer token required",
        "500 Internal Server Error after 12 ms, body: {'code': 'wrong'} 100% \\ &amp; &unknown; %zz \\u12",
        "s3cre and Tok&n too",
        "<Buffer 7b 22 6d 65 73 73 61 67 65 22 3a 22 77 72 6f 6e 67>, 00:1a:2b:3c:4d:5e, [115, 51, 99, 114]",
        "2026-01-02 03:04:05, 192.0.2.17, 0x1f 0x2e 0x3d 0x4c, ff00:1234::1, 2f0d8a6e-2c1b-4b6f-9d53",
        "?a=12&b=ab&c=\\163\\u{}\\u{110000} &#99999999 &# %u00 =\n<b>x</b>\x1b[0m\x1b[ \u200b\xad\uff01",
        "",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert mask_secrets(text, list_call_secrets("/hook?tenant=", f"Bearer {SECRET}", "Bearer short1")) == text
    assert mask_secrets(text, ()) == text


def test_each_secret_part_of_a_credential_is_masked() -> None:
    basic = base64.b64encode(b"ann:pass-w0rd").decode()
    key = base64.b64encode(b"key-4711:").decode()
    assert credential_forms(f"Basic {basic}") == {basic, "ann:pass-w0rd", "pass-w0rd"}
    assert credential_forms(f"Basic {key}") == {key, "key-4711:", "", "key-4711"}
    assert credential_forms("Bearer x") == {"Bearer x", ""}
    secrets = list_call_secrets("/hook?key=a%2Fb-123&on", f"Basic {basic}", "Bearer x")
    assert secrets == {basic, "ann:pass-w0rd", "pass-w0rd", "Bearer x", "a/b-123"}
    assert mask_secrets("at ?key=a%2fb-123 with Bearer x", secrets) == "at ?key=(masked) with (masked)"


def test_of_a_short_secret_no_part_is_masked_inside_a_line() -> None:
    assert mask_secrets("a pass-w0rd, a pass-w", {"pass-w0rd"}) == "a (masked), a (masked)"
    assert mask_secrets("a pass-w and a w0rd", {"pass-w0rd"}) == "a pass-w and a w0rd"


@pytest.mark.parametrize("end", ["", "…", "...", '"…', "\nnext", "\r\nnext"])
@pytest.mark.parametrize("size", range(4, 12))
def test_the_beginning_of_a_secret_is_masked_where_a_line_was_cut(end: str, size: int) -> None:
    assert mask_secrets("not Abc123Def456"[: 4 + size] + end, {"Abc123Def456Ghi789x"}) == f"not (masked){end}"
    assert mask_secrets(f"not Abc{end}", {"Abc123Def456Ghi789x"}) == f"not Abc{end}"


def test_a_short_secret_is_masked_where_it_looks_like_an_escape_with_what_precedes_it() -> None:
    assert mask_secrets("?key=ab12-pass&x", {"ab12-pass"}) == "?key=(masked)&x"
    assert mask_secrets("C:\\1234pass, %u0041x", {"1234pass", "u0041x"}) == "C:(masked), %(masked)"


@pytest.mark.parametrize("secret", ["<tag>ab", "=41", "\\101b", "&#97"])
def test_no_word_is_masked_that_a_secret_shrinks_to(secret: str) -> None:
    assert mask_secrets(f"A tab, a cab; {secret}", {secret}) == "A tab, a cab; (masked)"


def test_secrets_in_several_forms_are_masked_one_by_one() -> None:
    forms = [form.encode().hex(" ") if number % 2 else form for number, form in enumerate([SECRET] * 4)]
    assert mask_secrets("|".join(forms), {SECRET}) == "|".join(["(masked)"] * 4)


def test_in_the_output_of_node_only_the_secret_is_masked() -> None:
    data = f"Bearer {SECRET}!".encode()
    shown = json.dumps({"type": "Buffer", "data": list(data)}, separators=(",", ":"))
    masked = '{"type":"Buffer","data":[66,101,97,114,101,114,32,(masked),33]}'
    assert mask_secrets(shown, {SECRET}) == masked
    assert mask_secrets(json.dumps(shown), {SECRET}) == json.dumps(masked)
    shown = f"<Buffer {data[:24].hex(' ')} ... 27 more bytes>"
    assert mask_secrets(shown, {SECRET}) == "<Buffer 42 65 61 72 65 72 20 (masked) ... 27 more bytes>"
