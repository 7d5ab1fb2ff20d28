"""Compares our guard schemas with the real guards: the same verdict on each of 20,000 documents.

The documents are drawn once and judged in batches. Where two judges differ, they are drawn again, so that
Hypothesis can shrink the document.
"""

from __future__ import annotations

import copy
import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hypothesis import Phase, given, seed, settings
from jsonschema import Draft202012Validator
from tests.logto import recorded, rule
from tests.logto.documents import documents
from tests.logto.node import list_kits

from logto_mail_contract.judging.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.logto.node import NodeWorker

ROOT = Path(__file__).parents[2]
KITS = list_kits()
DRAWS = 20_500
AT_LEAST = 20_000
CONTROLS = 4_000
SEED = 1035
BATCH = 1_000


class Judge:
    """Decides for JSON texts whether a message is accepted; None where the text is not JSON.

    Args:
        name: The name of the judge in messages.
        batch: Judges some texts. No text is judged twice.
    """

    def __init__(self, name: str, batch: Callable[[Sequence[str]], Sequence[bool | None]]) -> None:
        self.name = name
        self._batch = batch
        self._known: dict[str, bool | None] = {}

    def verdicts(self, texts: Sequence[str]) -> list[bool | None]:
        """Return the verdict on each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self._known.update(zip(batch, self._batch(batch), strict=True))
        return [self._known[text] for text in texts]


class DisagreementError(AssertionError):
    """Two judges differ about a text."""

    def __init__(self, text: str, left: Judge, right: Judge) -> None:
        self.text = text
        verdicts = " and ".join(
            f"{judge.name} says {_VERDICT_NAMES[judge.verdicts([text])[0]]}" for judge in (left, right)
        )
        super().__init__(f"{verdicts}: {text}")


_VERDICT_NAMES = {True: "accepted", False: "rejected", None: "not JSON"}


def draw(test: Callable[[str], None], *phases: Phase) -> None:
    """Run a test on every document; the documents are the same each time, until one fails."""

    @seed(SEED)
    @settings(max_examples=DRAWS, database=None, deadline=None, phases=phases)
    @given(documents())
    def on_each(text: str) -> None:
        test(text)

    on_each()


def assert_agree(left: Judge, right: Judge, texts: Sequence[str]) -> None:
    """Fail where two judges differ about a text, with the simplest text that they differ about.

    Args:
        left: One judge.
        right: The other.
        texts: Documents from ``draw`` only; shrinking does not draw others.

    Raises:
        DisagreementError: They differ.
    """
    pairs = zip(texts, left.verdicts(texts), right.verdicts(texts), strict=True)
    differing = [text for text, one, other in pairs if one != other]
    if not differing:
        return

    def same_verdict(text: str) -> None:
        if left.verdicts([text]) != right.verdicts([text]):
            raise DisagreementError(text, left, right)

    try:
        draw(same_verdict, Phase.generate, Phase.shrink)
    except DisagreementError as shrunk:
        shrunk.add_note(
            f"So they do about {len(differing)} of {len(texts)} documents, such as: {differing[0]}"
        )
        raise
    raise AssertionError(f"not met again, so not shrunk: {DisagreementError(differing[0], left, right)}")


@cache
def value_of(text: str) -> Any:
    """Return the value of a text, or the error if it is not JSON."""
    try:
        return rule.parse(text)
    except ValueError as error:
        return error


def judge_of_values(name: str, accepts: Callable[[Any], bool]) -> Judge:
    """Return a judge that parses as JSON.parse does and then asks a predicate."""

    def verdict(text: str) -> bool | None:
        value = value_of(text)
        return None if isinstance(value, ValueError) else accepts(value)

    return Judge(name, lambda texts: [verdict(text) for text in texts])


def guard_schema(revision: str) -> dict[str, Any]:
    """Return the guard schema of a revision, as it stands in ``schemas/``."""
    path = ROOT / "schemas" / revision / "send-message-data.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def guard_vectors(revision: str) -> list[tuple[str, str, bool]]:
    """Return the vectors of the guard layer of a revision: id, JSON text, and whether it is valid."""
    groups = json.loads((ROOT / "schemas" / "vectors" / revision / "guard.json").read_bytes())
    return [
        (test["id"], test["text"] if "text" in test else json.dumps(test["data"]), test["valid"])
        for group in groups
        for test in group["tests"]
    ]


def schema_judge(name: str, schema: dict[str, Any]) -> Judge:
    """Return a judge by a JSON Schema."""
    return judge_of_values(name, Draft202012Validator(schema).is_valid)


def rule_judge(revision: str) -> Judge:
    """Return a judge by the rule of a revision."""
    return judge_of_values(f"the rule of {revision}", lambda value: rule.accepts(revision, value))


@pytest.fixture(scope="module")
def texts() -> Iterator[list[str]]:
    """Return the documents, each once."""
    drawn: dict[str, None] = {}
    draw(lambda text: drawn.update({text: None}), Phase.generate)
    yield list(drawn)
    value_of.cache_clear()


@pytest.fixture(scope="module")
def kits(guards: NodeWorker) -> dict[str, Judge]:
    """Return the real guards as judges, by the version of their connector-kit."""
    verdicts_by_text: dict[str, dict[str, bool | None]] = {}

    def find_verdict(text: str, version: str) -> bool | None:
        verdict = verdicts_by_text[text][version]
        assert verdict is None or isinstance(verdict, bool), f"{version}: {verdict}: {text[:200]}"
        return verdict

    def judge(version: str) -> Judge:
        def batch(texts: Sequence[str]) -> list[bool | None]:
            new = [text for text in texts if text not in verdicts_by_text]
            if new:
                verdicts_by_text.update(zip(new, guards.ask(new), strict=True))
            return [find_verdict(text, version) for text in texts]

        return Judge(f"connector-kit {version}", batch)

    return {version: judge(version) for version in KITS}


@pytest.fixture(scope="module")
def kit(kits: dict[str, Judge]) -> Judge:
    """Return the newest real guard."""
    return kits[KITS[-1]]


@pytest.fixture(scope="module")
def schemas() -> dict[str, Judge]:
    """Return our guard schemas as judges, by revision."""
    return {
        revision: schema_judge(f"our schema {revision}", guard_schema(revision))
        for revision in rule.REVISIONS
    }


@pytest.fixture
def deep_json() -> Iterator[None]:
    """Let Python read JSON that nests as deep as the recorded documents."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5_000)
    yield
    sys.setrecursionlimit(limit)


