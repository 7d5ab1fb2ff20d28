"""Writes generated files, or compares them with what is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Json = dict[str, Any]


def render_document(document: Json) -> str:
    """Return the text of a JSON document: indented, ASCII, with a line feed at the end."""
    return json.dumps(document, indent=2) + "\n"


def render_vectors(groups: list[Json]) -> str:
    """Return the text of a vector file: ASCII, one test a line."""
    rendered = []
    for group in groups:
        tests = ",\n".join(f"      {json.dumps(test)}" for test in group["tests"])
        rendered.append(
            "  {\n"
            f'    "description": {json.dumps(group["description"])},\n'
            f'    "schema": {json.dumps(group["schema"])},\n'
            f'    "tests": [\n{tests}\n    ]\n'
            "  }"
        )
    return "[\n" + ",\n".join(rendered) + "\n]\n"


def find_differing(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Return the names of the files that are missing below ``folder`` or have another text."""
    return [
        name
        for name, text in texts.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()
    ]


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write each text to its path below ``folder``."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
