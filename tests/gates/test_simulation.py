"""Check the tables of docs/power.md, and the simulated verdicts on a small scale.

benchmarks/verdicts.py simulates them in full.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

ROOT = Path(__file__).parents[2]


def benchmark(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_page_on_power_are_up_to_date() -> None:
    assert (ROOT / "docs" / "power.md").read_text(encoding="utf-8") == benchmark("power").page()


def test_simulated_answers_have_the_given_discordance_and_drop() -> None:
    verdicts = benchmark("verdicts")
    noise = verdicts.noise_of(0.06)
    plain = [verdicts.answers(np.random.default_rng(i), 1_495, noise, "shift", 0.0, False) for i in range(20)]
    assert np.mean([found.discordance for found in plain]) == pytest.approx(0.06, abs=0.01)
    size = verdicts.size_of("shift", noise, 0.02)
    worse = [verdicts.answers(np.random.default_rng(i), 1_495, noise, "shift", size, False) for i in range(40)]
    assert np.mean([found.delta for found in worse]) == pytest.approx(-0.02, abs=0.004)
    assert verdicts.bounds(3, 50) == pytest.approx(tuple(binomtest(3, 50).proportion_ci()))


@pytest.mark.campaign
def test_the_default_run_of_an_unchanged_model_mostly_passes() -> None:
    verdicts = benchmark("verdicts")
    for discordance, judged, noise, least in ((0.02, 0.2, 0.05, 0.9), (0.06, 0.4, 0.1, 0.7)):
        one, rng = verdicts.default_run(discordance, judged, noise), np.random.default_rng(0)
        found = [one(rng) for _ in range(150)]
        passed = sum(all(v in ("pass", "improved") for v in run) for run in found)
        assert binomtest(passed, 150, least, alternative="less").pvalue > 0.01
        false = sum("regressed" in run for run in found)
        assert binomtest(false, 150, 0.05, alternative="greater").pvalue > 0.01
