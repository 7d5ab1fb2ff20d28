"""Judges a message against one revision and layer of the contract."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import cache, lru_cache
from itertools import islice, starmap
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..findings import ContractViolation, Finding
from ..masking import escape_unprintable, format_names, format_value
from .javascript_json import MAX_DEPTH, NotJson, NotUtf8, TooDeep, escape, parse, walk
from .message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator as Explainer

_TYPE_NAMES = {
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}
_BITS_OF_A_DOUBLE = 1024
_URL_FORMAT = "url-of-a-logo"
# Parsers of different ages disagree about Unicode in a host, escaped or as Punycode.
_DISPUTED = re.compile(r"[^\x00-\x7f]|%[89A-Fa-f]|[Xx][Nn]--")
# A whole message or payload is secret too: a sender may have written it as text, with the code in it.
_SECRET_POINTERS = ("", "/payload", "/payload/code", "/payload/link")


def validate(message: Any, revision: str | None = None, layer: str = "guard") -> tuple[Finding, ...]:
    """Return the findings about a message; it is valid when there are none.

    Text is read as ``JSON.parse`` reads it: of duplicate keys the last counts, as for Logto's guard.

    Args:
        message: JSON text, as ``str`` or as UTF-8 ``bytes``, or a value as ``json.loads`` returns it (a
            ``str`` is always read as text).
        revision: A contract revision (``"1.35"``) or a Logto release (``"v1.22.0"``); the current revision
            when None.
        layer: ``guard`` (what the type allows), ``emitted`` (what Logto core sends) or ``documented`` (what
            the docs promise, current revision only).

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        TypeError: JSON has no type for a part of the value, for example a datetime, a tuple or NaN.
    """
    judging = validator(revision, layer)
    try:
        return judging.findings(_read_message(message))
    except (NotUtf8, NotJson, TooDeep) as problem:
        return (text_finding(problem),)


def check(message: Any, revision: str | None = None, layer: str = "guard") -> Message:
    """Return the typed view of a message that is valid.

    Args:
        message: As for ``validate``.
        revision: As for ``validate``.
        layer: As for ``validate``.

    Raises:
        ContractViolation: The message is invalid; the text lists every finding.
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        TypeError: JSON has no type for a part of the value.
    """
    judging = validator(revision, layer)
    findings = validate(message, revision, layer)
    if findings:
        raise ContractViolation(
            findings, f"The message breaks revision {judging.revision} of the contract, layer {layer}"
        )
    return Message(_read_message(message))


def validator(revision: str | None = None, layer: str = "guard") -> Validator:
    """Return the validator of a revision and layer, which is made once.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
    """
    return _validator(revision, layer)


@cache
def _validator(revision: str | None, layer: str) -> Validator:
    resolved = catalogue.resolve_revision(revision)
    return Validator(resolved, layer) if resolved == revision else _validator(resolved, layer)


class Validator:
    """Judges values against one schema: a compiled engine says whether, jsonschema says what.

    Args:
        revision: A contract revision, not a release.
        layer: ``guard``, ``emitted`` or ``documented``.

    Attributes:
        revision: As given.
        layer: As given.

    Raises:
        catalogue.UnknownLayer: That revision has no such layer.
    """

    def __init__(self, revision: str, layer: str) -> None:
        import jsonschema_rs

        self.revision = revision
        self.layer = layer
        self._schema = _parse_urls(dict(catalogue.schema(revision, layer)))
        self._is_valid = jsonschema_rs.validator_for(
            self._schema, formats={_URL_FORMAT: _is_parsable}, validate_formats=True
        ).is_valid
        self._explaining: Explainer | None = None

    def accepts(self, value: Any) -> bool:
        """Return whether a value is valid.

        Args:
            value: A value as ``javascript_json.parse`` returns it.
        """
        try:
            return self._is_valid(value)
        except ValueError:
            # The compiled engine cannot read every value, for example a lone surrogate in a key.
            return not self.findings(value)

    def findings(self, value: Any) -> tuple[Finding, ...]:
        """Return the findings about a value, in the order of the schema.

        Args:
            value: A value as ``javascript_json.parse`` returns it.
        """
        return self.first_findings(value, None)[0]

    def first_findings(self, value: Any, most: int | None) -> tuple[tuple[Finding, ...], int]:
        """Return the first findings about a value, and how many more there are.

        Args:
            value: A value as ``javascript_json.parse`` returns it.
            most: How many findings at most; None for all.
        """
        try:
            if self._is_valid(value):
                return (), 0
        except ValueError:
            # The compiled engine cannot read every value, for example a text with a lone surrogate.
            pass
        # One error at a time: a message of megabytes has hundreds of thousands.
        errors = _name_missing_members(self._errors(value))
        first = tuple(starmap(self._explain, islice(errors, most)))
        left = sum(1 for _ in errors)
        known = {finding.pointer for finding in first}
        surrogates = [
            self._refuse_surrogate(pointer, text)
            for pointer, text in (_find_surrogates(value) if self.layer == "emitted" else ())
            if pointer not in known
        ]
        room = len(surrogates) if most is None else most - len(first)
        return (*first, *surrogates[:room]), left + len(surrogates[room:])

    def _errors(self, value: Any) -> Iterator[ValidationError]:
        if self._explaining is None:
            from jsonschema import FormatChecker

            from .terse_validator import TerseValidator

            formats = FormatChecker(formats=())
            formats.checks(_URL_FORMAT)(_is_parsable)
            self._explaining = TerseValidator(self._schema, format_checker=formats)
        return self._explaining.iter_errors(value)

    def _explain(self, error: ValidationError, missing: str | None) -> Finding:
        pointer = "".join(f"/{escape(str(token))}" for token in error.absolute_path)
        # The rule `values` covers the payload as a whole, for example unknown variables.
        member = missing or (
            "*" if error.validator in ("additionalProperties", "propertyNames", "not") else None
        )
        place = pointer if member is None else f"{pointer}/{member}"
        expected, actual = _format_outcomes(error, missing, pointer, self._schema.get("$defs", {}))
        return _make_finding(
            f"message/{self.layer}/{self._choose_slug(place)}", self.layer, pointer, expected, actual
        )

    def _refuse_surrogate(self, pointer: str, text: str) -> Finding:
        return _make_finding(
            f"message/{self.layer}/{self._choose_slug(pointer)}",
            self.layer,
            pointer,
            ("text without lone surrogates, which PostgreSQL does not store",),
            format_value(text),
        )

    def _choose_slug(self, place: str) -> str:
        tokens = place.split("/")[1:]
        if tokens[:1] != ["payload"] or len(tokens) == 1:
            return tokens[0] if tokens and tokens[0] in ("to", "type", "payload", "ip") else "object"
        slug = re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", tokens[1])
        return slug if f"message/{self.layer}/{slug}" in catalogue.rules() else "values"


def _parse_urls(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose URLs of logos are parsed too, where its patterns find no fault in them.

    The schema in the file cannot say so: other validators do not know the format.
    """
    definitions = schema.get("$defs", {})
    if "BrandingUrl" not in definitions:
        return schema
    url = definitions["BrandingUrl"]
    parsed = {"allOf": [url, {"if": url, "then": {"format": _URL_FORMAT}}]}
    return {**schema, "$defs": {**definitions, "BrandingUrl": parsed}}


# Few, since each may be megabytes long: a tenant has a handful of logos.
@lru_cache(maxsize=16)
def _is_parsable(text: str) -> bool:
    """Return False for text that no Node's URL parser accepts."""
    if _DISPUTED.search(text):
        return True
    # Not above: the import takes longer than that of this module.
    import ada_url

    return ada_url.check_url(text)


def _find_surrogates(message: Any) -> Iterator[tuple[str, str]]:
    """Yield each text with a lone surrogate that Logto would have to read from its database.

    A schema cannot say so: the patterns of most languages cannot name a surrogate.
    """
    if not isinstance(message, dict) or message.get("type") == "OrganizationInvitation":
        return
    payload = message.get("payload")
    places = {} if message.get("type") == "Generic" else {"/to": message.get("to")}
    for variable in ("application", "organization", "user"):
        if isinstance(payload, dict) and isinstance(payload.get(variable), dict):
            places[f"/payload/{variable}"] = payload[variable]
    for place, value in places.items():
        for pointer, part in walk(value):
            if isinstance(part, str) and re.search("[\ud800-\udfff]", part):
                yield f"{place}{pointer}", part


def text_finding(problem: NotUtf8 | NotJson | TooDeep) -> Finding:
    """Return the finding about a text that cannot be judged as a message."""
    if isinstance(problem, NotUtf8):
        return _make_finding("message/text/utf-8", None, "", ("UTF-8 text",), str(problem))
    if isinstance(problem, TooDeep):
        return _make_finding("message/text/depth", None, "", ("at most 500 levels of nesting",), str(problem))
    return _make_finding("message/text/json", None, "", ("JSON as JSON.parse reads it",), str(problem))


def rule_finding(rule: str, expected: tuple[str, ...], actual: str) -> Finding:
    """Return the finding that a request fails a rule of the catalogue.

    Raises:
        KeyError: There is no such rule.
    """
    return _make_finding(rule, None, "", expected, actual)


def _make_finding(
    rule: str, layer: str | None, pointer: str, expected: tuple[str, ...], actual: str
) -> Finding:
    entry = catalogue.rules()[rule]
    return Finding(
        rule=rule,
        level=entry.level,
        layer=layer,
        pointer=pointer,
        expected=expected,
        actual=actual,
        requirement=entry.requirement,
        consequence=entry.consequence,
    )


def _read_message(message: Any) -> Any:
    if isinstance(message, (str, bytes)):
        return parse(message)
    if isinstance(message, bytearray):
        return parse(bytes(message))
    if _is_plain(message):
        return message
    parts = walk(message)
    for pointer, part in parts:
        if not (part is None or isinstance(part, (str, int, float, list, dict))):
            raise TypeError(
                f"A message is JSON text or a value as json.loads returns it, but at {pointer or 'the top'} "
                f"is a {type(part).__name__}"
            )
        if isinstance(part, float) and math.isnan(part):
            raise TypeError(f"At {pointer or 'the top'} is NaN, which JSON does not have")
        if isinstance(part, dict) and not all(isinstance(key, str) for key in part):
            raise TypeError(f"The object at {pointer or 'the top'} has a key that is not a str")
    return _replace_huge_integers([part for _, part in parts])


def _is_plain(value: Any) -> bool:
    """Return whether a value surely is one that ``json.loads`` returns; cheap, and true for most values."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for part in level:
            kind = type(part)
            if kind is dict:
                if not all(type(key) is str for key in part):
                    return False
                below += part.values()
            elif kind is list:
                below += part
            elif kind is int:
                if part.bit_length() > _BITS_OF_A_DOUBLE:
                    return False
            elif kind is float:
                if part != part:  # NaN
                    return False
            elif not (kind is str or part is None or kind is bool):
                return False
        if not below:
            return True
        level = below
    return False


def _replace_huge_integers(parts: list[Any]) -> Any:
    # Python refuses to print such an integer; in JavaScript it is infinity.
    copies: dict[int, Any] = {}

    def copy(part: Any) -> Any:
        if isinstance(part, int) and part.bit_length() > _BITS_OF_A_DOUBLE:
            return math.inf if part > 0 else -math.inf
        return copies.get(id(part), part)

    for part in reversed(parts):
        if isinstance(part, dict):
            copies[id(part)] = {key: copy(member) for key, member in part.items()}
        elif isinstance(part, list):
            copies[id(part)] = [copy(member) for member in part]
    return copy(parts[0])


def _name_missing_members(
    errors: Iterable[ValidationError],
) -> Iterator[tuple[ValidationError, str | None]]:
    # jsonschema makes one error for each missing member, in the order of `required`, without its name.
    seen: Counter[tuple[Any, ...]] = Counter()
    for error in errors:
        if error.validator != "required":
            yield error, None
            continue
        where = (*error.absolute_schema_path, *error.absolute_path)
        required: Any = error.validator_value
        instance: Any = error.instance
        absent = [name for name in required if name not in instance]
        yield error, absent[seen[where]]
        seen[where] += 1


def _format_outcomes(
    error: ValidationError, missing: str | None, pointer: str, definitions: Mapping[str, Any]
) -> tuple[tuple[str, ...], str]:
    instance: Any = error.instance
    schema: Any = error.schema
    value: Any = error.validator_value
    actual = format_value(instance, mask=pointer in _SECRET_POINTERS)
    match error.validator:
        case "required":
            return (f'a member "{missing}"',), f"an object without it, its members: {format_names(instance)}"
        case "type":
            types = value if isinstance(value, list) else [value]
            return tuple(_TYPE_NAMES[name] for name in types), actual
        case "enum":
            return tuple(json.dumps(option) for option in value), actual
        case "additionalProperties" if value is False:
            known = schema["properties"]
            extra = [name for name in instance if name not in known]
            return (f"no members but {format_names(known)}",), f"also {format_names(extra)}"
        case "minLength":
            return ("text that is not empty" if value == 1 else f"at least {value} characters",), actual
        case "maxLength":
            return (f"at most {value} characters",), f"{len(instance)} characters: {actual}"
        case "pattern":
            title = f"{schema['title']}: " if "title" in schema else ""
            return (f"{title}text that matches {escape_unprintable(value)}",), actual
        case "format":
            return ("text that a URL parser accepts",), actual
        case "not" if "$ref" in value or "description" in value:
            refused = definitions[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
            meaning = refused["description"].removesuffix(".")
            return (f"anything but {meaning[0].lower()}{meaning[1:]}",), actual
        case "not" if "pattern" in value:
            return (f"text that does not match {json.dumps(value['pattern'])}",), actual
        case "not" if "const" in value:
            return (f"anything but {json.dumps(value['const'])}",), actual
        case "not" if value == {}:
            return ("no such member",), actual
    return (str(schema.get("description", f"what {error.validator} allows")),), actual
