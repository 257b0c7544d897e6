from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.stats

from pytest_qbench.stats import resampling
from pytest_qbench.stats.resampling import (
    Undefined,
    bca_limits,
    bootstrap_mean,
    finite,
    group_codes,
    permutation_p_value,
    resamples,
)


def test_enumerated_patterns_are_all_patterns() -> None:
    seen: list[tuple[bool, ...]] = []

    def extreme(patterns: np.ndarray) -> np.ndarray:
        seen.extend(map(tuple, patterns.tolist()))
        return patterns[:, 0]

    assert permutation_p_value(extreme, 10, 0, width=100_000) == 0.5
    assert sorted(seen) == sorted(itertools.product([False, True], repeat=10))


def test_drawn_patterns_are_fair_and_counted() -> None:
    shapes = []

    def extreme(patterns: np.ndarray) -> np.ndarray:
        shapes.append(patterns.shape)
        return patterns[:, 17] & ~patterns[:, 3]

    p = permutation_p_value(extreme, 19, 0, draws=9_999, width=1_000)
    assert sum(rows for rows, _ in shapes) == 9_999
    assert {columns for _, columns in shapes} == {19}
    assert max(rows for rows, _ in shapes) == resampling.CELLS // 1_000
    assert p == pytest.approx(0.25, abs=0.02)


def test_resamples_draw_groups_with_replacement() -> None:
    chunks = list(resamples(7, 3, 5_000, width=resampling.CELLS // 2_000))
    counts = np.concatenate(chunks)
    assert len(chunks) == 3
    assert counts.shape == (5_000, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.var() == pytest.approx(7 * (1 / 7) * (6 / 7), rel=0.05)


@pytest.mark.parametrize("n", [20, 60, 499])
def test_bootstrap_agrees_with_scipy_bca(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n)
    other = scipy.stats.bootstrap((values,), np.mean, method="BCa", n_resamples=9_999, batch=500, rng=1)
    width = np.diff(other.confidence_interval)[0]
    assert bootstrap_mean(values, range(n), 0.05) == pytest.approx(tuple(other.confidence_interval), abs=0.04 * width)


def test_bootstrap_by_group_is_the_bootstrap_of_group_means() -> None:
    means = np.random.default_rng(2).normal(size=40)
    values, groups = np.repeat(means, 5), np.repeat(np.arange(40), 5)
    assert bootstrap_mean(values, groups.tolist(), 0.05) == pytest.approx(
        bootstrap_mean(means, range(40), 0.05), abs=1e-9
    )


def test_bootstrap_weighs_groups_by_their_items() -> None:
    """Groups of unequal size: the estimate is the mean over items, its standard error the ratio estimator's."""
    rng = np.random.default_rng(4)
    sizes = rng.integers(1, 9, 300)
    groups = np.repeat(np.arange(300), sizes)
    values = rng.normal(size=300)[groups] + 0.1 * sizes[groups]
    residual = np.bincount(groups, weights=values - values.mean())
    error = np.sqrt((residual**2).sum()) / values.size
    lower, upper = bootstrap_mean(values, groups.tolist(), 0.05)
    assert (upper - lower) / 2 == pytest.approx(1.96 * error, rel=0.06)
    assert lower < values.mean() < upper


def test_bootstrap_covers_the_mean() -> None:
    rng = np.random.default_rng(9)
    intervals = [bootstrap_mean(rng.normal(3, 1, 40), range(40), 0.1, seed) for seed in range(200)]
    assert 0.83 <= np.mean([low <= 3 <= high for low, high in intervals]) <= 0.95


def test_bootstrap_memory_is_bounded_at_100_000_items() -> None:
    values = np.random.default_rng(0).random(100_000)
    tracemalloc.start()
    lower, upper = bootstrap_mean(values, range(100_000), 0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert (upper - lower) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(100_000), rel=0.1)


def test_bootstrap_is_seeded() -> None:
    values = np.random.default_rng(0).random(30)
    assert bootstrap_mean(values, range(30), 0.05, 7) == bootstrap_mean(values, range(30), 0.05, 7)
    assert bootstrap_mean(values, range(30), 0.05, 7) != bootstrap_mean(values, range(30), 0.05, 8)


def test_bootstrap_of_constants_and_of_one_group() -> None:
    assert bootstrap_mean([2.0, 2.0, 2.0], "abc", 0.05) == (2.0, 2.0)
    with pytest.raises(Undefined, match="two groups"):
        bootstrap_mean([1.0, 2.0], "aa", 0.05)


def test_bca_without_bias_and_skew_is_the_percentile_interval() -> None:
    samples = np.linspace(-1, 1, 100_001)
    limits = bca_limits(samples, 0.0, np.array([-1.0, 1.0]), 0.05)
    assert limits == pytest.approx((-0.9, 0.9), abs=1e-4)


def test_bca_counts_ties_in_spite_of_rounding() -> None:
    samples = np.repeat([-1.0, 0.1 + 0.2, 2.0], [200, 600, 200])
    assert bca_limits(samples, 0.3, np.array([-1.0, 1.0]), 0.3) == (0.1 + 0.2, 0.1 + 0.2)


def test_groups_are_numbered_as_they_appear() -> None:
    assert group_codes(["b", "a", "b", ("a", 1)], 4).tolist() == [0, 1, 0, 2]
    with pytest.raises(ValueError, match="3 group labels for 4 items"):
        group_codes("abc", 4)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")], [[1.0]]])
def test_finite_refuses_empty_lists_and_numbers_that_are_not_finite(values: list[float]) -> None:
    with pytest.raises(Undefined, match="scores"):
        finite(values, "scores")


def test_the_last_block_of_drawn_patterns_has_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "CELLS", 70)
    assert [len(block) for block in resamples(7, 3, 25)] == [10, 10, 5]
    rows: list[int] = []

    def extreme(patterns: np.ndarray) -> np.ndarray:
        rows.append(len(patterns))
        return np.zeros(len(patterns), dtype=bool)

    assert permutation_p_value(extreme, 20, 0, draws=8) == 1 / 9  # no hit, and the observed pattern
    assert rows == [3, 3, 2]


def test_bca_shifts_both_limits_by_bias_and_skewness() -> None:
    """Efron (1987), equations 2.3 and 6.6, on samples with 40 % below the estimate."""
    samples, influence = np.linspace(-1, 1, 100_001), np.array([3.0, -1.0, -1.0, -1.0])
    bias = scipy.stats.norm.ppf(0.4)
    a = (27 - 3) / (6 * (9 + 3) ** 1.5)
    z = bias + scipy.stats.norm.ppf([0.05, 0.95])
    expected = np.quantile(samples, scipy.stats.norm.cdf(bias + z / (1 - a * z)))
    assert bca_limits(samples, -0.2, influence, 0.05) == pytest.approx(expected, abs=1e-4)
    assert bca_limits(np.array([0.0, 1.0, 2.0]), 1.0, np.zeros(2), 0.1) == pytest.approx((0.2, 1.8))
