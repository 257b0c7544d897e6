"""Drift: the mean absolute change of a model's probabilities from the baseline, item by item. Pure.

Drift is an early warning: if the model has changed, its probabilities change on most items, long before answers flip.
The noise floor is the change of the same items in a second measurement of the unchanged model. The baseline stores it
for each item. A run drifts if these items change more than in the second measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.metrics.noise_floor import Floor
from pytest_qbench.metrics.probabilities import change
from pytest_qbench.records import Record
from pytest_qbench.stats.resampling import bootstrap_mean, group_codes
from pytest_qbench.stats.sign_flips import flip_p_value

FEWEST_ITEMS = 8  # with fewer, no p-value is below alpha divided by the number of datasets
# Smaller changes of a probability are rounding errors and count as this one.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of one dataset as a metric `row`, with its comparison against the noise floor.

    `ratio` is the change of an item divided by its noise floor, as the geometric mean over items. A small `p_value`
    means that the items changed more than noise. It is None if the drift was not judged; the row's note says why.
    """

    row: Metric
    ratio: float | None = None
    p_value: float | None = None


def changes(pairs: Sequence[tuple[Record, Record]], words: Sequence[str]) -> list[tuple[float, str]]:
    """Return change and group of each pair (candidate, baseline) in which both records have probabilities."""
    return [(moved, new.group) for new, old in pairs if (moved := change(new, old, words)) is not None]


def drift(name: str, dataset: str, pairs: Sequence[tuple[Record, Record]], words: Sequence[str]) -> Metric:
    """Return the mean absolute change per item with its 95 % interval, undefined unless all records have probabilities.

    `pairs` are (candidate, baseline); `words` are the two quality words.
    """
    found = changes(pairs, words)
    row = Metric(name, dataset, pairs[0][0].split if pairs else None, None, None, len(found))
    if not found or len(found) < len(pairs):
        return _noted(row, f"{len(pairs) - len(found)} of {len(pairs)} items have no recorded probabilities")
    return Metric(name, dataset, row.split, None, fmean(v for v, _ in found), len(found), _interval(found))


def compare_with_floor(
    row: Metric, pairs: Sequence[tuple[Record, Record]], words: Sequence[str], floor: Floor
) -> Drift:
    """Return the drift `row` with a test of whether the items of `floor` changed more than in the second measurement.

    The test is a one-sided sign-flip test by group. Its statistic is the logarithm of the ratio of the two changes. For
    an unchanged model the test is exact, however sensitive each item is.
    """
    if row.value is None:
        return Drift(row)
    moved = [(moved, floor[new.item], new.group) for new, old in pairs
             if new.item in floor and (moved := change(new, old, words)) is not None]  # fmt: skip
    if not floor:
        return Drift(_noted(row, "not judged: the baseline stores no noise floor"))
    if len({group for *_, group in moved}) < min(FEWEST_ITEMS, len(floor)) or len(moved) < 2:
        return Drift(_noted(row, f"not judged: {len(moved)} items of the noise floor were measured"))
    now, noise = (np.maximum([pair[i] for pair in moved], ROUNDING) for i in (0, 1))
    logs = np.log(now / noise)
    sums = np.bincount(group_codes([group for *_, group in moved], len(moved)), weights=logs)
    p_value = flip_p_value(-sums.astype(np.float64)) if sums.any() else 1.0
    return Drift(replace(row, baseline=fmean(floor.values())), float(np.exp(logs.mean())), p_value)


def judge_drifts(found: Sequence[Drift], alpha: float = ALPHA) -> list[tuple[Metric, bool]]:
    """Return each row with a note on its result, and whether it drifted. Each dataset gets an equal part of `alpha`."""
    tested = sum(one.p_value is not None for one in found)
    rows = []
    for one in found:
        if one.p_value is None:
            rows.append((one.row, False))
            continue
        moved = one.p_value < alpha / tested
        where = "above" if moved else "within"
        note = f"{where} the noise floor {one.row.baseline:.4f}; the same items moved {one.ratio:.1f} times as far"
        rows.append((_noted(one.row, note, one.row.baseline), moved))
    return rows


def _interval(found: Sequence[tuple[float, str]]) -> tuple[float, float] | None:
    if len({group for _, group in found}) < 2:
        return None
    return bootstrap_mean([v for v, _ in found], [g for _, g in found], ALPHA)


def _noted(row: Metric, note: str, baseline: float | None = None) -> Metric:
    return replace(row, note=note, baseline=baseline)
