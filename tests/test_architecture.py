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
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.py"))}

# An import goes down or sideways on its floor. A new module gets its place here.
FLOORS = (
    {"catalogue", "exit_codes", "findings", "javascript_json", "message"},
    {"cases", "exchange", "message_strategies", "mutation_strategies", "request_strategies", "strategies"}
    | {"validation"},
    {"endpoint", "http1", "http1_answer", "in_process", "inbox", "outbox", "replies", "reply_documents"}
    | {"sending", "standing_wire", "store", "transport"},
    {"accept_rules", "answer_rules", "deliver_rules", "receiver", "suite"}
    | {"sender", "sender_rules", "sender_suite"}
    | {"inbox_api", "standing_app", "standing_endpoint", "standing_server"},
    {"cli", "commands", "desk", "plugin", "report", "serve", "validate_command", "verify", "verify_suite"}
    | {"verify_sender"},
    # The name of the package itself: it offers what is in the modules, and none of them asks it for anything.
    {"__init__"},
)
FLOOR = {module: number for number, floor in enumerate(FLOORS, start=1) for module in floor}

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
    f"{PACKAGE}.endpoint",
    f"{PACKAGE}.exchange",
    f"{PACKAGE}.inbox",
    f"{PACKAGE}.validation",
)


def for_types_alone(node: ast.AST) -> bool:
    """Tell whether a node is a block that never runs, ``if TYPE_CHECKING:`` without an ``else``."""
    return isinstance(node, ast.If) and not node.orelse and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the modules of the package that a module's source imports, wherever in it.

    The second value tells whether that ever runs: an import for types alone does not.
    """
    tree = ast.parse(source)
    idle = {id(node) for block in ast.walk(tree) if for_types_alone(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = ".".join(filter(None, [PACKAGE if node.level else "", node.module]))
            # `from . import name`: a module, or else something of the package itself. The version is a fact
            # that stands there, and nothing is loaded for it.
            if module == PACKAGE:
                wanted = [alias.name for alias in node.names if alias.name != "__version__"]
                names = [f"{PACKAGE}.{name if name in FLOOR else '__init__'}" for name in wanted]
            else:
                names = [module]
        for name in names:
            top, _, rest = name.partition(".")
            if top == PACKAGE:
                yield rest or "__init__", id(node) not in idle


def offences(sources: dict[str, str]) -> list[str]:
    """Return what breaks the import direction, in sentences.

    What is imported for types alone has a direction too, but closes no circle.
    """
    found = [f"{module} stands on no floor" for module in sources if module not in FLOOR]
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        for target, runs in imports(source):
            if runs:
                graph.setdefault(module, set()).add(target)
            if module in FLOOR and FLOOR.get(target, 0) > FLOOR[module]:
                found.append(f"{module} imports {target}, which stands above it")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' <- '.join(error.args[1])}")
    return found


def imported_at_load(source: str) -> set[str]:
    """Return the top-level names of what a module imports when it is loaded, without the package itself."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or for_types_alone(node):
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
        waiting.extend(ast.iter_child_nodes(node))
    return names - {PACKAGE}


def names_the_folder(source: str) -> bool:
    """Tell whether the code of a module, not its docstrings, holds ``schemas`` as a path or a part of one."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and re.search(r"(?:^|[\s/])schemas(?:/|$)", node.value) is not None
        for node in ast.walk(tree)
    )


def test_imports_go_down_or_sideways_and_never_in_a_circle() -> None:
    # One flat package: a module in a folder below would need a place too, and hide one of the same name.
    assert set(SOURCES) == {path.stem for path in FOLDER.glob("*.py")}
    assert len(SOURCES) > 10
    assert offences(SOURCES) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"message": "from .validation import validate"}, "message imports validation, which", id="up"
        ),
        pytest.param(
            {"validation": "def later():\n    from . import endpoint"},
            "validation imports endpoint, which",
            id="up-late",
        ),
        pytest.param(
            {"inbox": "if TYPE_CHECKING:\n    import logto_mail_contract.plugin"},
            "inbox imports plugin, which",
            id="up-for-types",
        ),
        pytest.param(
            {"findings": "from logto_mail_contract import check"},
            "findings imports __init__, which",
            id="the-package",
        ),
        pytest.param(
            {"exchange": "from . import validation", "validation": "from . import exchange"},
            "a circle: ",
            id="circle",
        ),
        pytest.param(
            {"report": "def later():\n    from . import verify", "verify": "from . import report"},
            "a circle: ",
            id="circle-late",
        ),
        pytest.param({"helpers": "import json"}, "helpers stands on no floor", id="no-floor"),
    ],
)
def test_offenders_are_told(changes: dict[str, str], told: str) -> None:
    added = set(offences({**SOURCES, **changes})) - set(offences(SOURCES))
    assert any(sentence.startswith(told) for sentence in added), added


@pytest.mark.parametrize("module", sorted({"__init__", "plugin", *FLOORS[0]}))
def test_what_every_run_may_load_is_light(module: str) -> None:
    allowed = sys.stdlib_module_names | ({"pytest"} if module == "plugin" else set())
    assert imported_at_load(SOURCES[module]) - allowed == set()


def test_types_alone_close_no_circle() -> None:
    assert (
        offences({"report": "if TYPE_CHECKING:\n    from .verify import x", "verify": "from . import report"})
        == []
    )


def test_heavy_imports_at_load_are_seen() -> None:
    assert imported_at_load("import json\nclass A:\n    from werkzeug.serving import x\n") == {
        "json",
        "werkzeug",
    }
    assert imported_at_load("def later():\n    import werkzeug\nif TYPE_CHECKING:\n    import ssl\n") == set()


def test_only_the_catalogue_knows_the_folder() -> None:
    assert [module for module, source in SOURCES.items() if names_the_folder(source)] == ["catalogue"]


def test_the_folder_is_recognised() -> None:
    assert names_the_folder("x = root / 'schemas'")
    assert names_the_folder("x = open(f'{root}/schemas/index.json')")
    assert not names_the_folder("'''See schemas/.'''\nx = 'under any of the given schemas here'")


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
    # The header line tells the current revision, and reading it takes a bit of importlib: how much, varies.
    new = {name for name in idle - without if not name.startswith("importlib.resources")}
    assert new == {PACKAGE, f"{PACKAGE}.plugin", f"{PACKAGE}.catalogue"}
    # The names in the list are right: a session that uses the fixture does load most of them.
    assert set(HEAVY) - working <= {"asyncio", "h11", "hypothesis", "trustme"}
    assert set(HEAVY) & (idle - without) == set()


def loaded_by(statement: str) -> set[str]:
    """Return what a fresh Python has loaded after a statement."""
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
    assert f"{PACKAGE}.validation" in loaded_by(f"import {PACKAGE}; {PACKAGE}.validate")


def test_every_public_name_resolves_to_the_object_of_its_module() -> None:
    assert logto_mail_contract.__all__ == sorted(logto_mail_contract.__all__)
    typed = {
        alias.name: node.module
        for node in ast.walk(ast.parse(SOURCES["__init__"]))
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    # What a type checker sees is what there is.
    assert sorted(typed) == logto_mail_contract.__all__
    for name, module in typed.items():
        public = getattr(logto_mail_contract, name)
        assert public is getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)
        assert name in dir(logto_mail_contract)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(logto_mail_contract, "nothing")  # noqa: B009 - a plain access is an error for mypy


def test_without_the_plugin_pytest_says_what_to_do() -> None:
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
