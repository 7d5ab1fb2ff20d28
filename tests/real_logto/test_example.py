"""Tests ``examples/logto``: the script against the stand-in, compose file and workflow by what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml
from examples.logto import set_up
from tests.real_logto.conftest import VARIABLES
from tests.real_logto.flows import sign_up_with_a_code
from tests.real_logto.logto import Logto

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real_logto.conftest import Made
    from tests.real_logto.inbox import Inbox

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "logto"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
WORKFLOW: dict[str, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "real-logto.yml").read_text(encoding="utf-8")
)
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def run_script(monkeypatch: pytest.MonkeyPatch, **environment: str) -> int:
    """Run the script with some variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return set_up.main()


def test_the_script_gives_a_logto_whose_mail_is_in_the_inbox(
    start_stand_in: Callable[..., Made],
    mail_inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = start_stand_in()
    for _ in range(2):
        assert run_script(monkeypatch, **made.environment, MAIL_ENDPOINT=mail_inbox.endpoint) == 0
    assert f"Sign up at {made.stand_in.endpoint}/demo-app" in capsys.readouterr().out
    assert made.stand_in.state.connector == {"endpoint": mail_inbox.endpoint}
    endpoint, admin_endpoint, db_url = (made.environment[name] for name in VARIABLES)
    api = set_up.Management.sign_in(endpoint, admin_endpoint, set_up.read_secret(db_url))
    sign_up_with_a_code(Logto(endpoint, admin_endpoint, api, mail_inbox, db_url))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"LOGTO_DB_URL": "postgres://other"},
            "psql failed in Logto's database: another database",
        ),
        ({"LOGTO_ENDPOINT": "http://127.0.0.1:9"}, "GET http://127.0.0.1:9/api/connectors got no answer: "),
        ({"PATH": "/nowhere"}, "psql is missing, which reads Logto's database: install it"),
    ],
    ids=["other-database", "no-logto", "no-psql"],
)
def test_the_script_says_what_failed(
    changes: dict[str, str],
    reason: str,
    start_stand_in: Callable[..., Made],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_script(monkeypatch, **{**start_stand_in().environment, **changes}) == 1
    assert capsys.readouterr().err.startswith(f"set_up: {reason}")


def test_a_database_without_the_application_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/sh\n", encoding="utf-8")
    psql.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(set_up.SetUpError, match="the database has no application m-default"):
        set_up.read_secret("postgres://127.0.0.1/logto")


def test_a_secret_that_logto_refuses_is_reported(
    start_stand_in: Callable[..., Made],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = start_stand_in()
    made.stand_in.state.secret = "another"
    assert run_script(monkeypatch, **made.environment) == 1
    assert "/oidc/token got 401" in capsys.readouterr().err


def test_without_a_database_url_psql_runs_in_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$*"\n', encoding="utf-8")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    user, database = "postgres", SERVICES["postgres"]["environment"]["POSTGRES_DB"]
    assert set_up.read_secret(None) == (
        f"compose --file {FOLDER / 'compose.yaml'} exec -T postgres psql "
        f"--username={user} --dbname={database} -At -c {set_up.SECRET_QUERY}"
    )


def test_the_tests_run_against_the_logto_that_the_environment_names(
    start_stand_in: Callable[..., Made],
) -> None:
    """The stand-in stands for a real one here, from the variables to the outcome."""
    made = start_stand_in(timestamp=1769172677)
    environment = {**os.environ, **made.environment, "LOGTO_REQUIRED": "1"}
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "MAIL_ENDPOINT"):
        environment.pop(name, None)
    tests = ["tests/real_logto/test_real_logto.py", "-k", "test_a_real_logto and not silence"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout
    # Three features came later than this release.
    assert re.search(r"26 passed, 3 skipped", result.stdout), result.stdout
    assert "Logto 1.36.0 does not do this; 1.39.0 is the first release that does" in result.stdout


# The files that only a container engine can run.


def lint(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """Judge YAML files by a schema that is installed with the tool."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    command += map(str, files)
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_compose_file_and_workflows_are_valid(tmp_path: Path) -> None:
    compose, workflows = FOLDER / "compose.yaml", sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert lint("compose-spec", compose).returncode == 0
    assert lint("github-workflows", *workflows).returncode == 0
    broken = tmp_path / "compose.yaml"
    broken.write_text(compose.read_text(encoding="utf-8").replace("retries:", "retry:"), encoding="utf-8")
    result = lint("compose-spec", broken)
    assert result.returncode == 1
    assert "healthcheck" in result.stdout


def find_ports(service: str) -> dict[int, int]:
    """Return the ports of a service by what they are published at; all are on loopback."""
    published = {}
    for entry in SERVICES[service]["ports"]:
        host, outside, inside = entry.split(":")
        assert host == "127.0.0.1", f"{service} is published to the network"
        published[int(outside)] = int(inside)
    return published


def test_each_service_has_an_image_and_a_health_check() -> None:
    assert set(SERVICES) == {"postgres", "mail", "logto"}
    for service in SERVICES.values():
        assert ("image" in service) != ("build" in service)
        check = service["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert re.fullmatch(r"\d+s", check["interval"])
    assert SERVICES["logto"]["image"].startswith("svhd/logto:")
    assert SERVICES["logto"]["depends_on"] == {
        name: {"condition": "service_healthy"} for name in ("postgres", "mail")
    }


def test_the_urls_of_script_readme_and_workflow_reach_the_services() -> None:
    environment = SERVICES["logto"]["environment"]
    settings = SERVICES["postgres"]["environment"]
    inside = urlsplit(environment["DB_URL"])
    assert (inside.hostname, inside.port, inside.path) == ("postgres", 5432, f"/{settings['POSTGRES_DB']}")
    assert (inside.username, inside.password) == ("postgres", settings["POSTGRES_PASSWORD"])
    variables = WORKFLOW["jobs"]["flows"]["env"]
    outside = urlsplit(variables["LOGTO_DB_URL"])
    assert outside._replace(netloc="") == inside._replace(netloc="")
    assert (outside.username, outside.password) == (inside.username, inside.password)
    assert outside.port in find_ports("postgres")
    for name, variable in (("ENDPOINT", "LOGTO_ENDPOINT"), ("ADMIN_ENDPOINT", "LOGTO_ADMIN_ENDPOINT")):
        assert environment[name] == variables[variable]
        assert urlsplit(environment[name]).port in find_ports("logto")
    mail = urlsplit(variables["MAIL_ENDPOINT"])
    assert mail.hostname in SERVICES
    assert mail.port == find_ports("mail")[urlsplit(variables["MAIL_INBOX"]).port or 0]
    assert f"--port {mail.port}" in SERVICES["mail"]["command"]
    script = (FOLDER / "set_up.py").read_text(encoding="utf-8")
    for value in (variables["LOGTO_ENDPOINT"], variables["LOGTO_ADMIN_ENDPOINT"], variables["MAIL_ENDPOINT"]):
        assert f'"{value}"' in script
    for name, value in variables.items():
        assert name == "LOGTO_REQUIRED" or f"{name}={value}" in README
    assert variables["LOGTO_REQUIRED"] == "1"


def test_the_image_of_the_inbox_is_built_from_the_files_that_it_copies(tmp_path: Path) -> None:
    lines = SERVICES["mail"]["build"]["dockerfile_inline"].splitlines()
    assert (FOLDER / SERVICES["mail"]["build"]["context"]).resolve() == ROOT
    for line in lines:
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            place = tmp_path / target.removeprefix("/")
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    result = subprocess.run([*command, tmp_path / "project"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [*(tmp_path / "dist").glob("logto_mail_contract-*.whl")]


def test_the_workflow_runs_the_tests_with_the_services() -> None:
    (steps,) = [job["steps"] for job in WORKFLOW["jobs"].values()]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[0] == "docker compose --file examples/logto/compose.yaml up --detach --wait"
    assert commands[1] == 'make unit ARGS="tests/real_logto/test_real_logto.py"'
    assert (ROOT / "examples/logto/compose.yaml").is_file()
