"""Measures the cost of drawing a message, and compares it with two other ways to draw one.

Run it with ``.venv/bin/python bench/strategies.py``. The runs alternate between the ways, so that load on the
machine affects all of them. It measures processor time; a figure is the median of the runs.

- ours: ``logto_mail_contract.strategies.messages``
- plain: the same shape, written with ``fixed_dictionaries`` in the most obvious way
- hypothesis-jsonschema: ``from_schema`` of this project's schema, in its own environment under ``.bench/``,
  with the newest Hypothesis that it supports; it ignores the keywords of a schema that it does not know
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import string
import subprocess
import sys
import time
import venv
import warnings
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning, NoSuchExample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import SearchStrategy

PROJECT = Path(__file__).parents[1]
ENVIRONMENT = PROJECT / ".bench" / "hypothesis-jsonschema"
# hypothesis-jsonschema imports a private name that Hypothesis 6.170.10 no longer has.
REQUIREMENTS = ("hypothesis-jsonschema==0.23.1", "hypothesis==6.170.9")
SCHEMAS = {
    "guard": PROJECT / "schemas" / "1.35" / "send-message-data.schema.json",
    "emitted": PROJECT / "schemas" / "1.35" / "emitted.schema.json",
}

TIMES_JSONSCHEMA = 15
TIMES_PLAIN = 2
TIMES_LENGTH = 1.1


def microseconds(strategy: SearchStrategy[Any], examples: int) -> float:
    """Return the processor time of one example."""

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(_: object) -> None:
        pass

    start = time.process_time()
    draw()
    return (time.process_time() - start) / examples * 1e6


# The plain rendering


def plain() -> dict[str, SearchStrategy[Any]]:
    """Return the guard and the emitted layer of 1.35, member by member."""
    stored = st.characters(codec="utf-8", exclude_characters="\0")

    def text(longest: int | None = None, least: int = 0) -> SearchStrategy[str]:
        return st.text(stored, min_size=least, max_size=longest)

    def optional(**members: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({}, optional=members)

    word = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
    # st.emails() alone costs more than everything else.
    to = word.map(lambda local: f"{local}@example.com")
    code = st.text(string.digits, min_size=6, max_size=6)
    locale = st.sampled_from(["en", "de", "fr", "pt-BR", "zh-CN"])
    ip = st.sampled_from(["::1", "::ffff:203.0.113.7", "203.0.113.7", "unknown"]) | text(40, 1)
    url = text(60)
    branding = optional(logoUrl=url, darkLogoUrl=url, favicon=url, darkFavicon=url)
    application = st.fixed_dictionaries(
        {"id": text(21), "name": text(256)}, optional={"branding": branding, "displayName": text(256, 1)}
    )
    organization = st.fixed_dictionaries({"id": text(21), "name": text(128), "branding": branding})
    address = optional(
        formatted=text(),
        streetAddress=text(),
        locality=text(),
        region=text(),
        postalCode=text(),
        country=text(),
    )
    claims = ["familyName", "givenName", "middleName", "nickname", "preferredUsername", "profile"]
    claims += ["website", "gender", "birthdate", "zoneinfo", "locale"]
    profile = optional(**dict.fromkeys(claims, text()), address=address)
    user = st.fixed_dictionaries(
        {
            "id": text(12),
            "avatar": st.none() | text(2048),
            "name": st.none() | text(128),
            "primaryEmail": st.none() | to,
            "primaryPhone": st.none() | st.text(string.digits, min_size=1, max_size=15),
            "username": st.none() | word.map(lambda name: f"u{name}"),
            "profile": profile,
        }
    )
    leaf = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
    )
    anything = leaf | st.lists(leaf, max_size=3) | st.dictionaries(st.text(), leaf, max_size=3)

    def flow(**members: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(
            {"code": code, "locale": locale}, optional={"uiLocales": text(300), **members}
        )

    visitor = flow(application=application, organization=organization)
    account = flow(application=application, user=user)
    payloads = {
        **dict.fromkeys(("SignIn", "Register", "ForgotPassword"), visitor),
        "OrganizationInvitation": optional(
            code=text(),
            link=text(),
            locale=text(),
            uiLocales=text(),
            organization=organization | anything,
            inviter=user | anything,
        ),
        "Generic": st.fixed_dictionaries({"code": code}, optional={"locale": text(), "uiLocales": text(300)}),
        **dict.fromkeys(("UserPermissionValidation", "BindNewIdentifier"), account),
        "MfaVerification": visitor,
        "BindMfa": flow(application=application, organization=organization, user=user),
    }
    without_ip = ("UserPermissionValidation", "BindNewIdentifier")
    emitted = st.one_of(
        [
            st.fixed_dictionaries(
                {"to": to, "type": st.just(kind), "payload": payload},
                optional={} if kind in without_ip else {"ip": ip},
            )
            for kind, payload in payloads.items()
        ]
    )
    guard = st.fixed_dictionaries(
        {
            "to": to | st.text(),
            "type": st.sampled_from(list(payloads)),
            "payload": optional(
                code=code | st.text(),
                link=st.text(),
                locale=locale | st.text(),
                uiLocales=st.text(),
                application=application | anything,
                organization=organization | anything,
                user=user | anything,
                inviter=user | anything,
                foo=anything,
            ),
        },
        optional={"ip": ip | st.text(), "foo": anything},
    )
    return {"guard": guard, "emitted": emitted}


# What a failing test reports: the shortest message that still shows a mistake in a receiver.


def _payload(message: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = message["payload"]
    return payload


def _in(message: dict[str, Any], *path: str) -> Any:
    value: Any = message
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _name(message: dict[str, Any], variable: str) -> str:
    name = _in(message, "payload", variable, "name")
    return name if isinstance(name, str) else ""


MISTAKES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "any message": lambda _: True,
    "a type that a closed list lacks": lambda message: message["type"] == "BindMfa",
    "an invitation without a link": lambda message: (
        message["type"] == "OrganizationInvitation" and "link" not in _payload(message)
    ),
    "a code that is read as a number": lambda message: str(_in(message, "payload", "code")).startswith("0"),
    "a code that does not begin with zero": lambda message: (
        "1" <= str(_in(message, "payload", "code"))[:1] <= "9"
    ),
    "an application": lambda message: isinstance(_in(message, "payload", "application"), dict),
    "an application and no organization": lambda message: (
        "application" in _payload(message) and "organization" not in _payload(message)
    ),
    "markup in the application's name": lambda message: "<" in _name(message, "application"),
    "a quotation mark in the organization's name": lambda message: '"' in _name(message, "organization"),
    "a long name": lambda message: len(_name(message, "application")) > 100,
    "a user without a name": lambda message: (
        isinstance(_in(message, "payload", "user"), dict) and _in(message, "payload", "user", "name") is None
    ),
    "a user with a name": lambda message: isinstance(_in(message, "payload", "user", "name"), str),
    "a user and an application": lambda message: (
        isinstance(_in(message, "payload", "user"), dict)
        and isinstance(_in(message, "payload", "application"), dict)
    ),
    "an organization with a logo": lambda message: isinstance(
        _in(message, "payload", "organization", "branding", "logoUrl"), str
    ),
    "uiLocales": lambda message: "uiLocales" in _payload(message),
    "ip": lambda message: "ip" in message,
    "ip that is no address": lambda message: isinstance(message.get("ip"), str) and ":" not in message["ip"],
    "ip and an organization": lambda message: "ip" in message and "organization" in _payload(message),
}


def lengths(strategy: SearchStrategy[Any], seeds: Iterable[int]) -> dict[str, float]:
    """Return the length of the shortest message that ``find`` returns, for each mistake that it finds."""
    options = settings(database=None, max_examples=2000, suppress_health_check=list(HealthCheck))
    found: dict[str, float] = {}
    for name, shows in MISTAKES.items():
        with contextlib.suppress(NoSuchExample):
            examples = [find(strategy, shows, settings=options, random=Random(seed)) for seed in seeds]
            found[name] = statistics.mean(
                len(json.dumps(example, separators=(",", ":"), ensure_ascii=False)) for example in examples
            )
    return found


# hypothesis-jsonschema


def environment() -> Path | None:
    """Return the Python of the environment of hypothesis-jsonschema, None if it cannot be made."""
    python = ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    marker = ENVIRONMENT / "complete"
    wanted = "\n".join(REQUIREMENTS)
    if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {ENVIRONMENT} with {', '.join(REQUIREMENTS)}")
    ENVIRONMENT.mkdir(parents=True, exist_ok=True)
    (ENVIRONMENT.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    try:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *REQUIREMENTS],
            check=True,
            timeout=600,
            capture_output=True,
        )
    except (OSError, subprocess.SubprocessError) as problem:
        print(f"hypothesis-jsonschema is not measured, its environment cannot be made: {problem}")
        return None
    marker.write_text(wanted, encoding="utf-8")
    return python


def from_schema(layer: str, examples: int) -> float:
    """Return the processor time of one example of a schema; it runs inside that environment."""
    from hypothesis_jsonschema import from_schema as strategy_of  # type: ignore[import-not-found, unused-ignore]

    schema = json.loads(SCHEMAS[layer].read_text(encoding="utf-8"))
    strategy = strategy_of(inlined(schema, schema.get("$defs", {})))
    microseconds(strategy, 3)
    return microseconds(strategy, examples)


def inlined(part: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema without references: hypothesis-jsonschema does not resolve a URN."""
    if isinstance(part, dict):
        if "$ref" in part:
            return inlined(definitions[part["$ref"].rpartition("/")[2]], definitions)
        return {
            key: inlined(value, definitions)
            for key, value in part.items()
            if key not in ("$defs", "$id", "$schema") and not (key == "examples" and isinstance(value, list))
        }
    if isinstance(part, list):
        return [inlined(member, definitions) for member in part]
    return part


