"""Write JUnit XML: metrics become properties of the test suite, verdicts properties of the gates' test cases."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_qbench.escaping import printable
from pytest_qbench.report.finished_run import FinishedRun


def properties(run: FinishedRun) -> list[tuple[str, str]]:
    """Return names and values of a run's properties: verdict, model, data, counts, then every defined metric."""
    summary = run.summary
    found = [
        ("qbench.verdict", summary.verdict),
        ("qbench.model", str(summary.fingerprint.model_name)),
        ("qbench.data", str(summary.fingerprint.data)),
        ("qbench.baseline", str(summary.baseline.name)),
        *((f"qbench.items.{name}", str(count)) for name, count in summary.items.to_json().items()),
    ]
    for m in run.metrics:
        name = ".".join(part for part in ("qbench", m.name, m.dataset or "mean", m.split, m.slice) if part)
        if m.value is not None:
            found.append((name, repr(m.value)))
            if m.delta is not None:
                found.append((f"{name}.delta", repr(m.delta)))
    return found


def add_properties(config: pytest.Config, run: FinishedRun) -> None:
    """Add the properties to this session's JUnit XML, if pytest writes one."""
    from _pytest.junitxml import xml_key  # pytest's fixture record_testsuite_property uses it as well

    xml: Any = config.stash.get(xml_key, None)
    if xml is not None:
        for name, value in properties(run):
            xml.add_global_property(printable(name), printable(value))


def junit_xml(run: FinishedRun) -> str:
    """Return a JUnit file with one test case per gate. A gate without a decision counts as skipped."""
    gates = run.gates
    suite = ElementTree.Element("testsuite", name="qbench compare", tests=str(len(gates)), errors="0")
    suite.set("failures", str(sum(gate.outcome == "fail" for gate in gates)))
    suite.set("skipped", str(sum(gate.outcome in ("inconclusive", "not gated") for gate in gates)))
    _properties(suite, properties(run))
    for gate in gates:
        case = ElementTree.SubElement(suite, "testcase", classname="qbench", name=printable(gate.name))
        _properties(case, [(f"gate {gate.name}", f"{gate.word}: {gate.reason}")])
        if gate.outcome != "pass":
            kind = "failure" if gate.outcome == "fail" else "skipped"
            ElementTree.SubElement(case, kind, message=printable(f"{gate.word}: {gate.reason}"))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _properties(parent: ElementTree.Element, found: list[tuple[str, str]]) -> None:
    box = ElementTree.SubElement(parent, "properties")
    for name, value in found:
        ElementTree.SubElement(box, "property", name=printable(name), value=printable(value))
