"""The import direction of the modules, and what the plugin loads in runs that do not use it."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import logto_mail_contract

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "logto_mail_contract"
FOLDER = Path(logto_mail_contract.__file__).parent
SOURCES = {
    ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix(".__init__"): path.read_text(
        encoding="utf-8"
    )
    for path in sorted(FOLDER.rglob("*.py"))
}

# Lowest first. A package imports those of lower levels, not those of its own level.
LEVELS = (
    {"clock", "program"},
    {"masking"},
    {"findings"},
    {"catalogue"},
    {"wire"},
    {"judging"},
    {"connector"},
    {"strategies", "inbox", "suite"},
    {"endpoint"},
    {"receivers", "senders"},
    {"reports", "serve"},
    {"commands", "plugin"},
    # The name of the distribution's own package: it exports from the others, and none of them imports it.
    {"__init__"},
)
LEVEL = {package: number for number, level in enumerate(LEVELS) for package in level}
STRANGERS = {("serve", "endpoint")}
"""Pairs of which the first must not import the second, although the second is lower."""

MAX_MODULE_LINES = 500
MAX_CLASS_LINES = 250

HEAVY = (
    "asyncio",
    "h11",
    "http.server",
    "hypothesis",
    "jsonschema",
    "jsonschema_rs",
    "pytest_httpserver",
    "referencing",
    "ssl",
    "trustme",
    "werkzeug",
    f"{PACKAGE}.endpoint.server",
    f"{PACKAGE}.judging.requests",
    f"{PACKAGE}.inbox.inbox",
    f"{PACKAGE}.judging.validation",
)


def is_for_types_only(node: ast.AST) -> bool:
    """Return whether a node is a block that never runs, ``if TYPE_CHECKING:`` without an ``else``."""
    return isinstance(node, ast.If) and not node.orelse and ast.unparse(node.test) == "TYPE_CHECKING"


def resolve_import(module: str, node: ast.ImportFrom) -> str:
    """Return the dotted name that a ``from`` imports from, without the package's own name."""
    if not node.level:
        return node.module or ""
    parts = [PACKAGE, *module.split(".")][: -node.level if not is_package(module) else 1 - node.level or None]
    return ".".join([*parts, *filter(None, [node.module])])


def is_package(module: str) -> bool:
    """Return whether a module is the ``__init__`` of a folder."""
    return (FOLDER / module.replace(".", "/")).is_dir()


def list_imports(module: str, source: str) -> Iterator[tuple[str, bool]]:
    """Yield the modules of the package that a module imports, wherever in it.

    The second value is whether the import ever runs: an import for types only does not.
    """
    tree = ast.parse(source)
    idle = {id(node) for block in ast.walk(tree) if is_for_types_only(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_import(module, node)
            # The version is a fact that stands in the package itself, and nothing is loaded for it.
            names = [f"{base}.{alias.name}" for alias in node.names if alias.name != "__version__"]
        for name in names:
            top, _, rest = name.partition(".")
            if top == PACKAGE:
                yield find_module(rest), id(node) not in idle


def find_module(name: str) -> str:
    """Return the module that a dotted name is, or stands in; the package itself where it is none."""
    while name and name not in SOURCES:
        name = name.rpartition(".")[0]
    return name or "__init__"


def has_import_by_string(source: str) -> bool:
    """Return whether a module imports others by a string, which no reader of imports sees."""
    return any(
        (isinstance(node, ast.Name) and node.id in ("import_module", "__import__"))
        or (isinstance(node, ast.Attribute) and node.attr in ("import_module", "__import__"))
        for node in ast.walk(ast.parse(source))
    )


def find_offences(sources: dict[str, str]) -> list[str]:
    """Return the violations of the import direction, as sentences.

    An import for types only has a direction too, but closes no circle.
    """
    found = []
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        package = module.partition(".")[0]
        if package not in LEVEL:
            found.append(f"{module} stands in no package of LEVELS")
            continue
        if package != "__init__" and has_import_by_string(source):
            found.append(f"{module} imports by a string")
        for target, runs in list_imports(module, source):
            other = target.partition(".")[0]
            if runs and target != module:
                graph.setdefault(module, set()).add(target)
            if other != package and (LEVEL[other] >= LEVEL[package] or (package, other) in STRANGERS):
                found.append(f"{module} imports {target}, which {package} must not know")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' <- '.join(error.args[1])}")
    return found


def find_too_long(module: str, source: str) -> list[str]:
    """Return the modules and classes that are too long and give no reason in their docstrings."""
    tree = ast.parse(source)
    found = []
    lines = len(source.splitlines())
    if lines > MAX_MODULE_LINES and "Long because" not in (ast.get_docstring(tree) or ""):
        found.append(f"{module} has {lines} lines")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MAX_CLASS_LINES and "Long because" not in (ast.get_docstring(node) or ""):
                found.append(f"{module}.{node.name} has {lines} lines")
    return found


def list_imports_at_load(source: str) -> set[str]:
    """Return the top-level names of what a module imports when it is loaded, without the package itself."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_for_types_only(node):
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
        waiting.extend(ast.iter_child_nodes(node))
    return names - {PACKAGE}


def names_the_folder(source: str) -> bool:
    """Return whether the code of a module, not its docstrings, has ``schemas`` as a path or a part of one."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and re.search(r"(?:^|[\s/])schemas(?:/|$)", node.value) is not None
        for node in ast.walk(tree)
    )


CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep", "time", "time_ns"}


def list_clock_reads(source: str) -> list[str]:
    """Return the calls and imports of a module that read a clock which a test can freeze."""
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "time"
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [alias.name for alias in node.names if alias.name in CLOCKS]
        if isinstance(node, ast.Attribute):
            of_time = isinstance(node.value, ast.Name) and node.value.id in names and node.attr in CLOCKS
            if of_time or node.attr in ("now", "utcnow", "today", "new_event_loop"):
                found.append(ast.unparse(node))
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            # The deadline of Popen.wait stands still with the clock.
            is_wait = called.endswith("process.wait") and bool(node.args or node.keywords)
            is_date = called.endswith("formatdate") and not node.args
            # The timers of a loop stand still too.
            factories = [ast.unparse(one.value) for one in node.keywords if one.arg == "loop_factory"]
            is_loop = called in ("asyncio.run", "asyncio.Runner") and factories != ["new_event_loop"]
            if is_wait or is_date or is_loop:
                found.append(called)
    return found


def test_imports_go_down_and_never_in_a_circle() -> None:
    assert len(SOURCES) > 40
    assert find_offences(SOURCES) == []


def test_every_package_belongs_to_one_level() -> None:
    assert sum(map(len, LEVELS)) == len(LEVEL)
    assert {module.partition(".")[0] for module in SOURCES} == set(LEVEL)


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_modules_and_classes_are_short_or_give_a_reason(module: str) -> None:
    assert find_too_long(module, SOURCES[module]) == []