def measured_elsewhere(python: Path, layer: str) -> float | None:
    examples = {"guard": "100", "emitted": "20"}[layer]
    try:
        result = subprocess.run(
            [python, __file__, "--from-schema", layer, "--examples", examples],
            check=True,
            timeout=300,
            capture_output=True,
            text=True,
        )
    except subprocess.SubprocessError as problem:
        print(f"hypothesis-jsonschema is not measured with the layer {layer}: {problem}")
        return None
    return float(result.stdout)


# The report


def verdict(ratio: float, target: float, *, at_most: bool = False) -> str:
    met = ratio <= target if at_most else ratio >= target
    return f"{ratio:7.2f}  target {'<=' if at_most else '>='} {target:g}  {'met' if met else 'MISSED'}"


def main() -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=1000, help="examples of each run")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median counts")
    parser.add_argument("--seeds", type=int, default=3, help="searches for each shortest message")
    parser.add_argument("--from-schema", choices=SCHEMAS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", HypothesisWarning)
    if options.from_schema:
        print(from_schema(options.from_schema, options.examples))
        return 0

    from logto_mail_contract.strategies import messages

    python = environment()
    missed = 0
    for layer, rendering in plain().items():
        ways = {"ours": messages(layer=layer), "plain": rendering}
        times: dict[str, list[float]] = {"ours": [], "plain": []}
        # Hypothesis builds its tables with the first examples.
        for strategy in ways.values():
            microseconds(strategy, 200)
        for _ in range(options.runs):
            for way, strategy in ways.items():
                times[way].append(microseconds(strategy, options.examples))
        if python and (elsewhere := measured_elsewhere(python, layer)):
            times["hypothesis-jsonschema"] = [elsewhere]
        print(f"\n{layer}: microseconds an example (median of the runs)")
        medians = {way: statistics.median(figures) for way, figures in times.items()}
        for way, median in medians.items():
            spread = f"{min(times[way]):.0f} to {max(times[way]):.0f}" if len(times[way]) > 1 else "one run"
            print(f"  {way:24}{median:9.0f}  ({spread})")
        ratios = [("plain", TIMES_PLAIN), ("hypothesis-jsonschema", TIMES_JSONSCHEMA)]
        for way, target in ratios:
            if way in medians:
                ratio = medians[way] / medians["ours"]
                missed += ratio < target
                print(f"  {way + ' / ours':24}{verdict(ratio, target)}")

        shortest = {way: lengths(strategy, range(options.seeds)) for way, strategy in ways.items()}
        print(f"{layer}: characters of the shortest message (mean of {options.seeds} searches)")
        for name in MISTAKES:
            figures = [shortest[way].get(name) for way in ways]
            shown = ["not drawn" if figure is None else f"{figure:9.0f}" for figure in figures]
            print(f"  {name:44}ours {shown[0]}   plain {shown[1]}")
        both = shortest["ours"].keys() & shortest["plain"].keys()
        sums = {way: sum(shortest[way][name] for name in both) for way in ways}
        ratio = sums["ours"] / sums["plain"]
        # A mistake that ours never finds is not in the sum.
        missed += len(shortest["ours"]) < len(MISTAKES)
        missed += ratio > TIMES_LENGTH
        print(f"  {'all together, ours / plain':44}{verdict(ratio, TIMES_LENGTH, at_most=True)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
