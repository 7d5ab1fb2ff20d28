"""The receivers of ``examples/``: what each one needs, and the command that runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.languages import (
    GO_ENVIRONMENT,
    JARS,
    ROOT,
    find_go,
    lacks_go,
    lacks_java,
    lacks_node,
    lacks_php,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXAMPLES = ROOT / "examples"
LACKING: dict[str, Callable[[], str | None]] = {
    "receiver_go": lacks_go,
    "receiver_java": lacks_java,
    "receiver_node": lambda: lacks_node("examples/receiver_node"),
    "receiver_php": lacks_php,
    "receiver_typescript": lambda: lacks_node("examples/receiver_typescript"),
}


def build(name: str, into: Path) -> list[str | Path]:
    """Compile an example if it must be, and return the command that runs it, which the example documents."""
    folder = EXAMPLES / name
    match name:
        case "receiver_go":
            subprocess.run(
                [str(find_go()), "build", "-o", str(into / "receiver"), "."],
                cwd=folder,
                env={**os.environ, **GO_ENVIRONMENT},
                check=True,
            )
            return [into / "receiver"]
        case "receiver_java":
            # Quick to start, and light on the cores that the other tests need too.
            light = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            return ["java", *light, "-cp", os.pathsep.join(map(str, JARS)), folder / "Receiver.java"]
        case "receiver_php":
            return ["php", "-S", "127.0.0.1:0", folder / "receiver.php"]
        case "receiver_typescript":
            # Beside its packages, where Node looks for them.
            (into / "node_modules").symlink_to(folder / "node_modules")
            compiler = str(folder / "node_modules/typescript/bin/tsc")
            subprocess.run(["node", compiler, "--project", str(folder), "--outDir", str(into)], check=True)
            (into / "package.json").symlink_to(folder / "package.json")
            return ["node", into / "server.js"]
        case "receiver_node":
            return ["node", folder / "receiver.mjs"]
        case _:
            return [sys.executable, EXAMPLES / name]
