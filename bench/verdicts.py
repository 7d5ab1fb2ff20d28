"""What judging one valid message costs, against jsonschema with a validator that is reused."""

from __future__ import annotations

import json
import timeit
from functools import partial
from typing import TYPE_CHECKING

from _measure import alternate, judge, print_medians
from jsonschema import Draft202012Validator

from logto_mail_contract import catalogue, validate
from logto_mail_contract.judging.validation import validator

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE = (
    '{"to":"foo@example.com","type":"SignIn","payload":{"code":"123456","locale":"en","application":'
    '{"id":"demo-app","name":"Live Preview"},"organization":{"id":"uavz4qsvncw7","name":"Org",'
    '"branding":{}}},"ip":"::ffff:127.0.0.1"}'
)


def microseconds(call: Callable[[], object], number: int) -> float:
    return timeit.timeit(call, number=number) / number * 1e6


def main() -> None:
    value = json.loads(MESSAGE)
    for layer in ("guard", "emitted"):
        reused = Draft202012Validator(catalogue.schema(catalogue.current_revision(), layer))
        ours = validator(None, layer)
        assert reused.is_valid(value)
        assert ours.findings(value) == ()
        sides = {
            "a value, judged as the endpoint judges it": partial(
                microseconds, partial(ours.findings, value), 20_000
            ),
            "a value of any kind: validate(value)": partial(
                microseconds, partial(validate, value, layer=layer), 5_000
            ),
            "text, read and judged: validate(text)": partial(
                microseconds, partial(validate, MESSAGE, layer=layer), 5_000
            ),
            "a value, a reused Draft202012Validator": partial(
                microseconds, partial(reused.is_valid, value), 500
            ),
            "json.loads alone, for comparison": partial(microseconds, partial(json.loads, MESSAGE), 20_000),
        }
        judged, value_too, text_too, theirs, read = print_medians(
            f"(c) One valid message, layer {layer}", alternate(sides, 7), "µs"
        ).values()
        judge("judging / jsonschema", judged / theirs, 1 / 20, at_most=True)
        judge("validate(value) / jsonschema", value_too / theirs, 1 / 20, at_most=True)
        judge("validate(text) / jsonschema, which reads nothing", text_too / theirs, 1 / 20, at_most=True)
        if layer == "guard":
            print(
                f"  Why validate misses it here: a twentieth is {theirs / 20:.2g} µs. To read the text takes"
            )
            print(f"  {read:.2g} µs, and to look whether each part of a value is JSON takes longer too. The")
            print("  guard's schema is small, so jsonschema is quick with it.")


if __name__ == "__main__":
    main()
