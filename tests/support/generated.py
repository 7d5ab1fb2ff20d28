"""Settings of Hypothesis for tests that run on a busy machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A decorator for a test under ``given``: on a busy machine the time of an example has no meaning."""
