"""Runs ``examples/e2e`` as a reader does: the app and both of its end-to-end tests.

The content of a mail is judged in process. Other tests cover ``mail-contract serve``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.logto.node import require_packages, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logto_mail_contract import MailEndpoint

FOLDER = Path(__file__).parents[1] / "examples" / "e2e"
PREFIX = "examples/e2e"
AUTHORIZATION = "Bearer s3cret"


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of the examples: this one's commands, no variables of this pytest run."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "MAIL_", "APP_", "PORT"))
    }
    path = os.pathsep.join([sysconfig.get_path("scripts"), inherited["PATH"]])
    return {**inherited, "PATH": path, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **variables}


def lacks_chromium() -> str | None:
    """Return what this machine lacks to run a browser, or None. It searches as the example does."""
    if os.environ.get("CHROMIUM") or any(
        map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    ):
        return None
    return "the sign-up in a browser needs Chromium: apt-get install chromium, or name one in CHROMIUM"


def run(*command: str | Path, folder: Path = FOLDER, **variables: str) -> tuple[int, str]:
    """Run a command in a folder and return its exit code and its output."""
    result = subprocess.run(
        [str(argument) for argument in command],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return result.returncode, result.stdout


# The end-to-end tests.


def pytest_command() -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_signup.py"]


def test_the_python_example_passes() -> None:
    require_packages(FOLDER, PREFIX)
    code, output = run(*pytest_command())
    assert code == 0, output
    assert "3 passed" in output


@pytest.mark.parametrize(
    ("right", "wrong", "failing"),
    [
        ("{ code, triesLeft", "{ code: `${code}0`, triesLeft", "test_signs_up_with_the_code_of_the_mail"),
        ("throw new Refused(502", "return new Refused(502", "test_shows_when_the_mail_service_fails"),
    ],
    ids=["another-code", "failure-hidden"],
)
def test_the_python_example_fails_for_a_mistake_in_the_app(
    right: str, wrong: str, failing: str, tmp_path: Path
) -> None:
    """Runs in a copy, as a reader would make it."""
    require_packages(FOLDER, PREFIX)
    for name in ("app.mjs", "conftest.py", "test_signup.py"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    source = (tmp_path / "app.mjs").read_text(encoding="utf-8")
    assert source.count(right) == 1
    (tmp_path / "app.mjs").write_text(source.replace(right, wrong), encoding="utf-8")
    code, output = run(*pytest_command(), folder=tmp_path)
    assert code == pytest.ExitCode.TESTS_FAILED, output
    assert re.findall(r"^FAILED test_signup\.py::(\w+)", output, re.MULTILINE) == [failing], output


def test_the_typescript_example_passes(tmp_path: Path) -> None:
    """Runs each test twice, two at a time, with one inbox: tests must not disturb each other."""
    require_packages(FOLDER, PREFIX)
    skip_or_fail(lacks_chromium())
    options = ("--repeat-each", "2", "--workers", "2", "--output", tmp_path)
    code, output = run("npx", "--no", "playwright", "test", *options)
    assert code == 0, output
    assert "6 passed" in output


@pytest.mark.parametrize("ci", [False, True])
def test_a_missing_chromium_is_reported(ci: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("CI", "true" if ci else "")
    outcome = pytest.fail.Exception if ci else pytest.skip.Exception
    with pytest.raises(outcome, match="apt-get install chromium"):
        skip_or_fail(lacks_chromium())


def test_the_packages_are_pinned_and_name_no_host() -> None:
    package = json.loads((FOLDER / "package.json").read_bytes())
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert set(versions) == {"@logto/connector-http-email", "@playwright/test"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    text = (FOLDER / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    locked = json.loads(text)["packages"]
    locked.pop("")
    assert all(entry["integrity"].startswith("sha512-") for entry in locked.values())
    assert not [name for name, entry in locked.items() if "resolved" in entry]


# The app.


@contextmanager
def app(endpoint: str, **variables: str) -> Iterator[httpx.Client]:
    """Run the app and yield a client of it."""
    require_packages(FOLDER, PREFIX)
    with subprocess.Popen(
        ["node", "app.mjs"],
        cwd=FOLDER,
        env=environment(MAIL_ENDPOINT=endpoint, **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line + process.stdout.read()
            threading.Thread(target=process.stdout.read, daemon=True).start()
            with httpx.Client(base_url=found[0], timeout=30) as client:
                yield client
            assert process.poll() is None, "the app ended by itself"
        finally:
            process.kill()


@pytest.mark.mail_contract(layer="emitted", authorization=AUTHORIZATION)
def test_the_app_sends_what_logto_sends(mail_endpoint: MailEndpoint) -> None:
    with app(mail_endpoint.url, MAIL_AUTHORIZATION=AUTHORIZATION) as client:
        to = {"email": "foo@example.com"}
        german = {"Accept-Language": "de-CH,de;q=0.9"}
        assert 'action="/?ui_locales=de"' in client.get("/?ui_locales=de").text
        client.post("/?ui_locales=de", data=to, headers=german)
        register = mail_endpoint.inbox.latest(to="foo@example.com")
        page = client.post("/code", data={**to, "code": register.code or ""})
        assert "<h1>Welcome</h1>" in page.text
        client.post("/", data=to)
        sign_in = mail_endpoint.inbox.latest(type="SignIn")
    first, second = (json.loads(mail.body) for mail in (register, sign_in))
    assert list(first) == list(second) == ["to", "type", "payload", "ip"]
    assert list(first["payload"]) == ["code", "locale", "uiLocales", "application"]
    assert list(second["payload"]) == ["code", "locale", "application"]
    assert (first["type"], first["payload"]["locale"], first["payload"]["uiLocales"]) == (
        "Register",
        "de",
        "de",
    )
    assert (second["type"], second["payload"]["locale"], second["ip"]) == ("SignIn", "en", "127.0.0.1")


def test_codes_with_leading_zeros_are_sent_unchanged(mail_endpoint: MailEndpoint) -> None:
    with app(mail_endpoint.url) as client:
        for _ in range(300):
            client.post("/", data={"email": "foo@example.com"})
    codes = [delivery.code or "" for delivery in mail_endpoint.inbox]
    assert len(codes) == 300
    assert all(re.fullmatch("[0-9]{6}", code) for code in codes)
    assert any(code.startswith("0") for code in codes)


def test_a_code_is_accepted_once_and_for_its_address_only(mail_endpoint: MailEndpoint) -> None:
    with app(mail_endpoint.url) as client:

        def enter(email: str, code: str) -> str:
            return unescape(client.post("/code", data={"email": email, "code": code}).text)

        client.post("/", data={"email": "foo@example.com"})
        client.post("/", data={"email": "bar@example.com"})
        foo, bar = (
            mail_endpoint.inbox.latest(to=f"{name}@example.com").code or "" for name in ("foo", "bar")
        )
        assert "not the code that we sent" in enter("foo@example.com", bar + "x")
        assert "Welcome" in enter("foo@example.com", foo)
        assert "ask for a new code" in enter("foo@example.com", foo)
        for _ in range(10):
            assert "not the code that we sent" in enter("bar@example.com", "wrong")
        assert "ask for a new code" in enter("bar@example.com", bar)


@pytest.mark.parametrize("failure", ["503", "reset", "silence", "unreachable"])
def test_the_app_survives_a_failing_mail_service(failure: str, mail_endpoint: MailEndpoint) -> None:
    url = mail_endpoint.url
    if failure == "503":
        mail_endpoint.reply(503, "down", times=1)
    elif failure == "reset":
        mail_endpoint.reply_reset()
    elif failure == "silence":
        mail_endpoint.reply(delay=25)
    else:
        url = "http://127.0.0.1:9"
    with app(url, MAIL_TIMEOUT="2") as client:
        started = time.monotonic()
        response = client.post("/", data={"email": "foo@example.com"})
        assert response.status_code == 502
        assert "We could not send the mail" in response.text
        assert time.monotonic() - started < 20
        assert client.get("/").status_code == 200
        if failure != "unreachable":
            mail_endpoint.reset_replies()
            assert client.post("/", data={"email": "foo@example.com"}).status_code == 200


def test_input_is_escaped_in_the_page(mail_endpoint: MailEndpoint) -> None:
    hostile = '"><svg/onload=1>@x.test'
    with app(mail_endpoint.url) as client:
        page = client.post("/", data={"email": hostile}).text
        assert "<svg" not in page
        assert hostile in unescape(page)
        assert "<svg" not in client.get('/?"><svg/onload=1>').text
        assert client.post("/", data={"email": "nobody"}).status_code == 400
        assert client.post("/", data={"email": "x" * 20_000}).status_code == 413
        assert client.get("/nothing").status_code == 404
    assert [delivery.message.to for delivery in mail_endpoint.inbox] == [hostile]
