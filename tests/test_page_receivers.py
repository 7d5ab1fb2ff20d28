"""The receivers on the pages of docs/ about languages: what ``verify`` does not look at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.support.executed_documents import ROOT, Execution

if TYPE_CHECKING:
    from pathlib import Path

PROBE = """\
import http.client, json, socket, sys, time

address = "127.0.0.1", int(sys.argv[1])
deadline = time.monotonic() + 60
while True:
    try:
        socket.create_connection(address).close()
        break
    except OSError:
        assert time.monotonic() < deadline
        time.sleep(0.05)

def post(authorization, length, body):
    connection = http.client.HTTPConnection(*address, timeout=20)
    connection.putrequest("POST", "/logto-mail")
    for header in {"content-type": "application/json", "content-length": str(length)}.items():
        connection.putheader(*header)
    connection.putheader("authorization", authorization)
    connection.endheaders()
    try:
        connection.send(body)
    except OSError:
        pass  # It has refused the beginning.
    status = connection.getresponse().status
    connection.close()
    return status

# Of the body only the beginning: a receiver that reads it first does not respond.
print("wrong credential", post("Bearer wrong", 3_000_000, b"{"))
message = {"to": "foo@example.com", "type": "Frobnicate\\r\\nX: y", "payload": {"code": "031415"}}
body = json.dumps(message).encode()
print("line break", post("Bearer s3cret", len(body), body))
body = json.dumps(message | {"ip": "1" * 3_000_000}).encode()
print("large", post("Bearer s3cret", len(body), body[:2_900_000]))
"""


@pytest.mark.parametrize("name", ["java", "python", "typescript"])
def test_a_receiver_checks_the_credential_first_and_limits_body_and_log(name: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    # In the place of verify.
    probe = "$ python probe.py 8600\nwrong credential 401\nline break 204\nlarge 413\n```\n"
    page, count = re.subn(
        r"^\$ MAIL_AUTHORIZATION='Bearer s3cret' uvx .*?^```\n",
        probe,
        page.replace("python receiver.py", "python -u receiver.py"),
        flags=re.MULTILINE | re.DOTALL,
    )
    assert count == 1
    with Execution(tmp_path) as execution:
        (tmp_path / "probe.py").write_text(PROBE, encoding="utf-8")
        execution.execute(page)
    log = (tmp_path / "receiver.log").read_text(encoding="utf-8")
    assert "Frobnicate" in log
    assert not [line for line in log.splitlines() if line.startswith("X: y")]
