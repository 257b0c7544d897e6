from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from pytest_qbench.stats.intervals import tango
from pytest_qbench.stats.power import items_needed, items_to_pass, mcnemar_mde, mcnemar_power, pass_probability


def brute_power(drop: float, discordance: float, n: int, alpha: float) -> float:
    shares = [(discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance]
    return math.fsum(
        multinomial.pmf([lost, gained, n - lost - gained], n, shares)
        for lost, gained in itertools.product(range(n + 1), repeat=2)
        if lost
        and lost + gained <= n
        and binom.sf(lost, lost + gained, 0.5) + binom.pmf(lost, lost + gained, 0.5) / 2 < alpha
    )


@pytest.mark.parametrize("alpha, power", [(0.05, 0.939), (0.025, 0.891), (0.05 / 3, 0.855)])
def test_power_agrees_with_known_values(alpha: float, power: float) -> None:
    assert mcnemar_power(0.02, 0.06, 1495, alpha) == pytest.approx(power, abs=5e-4)


@pytest.mark.parametrize("drop, discordance, n", [(0.1, 0.3, 12), (0.3, 0.3, 14), (0.0, 0.5, 13), (1.0, 1.0, 6)])
@pytest.mark.parametrize("alpha", [0.05, 0.0625])
def test_power_is_the_sum_over_all_outcomes(drop: float, discordance: float, n: int, alpha: float) -> None:
    # 0.0625 is P(X >= 4) for four pairs exactly: `p < alpha` must not reject there.
    assert mcnemar_power(drop, discordance, n, alpha) == pytest.approx(
        brute_power(drop, discordance, n, alpha), abs=1e-9
    )


def test_power_at_a_million_items_is_that_of_the_normal_approximation() -> None:
    drop, discordance, n = 5e-4, 0.05, 1_000_000
    z = (drop * math.sqrt(n) - 1.6448536 * math.sqrt(discordance)) / math.sqrt(discordance - drop**2)
    assert mcnemar_power(drop, discordance, n, 0.05) == pytest.approx(0.5 * math.erfc(-z / math.sqrt(2)), abs=0.005)


@given(st.floats(0.01, 1), st.integers(1, 3000), st.sampled_from([0.05, 0.025, 0.01]))
@settings(max_examples=40, deadline=None)
def test_false_alarms_never_exceed_alpha(discordance: float, n: int, alpha: float) -> None:
    # Mid-p exceeds the level by at most a tenth, among ten items that all change (Fagerland et al. 2013).
    assert mcnemar_power(0, discordance, n, alpha) <= 1.35 * alpha
    if discordance <= 0.4 and n >= 60:
        assert mcnemar_power(0, discordance, n, alpha) <= 1.02 * alpha


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.5, 1), st.integers(2, 500))
@settings(max_examples=40, deadline=None)
def test_a_larger_drop_is_found_more_often(one: float, other: float, discordance: float, n: int) -> None:
    small, large = sorted((one, other))
    assert mcnemar_power(small, discordance, n, 0.05) <= mcnemar_power(large, discordance, n, 0.05) + 1e-12


def test_twenty_losses_are_less_likely_than_one_in_a_million() -> None:
    assert mcnemar_power(1, 1, 20, 1e-6) == 1
    assert mcnemar_power(1, 1, 18, 1e-6) == 0


def test_power_without_discordance_is_zero() -> None:
    assert mcnemar_power(0, 0, 100, 0.05) == 0


@pytest.mark.parametrize("drop, discordance, n", [(0.2, 0.1, 9), (-0.1, 0.1, 9), (0.1, 1.1, 9), (0.1, 0.2, 0)])
def test_impossible_designs_are_refused(drop: float, discordance: float, n: int) -> None:
    with pytest.raises(ValueError, match="needed"):
        mcnemar_power(drop, discordance, n, 0.05)


