"""The two sides of `qbench compare`: each a run folder or a baseline, told apart by what lies in it."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.baseline.baseline import Baseline, as_baseline, as_results
from pytest_qbench.baseline.eligibility import why_not_whole
from pytest_qbench.baseline.store import FILE, read_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.results import Results
from pytest_qbench.runs.read import SUMMARY, read_run


def candidate(path: Path) -> Results:
    """What is judged; raises `UsageError` for a folder that is neither."""
    return as_results(read_baseline(path)) if _is_baseline(path) else read_run(path)


def reference(path: Path, max_errors: float, max_unparsed: float) -> Baseline | str:
    """What it is compared with, or why that is no baseline: a run must be as whole as one that is recorded."""
    if _is_baseline(path):
        return read_baseline(path)
    results = read_run(path)
    reason = why_not_whole(results, max_errors, max_unparsed)
    return f"{path} cannot serve as a baseline: {reason}" if reason else as_baseline(path, results)


def _is_baseline(path: Path) -> bool:
    if (path / FILE).is_file():
        return True
    if (path / SUMMARY).is_file():
        return False
    what = f"holds neither {FILE} nor {SUMMARY}" if path.is_dir() else "no such folder"
    raise UsageError(f"{path}: {what}; name a baseline or the folder of a finished run")
