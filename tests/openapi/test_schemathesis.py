"""Schemathesis finds no failure of the good receivers with ``openapi.json``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.openapi.packages import FOLDER, SCHEMAS, serving_example
from tests.support.small_receivers import AUTHORIZATION

from logto_mail_contract.receivers.outbox import SmtpSink

# make installs it here, so that its pytest plugin loads in no session.
INSTALLED = Path(sys.prefix) / "schemathesis"


def test_the_readme_names_the_same_exclusions() -> None:
    readme = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert tomllib.loads(block) == tomllib.loads((FOLDER / "schemathesis.toml").read_text(encoding="utf-8"))


def run_schemathesis(origin: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis in a folder, since it keeps its examples there."""
    assert INSTALLED.is_dir(), f"Schemathesis is not in {INSTALLED}: run make install"
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", FOLDER / "schemathesis.toml", "run"),
            *(SCHEMAS / "openapi.json", "--url", origin, "--header", f"Authorization: {AUTHORIZATION}"),
            *("--max-examples", "10", "--seed", "1", *options),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(INSTALLED)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# Without PHP: its built-in server answers 501 with a page of HTML to a method that it does not know, and the
# receiver never sees that request.
@pytest.mark.parametrize(
    "name",
    [
        "receiver_flask.py",
        "receiver_fastapi.py",
        "receiver_go",
        "receiver_java",
        "receiver_node",
        "receiver_typescript",
    ],
)
def test_schemathesis_finds_no_failure(name: str, tmp_path: Path) -> None:
    with SmtpSink() as sink, serving_example(name, sink, tmp_path) as origin:
        result = run_schemathesis(origin, tmp_path)
    assert result.returncode == 0, result.stdout
    counted = re.search(r"(\d+) generated, (\d+) passed", result.stdout)
    assert counted is not None
    assert int(counted[1]) == int(counted[2]) > 100
    assert sink()
