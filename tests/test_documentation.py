"""Executes the examples in README.md and docs/; ``executed_documents.py`` describes how to write them."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.executed_documents import (
    ROOT,
    BrokenExample,
    Execution,
    blocks,
    documents,
    matches,
    replace_ports,
)

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS_WITH_PAGES = ("", "docs", "schemas", "examples/e2e", "examples/logto")
PAGES = [page for folder in FOLDERS_WITH_PAGES for page in sorted((ROOT / folder).glob("*.md"))]

# A page of a language is executed with this at its end, which misuses the receiver that it has started.
MISUSE = f"""
```console
$ python {ROOT}/tests/support/misuse_receiver.py 8600
```
"""
PAGES_OF_LANGUAGES = ("go.md", "java.md", "php.md", "python.md", "typescript.md")


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_example_works_as_documented(document: Path, tmp_path: Path) -> None:
    with Execution(tmp_path) as execution:
        more = MISUSE if document.name in PAGES_OF_LANGUAGES else ""
        execution.execute(document.read_text(encoding="utf-8") + more)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path, text: str) -> list[str]:
    """Return the links of a page that lead to no file or heading of the project."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_or_heading(page: Path) -> None:
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


def test_dead_links_are_reported() -> None:
    text = "[a](docs/serve.md#in-logto) [b](#two-commands) [c](no.md) [d](#no) [e](docs/serve.md#no)"
    assert dead_links(ROOT / "README.md", text) == ["no.md", "#no", "docs/serve.md#no"]


def packages_in_table(text: str) -> set[str]:
    """Return the names in the first column of the table under the heading Packages."""
    section = text.partition("\n## Packages\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    return {name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_architecture_page_names_every_package() -> None:
    folder = ROOT / "contract" / "logto_mail_contract"
    modules = {path.stem for path in folder.glob("*.py")}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert packages_in_table(page) == modules | packages
    assert packages_in_table(page.replace("`wire/`", "`wires/`")) != modules | packages


GOOD = """\
# A page

1. In a list:

   <!-- file: test_signin.py -->
   ```python
   def test_code(mail_endpoint):
       assert mail_endpoint.inbox.count() == 0


   def test_fails():
       assert 1 == 2
   ```

<!-- exit: 1 -->
```console
$ echo one; \\
> echo two >&2
one
two
$ pytest test_signin.py
===...
...
mail-contract: revision 1.35, layer guard
…
FAILED test_signin.py::test_fails - assert 1 == 2
...= 1 failed, 1 passed in ...s =...
```

<!-- a note to editors -->
```python
import json
number = json.loads("3")
```

~~~python
assert number == 3
open("made", "w").close()
~~~

```console
$ ls made schemas/index.json
made
schemas/index.json
$ sleep 600 &
```

<!-- file: pytest.ini -->
```ini
[pytest]
addopts = --strict-markers
```

```json
{"to": "foo@example.com"}
```

```ndjson
{}
[]
```

```toml
a = 1
```

```yaml
a: [1]
```

<!-- file: conftest.py -->
```python
import pytest

@pytest.fixture
def three():
    return 3
```

<!-- file: test_left.py -->
```python
def test_left(three, mail_endpoint):
    open("left-was-run", "w").close()
    assert three == 3
```

<!-- not run: another language -->
```js
nonsense(
```
"""


def test_a_correct_page_passes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with Execution(folder) as execution:
        assert execution.execute(GOOD) == 13
        groups = list(execution.process_groups)
    assert (folder / "left-was-run").exists()
    assert (folder / "pytest.ini").read_text(encoding="utf-8") == "[pytest]\naddopts = --strict-markers\n"
    # Killed processes exist until the system has removed them.
    deadline = time.monotonic() + 30
    while any(map(_is_alive, groups)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_block_that_is_not_run_has_no_side_effect(tmp_path: Path) -> None:
    page = "<!-- not run: it would end the tests -->\n```python\nraise SystemExit\n```\n"
    with Execution(tmp_path) as execution:
        assert execution.execute(page) == 1


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        pytest.param(
            "```console\n$ echo one\ntwo\n```", r"line 2: \$ echo one\n(.*\n)*two\n(.*\n)*one", id="output"
        ),
        pytest.param("```console\n$ echo one\n```", r"line 2: \$ echo one", id="output-not-shown"),
        pytest.param("```console\n$ true\nmore\n```", r"line 2: \$ true", id="no-output"),
        pytest.param("```console\n$ false\n```", r"exit 0\)\n--- what happened \(exit 1\)", id="exit-code"),
        pytest.param("<!-- exit: 1 -->\n```console\n$ true\n```", r"exit 1\)\n--- .*exit 0", id="no-failure"),
        pytest.param(
            "<!-- exit: 1 -->\n```console\n$ false\n$ false\n```", "line 3", id="exit-code-is-the-last-ones"
        ),
        pytest.param("```console\n$ no-such-command\n...\n```", "exit 127", id="no-such-command"),
        pytest.param("```console\nls\n```", "begins with a command", id="no-prompt"),
        pytest.param("```console\n```", "without a command", id="no-command"),
        pytest.param("```js\nlet a\n```", "nothing executes a block in js", id="other-language"),
        pytest.param("```\nanything\n```", "nothing executes a block in no language", id="no-language"),
        pytest.param("```text\nanything\n```", "nothing executes a block in text", id="text"),
        pytest.param("- a\n  ```sh\n  ls\n  ```", "nothing executes a block in sh", id="in-a-list"),
        pytest.param("Text:\n\n    $ ls\n", "line 3: an indented example", id="indented"),
        pytest.param("<pre>\nls\n</pre>", "line 1: an example in HTML", id="html"),
        pytest.param("```json\n{}\n", "line 1: the block is not closed", id="not-closed"),
        pytest.param("```python\ndef test_it():\n    pass\n```", "nothing runs these tests", id="tests"),
        pytest.param("```python\nclass TestIt:\n    x = 1\n```", "nothing runs these tests", id="test-class"),
        pytest.param(
            "<!-- file: test_it.py -->\n```python\ndef test_it():\n    assert 0\n```",
            "test_it.py fails:\n(.*\n)*.*assert 0",
            id="left-file-fails",
        ),
        pytest.param(
            "<!-- file: test_it.py -->\n```python\nx = 1\n```",
            "test_it.py fails:",
            id="left-no-tests",
        ),
        pytest.param("<!-- file: app.py -->\n```python\nx = 1\n```", "nothing runs", id="left-module"),
        pytest.param("<!-- file: a.go -->\n```go\nx\n```", "nothing names a.go", id="left-program"),
        pytest.param("<!-- file: ../a.json -->\n```json\n1\n```", "outside of the folder", id="outside"),
        pytest.param("<!-- file: a -->\n```console\n$ true\n```", "is no file", id="console-file"),
        pytest.param("<!-- exit: 1 -->\n```json\n1\n```", "only a console block", id="exit-of-json"),
        pytest.param("<!-- exit: 1 -->\nText\n```console\n$ true\n```", "right before a block", id="loose"),
        pytest.param("Text\n\n<!-- exit: 1 -->\n", "right before a block", id="loose-at-the-end"),
        pytest.param("<!-- exit: 1 -->\n<!-- exit: 2 -->\n", "given twice", id="twice"),
        pytest.param("<!-- exits: 1 -->\n", "no directive 'exits: 1'", id="misspelt"),
        pytest.param("<!-- not run: -->\n```js\n1\n```", "no directive 'not run:'", id="no-reason"),
    ],
)
def test_a_broken_page_is_reported(page: str, problem: str, tmp_path: Path) -> None:
    with Execution(tmp_path) as execution, pytest.raises(BrokenExample, match=problem):
        execution.execute(page)


