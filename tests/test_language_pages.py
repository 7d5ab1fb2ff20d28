"""The pages of docs/ about languages: what they have in common. ``test_documentation.py`` executes them."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.support.executed_documents import ROOT, blocks
from tests.support.languages import lacks_java, lacks_node, lacks_php

from logto_mail_contract.commands.parser import build_parser

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = {
    "dotnet": "receiver_java",
    "go": "receiver_go",
    "java": "receiver_java",
    "php": "receiver_php",
    "python": "receiver_flask.py",
    "typescript": "receiver_typescript",
}
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in LANGUAGES}
FROM_THE_INDEX = re.compile(r"(?:uvx|pipx run) '?(logto-mail-contract(?:\[[a-z]+\])?)'? ([^\n`]*)")

every_page = pytest.mark.parametrize("name", LANGUAGES)


def commands(page: str) -> list[tuple[str, list[str]]]:
    """Return the requirement and the arguments of each command that uvx or pipx runs."""
    joined = re.sub(r"\\\n> |(?<=\S)\n {10}(?=--)", " ", page).replace(">-\n          pipx", "pipx")
    return [(need, shlex.split(rest)) for need, rest in FROM_THE_INDEX.findall(joined)]


@every_page
def test_a_page_leads_with_the_command_and_has_each_part(name: str) -> None:
    page = PAGES[name]
    assert blocks(without_directives(page))[0].text.startswith("uvx logto-mail-contract verify http")
    assert re.findall(r"^## (.*)", page, re.MULTILINE) == [
        "Types",
        "Validate messages",
        "A receiver to start from",
        "Verify it",
    ]
    assert f"examples/{LANGUAGES[name]}" in page
    assert "draft 4" in page


@every_page
def test_the_commands_of_a_page_are_right(name: str) -> None:
    found = commands(PAGES[name])
    assert len(found) >= 4
    for need, arguments in found:
        options = build_parser().parse_args(arguments)
        if options.subcommand == "serve":
            assert need == "logto-mail-contract[serve]"
        else:
            assert (options.subcommand, options.url.rpartition("/")[2]) == ("verify", "logto-mail")
            assert need == "logto-mail-contract" + ("[smtp]" if options.smtp_sink else "")


def test_a_wrong_command_is_noticed() -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(commands("uvx logto-mail-contract verify --smtp 1")[0][1])


@every_page
def test_the_job_starts_the_receiver_with_what_verify_expects(name: str) -> None:
    (block,) = (block for block in blocks(without_directives(PAGES[name])) if block.language == "yaml")
    job = yaml.safe_load(block.text)["jobs"]["receiver"]
    start, verify = (step["run"] for step in job["steps"] if "run" in step and "2525" in step["run"])
    ((_, arguments),) = commands(verify)
    options = build_parser().parse_args(arguments)
    assert start.startswith(f"SMTP_HOST=127.0.0.1 SMTP_PORT={options.smtp_sink} ")
    assert start.endswith(" &")
    assert options.url == "http://127.0.0.1:3000/logto-mail"
    assert options.authorization_env in job["env"]


# The page of .NET has no commands that run.
@pytest.mark.parametrize("name", sorted(LANGUAGES.keys() - {"dotnet"}))
def test_the_job_starts_what_the_page_starts(name: str) -> None:
    """The page makes the program: a job with another name of it fails."""
    page = PAGES[name]
    (in_job,) = re.findall(r"- run: SMTP_HOST=\S+ SMTP_PORT=\d+ (.*) &$", page, re.MULTILINE)
    (on_page,) = re.findall(r"^\$ .*'Bearer s3cret';? (.*) > receiver\.log 2>&1 &$", page, re.MULTILINE)
    assert in_job == on_page.removeprefix("PORT=8600 ").replace("8600", "3000")


# PHP reads into arrays and TypeScript checks nothing at run time: both take such an invitation.
@pytest.mark.parametrize("name", sorted(LANGUAGES.keys() - {"php"}))
def test_a_page_says_what_becomes_of_overridden_context(name: str) -> None:
    assert "](../schemas/receiver-exceptions.json)" in PAGES[name]


# JavaScript reads JSON as Logto does.
@pytest.mark.parametrize("name", sorted(LANGUAGES.keys() - {"typescript"}))
def test_a_page_says_how_the_language_differs_from_logto(name: str) -> None:
    assert "differs from Logto in" in PAGES[name]


def without_directives(page: str) -> str:
    """Return a page without the comments that ``blocks`` does not know."""
    return re.sub(r"<!-- (?:needs|ports): .* -->", "", page)


def members(schema: object) -> set[str]:
    """Return the names of all members in a schema, apart from those of a profile."""
    if isinstance(schema, list):
        return set().union(*map(members, schema))
    if not isinstance(schema, dict) or schema.get("title") == "Profile":
        return set()
    return set(schema.get("properties", {})).union(*map(members, schema.values()))


def test_the_shape_in_php_names_each_member_of_the_schema() -> None:
    schema = json.loads((ROOT / "schemas" / "receiver.schema.json").read_text(encoding="utf-8"))
    names = members({**schema, "examples": []})
    assert {"to", "uiLocales", "primaryPhone", "darkFavicon"} <= names
    assert names - set(re.findall(r"(\w+)\??: ", PAGES["php"])) == set()


def test_what_a_machine_lacks_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    reasons = [lacks_java(), lacks_php(), lacks_node("tests/pages")]
    assert [re.findall("apt-get install|npm ci", str(reason)) for reason in reasons] == [
        ["apt-get install"],
        ["apt-get install"],
        ["npm ci"],
    ]
