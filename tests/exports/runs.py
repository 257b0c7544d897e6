"""Run folders for the tests of exports: whole, worse, undecided, and one with missing items, an error and no value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_qbench.report.finished_run import FinishedRun, read_finished
from tests.report.builders import large, run_folder

HOSTILE = "<script>alert(1)</script> ::error::x \x1b[31m"
GATE = {
    "name": "perception.accuracy", "verdict": "pass", "outcome": "pass", "reason": "mini: within 0.01", "rows": [],
    "lost": [], "gained": [], "lost_count": 0, "gained_count": 0,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "passed": {"verdict": "PASS: 1 of 1 gates hold", "gates": [GATE]},
    "failed": {"verdict": "REGRESSED: perception.accuracy"},  # with the gate of `run_folder`
    "cannot tell": {"verdict": "CANNOT TELL: perception.accuracy",
                    "gates": [{**GATE, "verdict": "inconclusive", "outcome": "inconclusive"}]},
    "not measured": {"verdict": "NOT MEASURED: 3 items have no record", "gates": []},
}  # fmt: skip


def make(folder: Path, kind: str) -> FinishedRun:
    """Return a run of 60 items. One that is not measured has 56 records, one of them an error."""
    items, records, before = large(60)
    summary = {"model": {"name": "built", "target": "acme/built-7b"}, **KINDS[kind]}
    if kind == "not measured":
        records = [replace(records[0], status="error", choice=None, response=None, error=HOSTILE), *records[4:]]
        summary["metrics"] = [
            {"name": "perception.accuracy", "dataset": "llvisionqa", "split": None, "slice": "type=what", "value": 0.5,
             "n": 4, "ci": [0.1, 0.9], "baseline": 0.75, "delta": -0.25, "delta_ci": [-0.5, 0.0]},
            {"name": "assessment.srcc", "dataset": "koniq", "split": None, "slice": None, "value": None, "n": 0,
             "note": "all scores are equal"},
        ]  # fmt: skip
    return read_finished(run_folder(folder, items, records, before, **summary))
