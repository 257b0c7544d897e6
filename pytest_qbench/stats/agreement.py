"""Agreement between raters: the rounds of a judge, the golden texts of an item. Pure functions."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, variance

import numpy as np

from pytest_qbench.stats.resampling import Undefined

# Imports in functions: krippendorff loads where raters are compared.

Rounds = Sequence[Sequence[float | None]]  # items x rounds


def alpha(rounds: Rounds) -> float:
    """Return Krippendorff's alpha for ordinal grades, at most 1, with the rounds (or experts) as raters of the items.

    None counts as missing. 1 is perfect agreement, 0 the agreement expected by chance. Raises `Undefined` where no item
    has two ratings. It raises it for equal ratings too: they do not show whether the raters distinguish the items.
    """
    import krippendorff

    if not rounds or max(map(len, rounds)) < 2:
        raise Undefined("no item has two ratings")
    width = max(map(len, rounds))
    table = np.full((width, len(rounds)), np.nan)
    for item, row in enumerate(rounds):
        for i, value in enumerate(row):
            table[i, item] = np.nan if value is None else value
    paired = table[:, (~np.isnan(table)).sum(axis=0) > 1]
    if len(np.unique(paired[~np.isnan(paired)])) < 2:
        raise Undefined("all ratings are equal" if paired.size else "no item has two ratings")
    return float(krippendorff.alpha(reliability_data=paired, level_of_measurement="ordinal"))


def variance_split(rounds: Rounds) -> tuple[float, float]:
    """Return the variance of verdicts between items and between rounds of one item (one-way random effects).

    The variance between rounds is the mean of the items' sample variances, over items with two readable verdicts. The
    variance between items is that of the items' means, less the part that the rounds contribute, at least 0. Raises
    `Undefined` where either cannot be estimated.
    """
    readable = [[v for v in row if v is not None] for row in rounds]
    several = [row for row in readable if len(row) > 1]
    if len(several) < 2:
        raise Undefined("fewer than two items have two readable verdicts")
    within = fmean(variance(row) for row in several)
    between = variance([fmean(row) for row in several]) - within * fmean(1 / len(row) for row in several)
    return max(0.0, between), within


def golden_agreement(texts: Sequence[str]) -> float | None:
    """Return the mean F1 of the words that two golden texts share, in [0, 1]; None for fewer than two texts.

    The mean is over all pairs of texts. Repeated words count each time. Case and punctuation are ignored.
    """
    bags = [Counter(re.findall(r"\w+", text.casefold())) for text in texts]
    scores = [
        2 * (a & b).total() / total if (total := a.total() + b.total()) else 1.0
        for a, b in itertools.combinations(bags, 2)
    ]
    return fmean(scores) if scores else None
