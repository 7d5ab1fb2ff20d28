"""Settings for every test of this project."""

from __future__ import annotations

pytest_plugins = ["pytester"]
