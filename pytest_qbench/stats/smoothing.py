"""Paired test of accuracy smoothed over the noise of its likelihoods; it finds smaller drops than plain accuracy."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from pytest_qbench.stats.paired import Paired, align_interval, paired_deltas, paired_mean
from pytest_qbench.stats.resampling import finite

NORMAL_MEDIAN = 0.954  # median |x - y| of two standard normal numbers
WIDTH = 1.5  # width of the smoothing over the observed noise: a wider one finds smaller drops, and blurs more
# At most this fraction of the margins lies within the width of the smoothing; more would blur right and wrong.
BLURRED = 0.12
# The smoothed accuracy may move by a tenth less than accuracy does. Computed for the margins of the embedded model and
# for normal, t, Laplace and exponential ones, all shifted, scrambled or partly broken, at 1 to 20 % discordance: at
# most 1.12.
ATTENUATION = 1.1


def paired_smoothed(
    candidate: ArrayLike, baseline: ArrayLike, groups: Sequence[Hashable], alpha: float
) -> Paired | None:
    """Compare accuracies by their items' margins, in units of accuracy; None where the width of the smoothing is 0.

    `candidate`, `baseline` (n,) hold log p(right option) - log p(best wrong option), positive where the answer is
    right. An item counts as Phi(margin / h) in place of 0 or 1: the probability that it is right in another run with
    noise of the width h (Miller 2024, arXiv 2411.00640, on next-token probabilities). h is 1.5 times the observed
    noise, median |change of a margin| / 0.954, but at most the 12 % quantile of the |margins|. It is the same for both
    runs and does not change when they are swapped, so the sign-flip test by group stays valid. The lower bound is
    widened by a tenth, because smoothing may understate a drop. Errors as for `paired_mean`.
    """
    new, old = finite(candidate, "candidate"), finite(baseline, "baseline")
    changes = np.abs(paired_deltas(new, old))
    noise = float(np.median(changes)) / NORMAL_MEDIAN
    width = min(WIDTH * noise, float(np.quantile(np.abs(np.concatenate([new, old])), BLURRED)))
    if width <= 0:
        return None
    smoothed = (ndtr(new / width), ndtr(old / width))
    # Questions about one photo differ, so a loss seldom hits all of them, as it does all texts about a broken photo.
    found = paired_mean(*smoothed, groups, alpha, 0.0, 1.0, whole_groups_break=False)
    lower = found.lower if found.p_gain < alpha else ATTENUATION * found.lower
    return align_interval(replace(found, lower=lower, test="smoothed accuracy, sign flips"), alpha)
