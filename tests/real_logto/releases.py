"""The release of the Logto that runs, as its database tells it."""

from __future__ import annotations

from bisect import bisect_left

from examples.logto.set_up import run_sql

QUERY = "select value->>'timestamp' from systems where key='alterationState'"

# The newest alteration of the database in each release (`alterations/` of @logto/schemas). A release that is
# newer than the last one has every feature that is tested, and emits what the current revision says.
ALTERATIONS = {
    1731904029: "1.22.0",
    1735012422: "1.23.0",
    1735292380: "1.23.1",
    1738828268: "1.24.1",
    1739429593: "1.25.0",
    1741572426: "1.26.0",
    1744357867: "1.27.0",
    1745735646: "1.28.0",
    1750744539: "1.29.0",
    1753669579: "1.30.1",
    1753689065: "1.31.0",
    1759041888: "1.32.0",
    1761283464: "1.33.0",
    1764236036: "1.34.0",
    1766028646: "1.35.0",
    1769172677: "1.36.0",
    1770362227: "1.37.0",
    1772621060: "1.38.0",
    1776502301: "1.39.0",
    1779421396: "1.40.0",
    1782375106: "1.41.0",
    1784620000: "1.42.0",
    1786431364: "1.43.0",
}


def find_release(timestamp: float) -> str | None:
    """Return the release that deployed an alteration; None for a release after the last one listed."""
    timestamps = [*ALTERATIONS]
    place = bisect_left(timestamps, timestamp)
    return ALTERATIONS[timestamps[place]] if place < len(timestamps) else None


def read_release(db_url: str) -> str | None:
    """Return the release that runs with a database; None for a release after the last one listed.

    Raises:
        SetUpError: The database cannot be read.
    """
    return find_release(float(run_sql(QUERY, db_url)))
