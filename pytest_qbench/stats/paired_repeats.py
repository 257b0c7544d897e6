"""Paired comparison of two models whose items were asked several times."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from pytest_qbench.stats.paired import Paired, align_interval, by_group, paired_mean
from pytest_qbench.stats.permuted_passes import permuted_p_value
from pytest_qbench.stats.resampling import Floats


def paired_repeats(
    candidate: ArrayLike,
    baseline: ArrayLike,
    groups: Sequence[Hashable],
    alpha: float,
    least: float,
    greatest: float,
    whole_groups_break: bool = True,
) -> Paired:
    """Compare the means of outcomes: `candidate` (n, M), `baseline` (n, K), one column per pass over the items.

    Each item counts with the mean of its outcomes. The p-values permute the passes by group
    (`permuted_passes.permuted_p_value`). They are valid if the passes of both runs are exchangeable; the numbers of
    passes may differ. The interval is that of `paired_mean`, aligned with the test. With M = K = 1 the test is that of
    `paired_mean`. Raises `Undefined` for no items or values that are not finite, ValueError for other shapes.
    """
    new, old = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if new.ndim != 2 or old.ndim != 2 or new.shape[0] != old.shape[0] or not (new.size and old.size):
        raise ValueError(f"candidate {new.shape} and baseline {old.shape} are not outcomes of the same items")
    means = (new.mean(axis=1), old.mean(axis=1))
    found = paired_mean(*means, groups, alpha, least, greatest, whole_groups_break)
    passes = passes_by_group(new, old, groups)
    drawn = new.shape[1]
    p_value = permuted_p_value(passes, drawn, float(passes[:, :drawn].sum()))
    test = "generalised McNemar, mid-p" if passes.shape[0] == new.shape[0] else "permuted passes by group"
    return align_interval(
        replace(found, p_value=p_value, p_gain=1 - p_value, test=test, sums=None, passes=(passes, drawn)), alpha
    )


def passes_by_group(candidate: Floats, baseline: Floats, groups: Sequence[Hashable]) -> Floats:
    """Return the total of each group in each pass, (G, M + K), those of the candidate first."""
    columns = [by_group(column, groups)[0] for column in (*candidate.T, *baseline.T)]
    return np.stack(columns, axis=1)