def test_the_worker_returns_a_verdict_of_every_kit(guards: NodeWorker) -> None:
    """Every connector-kit on npm that speaks revision 1.35 gives a verdict."""
    assert guards.ask(["{}", "[", '{"to":"","type":"Generic","payload":{}}']) == [
        dict.fromkeys(KITS, False),
        dict.fromkeys(KITS, None),
        dict.fromkeys(KITS, True),
    ]


def test_the_documents_are_many_and_mixed(texts: list[str]) -> None:
    """There are many documents, of every verdict and with hostile ones."""
    assert len(texts) >= AT_LEAST
    verdicts = rule_judge("1.35").verdicts(texts)
    shares = {name: verdicts.count(verdict) / len(texts) for verdict, name in _VERDICT_NAMES.items()}
    assert shares["accepted"] > 0.3
    assert shares["rejected"] > 0.3
    assert shares["not JSON"] > 0.02
    hostile = ("__proto__", "constructor", "toJSON", r"\ud800", "1e400", "[" * 100, "\u2028", r"\u0063ode")
    for part in hostile:
        assert sum(part in text for text in texts) > 50, part


@pytest.mark.parametrize("version", KITS)
def test_the_guard_schema_agrees_with_each_kit(
    version: str, kits: dict[str, Judge], texts: list[str]
) -> None:
    """Our schema in jsonschema gives the verdict of the real guard."""
    assert_agree(kits[version], schema_judge("our schema", guard_schema("1.35")), texts)


def test_the_compiled_guard_schema_agrees_with_the_kit(kit: Judge, texts: list[str]) -> None:
    """Our schema in jsonschema-rs gives the verdict of the real guard where it can read the document."""
    compiled = jsonschema_rs.validator_for(guard_schema("1.35"))

    def readable(text: str) -> bool:
        try:
            compiled.is_valid(value_of(text))
        except ValueError:  # a lone surrogate, or an exception in place of a value: the text is no JSON
            return False
        return True

    readable_texts = [text for text in texts if readable(text)]
    assert len(readable_texts) > 0.9 * len(texts)
    assert_agree(kit, judge_of_values("our compiled schema", compiled.is_valid), readable_texts)


def test_validate_agrees_with_the_kit(kit: Judge, texts: list[str]) -> None:
    """Our validation of the text gives the verdict of the real guard."""

    def verdict(text: str) -> bool | None:
        findings = validate(text)
        return None if any(finding.rule == "message/text/json" for finding in findings) else not findings

    assert_agree(kit, Judge("validate", lambda batch: [verdict(text) for text in batch]), texts)


def test_the_rule_agrees_with_the_kit(kit: Judge, texts: list[str]) -> None:
    """The rule that judges the older revisions is right about the current one."""
    assert_agree(kit, rule_judge("1.35"), texts)


