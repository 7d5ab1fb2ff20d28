"""The distributions: the files of wheel and sdist, their metadata, and the wheel without the sources."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import tomllib
import zipfile
from email import message_from_string
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import logto_mail_contract
from logto_mail_contract import strategies

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = PYPROJECT["project"]["version"]
WHEEL = f"logto_mail_contract-{VERSION}-py3-none-any.whl"
SDIST = f"logto_mail_contract-{VERSION}.tar.gz"
DIST_INFO = f"logto_mail_contract-{VERSION}.dist-info"
CONSUMER = ROOT / "tests" / "typing_consumer" / "consumer.py"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed and return its output."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, f"{command} exited with {result.returncode}:\n{result.stdout}"
    return result.stdout


def build(source: Path, kind: str, into: Path) -> Path:
    """Build a wheel or sdist with the build backend of this environment and return its path."""
    run(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", into, source, cwd=into)
    return into / (WHEEL if kind == "wheel" else SDIST)


def files_of_wheel(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def files_of_sdist(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        names = [member.name for member in archive.getmembers() if not member.isdir()]
    top = f"logto_mail_contract-{VERSION}/"
    assert all(name.startswith(top) for name in names)
    return {name.removeprefix(top) for name in names}


def differences(actual: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Return the surplus names (+) and the missing names (-)."""
    has, wants = set(actual), set(expected)
    return [f"+ {name}" for name in sorted(has - wants)] + [f"- {name}" for name in sorted(wants - has)]


def expected_in_wheel(tracked: Iterable[str]) -> set[str]:
    """Return the files of the wheel: the package, the folder ``schemas`` inside it, and the metadata."""
    package = {name.removeprefix("contract/") for name in tracked if name.startswith("contract/")}
    schemas = {f"logto_mail_contract/{name}" for name in tracked if name.startswith("schemas/")}
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    return package | schemas | {f"{DIST_INFO}/{name}" for name in about}


@pytest.fixture(scope="session")
def tracked() -> set[str]:
    """Return the files that git tracks."""
    if not (ROOT / ".git").exists():
        reason = "not a git checkout: the files of the project are unknown"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    names = run("git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", cwd=ROOT).split("\0")
    return {name for name in names if name}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the sources as they are."""
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sdist, built from the sources as they are."""
    return build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


def test_the_wheel_contains_the_package_and_the_schemas(wheel: Path, tracked: set[str]) -> None:
    files = files_of_wheel(wheel)
    assert differences(files, expected_in_wheel(tracked)) == []
    # Checked without git as well: a rule that matches no file must not pass.
    assert {
        "logto_mail_contract/__init__.py",
        "logto_mail_contract/plugin.py",
        "logto_mail_contract/py.typed",
        "logto_mail_contract/schemas/index.json",
        "logto_mail_contract/schemas/1.35/send-message-data.schema.json",
    } <= files
    assert not [name for name in files if "test" in name.rpartition("/")[2] or name.endswith(".pyc")]


def test_the_sdist_contains_the_files_that_git_tracks(sdist: Path, tracked: set[str]) -> None:
    assert differences(files_of_sdist(sdist), tracked | {"PKG-INFO"}) == []


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    rebuilt = build(tmp_path / SDIST.removesuffix(".tar.gz"), "wheel", tmp_path)
    assert differences(files_of_wheel(rebuilt), files_of_wheel(wheel)) == []
    with zipfile.ZipFile(rebuilt) as one, zipfile.ZipFile(wheel) as other:
        assert [name for name in one.namelist() if one.read(name) != other.read(name)] == []