def test_too_long_modules_and_classes_are_reported() -> None:
    assert find_too_long("m", "\n" * 501) == ["m has 501 lines"]
    assert find_too_long("m", '"""It.\n\nLong because it is a table.\n"""\n' + "\n" * 501) == []
    assert find_too_long("m", "class C:\n" + "    x = 1\n" * 250) == ["m.C has 251 lines"]


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        pytest.param(
            {"wire.urls": "from ..judging.message import Message"},
            "wire.urls imports judging.message",
            id="up",
        ),
        pytest.param(
            {"judging.message": "def later():\n    from .. import inbox"},
            "judging.message imports inbox",
            id="up-late",
        ),
        pytest.param(
            {"inbox.inbox": "if TYPE_CHECKING:\n    import logto_mail_contract.plugin"},
            "inbox.inbox imports plugin",
            id="up-for-types",
        ),
        pytest.param(
            {"receivers.receiver": "from ..senders.sender import Sender"},
            "receivers.receiver imports senders.sender",
            id="sideways",
        ),
        pytest.param(
            {"serve.app": "from ..endpoint import server"},
            "serve.app imports endpoint.server",
            id="strangers",
        ),
        pytest.param(
            {"findings": "from logto_mail_contract import check"},
            "findings imports __init__",
            id="the-package",
        ),
        pytest.param(
            {
                "judging.requests": "from . import validation",
                "judging.validation": "from .requests import judge",
            },
            "a circle: ",
            id="circle",
        ),
        pytest.param(
            {
                "judging.requests": "def later():\n    from . import validation",
                "judging.validation": "from . import requests",
            },
            "a circle: ",
            id="circle-late",
        ),
        pytest.param(
            {"suite.engine": "from importlib import import_module\nimport_module('x')"},
            "suite.engine imports by a string",
            id="by-string",
        ),
        pytest.param(
            {"suite.engine": "import importlib\nimportlib.import_module('x')"},
            "suite.engine imports by a string",
            id="by-string-of-the-module",
        ),
        pytest.param({"helpers": "import json"}, "helpers stands in no package", id="no-level"),
    ],
)
def test_offenders_are_reported(changes: dict[str, str], reported: str) -> None:
    added = set(find_offences({**SOURCES, **changes})) - set(find_offences(SOURCES))
    assert any(sentence.startswith(reported) for sentence in added), added


@pytest.mark.parametrize("module", ["__init__", "plugin", "masking", "findings", "catalogue"])
def test_modules_that_every_run_may_load_import_nothing_heavy(module: str) -> None:
    allowed = sys.stdlib_module_names | ({"pytest"} if module == "plugin" else set())
    assert list_imports_at_load(SOURCES[module]) - allowed == set()


def test_imports_for_types_only_close_no_circle() -> None:
    sources = {
        "judging.requests": "if TYPE_CHECKING:\n    from .validation import x",
        "judging.validation": "from . import requests",
    }
    assert find_offences(sources) == []


def test_heavy_imports_at_load_are_reported() -> None:
    assert list_imports_at_load("import json\nclass A:\n    from werkzeug.serving import x\n") == {
        "json",
        "werkzeug",
    }
    assert (
        list_imports_at_load("def later():\n    import werkzeug\nif TYPE_CHECKING:\n    import ssl\n")
        == set()
    )


def test_only_the_catalogue_names_the_schemas_folder() -> None:
    assert [module for module, source in SOURCES.items() if names_the_folder(source)] == ["catalogue"]


def test_a_use_of_the_schemas_folder_is_found() -> None:
    assert names_the_folder("x = root / 'schemas'")
    assert names_the_folder("x = open(f'{root}/schemas/index.json')")
    assert not names_the_folder("'''See schemas/.'''\nx = 'under any of the given schemas here'")


def test_only_the_clock_reads_the_time() -> None:
    reading = {module: found for module, source in SOURCES.items() if (found := list_clock_reads(source))}
    # It is the one that makes the loops with a clock of their own.
    assert reading.pop("clock") == ["asyncio.new_event_loop"]
    assert reading == {}


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()",
        "import time as t\nt.sleep(1)",
        "from time import perf_counter",
        "import datetime\ndatetime.datetime.now(UTC)",
        "from datetime import date\ndate.today()",
        "from email.utils import formatdate\nformatdate(usegmt=True)",
        "asyncio.new_event_loop()",
        "process.wait(timeout=3)",
        "asyncio.run(main())",
        "asyncio.Runner(loop_factory=None)",
    ],
)
def test_a_read_of_another_clock_is_found(source: str) -> None:
    assert list_clock_reads(source)


def test_a_format_of_a_time_is_no_read_of_a_clock() -> None:
    assert list_clock_reads("import time\ntime.strftime('%H', time.localtime(1))\nformatdate(1)") == []
    assert list_clock_reads("asyncio.Runner(loop_factory=new_event_loop)") == []


