"""The pages of docs/ about languages name what a reader installs: every package that their blocks use."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from importlib.metadata import entry_points, packages_distributions
from typing import TYPE_CHECKING, Any

import pytest
from tests.logto.node import skip_or_fail
from tests.support.executed_documents import NODE_PACKAGES, ROOT, blocks
from tests.support.languages import lacks_node
from tests.test_language_pages import PAGES, without_directives

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE_MODULES = ROOT / NODE_PACKAGES / "node_modules"
# An import in a block of Java or PHP, and Debian's package of it.
DEBIAN = {
    r"\bimport (?:static )?java\.": "default-jdk-headless",
    r"\bimport com\.fasterxml\.jackson\.": "libjackson2-databind-java",
    r"<\?php\b": "php-cli",
    r"\brequire 'JsonSchema/": "php-json-schema",
}


def list_installed(command: str, page: str) -> set[str]:
    """Return the packages that the commands of a page install, for example ``npm install``."""
    found = re.findall(rf"(?<!uvx )(?<!sudo ){command} ([^\n`&]+)", page)
    return {word for line in found for word in shlex.split(line) if not word.startswith("-")}


def read_manifest(package: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((NODE_MODULES / package / "package.json").read_text("utf-8"))
    return document


def list_npm_packages(page: str) -> Iterator[str]:
    """Yield the packages of npm that the blocks of a page import or run.

    A command of npx that has the name of its package is left out: npx fetches that.
    """
    dependencies = json.loads((ROOT / NODE_PACKAGES / "package.json").read_text("utf-8"))["dependencies"]
    owners = {
        name: package
        for package in dependencies
        if isinstance(commands := read_manifest(package).get("bin", {}), dict)
        for name in commands
    }
    for block in blocks(without_directives(page)):
        for command in re.findall(r"\bnpx (\S+)", block.text):
            if owners.get(command, command) != command:
                yield owners[command]
        for name in re.findall(r"--types (\S+)", block.text):
            yield f"@types/{name}"
        if block.language not in {"ts", "js"}:
            continue
        for module in re.findall(r"(?:\bfrom |\brequire\()'([^'.][^']*)'", block.text):
            if not module.startswith("node:"):
                scoped = re.match(r"@[^/]+/[^/]+|[^/]+", module)
                assert scoped
                yield scoped[0]
                yield from read_manifest(scoped[0]).get("peerDependencies", {})


def list_python_packages(page: str) -> Iterator[str]:
    """Yield the distributions that the blocks of a page import or run."""
    # An editable installation lists no modules of this project.
    owners = {"logto_mail_contract": ["logto-mail-contract"], **packages_distributions()}
    scripts = {each.name: each.dist.name for each in entry_points(group="console_scripts") if each.dist}
    for block in blocks(without_directives(page)):
        if block.language == "console":
            for command in re.findall(r"^\$ (\S+)", block.text, re.MULTILINE):
                if command in scripts:
                    yield scripts[command]
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.text)):
            match node:
                case ast.Import(names=names):
                    modules = [name.name for name in names]
                case ast.ImportFrom(module=str(module)):
                    modules = [module]
                case _:
                    continue
            for top in (module.partition(".")[0] for module in modules):
                if top not in sys.stdlib_module_names and not re.search(rf"\b{top}\.py", page):
                    yield from owners[top]


def list_debian_packages(page: str) -> set[str]:
    code = "\n".join(block.text for block in blocks(without_directives(page)) if block.language != "console")
    return {package for pattern, package in DEBIAN.items() if re.search(pattern, code)}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_installs_each_package_of_npm_that_it_uses(name: str) -> None:
    skip_or_fail(lacks_node(NODE_PACKAGES))
    assert set(list_npm_packages(PAGES[name])) - list_installed("npm install", PAGES[name]) == set()


def test_the_page_of_python_installs_each_package_that_it_uses() -> None:
    used = set(list_python_packages(PAGES["python"]))
    assert {"fastapi", "uvicorn", "datamodel-code-generator"} <= used
    assert used - list_installed("pip install", PAGES["python"]) == set()


@pytest.mark.parametrize("name", ["java", "php"])
def test_a_page_installs_each_package_of_debian_that_it_uses(name: str) -> None:
    used = list_debian_packages(PAGES[name])
    assert len(used) == 2
    assert used - list_installed("apt-get install", PAGES[name]) == set()


@pytest.mark.parametrize(
    ("name", "version"), [("go", "Go 1.22"), ("java", "Java 17"), ("php", "PHP 8.1"), ("dotnet", ".NET 8")]
)
def test_a_page_names_the_version_of_the_language_that_it_needs(name: str, version: str) -> None:
    assert f"{version} or later" in PAGES[name]


def test_a_package_that_is_not_installed_is_noticed() -> None:
    """The control."""
    skip_or_fail(lacks_node(NODE_PACKAGES))
    page = "```ts\nimport { serve } from '@hono/node-server';\n```\n"
    page += "```console\n$ npx json2ts\n$ npx quicktype\n```\n"
    assert set(list_npm_packages(page)) == {"@hono/node-server", "hono", "json-schema-to-typescript"}
    page = "```python\nimport os, fastapi.x\nfrom mine import a\n```\nmine.py\n```console\n$ uvicorn\n```\n"
    assert set(list_python_packages(page)) == {"fastapi", "uvicorn"}
    assert list_debian_packages("```java\nimport com.fasterxml.jackson.x;\n```\n") == {
        "libjackson2-databind-java"
    }
    assert list_installed("npm install", "`npm install --save-dev tv4`: \nnpm install a b\n") == {
        "tv4",
        "a",
        "b",
    }
