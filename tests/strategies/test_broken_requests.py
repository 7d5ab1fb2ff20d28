"""Every broken request gets the verdict that it states, and is cheap to draw and to print."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.support.drawing import draw_examples
from tests.support.executed_documents import ROOT, blocks
from tests.support.request_events import read_request

from logto_mail_contract.judging.javascript_json import parse
from logto_mail_contract.judging.requests import judge_request
from logto_mail_contract.strategies import break_request, http_requests, request_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AUTHORIZATIONS = (None, "Bearer s3cret", "s3cret", "", "Bäsic ß3cret ", "123")


@pytest.mark.parametrize(
    ("authorization", "layer"),
    [*((value, "guard") for value in AUTHORIZATIONS), (None, "emitted"), (None, "documented")],
)
def test_every_broken_request_gets_its_stated_verdict(authorization: str | None, layer: str) -> None:
    found, expected = {}, {}
    for name in request_names(authorization):
        broken = break_request(name, authorization=authorization, layer=layer)
        verdict = judge_request(broken.request, None, layer, authorization)
        found[name] = (verdict.status, [finding.rule for finding in verdict.findings])
        expected[name] = (broken.status, [broken.rule])
    assert found == expected
    assert len(found) >= 40


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
def test_the_bytes_of_a_broken_request_are_read_as_the_request(authorization: str | None) -> None:
    for name in request_names(authorization):
        broken = break_request(name, url="https://foo.test:8443/a?b=c", authorization=authorization)
        assert read_request(broken.raw) == broken.request
        assert broken.request.target == "/a?b=c"
        assert broken.request.values("host") == ["foo.test:8443"]


def test_a_broken_request_has_no_other_fault() -> None:
    message = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "000000"}}
    for name in request_names("k"):
        broken = break_request(name, message, authorization="k")
        request = broken.request
        if not name.startswith("method"):
            assert request.method == "POST"
        if not name.startswith("content-type"):
            assert request.values("content-type") == ["application/json"]
        if not name.startswith("authorization"):
            assert request.values("authorization") == ["k"]
        if not name.startswith(("body", "length", "chunk")):
            assert parse(request.body) == message
        assert broken.ends == (name == "length-long")


@pytest.mark.parametrize("name", ["Fo\u00e9", "\u00e9" * 50, "\u00e9" * 51, "\U0001f600" * 9])
def test_a_body_is_cut_off_between_two_characters(name: str) -> None:
    message = {"to": "foo@example.com", "type": "SignIn", "payload": {"application": {"name": name}}}
    broken = break_request("body-cut-off", message)
    broken.request.body.decode()
    assert len(json.dumps(message)) > len(broken.request.body) > 20


def test_broken_requests_are_drawn_around_any_message() -> None:
    examples = draw_examples(http_requests(layer="emitted", authorization="Bearer s3cret"), 250)
    assert len({broken.name for broken in examples}) > 0.9 * len(request_names("Bearer s3cret"))
    for broken in examples:
        verdict = judge_request(broken.request, None, "emitted", "Bearer s3cret")
        assert (verdict.status, [finding.rule for finding in verdict.findings]) == (
            broken.status,
            [broken.rule],
        )
    some = draw_examples(http_requests(names=["body-cut-off"], types=["Generic"]), 20)
    assert {broken.name for broken in some} == {"body-cut-off"}
    assert not any(broken.request.values("authorization") for broken in some)


def test_without_authorization_no_request_has_a_broken_one() -> None:
    assert not [name for name in request_names() if name.startswith("authorization")]
    assert len([name for name in request_names("Bearer s3cret") if name.startswith("authorization")]) == 10


def test_an_impossible_request_raises() -> None:
    with pytest.raises(ValueError, match="unknown broken request 'teapot'"):
        break_request("teapot")
    with pytest.raises(ValueError, match="unknown broken request 'teapot'"):
        http_requests(names=["teapot"])
    with pytest.raises(ValueError, match="has a line break"):
        http_requests(authorization="a\r\nb: c")
    with pytest.raises(ValueError, match="expected an http or https URL"):
        http_requests(url="localhost:80")
    with pytest.raises(ValueError, match="percent-encode its path"):
        break_request("body-empty", url="http://localhost/ä")


def test_a_broken_request_is_small_and_its_repr_short() -> None:
    """Hypothesis fails a test with an example slower than 200 ms, and large requests are slow."""
    broken = [break_request(name, authorization="Bearer s3cret") for name in request_names("Bearer s3cret")]
    # The large bodies are above body-parser's limit of 100 kB.
    assert 100_000 < max(len(request.raw) for request in broken) < 140_000
    broken += draw_examples(http_requests(authorization="Bearer s3cret"), 500)
    assert max(len(request.raw) for request in broken) < 512 * 1024
    assert max(len(repr(request)) for request in broken) < 250


def test_the_repr_of_a_broken_request_names_the_fault_and_hides_its_content() -> None:
    broken = break_request("body-cut-off", authorization="Bearer s3cret")
    assert repr(broken) == (
        "BrokenRequest(name='body-cut-off', method='POST', body=<26 bytes>, "
        f"raw=<{len(broken.raw)} bytes>, status=400, rule='message/text/json', ends=False)"
    )


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run processes that keep the processor busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_the_documented_example_passes_beside_two_busy_processes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    [example] = [block for block in blocks(page) if block.directives.get("file") == "test_requests.py"]
    (tmp_path / "test_requests.py").write_text(example.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_requests.py"]
    with busy_processes(2):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout
