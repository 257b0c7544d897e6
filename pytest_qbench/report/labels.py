"""How metrics are called and written wherever they are shown: names, units, signs."""

from __future__ import annotations

from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.metrics import Metric
from pytest_qbench.metrics.specs import CORRELATIONS, CUT_RATES, DRIFTS, task_of

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
    "perception.accuracy", "perception.unparsed_rate", *CUT_RATES, "perception.yes_rate", "perception.confidence",
    "perception.accuracy_parsed", "perception.accuracy_yes", "perception.accuracy_no", "perception.position_bias",
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
}
TASK_NAMES = {"perception": "Questions", "description": "Descriptions", "assessment": "Scores"}


def name_of(m: Metric) -> str:
    """The metric's full name for a reader."""
    return m.name.replace("_", " ")


def short_name(name: str) -> str:
    """The metric's name where its task is plain: "accuracy", "SRCC"."""
    return _NAMES.get(name) or name.partition(".")[2].replace("_", " ")


def slice_label(slice_: str) -> str:
    """A slice for a reader: ``type=yes_or_no`` is "type yes or no"."""
    words = slice_.replace("=", " ").replace("_", " ")
    return words.removeprefix("concern ") if words.startswith("concern in context") else words


def row_label(m: Metric) -> str:
    """Dataset and slice of a row."""
    name = m.dataset or ("mean of datasets" if m.name in CORRELATIONS else "all datasets together")
    return f"{name} {slice_label(m.slice)}" if m.slice else name


def title_of(m: Metric) -> str:
    """Metric, dataset and slice of a row: "SRCC koniq"."""
    return f"{short_name(m.name)} {row_label(m)}"


def is_share(name: str) -> bool:
    """Whether a metric is a share, which is written in per cent and whose changes are points."""
    return task_of(name) == "perception" and name not in DRIFTS


def value_text(name: str, value: float | None) -> str:
    """A value in its unit: "86.2 %" for a share, "0.780" for a correlation, "5.12" for a judged sum."""
    if value is None:
        return "undefined"
    return f"{100 * value:.1f} %" if is_share(name) else f"{value:.{_digits(name)}f}"


def change_text(name: str, delta: float | None, unit: bool = True) -> str:
    """A difference with its sign: "-1.1 pt" for a share, "-0.045" for a correlation; "-" where there is none."""
    if delta is None:
        return "-"
    if is_share(name):
        return f"{_signed(100 * delta, 1)}{' pt' if unit else ''}"
    return _signed(delta, _digits(name))


def size_text(name: str, size: float | None) -> str:
    """A margin or a drop, without sign: "1 pt", "0.01"; "-" where there is none."""
    if size is None:
        return "-"
    return f"{100 * size:.2g} pt" if is_share(name) else f"{size:.2g}"


def interval_text(m: Metric) -> str:
    """The interval of the change, in the unit of the change; nothing where there is none."""
    if m.delta_ci is None:
        return ""
    lower, upper = (change_text(m.name, bound, unit=False) for bound in m.delta_ci)
    return f"[{lower}, {upper}]"


def own_interval(m: Metric) -> str:
    """The 95 % interval of the value itself; nothing where there is none."""
    if m.ci is None:
        return ""
    if is_share(m.name):
        return f"[{100 * m.ci[0]:.1f}, {100 * m.ci[1]:.1f}] %"
    return f"[{m.ci[0]:.{_digits(m.name)}f}, {m.ci[1]:.{_digits(m.name)}f}]"


def before_text(m: Metric) -> str:
    """The baseline's value, or "-" where nothing was compared."""
    return "-" if m.baseline is None else value_text(m.name, m.baseline)


def shortened_id(text: str) -> str:
    """A condition with its hashes cut to eight digits."""
    words = text.split(" ")
    return " ".join(w[:8] if len(w) >= 32 and all(c in "0123456789abcdef" for c in w) else w for w in words)


def plural(count: int, word: str) -> str:
    """A count with its noun: "1 item", "2,900 items"."""
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
