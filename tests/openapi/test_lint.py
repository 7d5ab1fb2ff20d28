"""The OpenAPI documents pass the recommended rules of Redocly and Spectral."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.openapi.packages import SCHEMAS, require_packages, run_node
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable


def drop_items(document: Any) -> None:
    """Drop the schema of items from the pairs of name and value."""
    _, wire = document["components"]["schemas"]["Delivery"]["allOf"]
    del wire["properties"]["headers"]["items"]["items"]


MISTAKES: dict[str, Callable[[Any], Any]] = {
    "contact.json": lambda document: document["info"].pop("contact"),
    "security.json": lambda document: document.pop("security"),
    "discriminator.json": lambda document: document["components"]["schemas"]["Response"].pop("required"),
    "items.json": drop_items,
}


def test_the_linters_report_the_mistakes_and_nothing_of_the_documents(tmp_path: Path) -> None:
    """No error and no warning; the control is a copy with each mistake, which one linter reports."""
    require_packages("tests/openapi")
    for name, make_mistake in MISTAKES.items():
        document = json.loads((SCHEMAS / "inbox-api.openapi.json").read_bytes())
        make_mistake(document)
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    # The server adds what can be asked for now.
    served = tmp_path / "served.json"
    with serving() as server:
        served.write_text(json.dumps(server.api.get("/api/openapi.json")), encoding="utf-8")
    documents = [SCHEMAS / "openapi.json", SCHEMAS / "inbox-api.openapi.json", served]
    files = [*documents, *map(tmp_path.joinpath, MISTAKES)]
    result = run_node("lint.mjs", *files)
    assert result.returncode == 0, result.stderr
    problems = json.loads(result.stdout)
    assert {(Path(problem["file"]).name, problem["linter"], problem["rule"]) for problem in problems} == {
        ("contact.json", "Spectral", "info-contact"),
        ("security.json", "Redocly", "security-defined"),
        ("discriminator.json", "Redocly", "no-illogical-composition-keywords"),
        ("items.json", "Spectral", "array-items"),
    }, problems
