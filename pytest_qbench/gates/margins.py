"""Smallest margin at which an unchanged model passes, for each gate: from two runs, or from a baseline alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np
from scipy.special import ndtri

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.comparison import Comparison, check_comparable
from pytest_qbench.gates.reasons import amount
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.compute import usable_records
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import CORRELATIONS, SPECS, kind_of, task_of
from pytest_qbench.records import Record
from pytest_qbench.stats.design_effect import mean_possible_loss, unseen_fraction
from pytest_qbench.stats.intervals import POWER, normal_quantile
from pytest_qbench.stats.paired import Paired, mean_of_comparisons
from pytest_qbench.stats.paired_correlation import paired_correlation
from pytest_qbench.stats.resampling import Undefined

PASSES = 0.9  # fraction of the runs of an unchanged model that have to pass
ASSUMED_DISCORDANCE = 0.06  # fraction of answers that differ in a second run, where there is none
ASSUMED_NOISE = 0.1  # noise of quality scores in each of two runs, in their standard deviations


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The smallest margin at which an unchanged model passes in 90 %, and the drop then found in 80 %."""

    metric: str
    datasets: int
    items: int
    margin: float
    drop: float
    basis: str

    def __str__(self) -> str:
        over = f", mean of {self.datasets} datasets" if self.datasets > 1 else ""
        return (
            f"{self.metric}{over}: margin {self.margin:g} ({amount(self.metric, self.margin)}); an unchanged model "
            f"passes in 90 %, a drop of {amount(self.metric, self.drop)} is found in 80 % ({self.basis})"
        )


def suggest(metrics: Iterable[str], old: Baseline, new: Results | None, gates: int) -> list[Suggestion]:
    """Suggest a margin for each metric of the baseline; `new` is a second run of the same model, if there is one.

    With a baseline alone, the noise of a judge follows from its rounds. For answers and scores it is assumed: 6 % of
    the answers change, and scores move by 0.1 standard deviations in either run.
    """
    found = []
    for name in metrics:
        datasets = list(dict.fromkeys(r.dataset for r in old.records.values() if r.task == task_of(name)))
        parts = [part for dataset in datasets if (part := _repeat_comparison(name, dataset, old, new)) is not None]
        if parts and len(parts) == len(datasets):
            found.append(_suggestion(name, parts, gates, "from two runs" if new else _describe_basis(name)))
    return found


def _suggestion(name: str, parts: list[Paired], gates: int, basis: str) -> Suggestion:
    if name in CORRELATIONS and len(parts) > 1:
        paired, worst = mean_of_comparisons(parts, ALPHA), 1
    else:
        paired, worst = max(parts, key=lambda part: part.error), len(parts)
    error = paired.error
    # The half-width of the interval that decides `pass`, plus z[power] standard errors of its centre. For correlations
    # few groups of images make it far wider than a normal quantile. Where several rows have to pass, each needs a
    # higher power.
    half = paired.delta - paired.lower if name in CORRELATIONS else normal_quantile(ALPHA) * error
    margin = half + float(ndtri(PASSES ** (1 / worst))) * error
    margin = max(margin, max(part.possible_loss * unseen_fraction(ALPHA, part.n / part.effect) for part in parts))
    margin = _round_up(margin)
    drop = max(margin, normal_quantile(ALPHA / gates) * error) + float(ndtri(POWER)) * error
    return Suggestion(name, len(parts), sum(p.n for p in parts), margin, drop, basis)


def _repeat_comparison(name: str, dataset: str, old: Baseline, new: Results | None) -> Paired | None:
    """Return a comparison of two runs of one model on one dataset: the measured one, or one of the expected width."""
    if new is not None:
        try:
            check_comparable(name, new, old, dataset)
            return Comparison(name, dataset, None, new, old).paired(ALPHA, 0)
        except (InvalidError, Undefined):
            return None
    records = [r for r in usable_records(old.records.values(), name) if r.dataset == dataset]
    n = len(records)
    if not n:
        return None
    if SPECS[name].is_rate:
        return _comparison_with_error(math.sqrt(ASSUMED_DISCORDANCE / n), n, 1.0)
    if name in CORRELATIONS:
        return _compare_noisy_scores(name, records)
    if (spread := _judge_noise(records)) is not None:
        values = np.array([v for r in records if (v := SPECS[name].item_value(r)) is not None])
        return _comparison_with_error(math.sqrt(2 * spread / n), n, mean_possible_loss(values - SPECS[name].least))
    return None


def _comparison_with_error(error: float, n: int, to_lose: float) -> Paired:
    return Paired(0.0, -math.inf, math.inf, 0.5, 0.5, error, n, possible_loss=to_lose)


def _judge_noise(records: list[Record]) -> float | None:
    """Return the variance of an item's judged sum over its rounds, divided by their number; None for a single round."""
    found = []
    for record in records:
        rounds = [[v for v in (record.judge or {}).get(d, ()) if v is not None] for d in DIMENSIONS]
        if all(len(values) > 1 for values in rounds):
            found.append(sum(variance(values) / len(values) for values in rounds))
    return fmean(found) if found and any(found) else None


def _compare_noisy_scores(name: str, records: list[Record]) -> Paired | None:
    scored = [r for r in records if r.score is not None and r.target is not None]
    scores = np.array([r.score for r in scored], dtype=np.float64)
    rng = np.random.default_rng(0)
    first, second = (scores + ASSUMED_NOISE * scores.std() * rng.normal(size=scores.size) for _ in range(2))
    targets = [float(r.target) for r in scored if r.target is not None]
    try:
        found = paired_correlation(first, second, targets, [r.group for r in scored], kind_of(name), ALPHA)
    except Undefined:
        return None
    return found if math.isfinite(found.error) else None  # too few groups of images for any margin


def _describe_basis(name: str) -> str:
    if SPECS[name].is_rate:
        return f"assuming that {100 * ASSUMED_DISCORDANCE:g} % of the answers change"
    if name in CORRELATIONS:
        return f"assuming noise of {ASSUMED_NOISE:g} standard deviations"
    return "from the judge's rounds"


def _round_up(value: float) -> float:
    """Return `value` rounded up to two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1) if value > 0 else 1.0
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.6g}")