@pytest.mark.parametrize(
    ("ci", "ending"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)], ids=["skipped", "in-ci"]
)
def test_a_page_that_needs_a_missing_language_is_not_passed(
    ci: str, ending: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        Execution(tmp_path) as execution,
        pytest.raises(ending, match="apt-get install default-jdk-headless"),
    ):
        execution.execute("<!-- needs: java -->\n```console\n$ java -version\n```\n")


@pytest.mark.parametrize(
    ("page", "error", "problem"),
    [
        ("```json\n{,}\n```", "JSONDecodeError", "Expecting property name|Illegal trailing comma"),
        ("```ndjson\n{}\n{,}\n```", "JSONDecodeError", "Expecting property name|Illegal trailing comma"),
        ("```toml\na =\n```", "TOMLDecodeError", "Invalid value"),
        ("```ini\na\n```", "MissingSectionHeaderError", "no section headers"),
        ("```yaml\na: [\n```", "ParserError", "while parsing"),
        ("```python\na b\n```", "SyntaxError", "invalid syntax"),
        ("```python\n1 / 0\n```", "ZeroDivisionError", "division by zero"),
        ("<!-- file: test_it.py -->\n```python\na b\n```", "SyntaxError", "invalid syntax"),
    ],
)
def test_a_block_that_cannot_be_parsed_fails(page: str, error: str, problem: str, tmp_path: Path) -> None:
    with Execution(tmp_path) as execution, pytest.raises(Exception, match=problem) as caught:
        execution.execute(page)
    assert type(caught.value).__name__ == error
    assert " block at line " in caught.value.__notes__[0]


def test_a_fence_within_a_longer_fence_is_text() -> None:
    page = "````text\n```js\nx\n```\n````\n"
    assert [(block.language, block.text) for block in blocks(page)] == [("text", "```js\nx\n```\n")]


@pytest.mark.parametrize(
    ("expected", "actual", "verdict"),
    [
        (["a ... c"], ["a b c"], True),
        (["a … c"], ["a b", "c"], False),
        (["a", "...", "d"], ["a", "b", "c", "d"], True),
        (["a", "...", "d"], ["a", "d"], True),
        (["a", "..."], ["a"], True),
        (["a", "...", "e"], ["a", "b", "d"], False),
        (["3.5"], ["305"], False),
        (["a  "], ["a"], True),
        ([], ["a"], False),
    ],
)
def test_an_output_is_compared_with_its_placeholders(
    expected: list[str], actual: list[str], verdict: bool
) -> None:
    assert matches(expected, actual) is verdict


def test_the_ports_of_a_page_are_replaced_by_free_ones() -> None:
    """Each port in the ``ports`` comment becomes the same free port everywhere in the page."""
    page = "<!-- ports: 8600 2525 -->\nPORT=8600 SMTP=2525 http://127.0.0.1:8600/ 18600"
    found = re.fullmatch(r"\nPORT=(\d+) SMTP=(\d+) http://127.0.0.1:\1/ 18600", replace_ports(page))
    assert found
    assert len({found[1], found[2], "8600", "2525"}) == 4
