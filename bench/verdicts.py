"""What judging one valid message costs, against jsonschema with a validator that is reused."""

from __future__ import annotations

import json
import timeit

from _measure import alternate, judge, tell
from jsonschema import Draft202012Validator

from logto_mail_contract import catalogue, validate
from logto_mail_contract.validation import validator

MESSAGE = (
    '{"to":"foo@example.com","type":"SignIn","payload":{"code":"123456","locale":"en","application":'
    '{"id":"demo-app","name":"Live Preview"},"organization":{"id":"uavz4qsvncw7","name":"Org",'
    '"branding":{}}},"ip":"::ffff:127.0.0.1"}'
)


def main() -> None:
    value = json.loads(MESSAGE)
    for layer in ("guard", "emitted"):
        reused = Draft202012Validator(catalogue.schema(catalogue.current_revision(), layer))
        ours = validator(None, layer)
        assert reused.is_valid(value)
        assert ours.findings(value) == ()

        def microseconds(call: object, number: int) -> float:
            return timeit.timeit(call, number=number) / number * 1e6  # type: ignore[arg-type]

        sides = {
            "a value, judged as the endpoint judges it": lambda ours=ours: microseconds(
                lambda: ours.findings(value), 20_000
            ),  # type: ignore[misc]
            "text, read and judged: validate(text)": lambda layer=layer: microseconds(
                lambda: validate(MESSAGE, layer=layer), 5_000
            ),  # type: ignore[misc]
            "a value, a reused Draft202012Validator": lambda reused=reused: microseconds(
                lambda: reused.is_valid(value), 500
            ),  # type: ignore[misc]
            "json.loads alone, for comparison": lambda: microseconds(lambda: json.loads(MESSAGE), 20_000),
        }
        judged, _, theirs, _ = tell(
            f"(c) One valid message, layer {layer}", alternate(sides, 7), "µs"
        ).values()
        judge("ours / jsonschema", judged / theirs, 1 / 20, at_most=True)


if __name__ == "__main__":
    main()
