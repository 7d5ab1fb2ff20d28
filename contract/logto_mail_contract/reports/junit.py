"""Results as JUnit XML, for CI systems: one case a rule, named by its id."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ..clock import read_time
from ..suite.causes import attribute_causes

if TYPE_CHECKING:
    from ..suite.engine import Verification
    from ..suite.results import Result

# XML 1.0, section 2.2: what no document may hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def format_junit_report(verification: Verification[Any], seconds: float) -> str:
    """Return the report as XML text.

    A failed rule and a needless excuse are failures. Rules that are excused, warned, not judged
    or not applicable are skipped, with the reason. A fault of ours, and a subject that was lost, are errors.

    Args:
        verification: The rules that were run.
        seconds: How long it took.
    """
    errors = [*verification.faults, *([verification.lost] if verification.lost else [])]
    erroneous = {error.rule for error in errors}
    # A rule in which the subject was lost is an error, and not skipped too.
    results = [result for result in attribute_causes(verification.results) if result.rule.id not in erroneous]
    suite = ElementTree.Element(
        "testsuite",
        name="mail-contract verify" if verification.role == "receiver" else "mail-contract verify-sender",
        tests=str(len(results) + len(errors)),
        failures=str(sum(result.fails_run for result in results)),
        errors=str(len(errors)),
        skipped=str(sum(not result.fails_run and result.outcome != "passed" for result in results)),
        time=f"{seconds:.3f}",
        timestamp=datetime.fromtimestamp(read_time(), UTC).isoformat(),
    )
    for result in results:
        case = _add_case(suite, result.rule.id, result.seconds)
        text = "\n".join(map(str, result.findings)) or result.reason
        if result.fails_run:
            _add(case, "failure", _message(result), f"{text}\n{_format_advice(result)}")
        elif result.outcome != "passed":
            _add(case, "skipped", f"{result.outcome}: {_message(result)}", text)
    for error in errors:
        case = _add_case(suite, error.rule or "mail-contract", 0.0)
        _add(case, "error", error.problem, error.problem)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=False) + "\n"


def _message(result: Result) -> str:
    if result.outcome == "excuse not needed":
        return f"passed, so --excuse {result.rule.id}=… is not needed: {result.reason}"
    return result.reason or result.findings[0].actual


def _format_advice(result: Result) -> str:
    if result.outcome == "excuse not needed":
        return f"  remove    --excuse {result.rule.id}=…, or its line in a file of --excuses"
    return f"  excuse    --excuse {result.rule.id}=REASON"


def _add_case(suite: ElementTree.Element, rule: str, seconds: float) -> ElementTree.Element:
    group = rule.rpartition("/")[0].replace("/", ".")
    return ElementTree.SubElement(suite, "testcase", classname=group, name=rule, time=f"{seconds:.3f}")


def _add(case: ElementTree.Element, kind: str, message: str, text: str) -> None:
    element = ElementTree.SubElement(case, kind, message=_clean(message))
    element.text = _clean(text)


def _clean(text: str) -> str:
    return _NOT_XML.sub(lambda mark: f"#x{ord(mark[0]):02X}", text)