# What is loaded when: always to the end of the process, as the modules that exit handlers pull in count too.

# The handler that is registered first runs last.
DRIVER = """
import atexit, json, sys
def dump(path=sys.argv[1]):
    with open(path, "w") as file:
        json.dump(sorted(sys.modules), file)
atexit.register(dump)
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""
IDLE = """
import pytest

@pytest.fixture
def own():
    yield 1

def test_passes(own):
    assert own == 1

def test_fails():
    assert [1, 2] == [1, 3]

@pytest.mark.skip
def test_is_skipped():
    pass
"""
WORKING = """
import http.client
from urllib.parse import urlsplit

import pytest

def post(url, body):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status

@pytest.mark.mail_contract(lenient=True)
def test_receives(mail_endpoint):
    body = b'{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "000000"}}'
    assert post(mail_endpoint.url, body) == 200
    assert mail_endpoint.inbox.latest().code == "000000"
    assert post(mail_endpoint.url, b'{"to": "foo@example.com"}') == 400
"""


def modules_after_session(folder: Path, test: str, *options: str, exit_code: int) -> set[str]:
    """Run pytest on one test file, with no plugin but those in ``options``; return what it had loaded."""
    folder.mkdir()
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    environment.pop("PYTEST_PLUGINS", None)
    result = subprocess.run(
        [sys.executable, "-c", DRIVER, "modules.json", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == exit_code, result.stdout + result.stderr
    return set(json.loads((folder / "modules.json").read_text(encoding="utf-8")))


def test_an_idle_session_loads_nothing_heavy(tmp_path: Path) -> None:
    without = modules_after_session(tmp_path / "without", IDLE, exit_code=1)
    idle = modules_after_session(tmp_path / "idle", IDLE, "-p", PACKAGE, exit_code=1)
    working = modules_after_session(tmp_path / "working", WORKING, "-p", PACKAGE, exit_code=0)
    # The header line prints the current revision; reading it loads a varying part of importlib.
    new = {name for name in idle - without if not name.startswith("importlib.resources")}
    assert new == {PACKAGE, f"{PACKAGE}.plugin", f"{PACKAGE}.catalogue"}
    # The names in the list are right: a session that uses the fixture does load most of them.
    assert set(HEAVY) - working <= {"asyncio", "h11", "hypothesis", "trustme"}
    assert set(HEAVY) & (idle - without) == set()


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after a statement."""
    code = (
        f"import json, sys\nbefore = set(sys.modules)\n{statement}\n"
        "print(json.dumps(list(set(sys.modules) - before)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(result.stdout))


def test_the_bare_import_loads_no_other_module() -> None:
    loaded = loaded_by(f"import {PACKAGE}")
    assert {name for name in loaded if name.split(".")[0] == PACKAGE} == {PACKAGE}
    assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | {PACKAGE}
    assert not set(HEAVY) & loaded
    assert f"{PACKAGE}.judging.validation" in loaded_by(f"import {PACKAGE}; {PACKAGE}.validate")


def test_every_public_name_resolves_to_the_object_of_its_module() -> None:
    assert logto_mail_contract.__all__ == sorted(logto_mail_contract.__all__)
    typed = {
        alias.name: node.module
        for node in ast.walk(ast.parse(SOURCES["__init__"]))
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    # A type checker sees the names that exist at run time.
    assert sorted(typed) == logto_mail_contract.__all__
    for name, module in typed.items():
        public = getattr(logto_mail_contract, name)
        assert public is getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)
        assert name in dir(logto_mail_contract)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(logto_mail_contract, "nothing")  # noqa: B009 - a plain access is an error for mypy


def test_without_the_plugin_pytest_prints_the_remedy() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", f"no:{PACKAGE}", "--collect-only", __file__],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == pytest.ExitCode.USAGE_ERROR, result.stdout + result.stderr
    assert result.stderr.startswith("ERROR: these tests need the pytest plugin logto_mail_contract")
    assert "make test" in result.stderr
    assert "Traceback" not in result.stderr
