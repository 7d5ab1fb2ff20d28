"""Servers that validate by the files of ``schemas/``, in front of a good receiver, pass every rule."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.openapi.packages import FOLDER, PATH, SCHEMAS, require_packages, serving_example
from tests.support.programs import serving_program
from tests.support.runs import has_failed, try_rules
from tests.support.small_receivers import AUTHORIZATION

from logto_mail_contract.receivers.outbox import SmtpSink
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.suite.checks import list_rule_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVERS = {"fastify.mjs": "draft-07/receiver.schema.json", "express.mjs": "openapi.json"}
UNKNOWN_TYPE = "receiver/accept/unknown-type"
each_server = pytest.mark.parametrize("server", SERVERS)


@contextmanager
def serving_in_front(server: str, file: Path) -> Iterator[tuple[Receiver, SmtpSink]]:
    """Run a validating server in front of the Node example; yield it as a receiver, and the outbox."""
    require_packages("tests/openapi")
    with (
        SmtpSink() as sink,
        serving_example("receiver_node", sink, FOLDER) as behind,
        serving_program("node", FOLDER / server, file, f"{behind}{PATH}") as origin,
        closing(Receiver.url(f"{origin}{PATH}", authorization=AUTHORIZATION)) as receiver,
    ):
        yield receiver, sink


@each_server
def test_a_validating_server_passes_every_rule(server: str) -> None:
    with serving_in_front(server, SCHEMAS / SERVERS[server]) as (receiver, sink):
        results = try_rules(list_rule_ids("receiver"), receiver, Settings(), sink)
    assert {result.rule.id: result.findings for result in results if result.findings} == {}
    assert {result.outcome for result in results} == {"passed"}


@each_server
def test_a_validating_server_with_a_closed_type_fails(server: str, tmp_path: Path) -> None:
    """The control: the server really validates, so that a schema that lists the types refuses others."""
    document: Any = json.loads((SCHEMAS / SERVERS[server]).read_bytes())
    schema = document["components"]["schemas"]["MailMessage"] if "components" in document else document
    schema["properties"]["type"]["enum"] = schema["properties"]["type"]["examples"]
    file = tmp_path / "closed.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    with serving_in_front(server, file) as (receiver, sink):
        results = try_rules(["receiver/accept/sign-in", UNKNOWN_TYPE], receiver, Settings(), sink)
    assert [result.rule.id for result in results if has_failed(result)] == [UNKNOWN_TYPE]
