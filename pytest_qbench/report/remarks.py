"""What a reader should know beside the gates: drift of the probabilities, other conditions than the baseline's."""

from __future__ import annotations

from pytest_qbench.report.finished import Finished
from pytest_qbench.report.labels import number

SHOWN = 10  # conditions


def remarks(run: Finished) -> list[tuple[str, bool]]:
    """Remarks in one line each, and whether one is a warning: the model is not the one of the baseline."""
    lines = []
    rows = {(m.name, m.dataset): m for m in run.metrics if m.slice is None}
    for one in run.summary.get("drifts", ()):
        m = rows[one["name"], one["dataset"]]
        text = f"drift of {m.name.partition('.')[0]} {m.dataset}: {number(m)}, {m.note}"
        lines.append((text + (": this is not the model of the baseline" if one["moved"] else ""), bool(one["moved"])))
    if differs := run.summary.get("made_otherwise"):
        rest = f" and {len(differs) - SHOWN} more in summary.json" if len(differs) > SHOWN else ""
        lines.append((f"made otherwise than the baseline: {'; '.join(differs[:SHOWN])}{rest}", False))
    return lines
