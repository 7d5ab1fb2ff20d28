"""The patterns of the emitted layer, compared with what Logto judges such texts by, on random texts."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Any

import ada_url
import jsonschema_rs
from tests.schemas.contract_files import index, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = 20_000
# zod 3.23 and 3.24, packages/zod/src/types.ts.
ZOD_EMAIL = re.compile(
    r"(?!\.)(?!.*\.\.)([A-Z0-9_'+\-\.]*)[A-Z0-9_+-]@([A-Z0-9][A-Z0-9\-]*\.)+[A-Z]{2,}",
    re.IGNORECASE | re.ASCII,
)
ADDRESS_PIECES = (
    *(*"aZ0_'+-.@", "..", "b.c", "example", *(".com", "@example.com", "@a.b.zz") * 3),
    *(" ", "\n", "<", "ä", "/"),
)
URL_PIECES = (
    *("https:", "http:", "HTTP:", "javascript:", "foo:", "data:", "ht\ntp:", "https://", "/", "//", "\\"),
    *("a", "example.com", "b c", " ", "\t", "\n", "\x01", "\x00", "?", "#", "@", ":", ":80", ":8o", ":99999"),
    *("<", ">", "^", "|", "[", "]", "[::1]", "%", "%20", "é", "😀", ".", "..", "1.2.3.4", "_", "+", "-", "1"),
    *("\u00a0", "\u2028", ",", "'", '"', "{", "}", "`", "\x7f"),
)


def definition(name: str) -> Any:
    """Return a validator of one definition of the current emitted layer."""
    definitions = schema(index()["current"], "emitted")["$defs"]
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions})


def make_texts(pieces: tuple[str, ...]) -> Iterator[str]:
    """Yield random texts, the same in every run."""
    random = Random(1)
    for _ in range(TEXTS):
        yield "".join(random.choices(pieces, k=random.randrange(8)))


def test_the_address_of_an_invitation_is_one_that_zod_accepts() -> None:
    recipient = definition("InvitationRecipient")
    verdicts = {text: ZOD_EMAIL.fullmatch(text) is not None for text in make_texts(ADDRESS_PIECES)}
    assert sum(verdicts.values()) > 100
    assert [text for text, accepted in verdicts.items() if recipient.is_valid(text) is not accepted] == []


def test_a_url_that_is_refused_is_none_to_a_url_parser() -> None:
    """The other way round, what a parser refuses may pass: a pattern knows no Punycode."""
    url = definition("BrandingUrl")
    refused = [text for text in make_texts(URL_PIECES) if "\0" not in text and not url.is_valid(text)]
    assert len(refused) > 5_000
    assert [text for text in refused if ada_url.check_url(text)] == []


def test_most_texts_that_are_no_url_are_refused() -> None:
    url = definition("BrandingUrl")
    wrong = [text for text in make_texts(URL_PIECES) if not ada_url.check_url(text)]
    assert sum(not url.is_valid(text) for text in wrong) > 0.8 * len(wrong)
