from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kendalltau, kstest, norm, pearsonr, rankdata, spearmanr, t

from pytest_qbench.stats import paired_correlation as correlation
from pytest_qbench.stats import resampling
from pytest_qbench.stats.correlation import Kind, correlation_interval, grouped_interval, krcc, mid_ranks, plcc, srcc
from pytest_qbench.stats.influence import level_codes, linear_influence, rank_influence
from pytest_qbench.stats.intervals import tango
from pytest_qbench.stats.paired import Paired, mean_of_comparisons
from pytest_qbench.stats.paired_correlation import paired_correlation, zou_difference
from pytest_qbench.stats.resampling import Undefined

KINDS: list[Kind] = ["srcc", "plcc"]
levels = st.integers(3, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 6), min_size=n, max_size=n).filter(lambda x: len(set(x)) > 1)] * 2)
)


def score_lists(n: int, seed: int, noise: float = 0.4, r: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two noisy copies of one score that correlates with MOS, and MOS; the copies are exchangeable."""
    rng = np.random.default_rng(seed)
    mos = rng.normal(size=n)
    score = r * mos + math.sqrt(1 - r * r) * rng.normal(size=n)
    return score + noise * rng.normal(size=n), score + noise * rng.normal(size=n), mos


def tied(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lists of `score_lists` rounded to few levels, as with bf16 logits and MOS in half points."""
    new, old, mos = score_lists(n, seed)
    return np.round(1.5 * new), np.round(1.5 * old), np.round(2 * mos) / 2


@given(levels)
def test_kendall_with_ties_equals_scipy(lists: tuple[list[int], list[int]]) -> None:
    assert krcc(*lists) == pytest.approx(kendalltau(*lists).statistic, abs=1e-15)


@pytest.mark.parametrize("make", [score_lists, tied])
def test_kendall_of_many_items_equals_scipy(make: Callable[[int, int], tuple[np.ndarray, ...]]) -> None:
    new, _, mos = make(5_000, 3)
    assert krcc(new, mos) == kendalltau(new, mos).statistic


@pytest.mark.parametrize("values", [[1.0, 2.0, math.nan], [1.0, 2.0, math.inf], [1.0, 1.0, 1.0], [1.0]])
def test_kendall_is_undefined(values: list[float]) -> None:
    with pytest.raises(Undefined):
        krcc(values, list(range(len(values))))


@given(st.lists(st.one_of(st.floats(allow_nan=False), st.sampled_from([0.0, -0.0, 1.0])), min_size=1))
def test_ranks_equal_scipy(values: list[float]) -> None:
    assert mid_ranks(values).tolist() == rankdata(values).tolist()


@given(levels)
def test_correlations_agree_with_scipy(lists: tuple[list[int], list[int]]) -> None:
    x, y = lists
    assert srcc(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(pearsonr(x, y).statistic, abs=1e-12)
    assert srcc(y, x) == pytest.approx(srcc(x, y), abs=1e-12)
    assert srcc([-v for v in x], y) == pytest.approx(-srcc(x, y), abs=1e-12)
    assert srcc([math.exp(v) for v in x], y) == pytest.approx(srcc(x, y), abs=1e-12)
    assert plcc([1e3 + 1e-3 * v for v in x], y) == pytest.approx(plcc(x, y), abs=1e-8)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_correlations_at_the_ends_of_the_number_range(scale: float) -> None:
    x, y = [1.0, 2.0, 3.0, 5.0], [2.0, 1.0, 4.0, 4.0]
    scaled = [scale * v for v in x]
    assert plcc(scaled, y) == pytest.approx(plcc(x, y))
    assert srcc(scaled, y) == pytest.approx(srcc(x, y))
    result = paired_correlation(scaled, [-v for v in scaled], y, range(4), "plcc", 0.05)
    assert result.delta == pytest.approx(2 * plcc(x, y))


@pytest.mark.parametrize("correlate", [srcc, plcc])
def test_undefined_correlations(correlate) -> None:  # type: ignore[no-untyped-def]
    for x in ([1.0, 1.0, 1.0], [1.0, math.nan, 2.0], [1.0, math.inf, 2.0]):
        with pytest.raises(Undefined):
            correlate(x, [1, 2, 3])
        with pytest.raises(Undefined):
            correlate([1, 2, 3], x)
    with pytest.raises(Undefined, match="2 items"):
        correlate([1, 2], [1, 2])
    with pytest.raises(ValueError, match="3 scores for 4 items"):
        correlate([1, 2, 3], [1, 2, 3, 4])


@pytest.mark.parametrize("r, n", [(0.3, 30), (-0.8, 12), (0.0, 4), (0.99, 500)])
def test_pearson_interval_agrees_with_scipy(r: float, n: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, n))
    x -= x.mean(axis=1, keepdims=True)
    first = x[0] / np.linalg.norm(x[0])
    second = x[1] - (x[1] @ first) * first
    y = r * first + math.sqrt(1 - r * r) * second / np.linalg.norm(second)
    expected = pearsonr(first, y).confidence_interval(0.9)
    assert correlation_interval(r, n, 0.1, "plcc") == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_spearman_interval_by_hand() -> None:
    # Bonett & Wright 2000: z = atanh(.5), se = sqrt((1 + .5^2 / 2) / 97).
    centre, reach = 0.5493061, 1.959964 * math.sqrt(1.125 / 97)
    expected = (math.tanh(centre - reach), math.tanh(centre + reach))
    assert correlation_interval(0.5, 100) == pytest.approx(expected, abs=1e-6)


@given(st.floats(-1, 1), st.integers(4, 20_000), st.sampled_from(KINDS))
def test_interval_contains_the_correlation_and_mirrors(r: float, n: int, kind: Kind) -> None:
    lower, upper = correlation_interval(r, n, 0.05, kind)
    assert -1 <= lower <= r <= upper <= 1
    assert lower < upper
    assert correlation_interval(-r, n, 0.05, kind) == pytest.approx((-upper, -lower), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_by_group_is_as_wide_as_a_bootstrap_of_groups(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    photo, correlate = np.repeat(np.arange(60), 5), srcc if kind == "srcc" else plcc
    shared = rng.normal(size=(2, 60))[:, photo]
    mos = shared[0] + 0.3 * rng.normal(size=300)
    scores = mos + shared[1] + 0.3 * rng.normal(size=300)
    lower, upper = grouped_interval(scores, mos, photo.tolist(), 0.1, kind)
    drawn = []
    for _ in range(400):
        chosen = (5 * rng.integers(0, 60, 60)[:, None] + np.arange(5)).ravel()
        drawn.append(correlate(scores[chosen], mos[chosen]))
    low, high = np.quantile(drawn, [0.05, 0.95])
    assert upper - lower == pytest.approx(high - low, rel=0.15)
    narrow = correlation_interval(correlate(scores, mos), 300, 0.1, kind)
    assert upper - lower > 1.5 * (narrow[1] - narrow[0])


def test_the_interval_by_group_of_single_items_is_no_narrower_than_the_plain_one() -> None:
    rng = np.random.default_rng(1)
    mos = rng.normal(size=80)
    for kind, correlate in (("srcc", srcc), ("plcc", plcc)):
        scores = mos + rng.normal(size=80)
        plain = correlation_interval(correlate(scores, mos), 80, 0.05, kind)
        found = grouped_interval(scores, mos, range(80), 0.05, kind)
        assert found[0] <= plain[0]
        assert found[1] >= plain[1]
        assert found[1] - found[0] == pytest.approx(plain[1] - plain[0], rel=0.2)
    with pytest.raises(Undefined, match="3 groups"):
        grouped_interval(mos, mos[::-1], [i % 3 for i in range(80)], 0.05, "srcc")


def test_the_interval_of_ranks_by_group_depends_on_ranks_alone() -> None:
    rng = np.random.default_rng(3)
    mos = rng.normal(size=90)
    scores, groups = mos + rng.normal(size=90), [i // 3 for i in range(90)]
    plain = grouped_interval(scores, mos, groups, 0.05, "srcc")
    assert grouped_interval(np.exp(3 * scores), mos**3, groups, 0.05, "srcc") == pytest.approx(plain, abs=1e-12)
    assert grouped_interval(np.exp(3 * scores), mos**3, groups, 0.05, "plcc") != pytest.approx(plain, abs=0.05)


def test_correlation_interval_refuses_impossible_arguments() -> None:
    with pytest.raises(Undefined):
        correlation_interval(0.5, 3)
    with pytest.raises(Undefined):
        correlation_interval(math.nan, 30)
    with pytest.raises(ValueError, match=r"1\.5"):
        correlation_interval(1.5, 30)


@given(levels)
@settings(max_examples=30, deadline=None)
def test_influence_is_the_derivative_by_an_items_weight(lists: tuple[list[int], list[int]]) -> None:
    """Oracle: SciPy on lists in which every item stands 500 times and one of them 505 times."""
    x, y = np.array(lists[0], dtype=float), np.array(lists[1], dtype=float)
    n, many, more = x.size, 500, 5
    # On heavily tied lists the second-order term of a finite step is a few thousandths of the influence.
    for influence, oracle, codes in (
        (rank_influence, spearmanr, level_codes),
        (linear_influence, pearsonr, np.asarray),
    ):
        r, psi = influence(codes(x)[None], codes(y))  # type: ignore[operator]
        assert r[0] == pytest.approx(oracle(x, y).statistic, abs=1e-12)
        assert psi.sum() == pytest.approx(0, abs=1e-9)
        for item in range(min(n, 4)):
            times = np.full(n, many)
            times[item] += more
            step = oracle(np.repeat(x, times), np.repeat(y, times)).statistic - r[0]
            assert step * (many * n + more) / more == pytest.approx(psi[0, item], abs=0.02 + 0.02 * abs(psi[0, item]))


def test_zou_interval_of_the_published_example() -> None:
    """Zou (2007), overlapping correlations r12 = .396, r13 = .179, r23 = .088, n = 66: [-0.093, 0.517]."""
    r1, r2, r12 = 0.396, 0.179, 0.088
    shared = ((r12 - r1 * r2 / 2) * (1 - r1**2 - r2**2 - r12**2) + r12**3) / ((1 - r1**2) * (1 - r2**2))
    bounds = [correlation_interval(r, 66, 0.05, "plcc") for r in (r1, r2)]
    lower, upper = zou_difference(r1, bounds[0], r2, bounds[1], shared)
    assert (round(lower, 3), round(upper, 3)) == (-0.093, 0.517)


def steiger(new: np.ndarray, old: np.ndarray, mos: np.ndarray, alpha: float) -> tuple[float, float, float]:
    """Return p of a drop and Zou's interval by the textbook formulas, which assume normal scores."""
    n, r1, r2, r12 = mos.size, pearsonr(new, mos)[0], pearsonr(old, mos)[0], pearsonr(new, old)[0]
    shared = ((r12 - r1 * r2 / 2) * (1 - r1**2 - r2**2 - r12**2) + r12**3) / ((1 - r1**2) * (1 - r2**2))
    z = (math.atanh(r1) - math.atanh(r2)) * math.sqrt((n - 3) / (2 - 2 * shared))
    bounds = [correlation_interval(r, n, 2 * alpha, "plcc") for r in (r1, r2)]
    return float(norm.cdf(z)), *zou_difference(r1, bounds[0], r2, bounds[1], shared)


@pytest.mark.parametrize("seed", range(5))
def test_fast_path_agrees_with_the_textbook_for_normal_scores(seed: int) -> None:
    new, old, mos = score_lists(5_000, seed)
    new = new + 0.03 * np.random.default_rng(seed + 50).normal(size=5_000) * seed
    result = paired_correlation(new, old, mos, range(5_000), "plcc", 0.05, method="fast")
    p_value, lower, upper = steiger(new, old, mos, 0.05)
    assert norm.ppf(result.p_value) == pytest.approx(norm.ppf(p_value), abs=0.06)
    assert result.delta == pytest.approx(plcc(new, mos) - plcc(old, mos), abs=1e-12)
    half = (upper - lower) / 2
    assert (result.lower, result.upper) == pytest.approx((lower, upper), abs=0.06 * half)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [score_lists, tied])
@pytest.mark.parametrize("size", [1, 4])
def test_fast_path_agrees_with_the_bootstrap(kind: Kind, make, size: int) -> None:  # type: ignore[no-untyped-def]
    n = 800
    new, old, mos = make(n, 11)
    groups = [i // size for i in range(n)]
    noise = np.random.default_rng(3).normal(size=n // size)[np.array(groups)]
    new = new + (0.35 * noise if make is score_lists else np.round(0.6 * noise))
    fast = paired_correlation(new, old, mos, groups, kind, 0.05, method="fast")
    slow = paired_correlation(new, old, mos, groups, kind, 0.05, method="bootstrap", draws=4_000)
    half = (slow.upper - slow.lower) / 2
    assert fast.delta == slow.delta
    assert (fast.lower, fast.upper) == pytest.approx((slow.lower, slow.upper), abs=0.12 * half)
    assert norm.ppf(fast.p_value) == pytest.approx(norm.ppf(slow.p_value), abs=0.25)
    assert fast.error == slow.error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [score_lists, tied])
def test_bootstrap_ranks_every_resample_again(kind: Kind, make, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """Oracle: SciPy on the very items that each resample holds, drawn by group."""
    new, old, mos = make(60, 1)
    groups = np.repeat(np.arange(20), 3)
    order = np.random.default_rng(0).permutation(60)  # the items of a group need not be adjacent
    new, old, mos, groups = new[order], old[order], mos[order], groups[order]
    caught: list[np.ndarray] = []
    limits = correlation.bca_limits
    monkeypatch.setattr(correlation, "bca_limits", lambda samples, *a: caught.append(samples) or limits(samples, *a))
    monkeypatch.setattr(resampling, "CELLS", 500)  # several chunks
    paired_correlation(new, old, mos, groups.tolist(), kind, 0.05, seed=5, method="bootstrap", draws=40)
    oracle = spearmanr if kind == "srcc" else pearsonr
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups.tolist()))}
    expected = []
    for counts in resampling.resamples(20, 5, 40, width=60):
        for row in counts.astype(int):
            held = np.repeat(np.arange(60), row[[numbers[g] for g in groups.tolist()]])
            expected.append(oracle(new[held], mos[held]).statistic - oracle(old[held], mos[held]).statistic)
    assert caught[0] == pytest.approx(np.array(expected), abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [score_lists, tied])
@pytest.mark.parametrize("n, size", [(7, 1), (12, 2)])
def test_swap_test_is_exact(kind: Kind, make, n: int, size: int) -> None:  # type: ignore[no-untyped-def]
    """Every way of swapping candidate and baseline is one equally likely A/A run: the p-values hold exactly."""
    new, old, mos = make(n, 2)
    groups = np.arange(n) // size
    p_values = []
    for pattern in range(2 ** (n // size)):
        swapped = (pattern >> groups & 1).astype(bool)
        pair = np.where(swapped, old, new), np.where(swapped, new, old)
        if any(len(set(scores)) == 1 for scores in pair):
            continue
        p_values.append(paired_correlation(*pair, mos, groups.tolist(), kind, 0.05, draws=50).p_value)
    assert min(p_values) < 0.1
    for level in sorted(set(p_values)):
        assert np.mean(np.array(p_values) <= level) <= level + 1e-12


@pytest.mark.parametrize("kind, n, method", [("srcc", 20, "auto"), ("plcc", 20, "auto"), ("plcc", 60, "auto")])
@pytest.mark.parametrize("make", [score_lists, tied])
def test_false_alarms_of_the_swap_test(
    kind: Kind,
    n: int,
    method: correlation.Method,
    make,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setattr(correlation, "SWAPS", 1_000)
    alarms(kind, n, method, make, runs=80)


@pytest.mark.parametrize("kind, n", [("srcc", 60), ("srcc", 400), ("srcc", 1495), ("plcc", 400), ("plcc", 1495)])
@pytest.mark.parametrize("make", [score_lists, tied])
def test_false_alarms_of_the_closed_form(kind: Kind, n: int, make) -> None:  # type: ignore[no-untyped-def]
    alarms(kind, n, "auto", make, runs=300)


def alarms(kind: Kind, n: int, method: correlation.Method, make, runs: int) -> None:  # type: ignore[no-untyped-def]
    """A/A: independent noise on both lists; neither p < alpha nor a missed interval more often than alpha."""
    results = [
        paired_correlation(*make(n, 1_000 * n + seed), range(n), kind, 0.05, seed, method, draws=200)
        for seed in range(runs)
    ]
    for alpha in (0.05, 0.05 / 3):
        false = sum(result.p_value < alpha for result in results)
        assert binomtest(false, runs, alpha, alternative="greater").pvalue > 0.001
    missed = max(sum(result.lower > 0 for result in results), sum(result.upper < 0 for result in results))
    assert binomtest(missed, runs, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("n", [49, 400])
def test_a_change_of_scale_hides_no_drop(n: int) -> None:
    """The candidate answers in logits and is worse: swapping unlike numbers must not blur the difference."""
    _, old, mos = score_lists(n, 4, noise=0.1, r=0.9)
    new = 40 * (old + np.random.default_rng(1).normal(size=n)) + 7
    for kind in KINDS:
        assert paired_correlation(new, old, mos, range(n), kind, 0.05).p_value < 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [20, 60, 400])
@pytest.mark.parametrize("method", ["auto", "fast", "bootstrap"])
def test_identical_scores_show_no_drop_and_have_finite_bounds(kind: Kind, n: int, method: correlation.Method) -> None:
    _, old, mos = score_lists(n, 0)
    result = paired_correlation(3 * old + 1, old, mos, range(n), kind, 0.05, method=method)
    bound = math.sqrt(2) * tango(0, 0, n, 0.05)[1]
    assert (result.delta, result.p_value) == (0, 1)
    assert (result.lower, result.upper) == pytest.approx((-bound, bound))


def test_perfect_and_inverted_scores() -> None:
    mos = np.random.default_rng(0).normal(size=60)
    for kind in KINDS:
        worst = paired_correlation(-mos, mos, mos, range(60), kind, 0.05)
        assert (worst.delta, worst.p_value) == (pytest.approx(-2), pytest.approx(0, abs=1e-3))
        assert -2 <= worst.lower <= worst.upper < -1.5
        assert paired_correlation(mos, -mos, mos, range(60), kind, 0.05).p_value > 0.99


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [30, 300])
def test_order_of_items_and_names_of_groups_do_not_matter(kind: Kind, n: int) -> None:
    new, old, mos = score_lists(n, 8)
    groups = np.random.default_rng(1).integers(0, n // 2, n)
    order = np.random.default_rng(2).permutation(n)
    result = paired_correlation(new, old, mos, groups.tolist(), kind, 0.05)
    again = paired_correlation(new[order], old[order], mos[order], [f"g{g}" for g in groups[order]], kind, 0.05)
    assert (again.delta, again.error, again.n) == (pytest.approx(result.delta), pytest.approx(result.error), n)
    assert again.p_value == pytest.approx(result.p_value, abs=0.03 if n == 30 else 1e-9)
    assert (again.lower, again.upper) == pytest.approx((result.lower, result.upper), abs=0.02 if n == 30 else 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_exchanging_the_models_mirrors_the_result(kind: Kind) -> None:
    new, old, mos = score_lists(400, 3)
    forth, back = (paired_correlation(*pair, mos, range(400), kind, 0.05) for pair in ((new, old), (old, new)))
    assert back.delta == pytest.approx(-forth.delta)
    assert back.p_value == pytest.approx(1 - forth.p_value)
    assert (back.lower, back.upper) == pytest.approx((-forth.upper, -forth.lower))


@pytest.mark.parametrize("kind", KINDS)
def test_items_that_repeat_each_other_count_once(kind: Kind) -> None:
    new, old, mos = score_lists(200, 3)
    once = paired_correlation(new, old, mos, range(200), kind, 0.05, method="fast")
    lists = (np.repeat(values, 5) for values in (new, old, mos))
    often = paired_correlation(*lists, np.repeat(range(200), 5).tolist(), kind, 0.05, method="fast")
    for field in ("delta", "lower", "upper", "p_value", "error"):
        assert getattr(often, field) == pytest.approx(getattr(once, field), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [20, 120])
def test_interval_is_never_narrower_than_its_standard_error(kind: Kind, n: int) -> None:
    for seed in range(20):
        result = paired_correlation(*score_lists(n, seed), range(n), kind, 0.05, draws=200)
        half = result.error * t.ppf(0.95, n - 1)
        # The bound next to zero follows the test: it excludes zero exactly where the p-value does.
        assert result.lower <= result.delta - half + 1e-12 or result.p_gain < 0.05
        assert result.upper >= result.delta + half - 1e-12 or result.p_value < 0.05
        assert (result.lower > 0) == (result.p_gain < 0.05)
        assert (result.upper < 0) == (result.p_value < 0.05)


def test_mde_predicts_the_power() -> None:
    """Oracle: simulation. A drop of d is found with power Phi(d / MDE * (z.95 + z.80) - z.95); at d = MDE this is 0.8."""
    n, runs = 400, 300
    results = []
    for seed in range(runs):
        new, old, mos = score_lists(n, 9_000 + seed)
        new = new + 0.55 * np.random.default_rng(seed).normal(size=n)
        results.append(paired_correlation(new, old, mos, range(n), "plcc", 0.05))
    drop = 0.6 / math.sqrt(1 + 0.4**2) - 0.6 / math.sqrt(1 + 0.4**2 + 0.55**2)
    mde = float(np.mean([result.detectable_drop(0.05, 0.0) or 0.0 for result in results]))
    assert 0.8 < drop / mde < 1.2
    expected = norm.cdf(drop / mde * (1.6449 + 0.8416) - 1.6449)
    assert np.mean([result.p_value < 0.05 for result in results]) == pytest.approx(expected, abs=0.06)


def test_one_group_has_the_widest_interval() -> None:
    result = paired_correlation([3, 2, 1], [1, 2, 3], [1, 2, 3], "aaa", "srcc", 0.05)
    assert (result.delta, result.lower, result.upper, result.p_value, result.n) == (pytest.approx(-2), -2, 2, 0.5, 3)
    assert result.detectable_drop(0.05, 0.0) is None


def test_auto_is_the_closed_form_with_enough_groups() -> None:
    for kind, groups in correlation.FEW_GROUPS.items():
        for n, method in ((groups - 1, "bootstrap"), (groups, "fast")):
            lists = score_lists(n, 6)
            auto = paired_correlation(*lists, range(n), kind, 0.05)
            assert auto == paired_correlation(*lists, range(n), kind, 0.05, method=method)  # type: ignore[arg-type]


def test_paired_correlation_refuses_lists_without_a_correlation() -> None:
    x = [1.0, 2.0, 3.0, 5.0]
    with pytest.raises(Undefined, match="candidate"):
        paired_correlation([1.0] * 4, x, x, range(4), "srcc", 0.05)
    with pytest.raises(Undefined, match="mos"):
        paired_correlation(x, x, [1.0] * 4, range(4), "plcc", 0.05)
    with pytest.raises(Undefined, match="not finite"):
        paired_correlation(x, [1.0, 2.0, math.nan, 3.0], x, range(4), "srcc", 0.05)
    with pytest.raises(Undefined, match="four groups"):
        paired_correlation(x, x[::-1], x, "abca", "srcc", 0.05, method="fast")
    with pytest.raises(ValueError, match="3 scores for 4 items"):
        paired_correlation(x[:3], x, x, range(4), "srcc", 0.05)
    with pytest.raises(ValueError, match="3 group labels"):
        paired_correlation(x, x, x, "abc", "srcc", 0.05)


def test_ten_thousand_images_are_fast_and_lean() -> None:
    from time import process_time

    lists = score_lists(10_000, 1)
    start = process_time()
    paired_correlation(*lists, range(10_000), "srcc", 0.05)
    assert process_time() - start < 0.5
    tracemalloc.start()
    paired_correlation(*lists, range(10_000), "srcc", 0.05, method="bootstrap", draws=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_a_mean_of_independent_comparisons_narrows_as_a_mean_does() -> None:
    one = Paired(-0.1, -0.2, 0.05, 0.04, 0.96, 0.06, 50)
    both = mean_of_comparisons([one, one], 0.05)
    assert (both.delta, both.n) == (pytest.approx(-0.1), 100)
    assert both.error == pytest.approx(0.06 / 2**0.5)
    assert both.lower == pytest.approx(-0.1 - 0.1 / 2**0.5)
    assert both.p_value == pytest.approx(norm.cdf(-0.1 / 0.06 * 2**0.5))
    assert both.upper < 0  # the test rejects at 0.05, and the interval agrees


def test_the_p_value_of_a_mean_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        parts = []
        for error in (0.01, 0.05):
            delta = rng.normal(0, error)
            p = norm.cdf(delta / error)
            parts.append(Paired(delta, delta - 1.64 * error, delta + 1.64 * error, p, 1 - p, error, 9))
        found.append(mean_of_comparisons(parts, 0.05).p_value)
    assert kstest(found, "uniform").pvalue > 0.01


def test_a_total_loss_among_few_groups_has_a_tiny_p_value() -> None:
    """Permutations alone cannot give a p-value below one over their number."""
    rng = np.random.default_rng(0)
    for groups, per_group in ((40, 100), (45, 2)):
        mos = rng.normal(size=groups * per_group)
        lost = paired_correlation(
            rng.normal(size=mos.size), mos + 0.2 * rng.normal(size=mos.size), mos,
            np.repeat(range(groups), per_group).tolist(), "srcc", 0.05,
        )  # fmt: skip
        assert lost.delta < -0.7
        assert lost.p_value < 1e-8


@pytest.mark.parametrize("kind", KINDS)
def test_a_bootstrap_without_a_contrary_resample_has_the_smallest_p_value(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One over one more than the number of resamples: those asked for, fewer where many items make each dear."""
    mos = np.random.default_rng(0).normal(size=120)
    other = np.random.default_rng(1).normal(size=120)
    better = paired_correlation(mos, other, mos, range(120), kind, 0.05, method="bootstrap", draws=700)
    assert (better.p_gain, better.p_value) == (1 / 701, 1)
    worse = paired_correlation(other, mos, mos, range(120), kind, 0.05, method="bootstrap", draws=700)
    assert (worse.p_value, worse.p_gain) == (1 / 701, 1)
    for cells, draws in ((120 * 600, 600), (120, 500)):
        monkeypatch.setattr(correlation, "CELLS", cells)
        fewer = paired_correlation(other, mos, mos, range(120), kind, 0.05, method="bootstrap", draws=700)
        assert fewer.p_value == 1 / (draws + 1)
