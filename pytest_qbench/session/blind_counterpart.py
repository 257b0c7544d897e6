"""Finds the run with (or without) sight that belongs to this one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_qbench.records import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_qbench.session.run import QBench


def sight(run: QBench) -> tuple[float, float] | None:
    """Perception accuracy with sight and without, each in [0, 1]; None where one of the two runs does not exist."""
    own = [m.value for m in run.results.metrics if m.name == "perception.accuracy" and m.slice is None]
    other = _other_accuracy(run) if own else None
    if not own or own[0] is None or other is None:
        return None
    return (other, own[0]) if run.settings.blind else (own[0], other)


def _other_accuracy(run: QBench) -> float | None:
    """Perception accuracy of the newest neighbouring run that differs in sight alone; None when there is none.

    Neighbours are the run folders beside this run's; a seeing counterpart may also be the baseline.
    """
    for summary in _neighbours(run.folder.path):
        if _same_but_sight(summary, run):
            return _accuracy(summary)
    if run.settings.blind and not isinstance(run.baseline, str):
        stored = [m.value for m in run.baseline.metrics if m.name == "perception.accuracy" and m.slice is None]
        return stored[0] if stored else None
    return None


def _neighbours(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.parent.glob("*/summary.json"), key=lambda p: p.stat().st_mtime, reverse=True):
        if path.parent != folder:
            try:
                found.append(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError):  # another tool's or a half-written file: not a neighbour
                continue
    return [s for s in found if isinstance(s, dict) and s.get("schema") == SCHEMA]


def _same_but_sight(summary: dict[str, Any], run: QBench) -> bool:
    ours, theirs = run.results.fingerprint, summary["fingerprint"]
    return theirs.get("blind") is (not ours["blind"]) and all(
        theirs.get(key) == ours[key] for key in ("prompts", "answer", "data", "model", "selection")
    ) and summary["items"]["scored"] == summary["items"]["total"]  # fmt: skip


def _accuracy(summary: dict[str, Any]) -> float | None:
    for metric in summary["metrics"]:
        if metric["name"] == "perception.accuracy" and metric["slice"] is None:
            return float(metric["value"]) if metric["value"] is not None else None
    return None
