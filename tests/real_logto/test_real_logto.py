"""Drives the Logto that runs through every flow that mails, and measures what failing endpoints cause."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.real_logto.conftest import VARIABLES, require_logto
from tests.real_logto.consequences import CONSEQUENCES
from tests.real_logto.flows import FLOWS, NotPossibleError
from tests.real_logto.releases import ALTERATIONS, find_release

from logto_mail_contract.catalogue import current_revision, index, resolve_revision

if TYPE_CHECKING:
    from tests.real_logto.logto import Logto

CHECKS = {check.name: check for check in (*FLOWS, *CONSEQUENCES)}


@pytest.mark.parametrize("name", CHECKS)
def test_a_real_logto(name: str, logto: Logto) -> None:
    check = CHECKS[name]
    if not logto.has(check.since):
        pytest.skip(f"Logto {logto.release} does not do this; {check.since} is the first release that does")
    try:
        check.run(logto)
    except NotPossibleError as reason:
        if os.environ.get("LOGTO_REQUIRED") == "1":
            raise
        pytest.skip(str(reason))


def test_a_missing_logto_is_a_skip_with_a_reason() -> None:
    environment = {"LOGTO_ENDPOINT": "http://localhost:3001", "LOGTO_DB_URL": "", "CI": "true"}
    with pytest.raises(
        pytest.skip.Exception, match=r"LOGTO_ADMIN_ENDPOINT, LOGTO_DB_URL not set; examples/logto"
    ):
        require_logto(environment)
    with pytest.raises(pytest.fail.Exception, match="no running Logto"):
        require_logto({**environment, "LOGTO_REQUIRED": "1"})
    require_logto(dict.fromkeys(VARIABLES, "x"))


def test_the_release_is_read_from_the_alterations_of_the_database() -> None:
    assert [*ALTERATIONS] == sorted(ALTERATIONS)
    assert find_release(1769172677) == "1.36.0"
    # An alteration that was not the last one of its release.
    assert find_release(1769172676.5) == "1.36.0"
    assert find_release(max(ALTERATIONS) + 1) is None
    for release in ALTERATIONS.values():
        assert resolve_revision(release)


def test_every_release_of_the_current_revision_is_known_by_its_alterations() -> None:
    """Without an entry, a release counts as the current revision also when that is a later one."""
    current = next(entry for entry in index()["revisions"] if entry["id"] == current_revision())
    # Patch releases alter nothing.
    released = [release for release in current["releases"] if release.endswith(".0")]
    assert released
    assert set(released) <= set(ALTERATIONS.values())
