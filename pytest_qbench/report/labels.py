"""Names, units and signs of metrics, the same in all reports."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_qbench.data.published import DATABASES
from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.specs import CORRELATIONS, CUT_RATES, DRIFTS, task_of

# Columns after a judged mean: the fractions of 0, 1 and 2, agreement of the rounds (Krippendorff), variances.
TRUST = {
    "p0": "P0",
    "p1": "P1",
    "p2": "P2",
    "alpha": "alpha",
    "item_variance": "var. items",
    "round_variance": "rounds",
}

# Metrics with their own place in the reports. All others are listed under "other metrics".
SHOWN = frozenset((
    "perception.accuracy", "perception.unparsed_rate", *CUT_RATES, "perception.yes_rate", "perception.confidence",
    "perception.chance", "perception.true_yes_rate", "perception.degradation",
    "perception.accuracy_parsed", "perception.accuracy_yes", "perception.accuracy_no", "perception.accuracy_at",
    "perception.position_bias",
    *(f"description.{part}" for part in (*DIMENSIONS, "sum")),
    "description.golden_agreement", "description.unreadable_rate",
    *(f"description.{part}_{key}" for part in DIMENSIONS for key in TRUST),
    "assessment.srcc", "assessment.plcc", "assessment.krcc", "assessment.plcc_fitted", "assessment.rmse_fitted",
    "assessment.distinct_scores", "assessment.tied_share", *DRIFTS,
))  # fmt: skip

_NAMES = {
    "perception.accuracy": "accuracy",
    "description.sum": "description",
    "assessment.srcc": "SRCC",
    "assessment.plcc": "PLCC",
    "assessment.krcc": "KRCC",
    "assessment.plcc_fitted": "PLCC fitted",
    "assessment.rmse_fitted": "RMSE fitted",
    "perception.degradation": "clean minus degraded",
}
# Metrics that are themselves differences of two fractions, in percentage points.
_DIFFERENCES = frozenset({"perception.degradation"})
TASK_NAMES = {"perception": "Questions", "description": "Descriptions", "assessment": "Scores"}


def name_of(m: Metric) -> str:
    """Return the metric's full name with spaces: "perception.yes rate"."""
    return m.name.replace("_", " ")


def short_name(name: str) -> str:
    """Return the metric's name without its task: "accuracy", "SRCC"."""
    return _NAMES.get(name) or name.partition(".")[2].replace("_", " ")


def slice_label(slice_: str) -> str:
    """Return the label of a slice: "type yes or no" for ``type=yes_or_no``."""
    words = slice_.replace("=", " ").replace("_", " ")
    return words.removeprefix("concern ") if words.startswith("concern in context") else words


def mean_label(datasets: Sequence[str] | None) -> str:
    """Return the name of a mean over datasets: "mean of 6 of 7 databases" where it lacks some of the published seven.

    Without any of the seven, or if the datasets are not known, it is "mean of datasets".
    """
    published = [name for name in datasets or () if name in DATABASES]
    if not published:
        return "mean of datasets"
    count = f"{len(published)} of " if len(published) < len(DATABASES) else ""
    own = len(datasets or ()) - len(published)
    return f"mean of {count}{len(DATABASES)} databases" + (f" and {own} more" if own else "")


def shortened_mean(label: str) -> str:
    """Return the label of a row without the datasets of its mean, as `mean_label` writes them: "SRCC mean"."""
    return re.sub(r" mean of .*(datasets|databases)( and \d+ more)?", " mean", label)


def row_label(m: Metric) -> str:
    """Return dataset and slice of a row, and whether it compares with the anchor."""
    name = m.dataset or (mean_label(m.datasets) if m.name in CORRELATIONS else "all datasets together")
    place = f"{name} {slice_label(m.slice)}" if m.slice else name
    return f"{place} (anchor)" if m.against else place


def title_of(m: Metric) -> str:
    """Return metric, dataset and slice of a row: "SRCC koniq"."""
    return f"{short_name(m.name)} {row_label(m)}"


def is_share(name: str) -> bool:
    """Return whether a metric is a fraction, written in per cent, with changes in percentage points."""
    return task_of(name) == "perception" and name not in DRIFTS


def value_text(name: str, value: float | None) -> str:
    """Return a value in its unit: "86.2 %" for a fraction, "0.780" for a correlation, "5.12" for a judged sum."""
    if value is None:
        return "undefined"
    if name in _DIFFERENCES:
        return change_text(name, value)
    return f"{100 * value:.1f} %" if is_share(name) else f"{value:.{_digits(name)}f}"


def change_text(name: str, delta: float | None, unit: bool = True) -> str:
    """Return a difference with its sign: "-1.1 pt" for a fraction, "-0.045" for a correlation, "-" for None."""
    if delta is None:
        return "-"
    if is_share(name):
        return f"{_signed(100 * delta, 1)}{' pt' if unit else ''}"
    return _signed(delta, _digits(name))


def size_text(name: str, size: float | None) -> str:
    """Return a margin or a drop without a sign: "1 pt", "0.01", "-" for None."""
    if size is None:
        return "-"
    return f"{100 * size:.2g} pt" if is_share(name) else f"{size:.2g}"


def interval_text(m: Metric) -> str:
    """Return the interval of the change in the unit of the change, "" without an interval."""
    if m.delta_ci is None:
        return ""
    lower, upper = (change_text(m.name, bound, unit=False) for bound in m.delta_ci)
    return f"[{lower}, {upper}]"


def own_interval(m: Metric) -> str:
    """Return the 95 % interval of the value itself, "" without an interval."""
    if m.ci is None:
        return ""
    if is_share(m.name):
        unit = "pt" if m.name in _DIFFERENCES else "%"
        return f"[{100 * m.ci[0]:.1f}, {100 * m.ci[1]:.1f}] {unit}"
    return f"[{m.ci[0]:.{_digits(m.name)}f}, {m.ci[1]:.{_digits(m.name)}f}]"


def before_text(m: Metric) -> str:
    """Return the baseline's value, "-" without a comparison."""
    return "-" if m.baseline is None else value_text(m.name, m.baseline)


def shortened_id(text: str) -> str:
    """Return the text of a condition with its hashes cut to eight digits."""
    words = text.split(" ")
    return " ".join(w[:8] if len(w) >= 32 and all(c in "0123456789abcdef" for c in w) else w for w in words)


def plural(count: int, word: str) -> str:
    """Return a count with its noun: "1 item", "2,900 items"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word[:-1] + 'ies' if word.endswith('y') else word + 's'}"


def _digits(name: str) -> int:
    if name == "assessment.distinct_scores":
        return 0
    if name in DRIFTS:
        return 4
    return 2 if name.removeprefix("description.") in (*DIMENSIONS, "sum") else 3


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text.replace("-", "+") if float(text) == 0 else text
