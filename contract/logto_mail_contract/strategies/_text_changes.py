"""The mistakes in the text of a message, which are the same in every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def write_always(text: str) -> Callable[[str], str]:
    return lambda _: text


def append(end: str) -> Callable[[str], str]:
    return lambda text: text + end


BROKEN_TEXTS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    # The functions get the text of a message without its last brace.
    "text-empty": ("text/json", write_always("")),
    "text-form": ("text/json", write_always("to=foo%40example.com&type=SignIn")),
    "text-cut-off": ("text/json", append("")),
    "text-twice": ("text/json", lambda text: f"{text}}}{text}}}"),
    "text-byte-order-mark": ("text/json", lambda text: f"\ufeff{text}}}"),
    "text-trailing-comma": ("text/json", append(",}")),
    "text-comment": ("text/json", append("/**/}")),
    "text-single-quotes": ("text/json", append(",'foo':0}")),
    "text-bare-key": ("text/json", append(",foo:0}")),
    "text-not-a-number": ("text/json", append(',"foo":NaN}')),
    "text-infinity": ("text/json", append(',"foo":-Infinity}')),
    "text-leading-zero": ("text/json", append(',"foo":01}')),
    "text-raw-line-break": ("text/json", append(',"foo":"\n"}')),
    "text-bad-escape": ("text/json", append(',"foo":"\\x41"}')),
    "text-deep": ("text/depth", append(f',"foo":{"[" * 600}{"]" * 600}}}')),
}
