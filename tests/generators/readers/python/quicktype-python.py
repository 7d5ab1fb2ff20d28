"""The dataclasses of quicktype."""

from __future__ import annotations

import json

from model import MailMessage  # type: ignore[import-not-found]  # the generator makes it


def parse(text: str) -> MailMessage:
    return MailMessage.from_dict(json.loads(text))


def encode(message: MailMessage) -> str:
    return json.dumps(message.to_dict())
