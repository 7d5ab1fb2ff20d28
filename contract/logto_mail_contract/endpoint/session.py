"""A pytest session that uses mail endpoints: the test that runs, the servers, the endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..findings import ContractViolation
    from .endpoint import MailEndpoint
    from .server import MailServer

TOLERATED = "mail_contract_tolerated"
"""The user property of a test that names what a lenient endpoint tolerated."""

_KEYWORDS = ("revision", "layer", "authorization", "lenient")


class _Hooks:
    """The hooks that judge each phase of a test.

    They are registered with the first endpoint, since hooks cost every test time.
    """

    def __init__(self, session: EndpointSession) -> None:
        self._session = session

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test that received what breaks the contract, without hiding a failure of its own."""
        __tracebackhide__ = True
        self._session.called = item
        self._session.calling = True
        try:
            result = yield
        except BaseException as error:
            self._session.report(item, error)
            raise
        finally:
            self._session.calling = False
        self._session.report(item)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Judge the requests that came after the test's own code had ended, and close its endpoints."""
        __tracebackhide__ = True
        try:
            result = yield
        except BaseException as error:
            self._session.end(item, error)
            raise
        self._session.end(item)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Report a violation also where no wrapper around the call could.

        One case is a unittest.TestCase, whose own outcome replaces the violation. The other is a test that
        asks for the session's first endpoint in its own body: these hooks come too late for its call.
        """
        raised = call.excinfo
        if raised is not None and (call.when == "setup" or self._session.calling):
            # Not twice: no hook of this class is around the setup, or around a subtest within the call.
            self._session.note_reported(raised.value)
        report = yield
        problem = (
            raised.value if raised and call.excinfo is not raised and _is_problem(raised.value) else None
        )
        if call.when == "call" and self._session.called is not item:
            self._session.called = item
            problem = self._session.take_problem(item, raised.value if raised else None)
        reported = str(call.excinfo.value) if call.excinfo is not None else None
        if problem is None or str(problem) == reported:
            return report
        is_skipped = report.skipped and not hasattr(report, "wasxfail")
        if is_skipped and not _is_violation(problem):
            return report  # a unittest.TestCase that is skipped need not use what it prepared
        if report.passed or is_skipped:
            report.outcome, report.longrepr = "failed", str(problem)
        else:
            report.sections.append(("mail-contract", f"Beside that, {problem}"))
        return report


class EndpointSession:
    """The state of a session: the test that runs, the servers, the endpoints in use."""

    def __init__(self, config: pytest.Config, given: dict[str, str | None]) -> None:
        self._host = given.pop("host") or "127.0.0.1"
        self._port = _port(given.pop("port"))
        self._path = given.pop("path")
        if self._path is not None:
            _check_path(self._path)
        revision, layer = given["revision"], "guard" if given["layer"] is None else given["layer"]
        if given["revision"] is not None or given["layer"] is not None:
            revision, layer = _checked(revision, layer)
        self.settings: dict[str, Any] = {
            "revision": revision,
            "layer": layer,
            "authorization": None,
            "lenient": False,
        }
        self.called: pytest.Item | None = None
        self.calling = False
        self._item: pytest.Item | None = None
        self._main: MailEndpoint | None = None
        self._made: list[MailEndpoint] = []
        self._servers: dict[bool, MailServer] = {}
        config.pluginmanager.register(_Hooks(self))

    # For the hooks.

    def begin(self, item: pytest.Item) -> None:
        """Begin a test: with a path, an inbox and settings of its own."""
        self._item = item
        self.called = None
        settings = self._settings_of(item)
        if self._main is not None:
            self._main.begin(path=self._path, **settings)

    def report(self, item: pytest.Item, failure: BaseException | None = None) -> None:
        """Report the violations that were not, and what the test left unused, beside a failure of its own."""
        __tracebackhide__ = True
        problems = self._take_problems(item, failure)
        if problems:
            from ..inbox.violations import report

            report(problems, failure)

    def take_problem(self, item: pytest.Item, failure: BaseException | None) -> AssertionError | None:
        """Return what ``report`` would report as one failure, and count it as reported."""
        problems = self._take_problems(item, failure)
        for other in problems[1:]:
            problems[0].add_note(str(other))
        return problems[0] if problems else None

    def note_reported(self, failure: BaseException) -> None:
        """Count as reported what a failure reports."""
        for endpoint in self._endpoints():
            endpoint.note_reported(failure)

    def _take_problems(self, item: pytest.Item, failure: BaseException | None) -> list[AssertionError]:
        from ..inbox.violations import is_skip
        from .unused import take_unused

        problems: list[AssertionError] = []
        for endpoint in self._endpoints():
            item.user_properties += [(TOLERATED, _in_short(each)) for each in endpoint.take_tolerated()]
            violation = endpoint.take_unreported(failure)
            unused = take_unused(endpoint)
            # A test whose setup failed, or that is skipped, need not use what it prepared.
            if self.called is not item or (failure is not None and is_skip(failure)):
                unused = None
            problems += [problem for problem in (violation, unused) if problem is not None]
        return problems

    def end(self, item: pytest.Item, failure: BaseException | None = None) -> None:
        """Close the endpoints of a test, and report the last violations."""
        __tracebackhide__ = True
        endpoints = self._endpoints()
        # Close first: nothing may be recorded after the last judgement.
        for endpoint in endpoints:
            endpoint.close()
        try:
            self.report(item, failure)
        finally:
            self._made.clear()
            self._item = None

    def stop(self) -> None:
        """Stop the servers."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()

    def _endpoints(self) -> list[MailEndpoint]:
        return self._made if self._main is None else [self._main, *self._made]

    # For the fixtures.

    def main_endpoint(self) -> MailEndpoint:
        """Return the endpoint of the fixture ``mail_endpoint``."""
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
        """Return another endpoint, for the test that runs."""
        unknown = set(settings) - set(_KEYWORDS)
        if unknown:
            raise TypeError(
                f"make_mail_endpoint accepts https, label, path, {', '.join(_KEYWORDS)}; "
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
            from .server import EndpointNotStarted, MailServer

            # The given port is the plain server's: two servers cannot have the same.
            server = MailServer(self._host, 0 if https else self._port, https=https)
            problem = None
            try:
                server.start()
            except EndpointNotStarted as error:
                problem = str(error)
            if problem is not None:
                pytest.fail(f"mail-contract: {problem}", pytrace=False)
            self._servers[https] = server
        return self._servers[https]

    def _settings_of(self, item: pytest.Item | None) -> dict[str, Any]:
        settings = dict(self.settings)
        markers = list(item.iter_markers("mail_contract")) if item else []
        for marker in reversed(markers):  # the nearest comes first and overrides the others
            unknown = [repr(argument) for argument in marker.args] + sorted(
                set(marker.kwargs) - set(_KEYWORDS)
            )
            if unknown:
                pytest.fail(
                    f"mail_contract accepts {', '.join(f'{name}=' for name in _KEYWORDS)} by keyword; "
                    f"not {', '.join(unknown)}",
                    pytrace=False,
                )
            settings.update(marker.kwargs)
        problem = _problem_of(settings) if markers else None
        if problem is not None:
            pytest.fail(problem, pytrace=False)
        return settings


def _in_short(violation: ContractViolation) -> str:
    from ..masking import escape_unprintable

    return "; ".join(
        f"{finding.rule}{finding.pointer and f' at {escape_unprintable(finding.pointer)}'}: {finding.actual}"
        for finding in violation.findings
    )


def _is_violation(error: BaseException) -> bool:
    from ..findings import ContractViolation

    return isinstance(error, ContractViolation)


def _is_problem(error: BaseException) -> bool:
    from .unused import UnusedCall

    return _is_violation(error) or isinstance(error, UnusedCall)


def _problem_of(settings: dict[str, Any]) -> str | None:
    authorization, lenient = settings["authorization"], settings["lenient"]
    if authorization is not None and not isinstance(authorization, str):
        return f"mail-contract: authorization is text or None; it was {authorization!r}"
    if not isinstance(lenient, bool):
        return f"mail-contract: lenient is True or False; it was {lenient!r}"
    try:
        _checked(settings["revision"], settings["layer"])
    except pytest.UsageError as error:
        return str(error)
    return None


def _port(given: str | None) -> int:
    if given is None:
        return 0
    if not (given.isascii() and given.isdigit() and int(given) < 65536):
        raise pytest.UsageError(f"mail-contract: a port is a number from 0 to 65535; it was {given!r}")
    return int(given)


def _check_path(given: str) -> None:
    from .server import check_path

    try:
        check_path(given)
    except ValueError as error:
        raise pytest.UsageError(f"mail-contract: {error}") from None


def _checked(revision: str | None, layer: str) -> tuple[str, str]:
    from .. import catalogue

    try:
        resolved = catalogue.resolve_revision(revision)
        catalogue.schema(resolved, layer)
    except (catalogue.UnknownRevision, catalogue.UnknownLayer) as error:
        raise pytest.UsageError(f"mail-contract: {error}") from None
    return resolved, layer