@pytest.mark.usefixtures("deep_json")
def test_the_rule_agrees_with_recorded_verdicts() -> None:
    """The rule states for every revision what its guard does."""
    verdicts = recorded.guard_verdicts()
    assert len(verdicts) > 100
    for entry in verdicts:
        said = {revision: rule_judge(revision).verdicts([entry["json"]])[0] for revision in rule.REVISIONS}
        assert said == (entry["accepts"] or dict.fromkeys(rule.REVISIONS)), entry["label"]


@pytest.mark.usefixtures("deep_json")
@pytest.mark.parametrize("revision", rule.REVISIONS)
def test_the_guard_vectors_agree_with_the_rule(revision: str) -> None:
    """The vectors that we publish for the guard layer state the verdicts of the rule."""
    stated = guard_vectors(revision)
    assert len(stated) > 100
    verdicts = rule_judge(revision).verdicts([text for _, text, _ in stated])
    assert [(name, bool(verdict)) for (name, _, _), verdict in zip(stated, verdicts, strict=True)] == [
        (name, valid) for name, _, valid in stated
    ]


def test_the_guard_vectors_agree_with_the_kits(guards: NodeWorker) -> None:
    """The vectors of the current revision state the verdicts of the real guards."""
    stated = guard_vectors("1.35")
    verdicts_by_text = guards.ask([text for _, text, _ in stated])
    for (name, _, valid), find_verdict in zip(stated, verdicts_by_text, strict=True):
        assert {version: bool(verdict) for version, verdict in find_verdict.items()} == dict.fromkeys(
            KITS, valid
        ), name


@pytest.mark.parametrize("revision", rule.REVISIONS)
def test_the_guard_schema_of_each_revision_agrees_with_the_rule(
    revision: str, schemas: dict[str, Judge], texts: list[str]
) -> None:
    """Our schema of a revision gives the verdict of the rule, also where the real guard is not on npm."""
    assert_agree(rule_judge(revision), schemas[revision], texts)
    assert schemas[revision].verdicts(texts).count(True) > 0.1 * len(texts)


@pytest.mark.parametrize("member", ["a string", "a key", "an array", "an object"])
def test_kits_accept_huge_messages(member: str, guards: NodeWorker) -> None:
    """No guard has a limit of size or depth, so no schema of ours may have one."""
    huge = {
        "a string": json.dumps("x" * 2**20),
        "a key": f'{{"{"k" * 2**20}":0}}',
        "an array": "[" * 100_000 + "]" * 100_000,
        "an object": json.dumps({str(number): None for number in range(100_000)}),
    }
    text = f'{{"to":"","type":"Generic","payload":{{"x":{huge[member]}}},"x":{huge[member]}}}'
    assert guards.ask([text]) == [dict.fromkeys(KITS, True)]


def _change(schema: dict[str, Any], *path: str, value: object) -> None:
    for key in path[:-1]:
        schema = schema[key]
    if value is None:
        del schema[path[-1]]
    else:
        schema[path[-1]] = value


_MISTAKES: dict[str, tuple[tuple[str, ...], object]] = {
    "any root": (("type",), None),
    "to not required": (("required",), ["type", "payload"]),
    "to nullable": (("properties", "to", "type"), ["string", "null"]),
    "to not empty": (("properties", "to", "minLength"), 1),
    "type of an old revision": (("properties", "type", "enum"), [*rule.TYPES["1.35"], "Test"]),
    "type of an older revision": (("properties", "type", "enum"), [*rule.TYPES["1.31"]]),
    "payload an array": (("properties", "payload", "type"), ["object", "array"]),
    "code nullable": (("properties", "payload", "properties", "code", "type"), ["string", "null"]),
    "code of six digits": (("properties", "payload", "properties", "code", "maxLength"), 5),
    "uiLocales unknown": (("properties", "payload", "properties", "uiLocales"), None),
    "ip nullable": (("properties", "ip", "type"), ["string", "null"]),
    "no other variables": (("properties", "payload", "additionalProperties"), False),
    "no other members": (("additionalProperties",), False),
}


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_a_mistake_in_a_schema_is_reported_with_a_short_document(
    mistake: str, kit: Judge, texts: list[str]
) -> None:
    """A schema with one mistake is reported, with a document that is short enough to read."""
    schema = copy.deepcopy(guard_schema("1.35"))
    path, value = _MISTAKES[mistake]
    _change(schema, *path, value=value)
    with pytest.raises(DisagreementError) as caught:
        assert_agree(kit, schema_judge("a mistaken schema", schema), texts[:CONTROLS])
    assert len(caught.value.text) <= 80, caught.value.text
    assert caught.value.text in str(caught.value)
