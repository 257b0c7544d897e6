from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qbench.stats import resampling
from pytest_qbench.stats.resampling import (
    Undefined,
    bca_limits,
    bootstrap_mean,
    finite,
    flip_p_value,
    group_codes,
    resamples,
    sign_flip_drop,
)


def brute_flip_p(deltas: list[float], groups: list[int]) -> float:
    """Every sign pattern of the groups, one by one."""
    labels = sorted(set(groups))
    sums = [sum(d for d, g in zip(deltas, groups, strict=True) if g == label) for label in labels]
    patterns = list(itertools.product([1, -1], repeat=len(sums)))
    observed = sum(sums)
    return sum(sum(s * x for s, x in zip(p, sums, strict=True)) <= observed + 1e-9 for p in patterns) / len(patterns)


changes = st.sampled_from([-1.0, -0.4, -0.2, 0.0, 0.2, 0.6])
small_deltas = st.lists(st.tuples(changes, st.integers(0, 7)), min_size=1, max_size=16)


@given(small_deltas)
@settings(deadline=None, max_examples=50)
def test_sign_flip_is_the_enumeration_of_all_patterns(items: list[tuple[float, int]]) -> None:
    deltas, groups = [d for d, _ in items], [g for _, g in items]
    assert sign_flip_drop(deltas, groups, 0) == pytest.approx(brute_flip_p(deltas, groups), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n, n_groups", [(40, 40), (200, 50), (600, 30)])
def test_whole_numbers_have_an_exact_distribution(n: int, n_groups: int, seed: int) -> None:
    """Oracle: count the ways to every total, group by group."""
    rng = np.random.default_rng(seed)
    deltas, groups = rng.integers(-1, 2, n), rng.integers(0, n_groups, n)
    sums = np.bincount(groups, weights=deltas).astype(int)
    counts = {0: 1}
    for s in sums[sums != 0]:
        longer: dict[int, int] = {}
        for total, ways in counts.items():
            for step in (int(s), -int(s)):
                longer[total + step] = longer.get(total + step, 0) + ways
        counts = longer
    expected = sum(ways for total, ways in counts.items() if total <= sums.sum()) / sum(counts.values())
    assert sign_flip_drop(deltas, groups.tolist(), 0) == pytest.approx(expected, rel=1e-9)


def test_drawn_flips_agree_with_scipy() -> None:
    deltas = np.random.default_rng(5).normal(-0.15, 1, 60)
    other = scipy.stats.permutation_test(
        (deltas,), np.mean, permutation_type="samples", alternative="less", n_resamples=20_000, batch=1_000, rng=2
    )
    assert sign_flip_drop(deltas, range(60), 1) == pytest.approx(other.pvalue, abs=0.008)
    assert sign_flip_drop(deltas, range(60), 1) == sign_flip_drop(deltas, range(60), 1)


def test_drawn_flips_never_give_zero() -> None:
    assert sign_flip_drop(np.full(400, -0.7), range(400), 0) == 1 / 20_001


def test_ties_count_in_spite_of_rounding() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floating point: the four patterns that tie with the observed sum must count.
    assert sign_flip_drop([0.1, 0.2, -0.3], range(3), 0) == brute_flip_p([0.1, 0.2, -0.3], [0, 1, 2]) == 5 / 8


def test_no_change_is_no_evidence() -> None:
    assert sign_flip_drop([0.0] * 30, range(30), 0) == 1


@given(small_deltas)
@settings(deadline=None, max_examples=30)
def test_a_drop_and_its_mirror_share_the_observed_pattern(items: list[tuple[float, int]]) -> None:
    deltas, groups = np.array([d for d, _ in items]), [g for _, g in items]
    assert sign_flip_drop(deltas, groups, 0) + sign_flip_drop(-deltas, groups, 0) >= 1 - 1e-12


def test_labels_and_order_of_groups_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    deltas, groups = rng.integers(-1, 2, 200), rng.integers(0, 50, 200)
    order = rng.permutation(200)
    named = [f"photo-{g}.jpg" for g in groups[order]]
    assert sign_flip_drop(deltas[order], named, 0) == pytest.approx(
        sign_flip_drop(deltas, groups.tolist(), 0), rel=1e-12
    )


@pytest.mark.parametrize("size, groups", [(20, 20), (60, 20), (60, 60), (400, 400)])
def test_false_alarms_of_judge_scores(size: int, groups: int) -> None:
    """A/A: the same model judged anew, means of five rounds of 0/1/2, an effect of each group on both."""
    rng = np.random.default_rng(size + groups)
    label = np.arange(size) % groups
    p_values = []
    for run in range(300):
        quality = rng.uniform(0.2, 0.8, groups)[label]
        shift = rng.normal(0, 0.05, (2, groups))[:, label]
        new, old = rng.binomial(10, np.clip(quality + shift, 0, 1)) / 5
        p_values.append(sign_flip_drop(new - old, label.tolist(), run) if size < 400 or run < 100 else 1)
    for alpha in (0.05, 0.05 / 3):
        false = sum(p < alpha for p in p_values)
        assert scipy.stats.binomtest(false, len(p_values), alpha, alternative="greater").pvalue > 0.005


def test_enumerated_patterns_are_all_patterns() -> None:
    seen: list[tuple[bool, ...]] = []

    def extreme(patterns: np.ndarray) -> np.ndarray:
        seen.extend(map(tuple, patterns.tolist()))
        return patterns[:, 0]

    assert flip_p_value(extreme, 10, 0, width=100_000) == 0.5
    assert sorted(seen) == sorted(itertools.product([False, True], repeat=10))


def test_drawn_patterns_are_fair_and_counted() -> None:
    shapes = []

    def extreme(patterns: np.ndarray) -> np.ndarray:
        shapes.append(patterns.shape)
        return patterns[:, 17] & ~patterns[:, 3]

    p = flip_p_value(extreme, 19, 0, draws=9_999, width=1_000)
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
def test_only_finite_numbers_are_measured(values: list[float]) -> None:
    with pytest.raises(Undefined, match="scores"):
        finite(values, "scores")


def test_chunks_do_not_change_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    deltas = np.random.default_rng(1).normal(size=18)
    whole = sign_flip_drop(deltas, range(18), 0)
    monkeypatch.setattr(resampling, "CELLS", 18 * 999)
    assert sign_flip_drop(deltas, range(18), 0) == pytest.approx(whole, abs=0.01)
