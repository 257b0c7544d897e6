"""Agreement and variance of rounds, against published values, brute force and simulation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import fmean, variance

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_qbench.stats.agreement import alpha, golden_agreement, variance_split
from pytest_qbench.stats.resampling import Undefined


def brute_alpha(rounds: Sequence[Sequence[float | None]]) -> float:
    """Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": ordinal, from all pairs of values."""
    units = [[v for v in row if v is not None] for row in rounds]
    units = [row for row in units if len(row) > 1]
    values = sorted({v for row in units for v in row})
    count = {v: sum(row.count(v) for row in units) for v in values}
    n = sum(count.values())

    def distance(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        between = sum(count[v] for v in values if low <= v <= high)
        return (between - (count[low] + count[high]) / 2) ** 2 if low != high else 0.0

    observed = sum(distance(a, b) / (len(row) - 1) for row in units for a, b in itertools.permutations(row, 2)) / n
    pool = [v for row in units for v in row]
    expected = sum(distance(a, b) for a, b in itertools.permutations(pool, 2)) / (n * (n - 1))
    return 1 - observed / expected


ROUNDS = st.lists(st.lists(st.sampled_from([0, 1, 2, None]), min_size=3, max_size=3), min_size=3, max_size=8)


@settings(deadline=None)  # the first example pays for the imports
@given(ROUNDS)
def test_alpha_agrees_with_krippendorffs_formula(rounds: list[list[float | None]]) -> None:
    paired = [v for row in rounds if sum(x is not None for x in row) > 1 for v in row if v is not None]
    assume(len(set(paired)) > 1)
    assert alpha(rounds) == pytest.approx(brute_alpha(rounds), abs=1e-9)


def test_alpha_of_perfect_and_of_chance_agreement() -> None:
    assert alpha([[0, 0, 0], [2, 2, 2], [1, 1, 1]]) == pytest.approx(1)
    rng = np.random.default_rng(0)
    assert abs(alpha(rng.integers(0, 3, (2000, 5)).tolist())) < 0.03


@pytest.mark.parametrize("rounds", [[], [[1], [2]], [[2, 2], [2, 2]], [[None, 1], [2, None]]])
def test_alpha_is_undefined_for_too_few_or_equal_verdicts(rounds: list[list[float | None]]) -> None:
    with pytest.raises(Undefined):
        alpha(rounds)


def test_variances_of_simulated_rounds_are_recovered() -> None:
    rng = np.random.default_rng(1)
    items = rng.normal(0, 0.7, (4000, 1))
    between, within = variance_split((items + rng.normal(0, 0.4, (4000, 5))).tolist())
    assert between == pytest.approx(0.49, rel=0.06)
    assert within == pytest.approx(0.16, rel=0.06)


@given(ROUNDS)
def test_equal_rounds_have_no_variance_of_their_own(rounds: list[list[float | None]]) -> None:
    same = [[row[0] or 0] * 3 for row in rounds]
    between, within = variance_split(same)
    assert within == 0
    assert between == pytest.approx(variance([fmean(row) for row in same]))


def test_variances_are_those_of_rounds_and_of_means_by_hand() -> None:
    """Means 1.5, 1 and 0 of two, three and two rounds; the item with one readable round does not count."""
    between, within = variance_split([[1, 2], [0, 1, 2], [0, 0, None], [2, None]])
    assert within == pytest.approx((0.5 + 1 + 0) / 3)
    assert between == pytest.approx(7 / 12 - within * (1 / 2 + 1 / 3 + 1 / 2) / 3)
    with pytest.raises(Undefined, match="fewer than two items"):
        variance_split([[1, 2], [1], [2]])


@pytest.mark.parametrize("texts, agreement", [
    (("The image is blurry.", "the Image is sharp"), 3 / 4),
    (("blur blur noise", "blur noise noise"), 2 / 3),
    (("a b", "a b", "c"), 1 / 3),
    (("...", "!"), 1),
    (("...", "a"), 0),
    (("a",), None),
    ((), None),
])  # fmt: skip
def test_golden_texts_share_words_by_the_dice_coefficient(texts: tuple[str, ...], agreement: float | None) -> None:
    """Twice the shared words over all words, each as often as it stands there."""
    assert golden_agreement(texts) == (None if agreement is None else pytest.approx(agreement))
