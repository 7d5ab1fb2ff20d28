"""The pytest plugin: fixtures, options, the marker. Wiring only.

Every pytest run of everybody who has the project installed loads this module: it imports nothing but pytest,
and the rest when the first endpoint is asked for. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .endpoint import MailEndpoint, MailServer
    from .findings import ContractViolation
    from .receiver import Outbox, Receiver

_OPTIONS = {
    "revision": ("contract revision or Logto release that messages are held to", "R"),
    "layer": ("layer that messages are held to: guard (default), emitted or documented", "L"),
    "host": ("address that the mail endpoint listens at (default: 127.0.0.1)", "HOST"),
    "port": ("port that the mail endpoint listens at (default: a free one)", "PORT"),
    "path": ("path of mail_endpoint's URL (default: a fresh one for each test)", "PATH"),
}
_KEYWORDS = ("revision", "layer", "authorization", "lenient")
_TOLERATED = "mail_contract_tolerated"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--mail-contract-*`` and the ini keys ``mail_contract_*``."""
    group = parser.getgroup("mail-contract", "contract tests for Logto's HTTP email webhook")
    for name, (meaning, metavar) in _OPTIONS.items():
        group.addoption(f"--mail-contract-{name}", metavar=metavar, help=meaning)
        parser.addini(f"mail_contract_{name}", meaning)
    parser.addini(
        "mail_contract_excuses", "rules that may be broken: '<id>: <reason>' a line", type="linelist"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and check the options that were given."""
    config.addinivalue_line(
        "markers",
        "mail_contract(revision=..., layer=..., authorization=..., lenient=...): settings of mail_endpoint "
        "for a test, class or module (logto-mail-contract)",
    )
    config.addinivalue_line(
        "markers",
        "mail_contract_excuse(rule, reason=...): a rule that the receiver or sender under test may break "
        "(logto-mail-contract)",
    )
    config.stash[_DESK] = _Desk(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers."""
    desk = config.stash.get(_DESK, None)
    if desk is not None:
        desk.stop()


def pytest_report_header(config: pytest.Config) -> str:
    """Tell the revision and layer that this run holds messages to."""
    settings = config.stash[_DESK].settings
    return f"mail-contract: revision {settings['revision'] or _current_revision()}, layer {settings['layer']}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a test: with a path, an inbox and settings of its own."""
    item.config.stash[_DESK].begin(item)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that received what breaks the contract, without hiding a failure of its own."""
    __tracebackhide__ = True
    desk = item.config.stash[_DESK]
    try:
        result = yield
    except BaseException as error:
        desk.tell(item, error)
        raise
    desk.tell(item)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Judge what came after the test's own code had ended, and let go of its endpoints."""
    __tracebackhide__ = True
    desk = item.config.stash[_DESK]
    try:
        result = yield
    except BaseException as error:
        desk.end(item, error)
        raise
    desk.end(item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001 - the hook's signature
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell a violation also where the outcome of a unittest.TestCase takes its place."""
    raised = call.excinfo
    report = yield
    if raised is not None and call.excinfo is not raised and _is_violation(raised.value):
        if report.skipped and not hasattr(report, "wasxfail"):
            report.outcome, report.longrepr = "failed", str(raised.value)
        else:
            report.sections.append(("mail-contract", f"Beside that, {raised.value}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the violations that lenient endpoints tolerated."""
    told = {
        (report.nodeid, text)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, text in getattr(report, "user_properties", ())
        if name == _TOLERATED
    }
    if told:
        terminalreporter.section("mail-contract: tolerated violations (lenient)")
        for nodeid, text in sorted(told):
            terminalreporter.line(f"{nodeid}: {text}")


@pytest.fixture(scope="session")
def mail_endpoint(pytestconfig: pytest.Config) -> MailEndpoint:
    """The fake mail endpoint, on a server of the session, with a URL and an inbox of its own for each test.

    A test that sends it what breaks the contract fails, unless marked ``mail_contract(lenient=True)``. The
    fixture has session scope, so that ``mail_endpoint.recording()`` can be used inside ``@given``; its
    ``url``, ``inbox`` and settings are those of the test that runs.
    """
    return pytestconfig.stash[_DESK].main_endpoint()


@pytest.fixture
def make_mail_endpoint(pytestconfig: pytest.Config) -> Callable[..., MailEndpoint]:
    """A function that makes further mail endpoints for a test, each with its own URL and inbox.

    Its keyword arguments are ``revision``, ``layer``, ``authorization``, ``lenient``, ``path`` (all as for
    ``MailEndpoint.begin``), ``label`` (what messages call it) and ``https`` (True serves https with a
    certificate of a new authority, whose certificate is ``.ca_pem``; needs trustme).
    """
    return pytestconfig.stash[_DESK].make_endpoint


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

    Override it, with an SmtpSink say, to turn on the rules ``receiver/deliver/*``.
    """
    return None


class _Desk:
    """What the plugin keeps for a session: the test that runs, the servers, the endpoints in use."""

    def __init__(self, config: pytest.Config) -> None:
        given = {
            name: config.getoption(f"mail_contract_{name}") or config.getini(f"mail_contract_{name}") or None
            for name in _OPTIONS
        }
        self._host = given.pop("host") or "127.0.0.1"
        self._port = _port(given.pop("port"))
        self._path = given.pop("path")
        if self._path is not None:
            _check_path(self._path)
        if given["revision"] or given["layer"]:
            given["revision"], given["layer"] = _checked(given["revision"], given["layer"] or "guard")
        self.settings: dict[str, Any] = {
            "revision": given["revision"],
            "layer": given["layer"] or "guard",
            "authorization": None,
            "lenient": False,
        }
        self._item: pytest.Item | None = None
        self._main: MailEndpoint | None = None
        self._made: list[MailEndpoint] = []
        self._servers: dict[bool, MailServer] = {}

    # For the hooks.

    def begin(self, item: pytest.Item) -> None:
        self._item = item
        # Looked at here, not in the fixture: what a session's fixture raises fails every later test too.
        marked = "mail_contract" in item.keywords
        settings = self._settings_of(item) if marked or self._main is not None else self.settings
        if self._main is not None:
            self._main.begin(path=self._path, **settings)

    def tell(self, item: pytest.Item, failure: BaseException | None = None) -> None:
        __tracebackhide__ = True
        violations = []
        for endpoint in self._endpoints():
            violation = endpoint.inbox.violation()
            if violation is not None and endpoint.lenient:
                item.user_properties.append((_TOLERATED, _in_short(violation)))
            elif violation is not None:
                violations.append(violation)
        if violations:
            from .inbox import tell

            tell(violations, failure, "No line of the test raised this: it is told at the end of the test.")

    def end(self, item: pytest.Item, failure: BaseException | None = None) -> None:
        __tracebackhide__ = True
        endpoints = self._endpoints()
        # Closed first: what was recorded by then is judged, and nothing is recorded after that.
        for endpoint in endpoints:
            endpoint.close()
        try:
            self.tell(item, failure)
        finally:
            self._made.clear()
            self._item = None

    def stop(self) -> None:
        for server in self._servers.values():
            server.stop()
        self._servers.clear()

    def _endpoints(self) -> list[MailEndpoint]:
        return self._made if self._main is None else [self._main, *self._made]

    # For the fixtures.

    def main_endpoint(self) -> MailEndpoint:
        settings = self._settings_of(self._item)
        self._main = self._server(https=False).endpoint(path=self._path, **settings)
        return self._main

    def make_endpoint(
        self,
        *,
        https: bool = False,
        label: str | None = None,
        path: str | None = None,
        **settings: Any,
    ) -> MailEndpoint:
        unknown = set(settings) - set(_KEYWORDS)
        if unknown:
            raise TypeError(
                f"make_mail_endpoint takes https, label, path, {', '.join(_KEYWORDS)}; "
                f"not {', '.join(sorted(unknown))}"
            )
        endpoint = self._server(https=https).endpoint(
            label=label or f"mail endpoint {len(self._made) + 1}",
            path=path,
            **{**self._settings_of(self._item), **settings},
        )
        self._made.append(endpoint)
        return endpoint

    def _server(self, *, https: bool) -> MailServer:
        if https not in self._servers:
            from .endpoint import EndpointNotStarted, MailServer

            # The given port is the plain server's: two servers cannot have the same.
            server = MailServer(self._host, 0 if https else self._port, https=https)
            try:
                server.start()
            except EndpointNotStarted as error:
                pytest.fail(f"mail-contract: {error}", pytrace=False)
            self._servers[https] = server
        return self._servers[https]

    def _settings_of(self, item: pytest.Item | None) -> dict[str, Any]:
        settings = dict(self.settings)
        markers = list(item.iter_markers("mail_contract")) if item else []
        for marker in reversed(markers):  # the nearest comes first and counts most
            unknown = [repr(argument) for argument in marker.args] + sorted(
                set(marker.kwargs) - set(_KEYWORDS)
            )
            if unknown:
                pytest.fail(
                    f"mail_contract takes {', '.join(f'{name}=' for name in _KEYWORDS)} by keyword; "
                    f"not {', '.join(unknown)}",
                    pytrace=False,
                )
            settings.update(marker.kwargs)
        if markers:
            try:
                _checked(settings["revision"], settings["layer"])
            except pytest.UsageError as error:
                pytest.fail(str(error), pytrace=False)
        return settings


_DESK = pytest.StashKey[_Desk]()


def _in_short(violation: ContractViolation) -> str:
    return "; ".join(
        f"{finding.rule}{finding.pointer and f' at {finding.pointer}'}: {finding.actual}"
        for finding in violation.findings
    )


def _is_violation(error: BaseException) -> bool:
    from .findings import ContractViolation

    return isinstance(error, ContractViolation)


def _port(given: str | None) -> int:
    if given is None:
        return 0
    if not (given.isascii() and given.isdigit() and int(given) < 65536):
        raise pytest.UsageError(f"mail-contract: a port is a number from 0 to 65535; it was {given!r}")
    return int(given)


def _check_path(given: str) -> None:
    from .endpoint import check_path

    try:
        check_path(given)
    except ValueError as error:
        raise pytest.UsageError(f"mail-contract: {error}") from None


def _current_revision() -> str:
    from . import catalogue

    return catalogue.current_revision()


def _checked(revision: str | None, layer: str) -> tuple[str, str]:
    from . import catalogue

    try:
        resolved = catalogue.resolve_revision(revision or catalogue.current_revision())
        catalogue.schema(resolved, layer)
    except (catalogue.UnknownRevision, catalogue.UnknownLayer) as error:
        raise pytest.UsageError(f"mail-contract: {error}") from None
    return resolved, layer
