"""Messages that are valid in a layer."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from hypothesis import strategies as st

from .. import catalogue
from ._context import APPLICATION, ORGANIZATION, USER
from ._emitted import plan_bare_code, plan_code_flow, plan_generic, plan_invitation
from ._revisions import has_ip, read_typed_variables, resolve
from ._texts import ARBITRARY_WILD
from ._tolerant import plan_documented, plan_guard
from ._values import CODE, CODE_OR_NONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypothesis.strategies import DrawFn, SearchStrategy

    from ._plans import Plan


_FEATURES_AND_KIND = st.binary(min_size=1, max_size=11)


@cache
def _find_plan(revision: str, layer: str, kind: str) -> Plan:
    typed = read_typed_variables(revision)
    ip = has_ip(revision)
    first = revision == catalogue.revisions()[0]
    if layer == "documented":
        return plan_documented(kind)
    if layer == "guard":
        return plan_guard(kind, typed, strings_only=first, ip=ip)
    if kind == "OrganizationInvitation":
        return plan_invitation(typed, context=not first, ip=ip)
    if first:
        return plan_bare_code(kind)
    ui_locales = "uiLocales" in typed
    if kind == "Generic":
        return plan_generic(ui_locales=ui_locales, ip=ip)
    # In this one release the sign-in experience used the type for a user who is already identified.
    if kind == "BindMfa" or (kind == "BindNewIdentifier" and revision == "1.31"):
        return plan_code_flow(kind, (APPLICATION, ORGANIZATION, USER), ui_locales=ui_locales, ip=ip)
    if kind in ("UserPermissionValidation", "BindNewIdentifier"):
        return plan_code_flow(kind, (APPLICATION, USER), ui_locales=ui_locales, ip=False)
    return plan_code_flow(kind, (APPLICATION, ORGANIZATION), ui_locales=ui_locales, ip=ip)


def messages(
    revision: str | None = None, layer: str = "guard", types: Iterable[str] | None = None
) -> SearchStrategy[dict[str, Any]]:
    """Draw messages that are valid in a layer, as ``json.loads`` returns them.

    ``guard`` draws everything that the type allows, far beyond what Logto sends. ``emitted`` draws what Logto
    core sends, flow by flow: use it for a receiver that must not lose mail. ``documented`` draws what the
    docs promise. Every message is a new object, which a test may change.

    In the guard layer of the current revision, messages shrink to
    ``{"to": "foo@example.com", "type": "SignIn", "payload": {}}``. In the emitted layer the payload shrinks
    to ``{"code": "000000", "locale": "en"}``.

    Args:
        revision: A contract revision (``"1.35"``) or a Logto release (``"v1.22.0"``); the current revision
            when None.
        layer: ``guard``, ``emitted`` or ``documented`` (current revision only).
        types: Template types to draw: names, or members of ``TemplateType``; all of the layer when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: The layer has no such template type, or ``types`` is empty.
        TypeError: ``types`` is one text.
    """
    resolved, kinds = resolve(revision, layer, types)
    return messages_of(resolved, layer, kinds)


@cache
def messages_of(revision: str, layer: str, kinds: tuple[str, ...]) -> SearchStrategy[dict[str, Any]]:
    """Draw messages of a revision, a layer and template types that ``resolve`` returned."""
    # Build Hypothesis' table of characters now. It takes a second in a new checkout: within a draw it would
    # exceed the deadline of the user's test.
    ARBITRARY_WILD.validate()
    return _draw_message(_Plans(revision, layer, kinds))


class _Plans:
    """The plans to choose from. Features are repeated until every plan has as many as the largest.

    A byte then selects the same feature in every type, so a message can shrink to a simpler type.
    """

    def __init__(self, revision: str, layer: str, kinds: tuple[str, ...]) -> None:
        self._text = f"{revision}, {layer}, {', '.join(kinds)}"
        plans = [_find_plan(revision, layer, kind) for kind in kinds]
        self.width = max(len(plan.features) for plan in plans)
        self.choices = [
            ([plan.features[number % len(plan.features)] for number in range(self.width)], plan.build)
            for plan in plans
        ]

    def __repr__(self) -> str:
        # Hypothesis shows it in its error messages.
        return self._text


@st.composite
def _draw_message(draw: DrawFn, plans: _Plans) -> dict[str, Any]:
    *numbers, kind = draw(_FEATURES_AND_KIND)
    width = plans.width
    features, build = plans.choices[kind * len(plans.choices) >> 8]
    return build(draw, {features[number * width >> 8] for number in numbers})


def build_shortest(revision: str, layer: str, kind: str) -> dict[str, Any]:
    """Return the message to which those of a template type shrink."""

    def draw_simplest(strategy: SearchStrategy[Any], label: object = None) -> Any:  # noqa: ARG001
        if strategy in (CODE, CODE_OR_NONE):
            return 0
        raise AssertionError("a message without features draws nothing but a code")

    return _find_plan(revision, layer, kind).build(cast("DrawFn", draw_simplest), set())
