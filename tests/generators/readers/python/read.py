"""Reads messages with generated classes, by attribute; ``adapter.py`` is that of the generator.

It reads and writes lines as ``read.mjs`` does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from adapter import encode, parse  # type: ignore[import-not-found]  # the test puts it beside this file


def context_of(message: Any) -> dict[str, Any]:
    payload = message.payload
    context: dict[str, Any] = {"code": payload.code}
    for name in ("application", "organization", "user", "inviter"):
        value = getattr(payload, name, None)
        context[name] = value and {key: getattr(value, key, None) for key in ("id", "name")}
    return context


for line in sys.stdin:
    try:
        message = parse(line)
    except Exception as error:  # noqa: BLE001  # each generator has its own
        result: dict[str, Any] = {"refused": f"{type(error).__name__}: {error}"}
    else:
        result = {"context": context_of(message), "encoded": encode(message)}
    sys.stdout.write(f"{json.dumps(result)}\n")
