"""The languages that Logto knows, in its real package."""

from __future__ import annotations

import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator
from tests.logto.node import FOLDER, require_packages

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_every_language_of_the_real_package_is_a_locale_of_emitted() -> None:
    """Logto chooses the locale of a mail among these tags, the custom ones of a tenant included."""
    require_packages()
    source = (FOLDER / "node_modules/@logto/language-kit/lib/const.js").read_text(encoding="utf-8")
    tags = re.findall(r"^    '?([A-Za-z0-9-]+)'?: ['\"]", source, re.MULTILINE)
    assert len(tags) >= 130
    assert {"en", "es-419", "es-MX", "pt-BR"} < set(tags)
    definitions = json.loads((SCHEMAS / "emitted.schema.json").read_bytes())["$defs"]
    locale = Draft202012Validator({"$ref": "#/$defs/Locale", "$defs": definitions})
    assert [tag for tag in tags if not locale.is_valid(tag)] == []
    assert not locale.is_valid("tlh")
