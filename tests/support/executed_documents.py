"""Executes the examples in Markdown documents, so that every page shows real behaviour.

A document is executed in a new folder that holds copies of ``examples/`` and ``schemas/``. Its fenced blocks
are executed in order. The language of a block says how:

``console``
    Lines that begin with ``$`` and a space are commands. Each one runs in a new bash, with this
    environment's commands on the path. A command that ends in a backslash continues in the next line, after
    ``>`` and a space if the line has them. The lines up to the next command are its whole standard output and
    standard error, and it exits with 0. ``...`` or ``…`` stands for any text within a line, or for any lines
    when it is alone in a line. A command that ends in ``&`` runs until the end of the document.
``python``
    Executed in one namespace for the whole document. A block that defines tests must be a file instead.
``json``, ``ndjson``, ``toml``, ``ini``, ``yaml``
    Parsed.

Comments directly before a block are directives:

``<!-- file: test_signin.py -->``
    The block is the content of that file in the folder. A file of tests that no later command names is run
    with pytest at the end and must pass. A later block must name any other Python file except
    ``conftest.py``. Such a block can also be in ``text``, or in another language if a later block names it or
    its folder.
``<!-- exit: 1 -->``
    The last command of the ``console`` block exits with 1.
``<!-- needs: go node -->``
    Anywhere in the page, alone in a line: languages that its commands run. Without one the page is skipped;
    in CI (``CI=true``) it fails. With ``node`` the folder has the packages of ``tests/pages``, so ``npx``
    fetches nothing.
``<!-- ports: 8600 2525 -->``
    Anywhere in the page, alone in a line: a free port of this machine replaces 8600 everywhere in the page.
``<!-- not run: it needs a Logto of your own -->``
    The block is not executed, for that reason. A block in any other language, or in none, needs this
    directive. An indented example is an error, so that no example stays unexecuted unseen.

The commands ``uvx logto-mail-contract`` and ``pipx run logto-mail-contract`` run this environment's command.
"""

from __future__ import annotations

