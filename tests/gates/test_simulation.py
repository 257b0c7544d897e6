"""The simulation of false alarms and power, on a small scale; docs/power.md has it in full."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from pytest_qbench.gates.evaluate import decide
from pytest_qbench.stats.paired import paired_binary, paired_mean
from pytest_qbench.stats.paired_correlation import paired_correlation

PATH = Path(__file__).parents[2] / "benchmarks" / "power.py"
PAIRS = 300


@pytest.fixture(scope="module")
def power() -> Any:
    spec = importlib.util.spec_from_file_location("power_benchmark", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["power_benchmark"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("n", [60, 400])
def test_false_alarms_of_the_default_gates_stay_below_alpha(power: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    others = power.other_gates(rng, n, PAIRS)
    for discordance in power.DISCORDANCES:
        found = power.cell(rng, n, discordance, PAIRS, others)
        assert found.lower <= 0.05
        assert found.tolerances[0] > found.family  # one point of tolerance cries wolf more often


def test_a_drop_of_two_points_is_found(power: Any) -> None:
    quiet = [(power.Seen(0.0, 1.0), power.Seen(0.0, 1.0))] * PAIRS
    found = power.cell(np.random.default_rng(0), 1_495, 0.06, PAIRS, quiet, drop=0.02)
    # The exact powers are .926 and .832; 300 pairs leave 0.05 to chance.
    assert found.single > 0.88
    assert found.family > 0.78
    assert found.tolerances[2] == 0
    assert found.unpaired < 0.2


def test_the_simulated_decision_is_the_verdict(power: Any) -> None:
    """What the simulation leaves out (intervals, p-values of rises) never turns a verdict into or out of regressed."""
    alpha = power.ALPHA / power.FAMILY
    groups = range(60)
    for seed in range(25):
        (seen, new, old), (first, second, mos) = (
            power.seen_answers(np.random.default_rng(seed), 60, 0.2, 0.1), power.scores(np.random.default_rng(seed), 60)
        )  # fmt: skip
        whole = paired_binary(new, old, groups, alpha)
        assert seen.regressed(0.01, alpha) == (decide(whole, 0.01, alpha, whole.p_value) == "regressed")
        ranked = paired_correlation(first, second, mos, groups, "srcc", alpha)
        assert power.seen_scores(np.random.default_rng(seed), 60).regressed(0.01, alpha) == (
            decide(ranked, 0.01, alpha, ranked.p_value) == "regressed"
        )
        a, b = power.verdicts(np.random.default_rng(seed), 60)
        judged = paired_mean(a, b, groups, alpha)
        assert power.seen_verdicts(np.random.default_rng(seed), 60).regressed(0.05, alpha) == (
            decide(judged, 0.05, alpha, judged.p_value) == "regressed"
        )


def test_clopper_pearson_is_scipys(power: Any) -> None:
    for hits in (0, 1, 70, 2000):
        assert power.clopper_pearson_lower(hits, 2000) == pytest.approx(binomtest(hits, 2000).proportion_ci().low)
