"""Makes code with the generators, compiles it, and reads messages with it.

Each family is a function. It takes the schemas, an empty folder and the messages, and returns the result of
each of its generators by name. The names are those of ``generate.mjs`` and of the files in ``readers/``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.generators.readings import Reading, Result
from tests.schemas.contract_files import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.receiver_messages import Message

FOLDER = Path(__file__).parent
READERS = FOLDER / "readers"
TYPESCRIPT = ("quicktype-typescript", "json-schema-to-typescript", "openapi-typescript", "json-schema-to-zod")
ONLY_TYPES = ("json-schema-to-typescript", "openapi-typescript")
"""The generators whose code does not exist at run time: the compiler alone can refuse a message."""

_FIRST_LITERAL = 2


@dataclass(frozen=True)
class Sources:
    """The files that code is made of."""

    receiver: Path = SCHEMAS / "receiver.schema.json"
    openapi: Path = SCHEMAS / "openapi.json"


def typescript(
    sources: Sources, folder: Path, messages: Sequence[Message], names: Sequence[str] = TYPESCRIPT
) -> dict[str, Result]:
    """Run the generators of TypeScript."""
    _generate(sources, folder, *names)
    (folder / "node_modules").symlink_to(FOLDER / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    shutil.copy(READERS / "typescript" / "tsconfig.json", folder)
    for name in names:
        shutil.copy(READERS / "typescript" / "read.ts", folder / name)
        shutil.copy(READERS / "typescript" / f"{name}.ts", folder / name / "adapter.ts")
        if name in ONLY_TYPES:
            _write_literals(folder / name / "literals.ts", messages)
    errors = _compile_typescript(folder)
    results = {}
    for name in names:
        found = [(file, int(line), error) for owner, file, line, error in errors if owner == name]
        if broken := [error for file, _, error in found if file != "literals"]:
            results[name] = Result([], "\n".join(broken))
            continue
        read = _read(messages, "node", READERS / "read.mjs", f"javascript/{name}/read.js", cwd=folder)
        refused = {line: error for _, line, error in found}
        results[name] = Result(
            [
                Reading(reading.message, refused[line]) if line in refused else reading
                for line, reading in enumerate(read.readings, _FIRST_LITERAL)
            ]
        )
    return results


def _compile_typescript(folder: Path) -> list[tuple[str, str, str, str]]:
    """Return each error: the folder and the name of its file, its line, and its text."""
    output = _run("node", "node_modules/typescript/bin/tsc", "--pretty", "false", cwd=folder, may_fail=True)
    errors = re.findall(r"^([\w-]+)/(\w+)\.ts\((\d+),\d+\): (error .*)$", output, re.MULTILINE)
    assert errors or not output, output
    return errors


def dataclasses(sources: Sources, folder: Path, messages: Sequence[Message]) -> dict[str, Result]:
    """Run quicktype's generator of Python."""
    name = "quicktype-python"
    _generate(sources, folder, name)
    return {name: _read_with_python(name, folder / name, messages)}


def pydantic(sources: Sources, folder: Path, messages: Sequence[Message]) -> dict[str, Result]:
    """Run datamodel-code-generator."""
    name = "datamodel-code-generator"
    (folder / name).mkdir()
    _run(
        *(sys.executable, "-m", "datamodel_code_generator", "--input", sources.receiver),
        *("--input-file-type", "jsonschema", "--output", "model.py", "--use-title-as-name"),
        *("--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"),
        cwd=folder / name,
    )
    return {name: _read_with_python(name, folder / name, messages)}


