"""Writes the generated files of ``schemas/``, and ``docs/revisions.md``.

python -m tools.contract_source            write the files
python -m tools.contract_source --check    write nothing; exit 1 and name the files that differ
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .files import find_differing, render_document, render_vectors, write_files
from .page import PAGE, render_page
from .schemas.documents import build_documents
from .vectors.documents import build_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` compare them, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.contract_source",
        description="Write the generated files of schemas/, and docs/revisions.md.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when files differ")
    parser.add_argument("--folder", type=Path, default=ROOT, help="the project to write to or to compare")
    options = parser.parse_args(arguments)
    documents, vectors = build_documents(), build_vectors()
    texts = {f"schemas/{name}": render_document(document) for name, document in documents.items()}
    texts |= {f"schemas/{name}": render_vectors(groups) for name, groups in vectors.items()}
    texts[PAGE] = render_page(documents["index.json"], vectors)
    differing = find_differing(options.folder, texts)
    if not options.check:
        write_files(options.folder, {name: texts[name] for name in differing})
    for name in differing:
        print(f"{'differs' if options.check else 'wrote'}: {name}")
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
