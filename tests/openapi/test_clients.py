"""Clients made by openapi-typescript and openapi-fetch with default options compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.openapi.packages import FOLDER, SCHEMAS, require_packages, run_node

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = {"mail": "openapi.json", "inbox-api": "inbox-api.openapi.json"}
# The generated types are compiled themselves; only the declarations of packages are trusted.
OPTIONS = ("--strict", "--noEmit", "--skipLibCheck", "--target", "es2022", "--module", "nodenext")


def test_typed_clients_compile(tmp_path: Path) -> None:
    """The clients read and write every kind of member; what a type must refuse is marked in them."""
    require_packages("tests/openapi")
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    generator = FOLDER / "node_modules/openapi-typescript/bin/cli.js"
    for name, document in DOCUMENTS.items():
        result = run_node(generator, SCHEMAS / document, "--output", tmp_path / f"{name}.ts")
        assert result.returncode == 0, result.stderr
        client = f"{name.removesuffix('-api')}-client.ts"
        (tmp_path / client).write_bytes((FOLDER / client).read_bytes())
    compiler = FOLDER / "node_modules/typescript/bin/tsc"
    result = run_node(compiler, *OPTIONS, "inbox-client.ts", "mail-client.ts", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
