"""A finished run in the terminal: `qbench report RUN`, from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.records import RECORDS, read_records
from pytest_qbench.report.tables import aligned
from pytest_qbench.runs import read_summary
from pytest_qbench.scoring import DEFAULT, Scoring


def report(run: Path, scoring: str | None) -> list[str]:
    """Return the lines about a run folder; `scoring` "all" compares the ways to a quality score instead.

    Raises `UsageError` for a folder that is no finished run.
    """
    found = read_summary(run)
    if scoring == "all":
        return _scorings(run, _scoring(found))
    rows = [["metric", "dataset", "slice", "value", "items"]]
    for m in found["metrics"]:
        value = "undefined" if m["value"] is None else f"{m['value']:.4f}"
        rows.append([m["name"], m["dataset"] or "mean", m["slice"] or "", value, str(m["n"])])
    lines = aligned(rows, left=3)
    lines += [f"gate {gate['name']}: {gate['verdict']} ({gate['reason']})" for gate in found["gates"]]
    lines += [f"left out: {one['dataset']} {one['entry']}: {one['reason']}" for one in found["left_out"]]
    return [*lines, str(found["verdict"])]


def _scoring(summary: dict[str, Any]) -> Scoring:
    """The scoring that a run chose, from its fingerprint."""
    made = summary["fingerprint"].get("scoring") or DEFAULT.describe()
    return Scoring(tuple(made["words"]), float(made["temperature"]), made.get("halves") == "mean")


def _scorings(run: Path, chosen: Scoring) -> list[str]:
    from pytest_qbench.strategies import compare

    records = read_records(run / RECORDS)
    compared = compare(records, chosen)
    measured = [one for one in compared if one.metrics]
    if not measured:
        raise UsageError(f"{run}: no log-probabilities of quality words were recorded: nothing to score anew")
    datasets = list(dict.fromkeys(m.dataset for one in measured for m in one.metrics if m.dataset))
    head = ["scoring (SRCC / PLCC)", *datasets, "mean"]
    rows = [head]
    for i, one in enumerate(measured):
        values = {(m.name, m.dataset): m.value for m in one.metrics}
        cells = [
            _pair(values, dataset) for dataset in (*datasets, None if len(one.metrics) > 2 * len(datasets) else "-")
        ]
        rows.append([one.strategy.name + (" (chosen)" if i == 0 else ""), *cells])
    lines = aligned(rows)
    for one in compared:
        if one.missing:
            lines.append(f"  {one.strategy.name}: not recorded: {', '.join(one.missing)}")
    if chosen.halves:
        lines.append("  a database of two halves counts by the mean of their correlations")
    return lines


def _pair(values: dict[tuple[str, str | None], float | None], dataset: str | None) -> str:
    if ("assessment.srcc", dataset) not in values:
        return "-"
    cells = (values[name, dataset] for name in ("assessment.srcc", "assessment.plcc"))
    return " / ".join("undefined" if value is None else f"{value:.3f}" for value in cells)