import configparser
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tomllib
from contextlib import ExitStack, chdir, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from tests.logto.node import skip_or_fail
from tests.support.languages import GO_ENVIRONMENT, lacks_go, lacks_java, lacks_node, lacks_php

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 180

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[^`]*)")
_COMMENT = re.compile(r" *<!--\s*(?P<text>.*?)\s*-->\s*")
_DIRECTIVE = re.compile(r"(?P<name>exit|file|not run):\s*(?P<value>\S.*)")
_TEST_FILE = re.compile(r"(?:test_.*|.*_test)\.py")
_PORTS = re.compile(r"^<!-- ports: ([0-9 ]+) -->$", re.MULTILINE)
_NEEDS = re.compile(r"^<!-- needs: ([a-z ]+) -->$", re.MULTILINE)
_WILDCARD = re.compile(r"\.\.\.|…")


class BrokenExample(AssertionError):
    """An example does not do what the document says, or nothing would execute it."""


@dataclass
class Block:
    """One fenced block: its place, language, text and the directives before it."""

    line: int
    language: str
    text: str
    directives: dict[str, str] = field(default_factory=dict)


@dataclass
class Command:
    """One command of a ``console`` block, and its output."""

    line: int
    text: str
    output: list[str]


def replace_ports(text: str) -> str:
    """Return a document in which a free port replaces each port of its ``ports`` comment."""
    named = [port for line in _PORTS.findall(text) for port in line.split()]
    text = _PORTS.sub("", text)
    with ExitStack() as reserved:
        for port in named:
            free = reserved.enter_context(_reserve_port()).getsockname()[1]
            text = re.sub(rf"\b{port}\b", str(free), text)
    return text


def _reserve_port() -> socket.socket:
    """Return a listener at a port that the system gives to no client: a command uses the number later."""
    for port in random.sample(range(20_000, 32_768), 100):
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise RuntimeError("100 ports of loopback between 20000 and 32767 are in use")


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a document.

    Raises:
        BrokenExample: A block is not closed, is indented instead of fenced or written as HTML, or a directive
            stands before no block, twice, or is misspelt.
    """
    found: list[Block] = []
    directives: dict[str, str] = {}
    opened: re.Match[str] | None = None
    content: list[str] = []
    in_list = blank = False
    for number, line in enumerate(text.splitlines(), start=1):
        if opened is not None:
            closes = re.fullmatch(rf" *{opened['fence'][0]}{{{len(opened['fence'])},}} *", line)
            if closes:
                found[-1].text = "".join(f"{part}\n" for part in content)
                opened = None
            else:
                content.append(line[min(len(opened["indent"]), len(line) - len(line.lstrip(" "))) :])
            continue
        comment = _COMMENT.fullmatch(line)
        if fence := _FENCE.fullmatch(line):
            opened, content = fence, []
            found.append(Block(number, fence["language"].strip(), "", directives))
            directives = {}
        elif comment:
            if directive := _DIRECTIVE.fullmatch(comment["text"]):
                if directive["name"] in directives:
                    raise BrokenExample(f"line {number}: {directive['name']} is given twice")
                directives[directive["name"]] = directive["value"]
            elif re.match(r"[\w ]{2,10}:", comment["text"]):
                raise BrokenExample(f"line {number}: there is no directive {comment['text']!r}")
        elif line.strip():
            if directives:
                raise BrokenExample(f"line {number}: {', '.join(directives)} must stand right before a block")
            if re.match(r" *(?:[-*+]|\d+[.)]) ", line):
                in_list = True
            elif not line.startswith(" "):
                in_list = False
            elif blank and not in_list and line.startswith(("    ", "\t")):
                raise BrokenExample(f"line {number}: an indented example; put it in a fence")
            if re.search(r"<pre\b", line):
                raise BrokenExample(f"line {number}: an example in HTML; put it in a fence")
        blank = not line.strip()
    if opened is not None:
        raise BrokenExample(f"line {found[-1].line}: the block is not closed")
    if directives:
        raise BrokenExample(f"at the end: {', '.join(directives)} must stand right before a block")
    return found


def commands(block: Block) -> list[Command]:
    """Return the commands of a ``console`` block.

    Raises:
        BrokenExample: It has none, or begins with something else.
    """
    found: list[Command] = []
    continues = False
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        if continues:
            found[-1].text += "\n" + line.removeprefix("> ")
        elif line.startswith("$ "):
            found.append(Command(number, line.removeprefix("$ "), []))
        elif found:
            found[-1].output.append(line)
            continue
        else:
            raise BrokenExample(f"line {number}: a console block begins with a command: $ ...")
        continues = line.endswith("\\")
    if not found:
        raise BrokenExample(f"line {block.line}: a console block without a command")
    return found


def matches(expected: list[str], actual: list[str]) -> bool:
    """Return whether the lines are as expected; ``...`` stands for any text."""
    pattern = ""
    for line in expected:
        if _WILDCARD.fullmatch(line.strip()):
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*?".join(map(re.escape, _WILDCARD.split(line.rstrip()))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in actual)) is not None


def _parse_ini(text: str) -> None:
    configparser.ConfigParser().read_string(text)


def _parse_ndjson(text: str) -> None:
    for line in text.splitlines():
        json.loads(line)


NODE_PACKAGES = "tests/pages"
LACKING: dict[str, Callable[[], str | None]] = {
    "go": lacks_go,
    "java": lacks_java,
    "node": lambda: lacks_node(NODE_PACKAGES),
    "php": lacks_php,
}

PARSERS: dict[str, Callable[[str], object]] = {
    "ini": _parse_ini,
    "json": json.loads,
    "ndjson": _parse_ndjson,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


class Execution:
    """Executes one document in a folder; a context manager that kills what the commands left running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._namespace: dict[str, Any] = {"__name__": "__main__"}
        self.process_groups: list[int] = []
        """The group of each command: its process and all that this started."""
        unwanted = ("CI", "COLUMNS", "FORCE_COLOR", "VIRTUAL_ENV")
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name not in unwanted and not name.startswith(("PYTEST", "PYTHON", "HYPOTHESIS"))
        }
        self._environment |= {
            **GO_ENVIRONMENT,
            "PATH": os.pathsep.join(
                [
                    str(Path(__file__).parent / "bin"),
                    sysconfig.get_path("scripts"),
                    self._environment["PATH"],
                ]
            ),
            "COLUMNS": "80",
            "NO_COLOR": "1",
            # Write no caches: a page may list the folder.
            "PYTHONDONTWRITEBYTECODE": "1",
            # A page's receiver writes its log at once.
            "PYTHONUNBUFFERED": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
        }

    def __enter__(self) -> Self:
        for name in ("examples", "schemas"):
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "node_modules")
                shutil.copytree(ROOT / name, self._folder / name, ignore=ignored)
        return self

    def __exit__(self, *_: object) -> None:
        for group in self.process_groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def execute(self, text: str) -> int:
        """Execute the examples of a document; return how many there were.

        Raises:
            BrokenExample: One does not do what the document says, or nothing would execute it.
        """
        needed = {language for line in _NEEDS.findall(text) for language in line.split()}
        for language in sorted(needed):
            skip_or_fail(LACKING[language]())
        if "node" in needed:
            (self._folder / "node_modules").symlink_to(ROOT / NODE_PACKAGES / "node_modules")
        found = blocks(replace_ports(_NEEDS.sub("", text)))
        for block in found:
            try:
                self._execute(block)
            except BrokenExample:
                raise
            except Exception as error:
                error.add_note(f"in the {block.language} block at line {block.line}")
                raise
        self._run_left_files(found)
        return len(found)

    def _execute(self, block: Block) -> None:
        directives = block.directives
        if "not run" in directives:
            return
        if "exit" in directives and block.language != "console":
            raise BrokenExample(f"line {block.line}: only a console block has an exit code")
        if "file" in directives and block.language == "console":
            raise BrokenExample(f"line {block.line}: a console block is no file")
        if block.language == "console":
            self._run_commands(block)
        elif block.language == "python":
            self._run_python(block)
        elif block.language in PARSERS:
            PARSERS[block.language](block.text)
        elif "file" not in directives:
            raise BrokenExample(
                f"line {block.line}: nothing executes a block in {block.language or 'no language'}: "
                "give the reason above it, <!-- not run: reason -->"
            )
        if "file" in directives:
            path = self._folder / directives["file"]
            if not path.resolve().is_relative_to(self._folder.resolve()):
                raise BrokenExample(f"line {block.line}: {directives['file']} is outside of the folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")

    def _run_python(self, block: Block) -> None:
        # Empty lines in front preserve the line numbers of the document in tracebacks.
        code = compile("\n" * block.line + block.text, "<document>", "exec")
        if "file" in block.directives:
            return
        if re.search(r"^ *(?:async )?def test_|^class Test", block.text, re.MULTILINE):
            raise BrokenExample(
                f"line {block.line}: nothing runs these tests: name the file, <!-- file: test_it.py -->"
            )
        with chdir(self._folder):
            exec(code, self._namespace)

    def _run_commands(self, block: Block) -> None:
        steps = commands(block)
        for command in steps:
            wanted = int(block.directives.get("exit", 0)) if command is steps[-1] else 0
            code, output = self._run(command.text)
            while output and not output[-1].strip():
                output.pop()
            expected = list(command.output)
            while expected and not expected[-1].strip():
                expected.pop()
            if code != wanted or not matches(expected, output):
                raise BrokenExample(
                    "\n".join(
                        [
                            f"line {command.line}: $ {command.text}",
                            f"--- the document (exit {wanted})",
                            *expected,
                            f"--- what happened (exit {code})",
                            *output,
                        ]
                    )
                )

    def _run(self, command: str) -> tuple[int, list[str]]:
        # A file, not a pipe: reading a pipe would wait for commands in the background, which hold it open.
        log = self._folder.parent / f"{self._folder.name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.process_groups.append(process.pid)
            try:
                code = process.wait(timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise BrokenExample(f"$ {command}\nhas not ended after {TIMEOUT_SECONDS} s") from None
        return code, log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _run_left_files(self, found: list[Block]) -> None:
        for place, block in enumerate(found):
            name = block.directives.get("file", "")
            if not name or "not run" in block.directives or block.language in {"text", *PARSERS}:
                continue
            path = Path(name)
            later = [other for other in found[place + 1 :] if "not run" not in other.directives]
            if any(path.name in other.text for other in later if other.language == "console"):
                continue
            if block.language != "python":
                # An import leaves the ending out, and a compiler may get the folder alone.
                names = [path.stem, path.parent.name] if path.parent.name else [path.stem]
                if not any(
                    re.search(rf"\b{re.escape(part)}\b", other.text) for other in later for part in names
                ):
                    raise BrokenExample(f"line {block.line}: nothing names {name}")
                continue
            if _TEST_FILE.fullmatch(path.name):
                code, output = self._run(f"{sys.executable} -m pytest {path}")
                if code:
                    raise BrokenExample("\n".join([f"line {block.line}: {name} fails:", *output]))
            elif path.name != "conftest.py" and not any(
                re.search(rf"\b{re.escape(path.stem)}\b", other.text) for other in later
            ):
                raise BrokenExample(f"line {block.line}: nothing runs or imports {name}")


def documents() -> list[Path]:
    """Return the documents of the project whose examples are executed."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
