"""The pytest plugin: fixtures, options, the marker. Wiring only.

Every pytest run of everybody who installed the project loads this module. It imports pytest alone, and the
rest when the first endpoint is asked for. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .endpoint.endpoint import MailEndpoint
    from .endpoint.session import EndpointSession
    from .receivers.receiver import Receiver
    from .receivers.run import Outbox

_OPTIONS = {
    "revision": ("contract revision or Logto release that messages are judged by", "R"),
    "layer": ("layer that messages are judged by: guard (default), emitted or documented", "L"),
    "host": ("address that the mail endpoint listens at (default: 127.0.0.1)", "HOST"),
    "port": ("port that the mail endpoint listens at (default: a free one)", "PORT"),
    "path": ("path of mail_endpoint's URL (default: a new one for each test)", "PATH"),
}
_TOLERATED = "mail_contract_tolerated"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--mail-contract-*`` and the ini keys ``mail_contract_*``."""
    group = parser.getgroup("mail-contract", "contract tests for Logto's HTTP email webhook")
    for name, (meaning, metavar) in _OPTIONS.items():
        group.addoption(f"--mail-contract-{name}", metavar=metavar, help=meaning)
        parser.addini(f"mail_contract_{name}", meaning)
    parser.addini("mail_contract_excuses", "rules that may fail: '<id>: <reason>' a line", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and check the options that were given."""
    config.addinivalue_line(
        "markers",
        "mail_contract(revision=..., layer=..., authorization=..., lenient=...): settings of mail_endpoint "
        "for a test, class or module (logto-mail-contract)",
    )
    config.addinivalue_line(
        "markers",
        "mail_contract_excuse(rule, reason=...): a rule that the receiver or sender under test may fail "
        "(logto-mail-contract)",
    )
    if any(_given(config, name) is not None for name in _OPTIONS):
        _session(config)  # which checks them


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers."""
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.stop()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Show the revision and layer that this run holds messages to."""
    from . import catalogue

    session = config.stash.get(_SESSION, None)
    revision, layer = (
        (session.settings["revision"], session.settings["layer"]) if session else (None, "guard")
    )
    lines = [f"mail-contract: revision {revision or catalogue.current_revision()}, layer {layer}"]
    newer = catalogue.explain_newer_release(_given(config, "revision"))
    return lines if newer is None else [*lines, f"mail-contract: {newer}"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a test: with a path, an inbox and settings of its own."""
    config = item.config
    config.stash[_ITEM] = item
    # Check the marker here, not in the fixture: what a session's fixture raises fails every later test.
    if _SESSION in config.stash:
        config.stash[_SESSION].begin(item)
    elif "mail_contract" in item.keywords:
        _session(config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the violations that lenient endpoints tolerated."""
    tolerated = {
        (report.nodeid, text)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, text in getattr(report, "user_properties", ())
        if name == _TOLERATED
    }
    if tolerated:
        terminalreporter.section("mail-contract: tolerated violations (lenient)")
        for nodeid, text in sorted(tolerated):
            terminalreporter.line(f"{nodeid}: {text}")


@pytest.fixture(scope="session")
def mail_endpoint(pytestconfig: pytest.Config) -> MailEndpoint:
    """The fake mail endpoint, on a server of the session, with a URL and an inbox of its own for each test.

    A test that sends it what breaks the contract fails. ``mail_endpoint.expect_violation(rule)`` accepts a
    violation by name, and the marker ``mail_contract(lenient=True)`` accepts all. The fixture has session
    scope, so that ``mail_endpoint.recording()`` can be used inside ``@given``. Its ``url``, ``inbox`` and
    settings are those of the test that runs.
    """
    return _session(pytestconfig).main_endpoint()


@pytest.fixture
def make_mail_endpoint(pytestconfig: pytest.Config) -> Callable[..., MailEndpoint]:
    """A function that makes more mail endpoints for a test, each with its own URL and inbox.

    Its keyword arguments are ``revision``, ``layer``, ``authorization``, ``lenient``, ``path`` (all as for
    ``MailEndpoint.begin``), ``label`` (what messages call it) and ``https`` (True serves https with a
    certificate of a new authority, whose certificate is ``.ca_pem``; needs trustme).
    """
    return _session(pytestconfig).make_endpoint


@pytest.fixture(scope="class")
def mail_receiver(request: pytest.FixtureRequest) -> Generator[Receiver, None, None]:
    """The receiver under test of a class derived from ReceiverContract: its attribute ``receiver``.

    Override it to start a server and return ``Receiver.url(...)``.
    """
    receiver = getattr(request.cls, "receiver", None)
    if receiver is None:
        pytest.fail(
            "mail-contract: there is no receiver to test. Set the class attribute `receiver`, for example "
            "Receiver.wsgi(app, '/logto-mail'), or override the fixture mail_receiver.",
            pytrace=False,
        )
    yield receiver
    receiver.close()


@pytest.fixture(scope="class")
def mail_outbox() -> Outbox | None:
    """The mails that the receiver under test sends: a callable that returns them; None without one.

    Override it, for example with an SmtpSink, to turn on the rules ``receiver/deliver/*``.
    """
    return None


def _given(config: pytest.Config, name: str) -> str | None:
    option: str | None = config.getoption(f"mail_contract_{name}")
    # An empty option is a fault, for example of an unset variable in CI. An empty ini value means unset.
    return (config.getini(f"mail_contract_{name}") or None) if option is None else option


def _session(config: pytest.Config) -> EndpointSession:
    session = config.stash.get(_SESSION, None)
    if session is None:
        from .endpoint.session import EndpointSession

        session = config.stash[_SESSION] = EndpointSession(
            config, {name: _given(config, name) for name in _OPTIONS}
        )
        if _ITEM in config.stash:
            session.begin(config.stash[_ITEM])
    return session


_SESSION: pytest.StashKey[EndpointSession] = pytest.StashKey()
_ITEM: pytest.StashKey[pytest.Item] = pytest.StashKey()
