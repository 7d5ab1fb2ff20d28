"""The rows of the table of validators in ``docs/tested-tools.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.tool_tables import npm_version, pypi_version, render_row
from tests.validators import engines
from tests.validators.cases import DRAFT_07, DRAFT_2020, jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.validators.cases import Job


@dataclass(frozen=True)
class Validator:
    """A validator of the table.

    Args:
        title: Its name in the table.
        version: The pinned version.
        judge: The engine; it takes ``name`` and the jobs.
        name: The engine's name for it.
        drafts: The drafts that it judges by.
        is_cheap: ``make test`` runs it.
    """

    title: str
    version: str
    judge: Callable[[str, Sequence[Job]], list[engines.Verdicts]]
    name: str
    drafts: tuple[str, ...] = (DRAFT_2020, DRAFT_07)
    is_cheap: bool = False


VALIDATORS = (
    Validator(
        "Ajv, `ajv/dist/2020`",
        npm_version("validators", "ajv"),
        engines.judge_with_npm,
        "ajv-2020",
        (DRAFT_2020,),
    ),
    Validator(
        "Ajv, default export",
        npm_version("validators", "ajv"),
        engines.judge_with_npm,
        "ajv",
        (DRAFT_07,),
        True,
    ),
    Validator(
        "@hyperjump/json-schema",
        npm_version("validators", "@hyperjump/json-schema"),
        engines.judge_with_npm,
        "hyperjump",
        is_cheap=True,
    ),
    Validator(
        "@exodus/schemasafe",
        npm_version("validators", "@exodus/schemasafe"),
        engines.judge_with_npm,
        "schemasafe",
        is_cheap=True,
    ),
    Validator("jsonschema, Python", pypi_version("jsonschema"), engines.judge_with_python, "jsonschema"),
    Validator(
        "jsonschema-rs, Python",
        pypi_version("jsonschema_rs"),
        engines.judge_with_python,
        "jsonschema-rs",
        is_cheap=True,
    ),
    Validator(
        "Sourcemeta's jsonschema", pypi_version("sourcemeta-jsonschema"), engines.judge_with_sourcemeta, ""
    ),
    Validator("JSON::Validator, Perl", "of Debian", engines.judge_with_perl, "", (DRAFT_07,)),
)


def validator_rows(validator: Validator) -> list[str]:
    """Return the rows of a validator, one for each draft."""
    return [
        make_row(validator, draft, jobs(draft), validator.judge(validator.name, jobs(draft)))
        for draft in validator.drafts
    ]


def make_row(
    validator: Validator, draft: str, judged: Sequence[Job], verdicts: Sequence[engines.Verdicts]
) -> str:
    """Return the row of a validator. It has no count of vectors, so that a new vector changes no row.

    Raises:
        AssertionError: A verdict is wrong about a text that every parser reads alike.
    """
    wrong = [
        (case, verdict)
        for job, column in zip(judged, verdicts, strict=True)
        for case, verdict in zip(job.cases, column, strict=True)
        if (verdict == "valid") is not case.valid
    ]
    misjudged = [f"{case.id}: {verdict}" for case, verdict in wrong if case.about != "parser"]
    assert not misjudged, f"{validator.title}, {draft}: {misjudged}"
    refused = sorted({case.difficulty for case, _ in wrong if case.valid})
    accepted = sorted({case.difficulty for case, _ in wrong if not case.valid})
    differences = [
        f"{verb} {', '.join(difficulties)}"
        for verb, difficulties in (("refuses", refused), ("accepts", accepted))
        if difficulties
    ]
    return render_row(
        validator.title, validator.version, draft, len(judged), "all", "; ".join(differences) or "all", "all"
    )
