"""The summary in JUnit XML: metrics as properties of the suite, verdicts as properties of the gates' test cases."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qbench.report.finished_run import Finished


def properties(run: Finished) -> list[tuple[str, str]]:
    """Names and values of a run's properties: verdict, model, data, counts, then every metric that has a value."""
    summary = run.summary
    found = [
        ("qbench.verdict", str(summary["verdict"])),
        ("qbench.model", str((summary["model"] or {}).get("name"))),
        ("qbench.data", str(summary["fingerprint"].get("data"))),
        ("qbench.baseline", str(summary["baseline"]["name"])),
        *((f"qbench.items.{name}", str(count)) for name, count in summary["items"].items()),
    ]
    for m in run.metrics:
        name = ".".join(part for part in ("qbench", m.name, m.dataset or "mean", m.split, m.slice) if part)
        if m.value is not None:
            found.append((name, repr(m.value)))
            if m.delta is not None:
                found.append((f"{name}.delta", repr(m.delta)))
    return found


def add_properties(config: pytest.Config, run: Finished) -> None:
    """Add the properties to the XML of this session, where there is one."""
    from _pytest.junitxml import xml_key  # what pytest's own fixture record_testsuite_property uses

    xml: Any = config.stash.get(xml_key, None)
    if xml is not None:
        for name, value in properties(run):
            xml.add_global_property(name, value)
