"""Tests the parts of ``docs/serve.md`` that the page cannot execute: services in YAML, JavaScript."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.logto.node import skip_or_fail
from tests.support.executed_documents import ROOT, blocks

from logto_mail_contract.commands import main as cli
from logto_mail_contract.commands.parser import build_parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

PAGE = re.sub("<!-- ports: .* -->", "", (ROOT / "docs" / "serve.md").read_text(encoding="utf-8"))
PORT = 8025
START_SECONDS = 60
INVALID = b'{"to": "foo@example.com", "type": "Invitation", "payload": {}}'
BOTH = b'{"to": "foo@example.com", "type": "Generic", "payload": {"code": "042137", "link": "https://example.com/"}}'


def read_blocks(language: str) -> list[str]:
    """Return the blocks of the page in a language."""
    return [block.text for block in blocks(PAGE) if block.language == language]


COMPOSE, STEPS, SERVICE = (yaml.safe_load(text) for text in read_blocks("yaml"))


def options(command: str) -> argparse.Namespace:
    """Parse ``mail-contract serve …`` with the command's own parser."""
    name, *words = shlex.split(command)
    assert name == "mail-contract"
    read = build_parser().parse_args(words)
    assert read.subcommand == "serve"
    return read


def environment() -> dict[str, str]:
    """Return an environment whose path has the commands of this one, and ``python``."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in a shell with the options of GitHub's."""
    return subprocess.run(
        ["bash", "-e", "-c", command],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """Run ``mail-contract serve`` and yield its port."""
    file = folder / "port"
    command = [
        sys.executable,
        "-m",
        "logto_mail_contract.commands.main",
        "serve",
        "--port",
        "0",
        "--port-file",
        file,
    ]
    with subprocess.Popen(list(map(str, command)), env=environment(), stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not file.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield int(file.read_text(encoding="ascii"))
        finally:
            process.kill()


def post(url: str, body: bytes) -> int:
    """Post JSON and return the status."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def unused_port(folder: Path) -> int:
    """Return a port on which nothing listens."""
    with serving(folder) as port:
        return port


def test_the_page_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert named == set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert options("mail-contract serve").port == PORT


def test_every_path_that_the_page_names_exists(tmp_path: Path) -> None:
    """The lines for Playwright and Cypress and the table are not executed by the page."""
    named = set(re.findall(r"/api/[a-z0-9/.{}-]*[a-z}]|/healthz", PAGE))
    assert len(named) > 9
    with serving(tmp_path) as port:
        origin = f"http://127.0.0.1:{port}"
        assert post(f"{origin}/tenant-a", BOTH) == 200
        for path in named:
            with urllib.request.urlopen(origin + path.replace("{id}", "1"), timeout=10) as response:
                assert response.status == 200, path


@pytest.mark.parametrize(
    "command",
    [COMPOSE["services"]["mail"]["command"], SERVICE["services"]["mail"]["command"]],
    ids=["compose", "service-container"],
)
def test_a_container_listens_at_its_published_port(command: str) -> None:
    arguments = shlex.split(command)
    if arguments[0] == "sh":
        install, _, command = arguments[2].partition(" && exec ")
        assert install == "pip install 'logto-mail-contract[serve]'"
    read = options(command)
    assert (read.host, read.port) == ("0.0.0.0", PORT)
    for services in (COMPOSE["services"], SERVICE["services"]):
        assert services["mail"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]


def test_the_container_of_the_compose_file() -> None:
    mail, logto = COMPOSE["services"]["mail"], COMPOSE["services"]["logto"]
    image, install = mail["build"]["dockerfile_inline"].splitlines()
    assert image == "FROM python:3.13-slim" == f"FROM {SERVICE['services']['mail']['image']}"
    assert install.startswith("RUN pip install ")
    assert shlex.split(install)[-1] == "logto-mail-contract[serve]"
    assert logto["depends_on"] == {"mail": {"condition": "service_healthy"}}
    assert "ports" not in logto


def health_commands() -> list[str]:
    kind, *arguments = COMPOSE["services"]["mail"]["healthcheck"]["test"]
    assert kind == "CMD"
    flags = shlex.split(SERVICE["services"]["mail"]["options"])
    return [shlex.join(arguments), flags[flags.index("--health-cmd") + 1]]


@pytest.mark.parametrize("command", health_commands(), ids=["compose", "service-container"])
def test_the_health_command_passes_while_it_serves(command: str, tmp_path: Path) -> None:
    assert f":{PORT}/" in command
    with serving(tmp_path) as port:
        checked = shell(command.replace(f":{PORT}/", f":{port}/"))
        assert checked.returncode == 0, checked.stdout
    assert shell(command.replace(f":{PORT}/", f":{port}/")).returncode != 0


def test_the_steps_of_the_workflow(tmp_path: Path) -> None:
    """Runs the steps about the endpoint, one shell each as on GitHub, before and after an invalid message."""
    skip_or_fail(None if shutil.which("jq") else "the steps of the workflow need jq: apt-get install jq")
    port = unused_port(tmp_path)
    runs = [step["run"] for step in STEPS["steps"] if "run" in step]
    install, start, _, verdict = (run.replace(str(PORT), str(port)) for run in runs)
    assert install == "pip install 'logto-mail-contract[serve]'"
    assert options(start.partition(" > ")[0]).host == "127.0.0.1"
    start = f"cd {shlex.quote(str(tmp_path))}\n{start}\necho $! > server.pid"
    verdict = f"cd {shlex.quote(str(tmp_path))}\n{verdict}"
    try:
        started = shell(start)
        assert started.returncode == 0, started.stdout
        passed = shell(verdict)
        assert passed.returncode == 0, passed.stdout
        assert post(f"http://127.0.0.1:{port}/", INVALID) == 400
        # The log is printed a moment after the delivery is recorded.
        deadline = time.monotonic() + 30
        while "message/guard/type" not in (failed := shell(verdict)).stdout:
            assert time.monotonic() < deadline, failed.stdout
        assert failed.returncode == 1, failed.stdout
    finally:
        if (tmp_path / "server.pid").exists():
            os.kill(int((tmp_path / "server.pid").read_text(encoding="ascii")), 9)


def test_the_lines_for_playwright_are_those_of_the_example() -> None:
    example = (ROOT / "examples" / "e2e" / "signup.spec.ts").read_text(encoding="utf-8")
    (lines,) = read_blocks("ts")
    assert lines in example


def test_the_lines_for_cypress(tmp_path: Path) -> None:
    """They are JavaScript and fill in a field of the example's app."""
    (lines,) = read_blocks("js")
    app = (ROOT / "examples" / "e2e" / "app.mjs").read_text(encoding="utf-8")
    fields = re.findall(r"input\[name=(\w+)\]", lines)
    assert fields == ["code"]
    assert all(f'<input name="{field}"' in app for field in fields)
    node: Any = shutil.which("node")
    skip_or_fail(None if node else "checking the JavaScript needs Node, which is not installed")
    (tmp_path / "signup.cy.js").write_text(lines, encoding="utf-8")
    checked = subprocess.run([node, "--check", tmp_path / "signup.cy.js"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
