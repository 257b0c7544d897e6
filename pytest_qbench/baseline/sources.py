"""Read the inputs of `qbench compare`: run folders, baselines and recorded outputs, recognized by their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline, as_baseline, as_results
from pytest_qbench.baseline.eligibility import why_incomplete
from pytest_qbench.baseline.folder_files import FILE
from pytest_qbench.baseline.store import read_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.results import Results
from pytest_qbench.runs.read import read_run
from pytest_qbench.runs.summary import SUMMARY

Kind = Literal["baseline", "run", "outputs"]
#: A function from the path of recorded outputs to their results.
ScoreOutputs = Callable[[Path], Results]


def source_kind(path: Path) -> Kind:
    """Return the kind of input at a path. Raises `UsageError` if the path does not exist."""
    if (path / FILE).is_file():
        return "baseline"
    if (path / SUMMARY).is_file():
        return "run"
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; name a baseline, a finished run or recorded outputs")
    return "outputs"


def read_candidate(path: Path, score_outputs: ScoreOutputs | None = None) -> Results:
    """Return the results of the candidate. Without `score_outputs`, recorded outputs are a `UsageError`."""
    kind = source_kind(path)
    if kind == "baseline":
        return as_results(read_baseline(path))
    if kind == "run":
        results = read_run(path)
        if results.stop:
            raise UsageError(
                f"{path}: was {results.stop}, and only its own verdict allows for that; compare whole runs"
            )
        return results
    if score_outputs is None:
        raise UsageError(f"{path}: holds neither {FILE} nor {SUMMARY}; name a baseline or the folder of a finished run")
    return score_outputs(path)


def read_reference(
    path: Path, max_errors: float, max_unparsed: float, max_cut: float, score_outputs: ScoreOutputs | None = None
) -> Baseline | MissingBaseline:
    """Return the reference as a baseline, or the reason why it is not as complete as a baseline must be."""
    if source_kind(path) == "baseline":
        return read_baseline(path)
    results = read_candidate(path, score_outputs)
    reason = why_incomplete(results, max_errors, max_unparsed, max_cut)
    if reason:
        return MissingBaseline(f"{path} cannot serve as a baseline: {reason}")
    return as_baseline(path, results)
