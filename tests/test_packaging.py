"""What is shipped: the files of wheel and sdist, their metadata, the wheel at work without the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email import message_from_string
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = PYPROJECT["project"]["version"]
WHEEL = f"logto_mail_contract-{VERSION}-py3-none-any.whl"
SDIST = f"logto_mail_contract-{VERSION}.tar.gz"
DIST_INFO = f"logto_mail_contract-{VERSION}.dist-info"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command and return what it wrote; a failure shows it."""
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
    """Build a wheel or sdist with the build backend of this environment; return the file."""
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
    """Return what is too much (+) and what is missing (-)."""
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
    """Return the files that git tracks: what is meant to be in the project."""
    if not (ROOT / ".git").exists():
        reason = "not a git checkout: nothing tells which files belong to the project"
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


def test_the_wheel_holds_the_package_and_the_schemas(wheel: Path, tracked: set[str]) -> None:
    files = files_of_wheel(wheel)
    assert differences(files, expected_in_wheel(tracked)) == []
    # Said once more without git, so that a rule that matches nothing is seen.
    assert {
        "logto_mail_contract/__init__.py",
        "logto_mail_contract/plugin.py",
        "logto_mail_contract/py.typed",
        "logto_mail_contract/schemas/index.json",
        "logto_mail_contract/schemas/1.35/send-message-data.schema.json",
    } <= files
    assert not [name for name in files if "test" in name.rpartition("/")[2] or name.endswith(".pyc")]


def test_the_sdist_holds_what_git_tracks(sdist: Path, tracked: set[str]) -> None:
    assert differences(files_of_sdist(sdist), tracked | {"PKG-INFO"}) == []


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / SDIST.removesuffix(".tar.gz"), "wheel", tmp_path)
    assert differences(files_of_wheel(again), files_of_wheel(wheel)) == []
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(wheel) as other:
        assert [name for name in one.namelist() if one.read(name) != other.read(name)] == []


def test_a_wheel_without_schemas_or_with_a_stray_file_is_seen(tracked: set[str], tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in tracked:
        if name.startswith(("contract/", "schemas/")) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    (source / "contract" / "logto_mail_contract" / "scratch.py").write_text("", encoding="utf-8")
    pyproject = source / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    broken = text.replace('["contract/logto_mail_contract", "schemas"]', '["contract/logto_mail_contract"]')
    assert broken != text
    pyproject.write_text(broken, encoding="utf-8")
    found = differences(files_of_wheel(build(source, "wheel", tmp_path)), expected_in_wheel(tracked))
    assert "+ logto_mail_contract/scratch.py" in found
    assert "- logto_mail_contract/schemas/index.json" in found


def test_the_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = message_from_string(archive.read(f"{DIST_INFO}/METADATA").decode())
        entry_points = archive.read(f"{DIST_INFO}/entry_points.txt").decode()
        licence = archive.read(f"{DIST_INFO}/licenses/LICENSE").decode()
    assert (about["Name"], about["Version"]) == ("logto-mail-contract", VERSION)
    assert about["Requires-Python"] == ">=3.11"
    assert about["License-Expression"] == "MIT"
    assert licence == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in licence
    assert (
        entry_points.split("\n\n")[0]
        == "[console_scripts]\nmail-contract = logto_mail_contract.commands.main:main"
    )
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
        "trustme": 'extra == "https"',
        "uvicorn": 'extra == "serve"',
        "uvloop": 'sys_platform != "win32" and extra == "serve"',
    }
    # A lower bound each, and no upper bound: an upper one would keep users from upgrading for nothing.
    assert [str(need) for need in needed if [part.operator for part in need.specifier] != [">="]] == []
    pythons = {
        line.rpartition(" ")[2] for line in about.get_all("Classifier", []) if re.search(r"3\.\d+$", line)
    }
    assert pythons == {"3.11", "3.12", "3.13"}


def test_the_version_is_one(tracked: set[str]) -> None:
    """The package says the version that it is shipped as, and the changelog has a section on it."""
    source = (ROOT / "contract" / "logto_mail_contract" / "__init__.py").read_text(encoding="utf-8")
    assert f'\n__version__ = "{VERSION}"\n' in source
    assert "CHANGELOG.md" in tracked
    assert f"\n## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# The wheel at work.


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a new environment with the wheel in it.

    The dependencies are this environment's: its folder of packages is added by a ``.pth`` file. Such files in
    that folder are not read, so that an editable install of the sources is not seen from there.
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
    said = result.stdout + result.stderr
    assert re.findall(r"^test_use\.py::(\w+) (\w+)", said, re.MULTILINE) == [
        ("test_is_the_installed_one", "PASSED"),
        ("test_receives", "PASSED"),
        ("test_breaks_the_contract", "FAILED"),
    ], said
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "mail-contract: revision 1.35, layer guard" in said


def test_the_command_works_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    message = tmp_path / "message.json"
    message.write_text(
        '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "123456"}}', encoding="utf-8"
    )
    run(installed / "bin" / "mail-contract", "validate", message, cwd=tmp_path)
    message.write_text('{"to": "foo@example.com", "type": "SignIn"}', encoding="utf-8")
    broken = subprocess.run(
        [installed / "bin" / "mail-contract", "validate", message],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert broken.returncode == 1
    assert "payload" in broken.stdout


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


# What the tests run with.


def pins() -> dict[str, str]:
    """Return the lines of ``constraints.txt``, by the canonical names."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.partition("==") for line in lines if not line.startswith("#")]
    assert all(sign == "==" and version for _, sign, version in found)
    return {canonicalize_name(name): version for name, _, version in found}


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
            further
            for further in map(Requirement, metadata.requires(name) or [])
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    assert differences(pins(), needed) == []


def test_the_tests_run_with_what_is_pinned() -> None:
    """In CI a version that is not the pinned one would prove something else than what users of `make` get."""
    if os.environ.get("CI") != "true":
        pytest.skip("only CI must run with exactly the pinned versions")
    assert {name: metadata.version(name) for name in pins()} == pins()


# The commands, where the machine is not as they need it.


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 1", "No Python 3.11 or later here; looked for: {python}."),
        ('case "$2" in *ensurepip*) exit 1;; esac', "{python} cannot make a virtual environment"),
    ],
    ids=["too-old", "no-venv"],
)
def test_make_tells_which_python_it_needs(script: str, told: str, tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    result = subprocess.run(
        ["make", "test", f"PYTHON={python}"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stderr.startswith(told.format(python=python)), result.stderr
    assert not (tmp_path / ".venv").exists()