@pytest.mark.parametrize("discordance, n, alpha", [(0.06, 1495, 0.05), (0.2, 400, 0.05 / 3), (0.02, 60, 0.05)])
def test_mde_is_where_the_power_crosses(discordance: float, n: int, alpha: float) -> None:
    mde = mcnemar_mde(discordance, n, alpha)
    assert mde is not None
    assert mcnemar_power(mde, max(mde, discordance), n, alpha) >= 0.8
    less = mde - 2e-7
    assert mcnemar_power(less, max(less, discordance), n, alpha) < 0.8


def test_mde_without_discordance_needs_four_losses() -> None:
    # At alpha 0.05 four losses without a gain are the least significant result (mid-p 1/32): P(Bin(60, d) >= 4) = 0.8.
    mde = mcnemar_mde(0, 60, 0.05)
    assert mde is not None
    assert binom.sf(3, 60, mde) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize("n, reachable", [(0, False), (3, False), (4, True)])
def test_mde_is_none_where_no_drop_is_found(n: int, reachable: bool) -> None:
    assert (mcnemar_mde(0.1, n, 0.05) is not None) is reachable


def test_mde_refuses_an_impossible_discordance() -> None:
    with pytest.raises(ValueError, match="discordance"):
        mcnemar_mde(1.5, 100, 0.05)


@pytest.mark.parametrize("drop, discordance", [(0.02, 0.06), (0.02, 0.2), (0.05, 0.05), (0.3, 1.0)])
def test_items_needed_is_where_the_power_crosses(drop: float, discordance: float) -> None:
    n = items_needed(drop, discordance, 0.05)
    assert mcnemar_power(drop, discordance, n, 0.05) >= 0.8 > mcnemar_power(drop, discordance, n - 1, 0.05)


def test_items_needed_near_the_closed_form() -> None:
    # Connor (1987): (z_a sqrt(q) + z_b sqrt(q - d^2))^2 / d^2; the mid-p test needs about as many.
    closed = (1.6448536 * math.sqrt(0.06) + 0.8416212 * math.sqrt(0.06 - 0.02**2)) ** 2 / 0.02**2
    assert 0.95 * closed < items_needed(0.02, 0.06, 0.05) < 1.05 * closed


def test_items_needed_when_every_answer_is_lost() -> None:
    assert items_needed(1, 1, 0.05) == 4


def test_items_needed_refuses_no_drop() -> None:
    with pytest.raises(ValueError, match="not beyond the margin"):
        items_needed(0, 0.1, 0.05)


@pytest.mark.parametrize("drop, discordance, n", [(0.0, 0.3, 40), (0.1, 0.3, 30), (0.01, 0.02, 60)])
def test_pass_probability_is_the_sum_over_all_outcomes(drop: float, discordance: float, n: int) -> None:
    shares = [(discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance]
    expected = math.fsum(
        multinomial.pmf([lost, gained, n - lost - gained], n, shares)
        for lost, gained in itertools.product(range(n + 1), repeat=2)
        if lost + gained <= n
        and (tango(lost, gained, n, 0.05)[0] > -0.15 if lost + gained else 0.05 ** (1 / n) > 1 - 0.15)
    )
    assert pass_probability(drop, discordance, n, 0.05, 0.15) == pytest.approx(expected, abs=1e-9)


def test_a_margin_needs_a_larger_drop_and_an_unchanged_model_more_items() -> None:
    # Enumerated independently, with SciPy, for the default suite's accuracy gate.
    assert mcnemar_power(0.02, 0.06, 1495, 0.05 / 3, 0.01) == pytest.approx(0.855, abs=1e-3)
    assert pass_probability(0.0, 0.06, 1495, 0.05, 0.01) == pytest.approx(0.470, abs=1e-3)
    mde = mcnemar_mde(0.06, 5000, 0.05 / 3, margin=0.01)
    assert mde is not None
    assert mde == pytest.approx(0.01 + 0.8416 * math.sqrt(0.06 / 5000), abs=4e-4)
    needed = items_to_pass(0.01, 0.06, 0.05)
    assert pass_probability(0.0, 0.06, needed, 0.05, 0.01) == pytest.approx(0.8, abs=0.01)
    assert items_to_pass(0.01, 0.0, 0.05) == 299  # 0.99 ** 299 < 0.05
