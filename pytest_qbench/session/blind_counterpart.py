"""Compare the accuracy with and without images, from a run and another run folder that differs only in this."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.results import Results
from pytest_qbench.runs.read import read_summary
from pytest_qbench.runs.summary import SUMMARY, Summary
from pytest_qbench.runs.summary_parts import Sight


def accuracy_with_and_without_images(
    results: Results, baseline: Baseline | MissingBaseline, folder: Path
) -> Sight | None:
    """Return the perception accuracy with images and with grey images, each in [0, 1]. None without another run.

    The other run is the newest suitable run folder beside `folder`. For a blind run, it can also be the baseline.
    """
    own = [m.value for m in results.metrics if m.name == "perception.accuracy" and m.slice is None]
    if not own or own[0] is None:
        return None
    blind = bool(results.fingerprint.blind)
    other = _neighbour_accuracy(results, folder)
    if other is None and blind and not isinstance(baseline, MissingBaseline):
        stored = [m.value for m in baseline.metrics if m.name == "perception.accuracy" and m.slice is None]
        other = stored[0] if stored else None
    if other is None:
        return None
    return Sight(other, own[0]) if blind else Sight(own[0], other)


def _neighbour_accuracy(results: Results, folder: Path) -> float | None:
    """Return the accuracy of the newest neighbouring run that differs only in `blind`, or None."""
    for summary in _neighbours(folder):
        if _differs_in_sight_alone(summary, results):
            return _accuracy(summary)
    return None


def _neighbours(folder: Path) -> list[Summary]:
    found = []
    for path in sorted(folder.parent.glob(f"*/{SUMMARY}"), key=lambda p: p.stat().st_mtime, reverse=True):
        if path.parent != folder:
            try:
                found.append(read_summary(path.parent))
            except UsageError:  # a file of another tool, or an incomplete one
                continue
    return found


def _differs_in_sight_alone(summary: Summary, results: Results) -> bool:
    ours, theirs = results.fingerprint, summary.fingerprint
    return (
        theirs.blind is (not ours.blind)
        and (theirs.prompts, theirs.answer, theirs.option_order, theirs.data, theirs.model, theirs.selection)
        == (ours.prompts, ours.answer, ours.option_order, ours.data, ours.model, ours.selection)
        and summary.items.scored == summary.items.total
    )


def _accuracy(summary: Summary) -> float | None:
    for metric in summary.metrics:
        if metric.name == "perception.accuracy" and metric.slice is None:
            return metric.value
    return None
