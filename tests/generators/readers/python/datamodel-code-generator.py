"""The pydantic models of datamodel-code-generator."""

from __future__ import annotations

from model import MailMessage  # type: ignore[import-not-found]  # the generator makes it


def parse(text: str) -> MailMessage:
    return MailMessage.model_validate_json(text)


def encode(message: MailMessage) -> str:
    return str(message.model_dump_json(exclude_unset=True))
