"""Judges texts with validators; an engine takes jobs and returns a verdict for each of their texts.

A verdict is ``valid``, ``invalid``, or ``unread``: the parser before the validator refuses the text.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import jsonschema_rs
from tests.schemas.contract_files import deep_recursion, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.validators.cases import Job

FOLDER = Path(__file__).parent
Verdicts = list[str]


class SchemaRefusedError(AssertionError):
    """A validator does not load a schema."""


def judge_with_npm(name: str, jobs: Sequence[Job]) -> list[Verdicts]:
    """Judge with a validator of npm, see ``validate.mjs``."""
    return _ask(("node", FOLDER / "validate.mjs", name), jobs)


def judge_with_perl(_name: str, jobs: Sequence[Job]) -> list[Verdicts]:
    """Judge with JSON::Validator, see ``validate.pl``."""
    return _ask(("perl", FOLDER / "validate.pl"), jobs)


def _ask(command: Sequence[str | Path], jobs: Sequence[Job]) -> list[Verdicts]:
    work = [{"schema": job.schema, "texts": [case.text for case in job.cases]} for job in jobs]
    result = subprocess.run(
        command, input=json.dumps(work), capture_output=True, encoding="utf-8", timeout=120
    )
    assert result.returncode == 0, result.stderr
    verdicts = []
    for job, outcome in zip(jobs, json.loads(result.stdout), strict=True):
        if "refused" in outcome:
            raise SchemaRefusedError(f"{command}: {job.file}: {outcome['refused']}")
        verdicts.append(outcome["verdicts"])
    return verdicts


def judge_with_python(name: str, jobs: Sequence[Job]) -> list[Verdicts]:
    """Judge with jsonschema or jsonschema-rs."""
    verdicts = []
    for job in jobs:
        try:
            is_valid = _python_validator(name, job.schema)
        except (jsonschema.SchemaError, jsonschema_rs.ValidationError) as error:
            raise SchemaRefusedError(f"{name}: {job.file}: {error.message}") from error
        verdicts.append([_judge(is_valid, case.text) for case in job.cases])
    return verdicts


def _python_validator(name: str, schema: Any) -> Callable[[Any], bool]:
    if name == "jsonschema":
        validator = jsonschema.validators.validator_for(schema)
        validator.check_schema(schema)
        is_valid: Callable[[Any], bool] = validator(schema).is_valid
        return is_valid
    return jsonschema_rs.validator_for(schema).is_valid


def _judge(is_valid: Callable[[Any], bool], text: str) -> str:
    try:
        value = read_json(text)
        with deep_recursion():
            return "valid" if is_valid(value) else "invalid"
    except ValueError:  # jsonschema-rs raises it for a lone surrogate and for great depth
        return "unread"


def judge_with_sourcemeta(_name: str, jobs: Sequence[Job]) -> list[Verdicts]:
    """Judge with Sourcemeta's command ``jsonschema``."""
    verdicts = []
    with tempfile.TemporaryDirectory() as name:
        for number, job in enumerate(jobs):
            folder = Path(name, str(number))
            texts = folder / "texts"
            texts.mkdir(parents=True)
            schema = folder / "schema.json"
            schema.write_text(json.dumps(job.schema), encoding="utf-8")
            for place, case in enumerate(job.cases):
                (texts / f"{place}.json").write_text(case.text, encoding="utf-8")
            judged = _judge_folder(schema, texts)
            if not judged:
                raise SchemaRefusedError(f"Sourcemeta's jsonschema: {job.file}")
            # The command passes over an empty file without a word.
            verdicts.append([judged.get(place, "unread") for place in range(len(job.cases))])
    return verdicts


def _judge_folder(schema: Path, texts: Path) -> dict[int, str]:
    """Return the verdicts by the numbers of the files; those that the command cannot read have none."""
    command = (sys.executable, "-m", "sourcemeta_jsonschema", "validate", schema, texts)
    while True:
        result = subprocess.run(
            (*command, "--verbose", "--continue"), capture_output=True, encoding="utf-8", timeout=120
        )
        # The command ends at the first text that it cannot read: go on without that text.
        unread = re.search(
            r"^error: Failed to parse.*^  at file path (.*\.json)$", result.stderr, re.MULTILINE | re.DOTALL
        )
        if unread is None:
            break
        Path(unread.group(1)).unlink()
    found = re.findall(r"^(ok|fail): .*/(\d+)\.json", result.stderr, re.MULTILINE)
    return {int(place): "valid" if outcome == "ok" else "invalid" for outcome, place in found}