def test_a_wheel_with_missing_or_extra_files_is_reported(tracked: set[str], tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in tracked:
        if name.startswith(("contract/", "schemas/")) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    (source / "contract" / "logto_mail_contract" / "scratch.py").write_text("", encoding="utf-8")
    pyproject = source / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    incomplete = text.replace(
        '["contract/logto_mail_contract", "schemas"]', '["contract/logto_mail_contract"]'
    )
    assert incomplete != text
    pyproject.write_text(incomplete, encoding="utf-8")
    found = differences(files_of_wheel(build(source, "wheel", tmp_path)), expected_in_wheel(tracked))
    assert "+ logto_mail_contract/scratch.py" in found
    assert "- logto_mail_contract/schemas/index.json" in found


def test_the_metadata_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = message_from_string(archive.read(f"{DIST_INFO}/METADATA").decode())
        entry_points = archive.read(f"{DIST_INFO}/entry_points.txt").decode()
        licence = archive.read(f"{DIST_INFO}/licenses/LICENSE").decode()
    assert (about["Name"], about["Version"]) == ("logto-mail-contract", VERSION)
    assert about["Requires-Python"] == ">=3.11"
    assert about["License-Expression"] == "MIT"
    urls = dict(url.split(", ") for url in about.get_all("Project-URL", []))
    assert set(urls) == {"Documentation", "Changelog", "Issues", "Source"}
    assert all(url.startswith(urls["Source"]) for url in urls.values())
    assert licence == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in licence
    # uvx and pipx run look for the distribution's name.
    assert entry_points.split("\n\n")[0].splitlines() == [
        "[console_scripts]",
        "logto-mail-contract = logto_mail_contract.commands.main:main",
        "mail-contract = logto_mail_contract.commands.main:main",
    ]
    assert entry_points.strip().endswith("[pytest11]\nlogto_mail_contract = logto_mail_contract.plugin")
    needed = [Requirement(line) for line in about.get_all("Requires-Dist", [])]
    assert {need.name for need in needed if need.marker is None} == {
        "ada-url",
        "httptools",
        "hypothesis",
        "jsonschema",
        "jsonschema-rs",
        "pytest",
        "pytest-httpserver",
        "selectolax",
    }
    assert {need.name: str(need.marker) for need in needed if need.marker is not None} == {
        "aiosmtpd": 'extra == "smtp"',
        "rich": 'extra == "progress"',
        "trustme": 'extra == "https"',
        "uvloop": 'sys_platform != "win32" and extra == "serve"',
    }
    # Lower bounds only: an upper bound would prevent upgrades without a reason.
    assert [str(need) for need in needed if [part.operator for part in need.specifier] != [">="]] == []
    pythons = {
        line.rpartition(" ")[2] for line in about.get_all("Classifier", []) if re.search(r"3\.\d+$", line)
    }
    assert pythons == {"3.11", "3.12", "3.13"}


def test_every_place_names_the_same_version(tracked: set[str]) -> None:
    """The package, its metadata and the changelog name the same version."""
    source = (ROOT / "contract" / "logto_mail_contract" / "__init__.py").read_text(encoding="utf-8")
    assert f'\n__version__ = "{VERSION}"\n' in source
    assert "CHANGELOG.md" in tracked
    assert f"\n## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# The wheel at work.


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a new environment with the wheel in it.

    A ``.pth`` file adds this environment's folder of packages for the dependencies. Python does not read the
    ``.pth`` files in that folder, so the editable install of the sources stays unseen.
    """
    home = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    python = home / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python),
        *("install", "--quiet", "--no-deps", "--no-index", wheel),
        cwd=home.parent,
    )
    packages = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    )
    assert packages.is_relative_to(home)
    others = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (packages / "dependencies.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    return home


USE = """
import http.client
import sys
from pathlib import Path
from urllib.parse import urlsplit

import logto_mail_contract


def post(url, body):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()


def test_is_the_installed_one():
    assert Path(logto_mail_contract.__file__).is_relative_to(sys.prefix)
    assert not [path for path in sys.path if path.endswith("contract")]


def test_receives(mail_endpoint):
    post(mail_endpoint.url, b'{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "123456"}}')
    assert mail_endpoint.inbox.latest().code == "123456"


def test_breaks_the_contract(mail_endpoint):
    post(mail_endpoint.url, b'{"to": "foo@example.com", "type": "SignIn"}')
"""


def test_the_fixture_works_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_use.py").write_text(USE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    result = subprocess.run(
        [installed / "bin" / "python", "-m", "pytest", "-v", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    output = result.stdout + result.stderr
    assert re.findall(r"^test_use\.py::(\w+) (\w+)", output, re.MULTILINE) == [
        ("test_is_the_installed_one", "PASSED"),
        ("test_receives", "PASSED"),
        ("test_breaks_the_contract", "FAILED"),
    ], output
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "mail-contract: revision 1.35, layer guard" in output


def test_the_command_works_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    message = tmp_path / "message.json"
    message.write_text(
        '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "123456"}}', encoding="utf-8"
    )
    run(installed / "bin" / "mail-contract", "validate", message, cwd=tmp_path)
    message.write_text('{"to": "foo@example.com", "type": "SignIn"}', encoding="utf-8")
    invalid = subprocess.run(
        [installed / "bin" / "mail-contract", "validate", message],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert invalid.returncode == 1
    assert "payload" in invalid.stdout


def test_serve_and_verify_run_from_the_wheel_by_the_name_of_the_distribution(
    installed: Path, tmp_path: Path
) -> None:
    """As ``uvx logto-mail-contract verify`` does. ``serve`` accepts messages, so it is a receiver here."""
    command = installed / "bin" / "logto-mail-contract"
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [command, "serve", "--port", "0", "--port-file", "port"], cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "port").exists():
            assert time.monotonic() < deadline, (tmp_path / "serve.log").read_text(encoding="utf-8")
            time.sleep(0.05)
        url = f"http://127.0.0.1:{(tmp_path / 'port').read_text(encoding='ascii').strip()}/"
        output = run(command, "verify", url, "--rules", "receiver/accept/sign-in", cwd=tmp_path)
    finally:
        server.kill()
        server.wait()
    assert "1 rule: 1 passed." in output


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("uvloop", "serve", ["serve", "--port", "0"]),
        ("aiosmtpd", "smtp", ["verify", "http://127.0.0.1:9/", "--smtp-sink", "0"]),
    ],
)
def test_without_an_extra_the_command_prints_the_line_that_has_it(
    package: str, extra: str, arguments: list[str], installed: Path, tmp_path: Path
) -> None:
    missing = f"raise ModuleNotFoundError(name={package!r})\n"
    (tmp_path / f"{package}.py").write_text(missing, encoding="utf-8")
    result = subprocess.run(
        [installed / "bin" / "logto-mail-contract", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.endswith(f" uvx 'logto-mail-contract[{extra}]' {arguments[0]}\n")


def test_the_package_can_be_imported_from_a_zip(wheel: Path, tmp_path: Path) -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import logto_mail_contract
assert logto_mail_contract.__file__.startswith(sys.argv[1])
message = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "123456"}}
print(len(logto_mail_contract.validate(message)))
print(len(logto_mail_contract.validate({**message, "to": 1})))
"""
    assert run(sys.executable, "-W", "error", "-c", code, wheel, cwd=tmp_path).split() == ["0", "1"]


# The types, as a consumer's type checker sees them.


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache for the runs of mypy: checking the dependencies needs most of the time."""
    return tmp_path_factory.mktemp("mypy")


def check_types(source: str, folder: Path, home: Path, cache: Path) -> tuple[int, str]:
    """Run ``mypy --strict`` on a module beside an installed wheel; return its exit code and its output."""
    (folder / "consumer.py").write_text(source, encoding="utf-8")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}"),
            *(f"--python-executable={home / 'bin' / 'python'}", "consumer.py"),
        ],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "MYPYPATH"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return result.returncode, result.stdout + result.stderr


def test_a_consumer_sees_the_expected_types(installed: Path, mypy_cache: Path, tmp_path: Path) -> None:
    source = CONSUMER.read_text(encoding="utf-8")
    assert check_types(source, tmp_path, installed, mypy_cache) == (
        0,
        "Success: no issues found in 1 source file\n",
    )


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("assert_type(message.to, str | None)", "assert_type(message.to, str)", "[assert-type]"),
        ("validate(MESSAGE, layer=1)", 'validate(MESSAGE, layer="guard")', "[unused-ignore]"),
    ],
    ids=["another-type", "no-mistake"],
)
def test_an_unexpected_type_is_reported(
    right: str, wrong: str, error: str, installed: Path, mypy_cache: Path, tmp_path: Path
) -> None:
    source = CONSUMER.read_text(encoding="utf-8")
    assert source.count(right) == 1
    code, output = check_types(source.replace(right, wrong), tmp_path, installed, mypy_cache)
    line = source[: source.index(right)].count("\n") + 1
    assert code == 1, output
    assert re.findall(r"^consumer\.py:(\d+): error: .*(\[[a-z-]+\])$", output, re.MULTILINE) == [
        (str(line), error)
    ], output


def test_a_wheel_without_its_type_marker_is_reported(
    installed: Path, mypy_cache: Path, tmp_path: Path
) -> None:
    home = shutil.copytree(installed, tmp_path / "venv", symlinks=True)
    (marker,) = home.glob("lib/*/site-packages/logto_mail_contract/py.typed")
    marker.unlink()
    code, output = check_types(CONSUMER.read_text(encoding="utf-8"), tmp_path, home, mypy_cache)
    assert code == 1, output
    assert "py.typed marker" in output


def test_the_consumer_uses_every_public_name() -> None:
    tree = ast.parse(CONSUMER.read_text(encoding="utf-8"))
    imported = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    public = {
        (module.__name__, name) for module in (logto_mail_contract, strategies) for name in module.__all__
    }
    assert public <= imported
    used = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    assert [name for _, name in sorted(public) if name not in used] == []


# The versions that the tests run with.


def pins() -> dict[str, str]:
    """Return the lines of ``constraints.txt``, by the canonical names."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.partition("==") for line in lines if not line.startswith("#")]
    assert all(sign == "==" and version for _, sign, version in found)
    return {canonicalize_name(name): version for name, _, version in found}


MATRIX = {canonicalize_name(Requirement(line).name) for line in PYPROJECT["dependency-groups"]["matrix"]}
"""What `make matrix` alone installs; none of it depends on anything."""


def test_every_dependency_is_pinned_and_nothing_else() -> None:
    project = PYPROJECT["project"]
    waiting = [
        Requirement(line)
        for line in [
            *PYPROJECT["build-system"]["requires"],
            *project["dependencies"],
            *project["optional-dependencies"]["https"],
            *PYPROJECT["dependency-groups"]["dev"],
        ]
    ]
    needed = {"pip"}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        need = waiting.pop()
        name, extras = canonicalize_name(need.name), frozenset(need.extras or {""})
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        needed.add(name)
        waiting += [
            required
            for required in map(Requirement, metadata.requires(name) or [])
            if required.marker is None or any(required.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    assert differences(pins(), needed | MATRIX) == []


def test_the_tests_run_with_the_pinned_versions() -> None:
    """Another version in CI would not test the versions that users of `make` get."""
    if os.environ.get("CI") != "true":
        pytest.skip("only CI must run with exactly the pinned versions")
    expected = {name: version for name, version in pins().items() if name not in MATRIX}
    assert {name: metadata.version(name) for name in expected} == expected


def listed_in_readme(text: str) -> set[str]:
    """Return the dependencies in the README's table, by the canonical names."""
    rows = text.partition("| dependency | why |\n| --- | --- |\n")[2].partition("\n\n")[0]
    return {canonicalize_name(name) for name in re.findall(r"^\| \[?([\w-]+)", rows, re.MULTILINE)}


def test_the_readme_lists_every_dependency() -> None:
    project = PYPROJECT["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    needed = {canonicalize_name(Requirement(line).name) for line in lines}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert listed_in_readme(text) == needed
    assert listed_in_readme(text.replace("| Hypothesis |", "| another |")) != needed
