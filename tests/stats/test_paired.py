from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binomtest, norm, t, ttest_ind, ttest_rel
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pytest_qbench.stats.intervals import clustered_half_width, normal_quantile, tango, wilson, wilson_by_group
from pytest_qbench.stats.multiplicity import holm
from pytest_qbench.stats.paired import Paired, mean_of_comparisons, paired_mean
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.resampling import Undefined

counts = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.05, 0.1]))
def test_wilson_agrees_with_statsmodels(pair: tuple[int, int], alpha: float) -> None:
    successes, n = pair
    assert wilson(successes, n, alpha) == pytest.approx(proportion_confint(successes, n, alpha, "wilson"), abs=1e-12)


def test_wilson_ends_are_exact() -> None:
    assert wilson(0, 7)[0] == 0
    assert wilson(7, 7)[1] == 1


def test_wilson_by_group_is_wilson_for_single_items_and_counts_equal_groups_once() -> None:
    values = [1.0] * 30 + [0.0] * 10
    assert wilson_by_group(values, range(40)) == pytest.approx(wilson(30, 40))
    tripled, photos = np.repeat(values, 3), np.repeat(range(40), 3).tolist()
    # Where all items of a photo agree, n is the 40 photos; the factor G / (G - 1) is the only difference.
    factor = 40 / 39
    assert wilson_by_group(tripled, photos) == pytest.approx(wilson(30 / factor, 40 / factor))
    assert wilson_by_group([1.0] * 120, photos) == pytest.approx(wilson(40, 40))
    with pytest.raises(Undefined):
        wilson_by_group([], [])


def test_wilson_by_group_covers_where_items_of_a_photo_are_alike() -> None:
    rng = np.random.default_rng(0)
    missed = narrow = 0
    for _ in range(400):
        photos = np.repeat(np.arange(60), 6)
        values = (rng.random(360) < rng.beta(3, 1.5, 60)[photos]).astype(float)
        lower, upper = wilson_by_group(values, photos.tolist())
        missed += not lower <= 2 / 3 <= upper
        low, high = wilson(int(values.sum()), 360)
        narrow += not low <= 2 / 3 <= high
    assert binomtest(missed, 400, 0.05, alternative="greater").pvalue > 0.01
    assert narrow > 2 * missed


def test_wilson_refuses_impossible_counts() -> None:
    with pytest.raises(Undefined):
        wilson(0, 0)
    with pytest.raises(ValueError, match="8 of 7"):
        wilson(8, 7)


@pytest.mark.parametrize(
    "lost, gained, n, alpha, lower, upper",
    [
        (7, 1, 21, 0.025, -0.517, -0.026),  # Bentur et al. in Fagerland, Lydersen & Laake 2014, table V
        (25, 28, 618, 0.05, -0.0148, 0.0247),  # R: PropCIs::scoreci.mp(25, 28, 618, 0.90)
        (0, 0, 60, 0.05, -0.043, 0.043),
    ],
)
def test_tango_agrees_with_published_intervals(
    lost: int, gained: int, n: int, alpha: float, lower: float, upper: float
) -> None:
    digits = len(str(upper).split(".")[1])
    assert [round(bound, digits) for bound in tango(lost, gained, n, alpha)] == [lower, upper]


