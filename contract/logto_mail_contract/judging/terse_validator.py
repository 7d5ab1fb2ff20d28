"""jsonschema's validator with errors that have no message.

jsonschema puts the whole value into a message, in one call that holds the interpreter. For a value that nests
deep this is quadratic in the depth.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _refuse_unless(accepts: Callable[[Any, Any, Any], bool]) -> Callable[..., Iterator[ValidationError]]:
    def check(validator: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
        if not accepts(validator, wanted, value):
            yield ValidationError("")

    return check


def _has_type(validator: Any, wanted: Any, value: Any) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(validator.is_type(value, name) for name in names)


TerseValidator = extend(  # type: ignore[no-untyped-call]  # its stubs lack the types
    Draft202012Validator,
    {
        "type": _refuse_unless(_has_type),
        # The schemas list texts only.
        "enum": _refuse_unless(lambda _, wanted, value: isinstance(value, str) and value in wanted),
        "not": _refuse_unless(
            lambda validator, wanted, value: not validator.evolve(schema=wanted).is_valid(value)
        ),
        "minLength": _refuse_unless(
            lambda _, wanted, value: not isinstance(value, str) or len(value) >= wanted
        ),
        "maxLength": _refuse_unless(
            lambda _, wanted, value: not isinstance(value, str) or len(value) <= wanted
        ),
        "pattern": _refuse_unless(
            lambda _, wanted, value: not isinstance(value, str) or re.search(wanted, value) is not None
        ),
    },
)
"""Validates against draft 2020-12. Of the keywords in the schemas, none prints the value into a message."""
