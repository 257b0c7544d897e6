"""How metrics are called and written wherever they are shown."""

from __future__ import annotations

from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.metrics import CORRELATIONS, DRIFTS, Metric

# The columns of `judged`.
JUDGED = ("verdict", "delta", "interval", "margin", "MDE")

# What stands beside a judged mean: the shares of 0, 1 and 2, agreement of the rounds (Krippendorff), variances.
TRUST = {
    "p0": "P0",
    "p1": "P1",
    "p2": "P2",
    "alpha": "alpha",
    "item_variance": "var. items",
    "round_variance": "rounds",
}

# Metrics that the reports show in places of their own; all others are listed as they are.
SHOWN = frozenset((
    "perception.accuracy", "perception.unparsed_rate", "perception.yes_rate", "perception.confidence",
    "perception.accuracy_parsed", "perception.accuracy_yes", "perception.accuracy_no", "perception.position_bias",
    *(f"description.{part}" for part in (*DIMENSIONS, "sum")),
    "description.golden_agreement", "description.unreadable_rate",
    *(f"description.{part}_{key}" for part in DIMENSIONS for key in TRUST),
    "assessment.srcc", "assessment.plcc", "assessment.krcc", "assessment.plcc_fitted", "assessment.rmse_fitted",
    "assessment.distinct_scores", "assessment.tied_share", *DRIFTS,
))  # fmt: skip


def name_of(m: Metric) -> str:
    """The metric's name for a reader."""
    return m.name.replace("_", " ")


def slice_label(slice_: str) -> str:
    """A slice for a reader: ``type=yes_or_no`` is "type yes or no"."""
    words = slice_.replace("=", " ").replace("_", " ")
    return words.removeprefix("concern ") if words.startswith("concern in context") else words


def row_label(m: Metric) -> str:
    """Dataset and slice of a row."""
    name = m.dataset or ("mean of datasets" if m.name in CORRELATIONS else "all datasets together")
    return f"{name} {slice_label(m.slice)}" if m.slice else name


def number(m: Metric) -> str:
    """The value of a metric with four digits, or "undefined"."""
    return "undefined" if m.value is None else f"{m.value:.4f}"


def signed(delta: float | None) -> str:
    """A difference with its sign, or "-" where nothing was compared."""
    return "-" if delta is None else f"{delta:+.4f}"


def was(m: Metric) -> str:
    """The baseline's value, or "-" where nothing was compared."""
    return "-" if m.baseline is None else f"{m.baseline:.4f}"


def interval(m: Metric) -> str:
    """The 95 % interval of the value, or nothing where there is none."""
    return f"[{m.ci[0]:.3f}, {m.ci[1]:.3f}]" if m.ci else ""


def judged(m: Metric) -> list[str]:
    """The cells of `JUDGED` for a row that was compared with a margin."""
    paired = "" if m.delta_ci is None else f"[{m.delta_ci[0]:+.3f}, {m.delta_ci[1]:+.3f}]"
    margin = "-" if m.margin is None else f"{m.margin:g}"
    return [m.verdict or "-", signed(m.delta), paired, margin, "-" if m.mde is None else f"{m.mde:.4f}"]