@pytest.mark.parametrize("lost, gained, n", [(3, 1, 20), (0, 4, 30), (12, 0, 12), (0, 0, 9), (40, 25, 400), (1, 0, 1)])
def test_tango_inverts_the_score_test(lost: int, gained: int, n: int) -> None:
    """Oracle: the likelihood of the multinomial given the difference d is maximised numerically, the test inverted."""
    z = norm.isf(0.05)

    def statistic(d: float) -> float:
        def negative_log_likelihood(q: float) -> float:
            shares = np.maximum([q, q + d, 1 - 2 * q - d], 1e-300)
            return -float(np.array([lost, gained, n - lost - gained]) @ np.log(shares))

        ends = (max(0.0, -d), (1 - d) / 2)
        q = minimize_scalar(negative_log_likelihood, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
        return (gained - lost - n * d) / math.sqrt(max(1e-12, n * (2 * q + d * (1 - d))))

    edge, estimate = 1 - 1e-7, (gained - lost) / n
    lower = brentq(lambda d: statistic(d) - z, -edge, estimate) if statistic(-edge) > z else -1
    upper = brentq(lambda d: statistic(d) + z, estimate, edge) if statistic(edge) < -z else 1
    assert tango(lost, gained, n, 0.05) == pytest.approx((lower, upper), abs=2e-6)


@given(counts, st.sampled_from([0.05, 0.025, 0.05 / 3]))
def test_tango_contains_the_estimate_mirrors_and_widens(table: tuple[int, int, int], alpha: float) -> None:
    lost, gained, rest = table
    n = lost + gained + rest + 1
    lower, upper = tango(lost, gained, n, alpha)
    assert -1 <= lower < (gained - lost) / n < upper <= 1
    assert tango(gained, lost, n, alpha) == pytest.approx((-upper, -lower), abs=1e-9)
    wider = tango(lost, gained, n, alpha / 2)
    assert wider[0] < lower
    assert upper < wider[1]


def test_tango_refuses_impossible_counts() -> None:
    with pytest.raises(Undefined):
        tango(0, 0, 0, 0.05)
    with pytest.raises(ValueError, match="of 3 items"):
        tango(2, 2, 3, 0.05)
    with pytest.raises(ValueError, match="alpha"):
        tango(1, 2, 30, 0.5)


def test_comparisons_refuse_other_items_and_none() -> None:
    for compare in (paired_binary, partial(paired_mean, least=0.0, greatest=1.0)):
        with pytest.raises(ValueError, match="same items"):
            compare([True, False], [True], [0, 1], 0.05)
        with pytest.raises(ValueError, match="3 group labels for 2 items"):
            compare([True, False], [True, True], [0, 1, 2], 0.05)
        with pytest.raises(Undefined):
            compare([], [], [], 0.05)
    with pytest.raises(Undefined, match="not finite"):
        paired_mean([1.0, math.nan], [1.0, 1.0], [0, 1], 0.05, 0.0, 2.0)


def scores(n: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Means of ten draws of 0/1/2, most items the same in both."""
    rng = np.random.default_rng(seed)
    quality = rng.uniform(0.2, 0.8, n)
    old = rng.binomial(20, quality) / 10
    again = rng.binomial(20, np.clip(quality + shift, 0, 1)) / 10
    return np.where(rng.random(n) < 0.5, again, old), old


def test_mean_is_the_paired_t_test_where_scores_are_normal() -> None:
    rng = np.random.default_rng(3)
    old = rng.normal(size=400)
    new = old + rng.normal(-0.03, 0.3, 400)
    result = paired_mean(new, old, range(400), 0.05, -1.0, 1.0)
    oracle = ttest_rel(new, old, alternative="less")
    interval = ttest_rel(new, old).confidence_interval(0.9)
    assert result.delta == pytest.approx((new - old).mean())
    assert result.p_value == pytest.approx(oracle.pvalue, abs=0.002)
    assert (result.lower, result.upper) == pytest.approx((interval.low, interval.high), abs=0.002)
    assert result.lower <= interval.low + 1e-12
    assert result.upper >= interval.high - 1e-12
    error = (new - old).std(ddof=1) / 20
    assert result.detectable_drop(0.05, 0.0) == pytest.approx((t.ppf(0.95, 399) + t.ppf(0.8, 399)) * error)
    # A red gate needs an observed drop beyond the margin: the MDE is at least the margin plus z[0.8] errors.
    assert result.detectable_drop(0.05, 0.1) == pytest.approx(0.1 + t.ppf(0.8, 399) * error)
    needed = result.items_to_pass(0.05, 0.02)
    assert needed == math.ceil(400 * ((t.ppf(0.95, 399) + t.ppf(0.8, 399)) * error / 0.02) ** 2)


@pytest.mark.parametrize("n", [20, 60])
def test_mean_lower_bound_is_not_missed_too_often(n: int) -> None:
    """Ties and a skew: a tenth of the items lose 1, the mean is -0.1; a miss means `pass` for a model that is worse."""
    rng = np.random.default_rng(n)
    missed = {0.05: 0, 0.05 / 3: 0}
    for _ in range(100):
        old = rng.binomial(20, 0.6, n) / 10
        new = old - (rng.random(n) < 0.1)
        for alpha in missed:
            missed[alpha] += paired_mean(new, old, range(n), alpha, 0.0, 2.0).lower > -0.1
    for alpha, count in missed.items():
        assert binomtest(count, 100, alpha, alternative="greater").pvalue > 0.01


def test_identical_scores_exclude_a_drop_that_their_number_would_show() -> None:
    """A drop of d means that d / loss of the items lose all: none of 60 is among them with (1 - d / loss)^60."""
    _, old = scores(60, 1)
    result = paired_mean(old, old, range(60), 0.05, 0.0, 2.0)
    assert (result.delta, result.p_value) == (0, 1)
    lose, gain = (float((room**2).sum() / room.sum()) for room in (old, 2 - old))
    assert (1 + result.lower / lose) ** 60 == pytest.approx(0.05)
    assert (1 - result.upper / gain) ** 60 == pytest.approx(0.05)
    assert result.possible_loss == pytest.approx(lose)


def test_equal_constants_exclude_no_more_than_their_number() -> None:
    result = paired_mean([1.5] * 30, [1.5] * 30, range(30), 0.05, 0.0, 2.0)
    missed = 1 - 0.05 ** (1 / 30)
    assert (result.delta, result.p_value, result.detectable_drop(0.05, 0.0)) == (0, 1, None)
    assert (result.lower, result.upper) == pytest.approx((-1.5 * missed, 0.5 * missed))
    needed = result.items_to_pass(0.05, 0.06)
    assert needed is not None
    more, fewer = (paired_mean([1.5] * k, [1.5] * k, range(k), 0.05, 0.0, 2.0).lower for k in (needed, needed - 1))
    assert fewer < -0.06 < more


def test_equal_constants_of_groups_exclude_no_more_than_the_number_of_groups() -> None:
    result = paired_mean([1.5] * 90, [1.5] * 90, [i // 3 for i in range(90)], 0.05, 0.0, 2.0)
    assert result.lower == pytest.approx(-1.5 * (1 - 0.05 ** (1 / 30)))
    needed = result.items_to_pass(0.05, 0.06)
    assert needed is not None
    more = paired_mean([1.5] * needed, [1.5] * needed, [i // 3 for i in range(needed)], 0.05, 0.0, 2.0)
    assert more.lower == pytest.approx(-0.06, rel=0.02)


@pytest.mark.parametrize("n, quiet, per_photo", [(60, 0.0, 1), (60, 0.2, 1), (200, 0.2, 1), (498, 0.2, 3)])
def test_a_drop_by_rare_broken_photos_seldom_passes(n: int, quiet: float, per_photo: int) -> None:
    """The texts of 1.5 % of the photos fall to 0, the others move by fifths or not at all: a drop of the margin 0.06."""
    rng = np.random.default_rng(n)
    passed = 0
    for _ in range(300):
        old = np.round(5 * rng.uniform(2, 6, n)) / 5
        photos = np.arange(n) // per_photo
        is_broken = (rng.random(n) < 0.015)[photos]
        new = np.where(is_broken, 0, old + np.round(5 * quiet * rng.normal(size=n)) / 5)
        passed += paired_mean(new, old, photos.tolist(), 0.05, 0.0, 6.0).lower > -0.06
    assert binomtest(passed, 300, 0.05, alternative="greater").pvalue > 0.01


def test_mean_by_group_is_the_mean_of_the_groups() -> None:
    new, old = scores(300, 5, -0.05)
    once = paired_mean(new, old, range(300), 0.05, 0.0, 2.0)
    often = paired_mean(np.repeat(new, 6), np.repeat(old, 6), np.repeat(range(300), 6).tolist(), 0.05, 0.0, 2.0)
    for field in ("delta", "lower", "upper", "p_value", "error"):
        assert getattr(often, field) == pytest.approx(getattr(once, field), rel=1e-9)


def test_mean_does_not_depend_on_order_scale_or_offset() -> None:
    new, old = scores(50, 6, -0.1)
    groups = [i // 2 for i in range(50)]
    result = paired_mean(new, old, groups, 0.05, 0.0, 2.0)
    scaled = paired_mean(3 * new + 7, 3 * old + 7, groups, 0.05, 7.0, 13.0)
    assert scaled.p_value == pytest.approx(result.p_value)
    for field in ("delta", "lower", "upper", "error"):
        assert getattr(scaled, field) == pytest.approx(3 * getattr(result, field), abs=1e-9)
    back = paired_mean(new[::-1], old[::-1], groups[::-1], 0.05, 0.0, 2.0)
    assert (back.delta, back.error) == pytest.approx((result.delta, result.error))
    assert back.p_value == pytest.approx(result.p_value, abs=0.005)


def test_mean_of_one_group_has_an_infinite_interval() -> None:
    result = paired_mean([1.0, 2.0], [2.0, 3.0], ["a", "a"], 0.05, 0.0, 6.0)
    assert (result.delta, result.lower, result.upper, result.p_value) == (-1, -math.inf, math.inf, 0.25)
    assert result.detectable_drop(0.05, 0.0) is None


def test_standard_error_of_a_mean_over_groups() -> None:
    """Oracle: regression on a constant with cluster-robust errors (statsmodels), t with G - 1 degrees of freedom."""
    from statsmodels.api import OLS

    rng = np.random.default_rng(1)
    members = rng.integers(1, 7, 30)
    groups = np.repeat(np.arange(30), members)
    deltas = rng.normal(size=30)[groups] + rng.normal(size=groups.size)
    fit = OLS(deltas, np.ones(groups.size)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "df_correction": True, "use_correction": False}, use_t=True
    )
    error = fit.bse[0] * math.sqrt(30 / 29)
    influence = np.bincount(groups, weights=deltas - deltas.mean())
    half, found = clustered_half_width(influence, members.astype(float), 1.0, 0.05)
    assert half == pytest.approx(t.ppf(0.95, 29) * error)
    assert found == pytest.approx(error)


def test_holm_agrees_with_statsmodels() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005, 0.2, 1.0, 0.04, 0.0]
    expected = multipletests(p_values, method="holm")[1].tolist()  # 50 ms a call, so properties have another oracle
    assert holm(p_values) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(0, 1), max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """Oracle: Marcus, Peritz and Gabriel (1976), the worst Bonferroni test of all sets of hypotheses with this one."""
    sets = [s for size in range(1, len(p_values) + 1) for s in itertools.combinations(range(len(p_values)), size)]
    expected = [
        min(1.0, max(len(s) * min(p_values[j] for j in s) for s in sets if i in s)) for i in range(len(p_values))
    ]
    assert holm(p_values) == pytest.approx(expected, abs=1e-12)


def test_holm_refuses_numbers_that_are_no_probabilities() -> None:
    with pytest.raises(ValueError, match=r"\[nan\]"):
        holm([0.1, math.nan])


def test_rare_large_drops_that_the_sample_shows_are_inside_the_interval() -> None:
    """2 % of the items lose 2, the rest hardly move: skewness carries the lower bound below that of t."""
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(150):
        deltas = rng.normal(0, 0.02, 499) - 2.0 * (rng.random(499) < 0.02)
        missed += paired_mean(4 + deltas, np.full(499, 4.0), range(499), 0.05, 0.0, 6.0).lower > -0.04
    assert binomtest(missed, 150, 0.05, alternative="greater").pvalue > 0.01


@given(st.integers(0, 10_000), st.sampled_from([5, 12, 40]), st.sampled_from([0.05, 0.05 / 3]))
@settings(max_examples=60, deadline=None)
def test_interval_excludes_zero_exactly_where_the_test_rejects(seed: int, n: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    old = rng.integers(0, 31, n) / 5
    new = old + rng.integers(-3, 3, n) / 5 * (rng.random(n) < 0.4)
    found = paired_mean(new, old, range(n), alpha, 0.0, 6.0)
    assert (found.p_value < alpha) == (found.upper < 0)
    assert (found.p_gain < alpha) == (found.lower > 0)


def test_an_identical_half_does_not_hide_a_drop_of_the_mean() -> None:
    same = Paired(0.0, -0.02, 0.02, 1.0, 1.0, 0.0, 300, 299)
    worse = Paired(-0.08, -0.12, -0.04, 0.001, 0.999, 0.025, 300, 299)
    found = mean_of_comparisons([same, worse], 0.05)
    assert found.delta == pytest.approx(-0.04)
    assert found.error == pytest.approx(0.0125)
    assert found.p_value == pytest.approx(t.cdf(-0.04 / 0.0125, 299), rel=1e-6)
    assert found.upper < 0


@pytest.mark.parametrize(
    ("deltas", "drop", "gain"), [((-0.1, -0.1), 0.0, 1.0), ((0.1, 0.1), 1.0, 0.0), ((0, 0), 1.0, 1.0)]
)
def test_a_mean_without_error_is_certain_of_its_direction(deltas: tuple[float, ...], drop: float, gain: float) -> None:
    found = mean_of_comparisons([Paired(d, d, d, drop, gain, 0.0, 300, 299) for d in deltas], 0.05)
    assert (found.delta, found.p_value, found.p_gain) == (pytest.approx(deltas[0]), drop, gain)


@pytest.mark.parametrize(("df", "power"), [(0.5, 0.8), (1.0, 0.8), (7.0, 0.9), (math.inf, 0.8)])
def test_the_detectable_drop_is_two_quantiles_of_the_error(df: float, power: float) -> None:
    found = Paired(0.0, -0.1, 0.1, 1.0, 1.0, 0.02, 300, df)
    quantile = norm.ppf if math.isinf(df) else partial(t.ppf, df=max(df, 1))
    assert found.detectable_drop(0.05, 0.0, power) == pytest.approx(0.02 * (quantile(0.95) + quantile(power)))


def test_degrees_of_freedom_of_a_mean_are_those_of_welch() -> None:
    """SciPy's test of two means has the same error and degrees of freedom for the sum as for the difference."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.1, 1, 9), rng.normal(0.2, 3, 23)
    parts = [
        Paired(float(x.mean()), -9.0, 9.0, 0.5, 0.5, float(x.std(ddof=1) / math.sqrt(x.size)), x.size, x.size - 1)
        for x in (a, b)
    ]
    found, oracle = mean_of_comparisons(parts, 0.05), ttest_ind(a, -b, equal_var=False, alternative="less")
    assert (found.df, found.n) == (pytest.approx(oracle.df), 32)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert found.p_gain == pytest.approx(1 - oracle.pvalue)


def test_a_mean_with_a_part_of_one_group_proves_nothing() -> None:
    """One group has no standard error: the mean of it and others has none either."""
    alone = Paired(-0.3, -math.inf, math.inf, 0.5, 0.5, math.inf, 5, 0)
    sure = Paired(-0.1, -0.2, -0.05, 0.0, 1.0, 0.0, 300, 299)
    found = mean_of_comparisons([alone, sure], 0.05)
    assert (found.p_value, found.p_gain, found.lower, found.upper) == (1, 1, -math.inf, math.inf)


@pytest.mark.parametrize("alpha", [-0.1, 0.0, 0.5, 0.7, 1.2])
def test_a_tail_holds_less_than_half(alpha: float) -> None:
    with pytest.raises(ValueError, match="is not in"):
        normal_quantile(alpha)


@pytest.mark.parametrize("groups, items", [(20, 1), (60, 3)])
def test_one_group_that_differs_could_have_been_missed(groups: int, items: int) -> None:
    """Without a change elsewhere, the half width is Tango's for no discordant pairs, scaled by the group's own change."""
    influence, members = np.zeros(groups), np.full(groups, float(items))
    influence[3] = 0.4 * items
    z2 = norm.isf(0.05) ** 2
    half, error = clustered_half_width(influence, members, 0.0, 0.05)
    assert error == pytest.approx(0.4 * math.sqrt(groups / (groups - 1)) / groups)
    assert half == pytest.approx(0.4 * z2 / (groups + z2))
    assert half > t.ppf(0.95, groups - 1) * error
    quiet, _ = clustered_half_width(np.zeros(groups), members, 1.4, 0.05)
    assert quiet == pytest.approx(1.4 * z2 / (groups + z2))
    uneven, _ = clustered_half_width(np.zeros(3), np.array([1.0, 2.0, 3.0]), 1.4, 0.05)
    assert uneven == pytest.approx(1.4 * z2 / (36 / 14 + z2))
