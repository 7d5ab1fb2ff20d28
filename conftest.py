"""Settings for every test of this project."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    """Report a missing plugin once, instead of as an error in every test."""
    if not config.pluginmanager.hasplugin("logto_mail_contract"):
        raise pytest.UsageError(
            "these tests need the pytest plugin logto_mail_contract, which is not loaded. Run `make test`, "
            "or install the project and run pytest from that environment: pip install -e . --group dev"
        )
