"""How metrics are called and written wherever they are shown."""

from __future__ import annotations

from pytest_qbench.judges.base import DIMENSIONS
from pytest_qbench.metrics import Metric

# Columns of a judged row after its name.
GATED = ("verdict", "delta", "interval", "margin", "MDE")

# Metrics that the reports show in places of their own; all others are listed as they are.
SHOWN = frozenset((
    "perception.accuracy", "perception.unparsed_rate", "perception.yes_rate", "perception.accuracy_parsed",
    "perception.accuracy_yes", "perception.accuracy_no", "perception.position_bias",
    *(f"description.{part}" for part in (*DIMENSIONS, "sum")), "description.verdict_share",
    "description.golden_agreement",
    "assessment.srcc", "assessment.plcc", "assessment.krcc", "assessment.plcc_fitted", "assessment.rmse_fitted",
    "assessment.distinct_scores", "assessment.tied_share",
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
    name = m.dataset or "mean of datasets"
    return f"{name} {slice_label(m.slice)}" if m.slice else name


def number(m: Metric) -> str:
    """The value of a metric with four digits, or "undefined"."""
    return "undefined" if m.value is None else f"{m.value:.4f}"


def signed(delta: float | None) -> str:
    """A difference with its sign, or "-" where nothing was compared."""
    return "-" if delta is None else f"{delta:+.4f}"
