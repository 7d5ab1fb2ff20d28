"""Every mutation fails the one rule that it names, and every name is drawn."""

from __future__ import annotations

import dataclasses
import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.drawing import EVERY_LAYER, LAYERS, draw_examples

from logto_mail_contract import catalogue
from logto_mail_contract.judging.javascript_json import parse
from logto_mail_contract.judging.validation import validate
from logto_mail_contract.strategies import Mutation, mutate, mutation_names, mutations, request_names

if TYPE_CHECKING:
    from collections.abc import Iterable


def find_wrong_labels(mutations: Iterable[Mutation], revision: str, layer: str) -> dict[str, Any]:
    """Return the findings of each mutation that does not fail the one rule that it names, at its pointer."""
    found = {}
    for mutation in mutations:
        findings = [(finding.rule, finding.pointer) for finding in validate(mutation.text, revision, layer)]
        if findings != [(mutation.rule, mutation.pointer)]:
            found[mutation.name] = findings
    return found


@EVERY_LAYER
def test_every_mutation_fails_its_rule_alone(revision: str, layer: str) -> None:
    all_mutations = {name: mutate(name, None, revision, layer) for name in mutation_names(revision, layer)}
    assert find_wrong_labels(all_mutations.values(), revision, layer) == {}
    assert len(all_mutations) > 60
    for name, mutation in all_mutations.items():
        assert mutation.name == name
        if mutation.message is not None:
            assert parse(mutation.text) == mutation.message


@EVERY_LAYER
def test_mutations_of_any_message_fail_their_rule_alone(revision: str, layer: str) -> None:
    drawn = draw_examples(mutations(revision, layer), 100)
    assert find_wrong_labels(drawn, revision, layer) == {}


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        ({"text": '{"to":"foo","type":"SignIn","payload":{}}'}, []),
        ({"text": '{"to":0,"type":"SignIn","payload":0}'}, [("to", "/to"), ("payload", "/payload")]),
        ({"rule": "message/guard/type"}, [("to", "/to")]),
        ({"pointer": ""}, [("to", "/to")]),
    ],
    ids=["no-mistake", "two-mistakes", "another-rule", "another-place"],
)
def test_a_wrong_label_is_reported(change: dict[str, str], findings: list[tuple[str, str]]) -> None:
    mutation = dataclasses.replace(mutate("to-number"), **change)  # type: ignore[arg-type] # text fields only
    expected = [(f"message/guard/{rule}", pointer) for rule, pointer in findings]
    assert find_wrong_labels([mutation], "1.35", "guard") == {"to-number": expected}


@EVERY_LAYER
def test_every_rule_of_a_layer_has_a_mutation_that_fails_it(revision: str, layer: str) -> None:
    failed = {mutate(name, None, revision, layer).rule for name in mutation_names(revision, layer)}
    since = {rule.id for rule in catalogue.rules().values() if rule.id.startswith(f"message/{layer}/")}
    if layer == "guard":
        since -= {"message/guard/values"} if revision != "1.22" else set()
        since -= {"message/guard/ip"} if revision != "1.35" else set()
        since -= {"message/guard/ui-locales"} if revision in ("1.25", "1.31") else set()
    elif layer == "emitted" and revision == "1.22":
        since -= {
            f"message/emitted/{name}"
            for name in ("locale", "ui-locales", "application", "organization", "user")
        }
    if layer == "emitted" and revision != "1.35":
        since -= {"message/emitted/ip"}
    if layer == "emitted" and revision in ("1.25", "1.31"):
        since -= {"message/emitted/ui-locales"}
    if layer == "documented":
        # Its schema tolerates unknown members everywhere.
        since -= {"message/documented/values"}
    assert since - failed == set()


def test_mutations_are_drawn_with_all_their_names() -> None:
    some = ("to-missing", "code-null", "type-wrong-case", "payload-array")
    assert {mutation.name for mutation in draw_examples(mutations(names=some), 80)} == set(some)
    many = mutation_names()[:20]
    assert {mutation.name for mutation in draw_examples(mutations(names=many), 300)} == set(many)
    assert len({mutation.name for mutation in draw_examples(mutations(), 200)}) > len(mutation_names()) / 2


def test_a_mutation_does_not_change_the_given_message() -> None:
    user: dict[str, Any] = {"id": "foo", "name": "Bar", "profile": {}}
    user |= dict.fromkeys(("avatar", "primaryEmail", "primaryPhone", "username"))
    message = {
        "to": "foo@example.com",
        "type": "BindMfa",
        "payload": {"code": "000000", "locale": "en", "user": user},
    }
    before = json.dumps(message)
    mutation = mutate("user-name-missing", message, layer="emitted")
    assert json.dumps(message) == before
    assert mutation.message is not None
    assert "name" not in mutation.message["payload"]["user"]
    assert mutation.pointer == "/payload/user"


def test_types_narrow_the_mutations() -> None:
    assert "user-name-missing" in mutation_names(layer="emitted")
    assert "user-name-missing" not in mutation_names(layer="emitted", types=["SignIn"])
    assert "user-name-missing" in mutation_names(layer="emitted", types=["SignIn", "BindMfa"])
    for mutation in draw_examples(mutations(layer="emitted", types=["Generic"], names=["code-missing"]), 20):
        assert mutation.message["type"] == "Generic"


def test_an_unknown_mutation_raises() -> None:
    with pytest.raises(ValueError, match=r"Revision 1\.35, layer guard, has no mutation 'to-gone'"):
        mutate("to-gone")
    with pytest.raises(ValueError, match="'user-missing' needs one of the template types User"):
        mutate("user-missing", {"to": "a@b.test", "type": "SignIn", "payload": {}}, layer="documented")
    with pytest.raises(ValueError, match="unknown mutation 'to-gone'"):
        mutations(names=["to-gone"])
    with pytest.raises(ValueError, match="names is empty"):
        mutations(names=[])
    with pytest.raises(TypeError, match="for one of them"):
        mutations(names="to-missing")


def test_names_are_slugs() -> None:
    everything = {name for revision, layer in LAYERS for name in mutation_names(revision, layer)}
    everything.update(request_names("Bearer s3cret"))
    assert [
        name for name in everything if not set(name) <= set(string.ascii_lowercase + string.digits + "-")
    ] == []
