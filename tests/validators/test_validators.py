"""Validators of other languages give each vector and each recorded body its verdict."""

from __future__ import annotations

import pytest
from tests.logto.node import require_packages
from tests.support.tool_tables import PAGE, rows_on_page
from tests.validators import engines
from tests.validators.cases import DRAFT_07, DRAFT_2020, Case, Job, jobs
from tests.validators.rows import VALIDATORS, Validator, make_row, validator_rows

CHEAP = [validator for validator in VALIDATORS if validator.is_cheap]


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    require_packages(engines.FOLDER, "tests/validators")


@pytest.mark.parametrize("validator", CHEAP, ids=lambda validator: validator.title)
def test_the_rows_of_the_page_are_current(validator: Validator) -> None:
    page = rows_on_page("validators", PAGE.read_text(encoding="utf-8"))
    expected = [row for row in page if row.startswith(f"| {validator.title} | ")]
    assert len(expected) == len(validator.drafts)
    assert validator_rows(validator) == expected


def test_the_page_has_a_row_for_each_validator_and_draft() -> None:
    rows = rows_on_page("validators", PAGE.read_text(encoding="utf-8"))
    named = [row.split(" | ")[:3] for row in rows]
    assert named == [[f"| {each.title}", each.version, draft] for each in VALIDATORS for draft in each.drafts]


@pytest.mark.parametrize("draft", [DRAFT_2020, DRAFT_07])
def test_every_kind_of_text_is_judged(draft: str) -> None:
    kinds = {(case.about, case.valid) for job in jobs(draft) for case in job.cases}
    assert kinds == {
        (about, valid) for about in ("schema", "parser", "recorded", "sent") for valid in (True, False)
    }


# Controls.

TEXTS = [Case("right", "{}", True, "schema"), Case("not-json", "{", False, "parser", "syntax")]


class FixedJob(Job):
    """A job with a schema of its own."""

    @property
    def schema(self) -> object:
        return SCHEMAS[self.file]


SCHEMAS = {
    "good": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
    "of another mind": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"},
    "unreadable": {"$schema": "http://json-schema.org/draft-07/schema#", "type": 1},
}


@pytest.mark.parametrize("validator", CHEAP, ids=lambda validator: validator.title)
def test_verdicts_and_refused_schemas_are_reported(validator: Validator) -> None:
    judged = validator.judge(validator.name, [FixedJob("good", TEXTS), FixedJob("of another mind", TEXTS)])
    assert judged == [["valid", "unread"], ["invalid", "unread"]]
    with pytest.raises(engines.SchemaRefusedError, match="unreadable"):
        validator.judge(validator.name, [FixedJob("unreadable", TEXTS)])


def test_a_wrong_verdict_about_the_schema_is_an_error() -> None:
    job = Job("x", TEXTS)
    assert make_row(CHEAP[0], DRAFT_07, [job], [["valid", "unread"]]).endswith("| 1 | all | all | all |")
    assert make_row(CHEAP[0], DRAFT_07, [job], [["valid", "valid"]]).endswith(
        "| all | accepts syntax | all |"
    )
    for verdict in ("invalid", "unread"):
        with pytest.raises(AssertionError, match=f"right: {verdict}"):
            make_row(CHEAP[0], DRAFT_07, [job], [[verdict, "unread"]])
