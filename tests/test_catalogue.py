"""The catalogue: revisions, releases, schemas, rules."""

from __future__ import annotations

import pytest

from logto_mail_contract import catalogue
from logto_mail_contract.catalogue import UnknownLayer, UnknownRevision


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        *[(revision, revision) for revision in ("1.22", "1.25", "1.31", "1.32", "1.35")],
        ("1.38", "1.35"),
        ("v1.42.0", "1.35"),
        ("1.42", "1.35"),
        ("1.24.1", "1.22"),
        ("v1.30", "1.25"),
        ("1.30.1", "1.25"),
        ("1.31.0", "1.31"),
        ("v1.34.0", "1.32"),
        ("1.37.1", "1.35"),
        # Patch releases between known ones.
        ("v1.22.7", "1.22"),
        ("1.24.9", "1.22"),
        ("v1.30.0", "1.25"),
        ("1.31.4", "1.31"),
        ("1.34.99", "1.32"),
        ("v1.35.9", "1.35"),
        # Releases that are newer than the newest.
        ("v1.999.0", "1.35"),
        ("1.999", "1.35"),
        ("2.0.0", "1.35"),
        ("v10.0", "1.35"),
    ],
)
def test_a_revision_or_a_release_names_a_revision(name: str, revision: str) -> None:
    assert catalogue.resolve_revision(name) == revision


@pytest.mark.parametrize(
    "name",
    [
        *(
            "1.21",
            "1.21.0",
            "v1.21.99",
            "0.99",
            "1",
            "",
            "v",
            "vv1.22",
            "V1.22",
            "latest",
            "1.35.x",
            "1.35.0.1",
        ),
        *("1.35.", "v1.35.0-rc.1", "1.35.0\n", " 1.35", "1,35", "-1.35", "01.35", f"1.{'9' * 5000}"),
        "\u0661.\u0663\u0665",
    ],
)
def test_an_unknown_name_raises_and_lists_the_revisions(name: str) -> None:
    with pytest.raises(UnknownRevision) as caught:
        catalogue.resolve_revision(name)
    assert "1.22, 1.25, 1.31, 1.32, 1.35" in str(caught.value)


def test_none_is_the_current_revision() -> None:
    assert catalogue.resolve_revision(None) == catalogue.current_revision()


@pytest.mark.parametrize("name", ["v1.999.0", "1.999", "2.0.0"])
def test_a_newer_release_is_explained(name: str) -> None:
    newest = catalogue.newest_release()
    assert catalogue.explain_newer_release(name) == (
        f"Logto v{name.removeprefix('v')} is newer than v{newest}, the newest release that the contract was "
        "checked against; the current revision 1.35 is used"
    )


def test_a_patch_of_the_newest_release_is_newer() -> None:
    major, minor, patch = catalogue.newest_release().split(".")
    assert catalogue.explain_newer_release(f"{major}.{minor}.{int(patch) + 1}") is not None


@pytest.mark.parametrize("name", [None, "1.35", "v1.42.0", "1.42", "1.35.9", "1.22", "1.21", "latest", ""])
def test_any_other_name_needs_no_explanation(name: str | None) -> None:
    assert catalogue.explain_newer_release(name) is None
    assert catalogue.explain_newer_release(f"v{catalogue.newest_release()}") is None


def test_a_revision_that_is_no_text_raises() -> None:
    with pytest.raises(UnknownRevision, match=r"""^invalid revision 1\.35: expected text .*, not float$"""):
        catalogue.resolve_revision(1.35)  # type: ignore[arg-type] # a test without types may pass it
    assert catalogue.explain_newer_release(1.35) is None  # type: ignore[arg-type] # as above


@pytest.mark.parametrize("name", ["v1.43.1", "1.44", ""])
def test_a_schema_of_what_is_no_revision_raises(name: str) -> None:
    with pytest.raises(UnknownRevision) as caught:
        catalogue.schema(name, "emitted")
    assert str(caught.value) == (
        f"There is no schema of revision {name!r}. Revisions: 1.22, 1.25, 1.31, 1.32, 1.35. "
        "For a Logto release, call resolve_revision first."
    )


def test_every_revision_has_a_guard_and_an_emitted_schema() -> None:
    for revision in catalogue.revisions():
        for layer in ("guard", "emitted"):
            assert (
                catalogue.schema(revision, layer)["$id"]
                == f"urn:logto-mail-contract:schema:{revision}:{layer}"
            )
    assert catalogue.current_revision() == catalogue.revisions()[-1] == "1.35"


def test_only_the_current_revision_is_documented() -> None:
    assert catalogue.schema("1.35", "documented")
    with pytest.raises(UnknownLayer, match=r"Only 1\.35 has 'documented'"):
        catalogue.schema("1.32", "documented")
    with pytest.raises(UnknownLayer, match=r"no layer 'gard'. Its layers: guard, emitted, documented"):
        catalogue.schema("1.35", "gard")


def test_rules_are_found_by_their_ids() -> None:
    rule = catalogue.rules()["message/guard/type"]
    assert (rule.role, rule.level, rule.since) == ("message", "MUST", "1.22")
    assert rule.requirement
    assert rule.consequence
    assert rule.source
