"""The rows of the table of generators in ``docs/tested-tools.md``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.generators.readings import Loss, Result
from tests.support.receiver_messages import MESSAGES, OTHER_RELEASES
from tests.support.tool_tables import npm_version, pypi_version, render_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.generators.readings import Reading

_UNNAMED_FIELDS = "the classes have fields for the members of the schema alone"


@dataclass(frozen=True)
class Generator:
    """What the table says of a generator beside its measured results.

    Args:
        title: Its name and the language.
        version: The pinned version.
        source: The file that it reads.
        reasons: Why its code loses what it loses.
    """

    title: str
    version: str
    source: str = "receiver.schema.json"
    reasons: Mapping[Loss, str] = field(default_factory=dict)


def _quicktype(language: str, reasons: Mapping[Loss, str]) -> Generator:
    return Generator(f"quicktype, {language}", npm_version("generators", "quicktype-core"), reasons=reasons)


GENERATORS = {
    "quicktype-typescript": _quicktype("TypeScript", {}),
    "json-schema-to-typescript": Generator(
        "json-schema-to-typescript", npm_version("generators", "json-schema-to-typescript")
    ),
    "openapi-typescript": Generator(
        "openapi-typescript", npm_version("generators", "openapi-typescript"), "openapi.json"
    ),
    "json-schema-to-zod": Generator(
        "json-schema-to-zod, Zod 4", npm_version("generators", "json-schema-to-zod")
    ),
    "datamodel-code-generator": Generator(
        "datamodel-code-generator, pydantic 2", pypi_version("datamodel-code-generator")
    ),
    "quicktype-python": _quicktype(
        "Python", {Loss.UNNAMED: _UNNAMED_FIELDS, Loss.NULL: "`None` stands for `null` and for absent"}
    ),
    "quicktype-go": _quicktype("Go", {Loss.UNNAMED: _UNNAMED_FIELDS}),
    "openapi-generator": Generator(
        "openapi-generator, Go", pypi_version("openapi-generator-cli"), "openapi.json"
    ),
    "quicktype-java": _quicktype(
        "Java, Jackson", {Loss.UNNAMED: _UNNAMED_FIELDS, Loss.ADDED: "Jackson writes every field by default"}
    ),
}
"""By the names that the families use, in the order of the table."""


TABLE_MESSAGES = [*MESSAGES, *OTHER_RELEASES]
"""The messages of the table."""


def generator_row(name: str, result: Result) -> str:
    """Return the row of a generator.

    Args:
        name: Its name in ``GENERATORS``.
        result: What its code made of ``TABLE_MESSAGES``, and of others that the row does not count.

    Raises:
        AssertionError: The code refuses a message that it must read, or loses context. Or what it loses and
            the reasons in ``GENERATORS`` differ.
    """
    generator = GENERATORS[name]
    assert result.broken is None, f"{name}: its code does not compile:\n{result.broken}"
    assert result.wrongly_refused == [], f"{name} refuses {result.wrongly_refused}"
    assert result.context_lost == [], f"{name} loses context of {result.context_lost}"
    of_table = result.readings[: len(TABLE_MESSAGES)]
    recorded, others = of_table[: len(MESSAGES)], of_table[len(MESSAGES) :]
    losses = Result(of_table).losses
    assert losses.keys() == generator.reasons.keys(), (
        f"{name} loses {dict(losses)}, reasons: {generator.reasons}"
    )
    return render_row(
        generator.title,
        generator.version,
        f"`{generator.source}`",
        "yes",
        _count_read(recorded),
        len(result.context_lost),
        _count_equal(recorded),
        _count_read(others),
        _count_equal(others),
        "; ".join(f"{loss} ({losses[loss]}): {why}" for loss, why in generator.reasons.items()) or "nothing",
    )


def _count_read(readings: list[Reading]) -> int:
    return sum(reading.refused is None for reading in readings)


def _count_equal(readings: list[Reading]) -> int:
    return sum(reading.refused is None and not reading.losses for reading in readings)