def go(sources: Sources, folder: Path, messages: Sequence[Message]) -> dict[str, Result]:
    """Run quicktype's and openapi-generator's generators of Go."""
    _generate(sources, folder, "quicktype-go")
    _run(
        *("java", "-jar", _openapi_generator(), "generate", "-g", "go", "-i", sources.openapi),
        *("-o", "openapi-generator", "--additional-properties", "packageName=main"),
        *("--global-property", "models,supportingFiles=utils.go,modelDocs=false,modelTests=false"),
        cwd=folder,
    )
    (folder / "go.mod").write_text("module mail\n\ngo 1.24\n", encoding="utf-8")
    # The cache of the Makefile's target `go`: the standard library is compiled there.
    cache = Path(sys.prefix, "go-cache")
    environment = {"GOCACHE": str(cache), "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    results = {}
    for name in ("quicktype-go", "openapi-generator"):
        for reader in ("lines", name):
            shutil.copy(READERS / "go" / f"{reader}.go", folder / name / f"read_{reader}.go")
        program = folder / f"{name}.program"
        go_command = Path(sys.executable).with_name("go")
        broken = _run(
            *(go_command, "build", "-o", program, f"./{name}"),
            cwd=folder,
            may_fail=True,
            environment=environment,
        )
        results[name] = Result([], broken) if broken else _read(messages, program, cwd=folder)
    return results


def java(sources: Sources, folder: Path, messages: Sequence[Message]) -> dict[str, Result]:
    """Run quicktype's generator of Java; Jackson is that of openapi-generator."""
    name = "quicktype-java"
    _generate(sources, folder, name)
    shutil.copy(READERS / "java" / "Read.java", folder / name)
    jar = _openapi_generator()
    files = sorted((folder / name).glob("*.java"))
    # A JRE of Debian has the module of the compiler without the command javac.
    compiler = ("java", "--module", "jdk.compiler/com.sun.tools.javac.Main")
    broken = _run(*compiler, "-cp", jar, "-d", "classes", *files, cwd=folder, may_fail=True)
    if broken:
        return {name: Result([], broken)}
    return {name: _read(messages, "java", "-cp", f"{jar}{os.pathsep}classes", "mail.Read", cwd=folder)}


CHEAP = {
    typescript: TYPESCRIPT,
    dataclasses: ("quicktype-python",),
    pydantic: ("datamodel-code-generator",),
}
"""The families that ``make test`` runs, with the names of their generators."""
HEAVY = (go, java)
"""The families that need the JVM or Go; ``make matrix`` runs them too."""


def _generate(sources: Sources, folder: Path, *names: str) -> None:
    _run("node", FOLDER / "generate.mjs", sources.receiver, sources.openapi, folder, *names, cwd=folder)


def _openapi_generator() -> Path:
    package = find_spec("openapi_generator_cli")
    assert package is not None, "run: make matrix"
    assert package.origin is not None
    return Path(package.origin).with_name("openapi-generator.jar")


def _write_literals(path: Path, messages: Sequence[Message]) -> None:
    """Write each message as a constant of its type on a line of its own, from line ``_FIRST_LITERAL``."""
    lines = [f"export const m{number}: MailMessage = {m.text};" for number, m in enumerate(messages)]
    path.write_text("\n".join(['import type { MailMessage } from "./adapter.js";', *lines]), encoding="utf-8")


def _read_with_python(name: str, folder: Path, messages: Sequence[Message]) -> Result:
    shutil.copy(READERS / "python" / "read.py", folder)
    shutil.copy(READERS / "python" / f"{name}.py", folder / "adapter.py")
    broken = _run(sys.executable, "-W", "error", "-c", "import adapter", cwd=folder, may_fail=True)
    return Result([], broken) if broken else _read(messages, sys.executable, "read.py", cwd=folder)


def _read(messages: Sequence[Message], *command: str | Path, cwd: Path) -> Result:
    # Not splitlines(): a text may have U+2028.
    lines = _run(*command, cwd=cwd, messages=messages).removesuffix("\n").split("\n")
    return Result([Reading.of(message, line) for message, line in zip(messages, lines, strict=True)])


def _run(
    *command: str | Path,
    cwd: Path,
    messages: Sequence[Message] = (),
    may_fail: bool = False,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command in a folder.

    Args:
        command: The command.
        cwd: The folder.
        messages: What it reads, one a line.
        may_fail: Return the output of a command that fails, and nothing for one that succeeds.
        environment: Variables to set for it.

    Raises:
        AssertionError: A command failed that must not.
    """
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        input="".join(f"{message.text}\n" for message in messages),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    output = result.stdout + result.stderr
    if may_fail:
        return output if result.returncode else ""
    assert result.returncode == 0, f"{command} exited with {result.returncode}:\n{output}"
    return result.stdout
