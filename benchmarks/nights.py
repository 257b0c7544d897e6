"""How often 30 nights of an unchanged, sampled model alarm, by the runs of the baseline and the passes of a night.

`python benchmarks/nights.py [MONTHS]` (1,000 months a row). Seeded. 1,495 questions; two runs of the model differ in 6
or 20 % of the answers. The gate on accuracy has margin 0.01 and a third of alpha, as in the default suite;
--qbench-nights divides it further. The decisions are the project's own: `permuted_p_value`, `spend` and the margin. A
lucky baseline is the best of five that were recorded. The last column are nights of a model that is 2 points worse.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pytest_qbench.gates.alarm_budget import spend
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.stats.permuted_passes import permuted_p_value

Floats = NDArray[np.float64]
N, NIGHTS = 1495, 30
MARGIN, SHARE = DEFAULT_MARGINS["perception.accuracy"], ALPHA / len(DEFAULT_MARGINS)
DROP = 0.02


# runs of the baseline, passes a night, baselines of which the best is taken, --qbench-nights
SCENES = (
    (1, 1, 1, 1), (1, 1, 5, 1), (1, 1, 1, 30), (5, 1, 1, 1), (5, 1, 1, 30), (5, 1, 5, 30), (5, 5, 1, 1), (5, 5, 1, 30),
)  # fmt: skip


def chances(discordance: float, accuracy: float = 0.7) -> Floats:
    """Return each item's chance of a right answer: logit-normal, with this accuracy and discordance of two runs."""
    z = norm.ppf((np.arange(N) + 0.5) / N)

    def shifted(spread: float) -> Floats:
        low, high = -400.0, 400.0
        for _ in range(60):
            centre = (low + high) / 2
            p: Floats = 1 / (1 + np.exp(-np.clip(centre + spread * z, -700, 700)))
            low, high = (centre, high) if p.mean() < accuracy else (low, centre)
        return p

    low, high = 0.01, 100.0
    for _ in range(40):
        spread = (low * high) ** 0.5
        p = shifted(spread)
        low, high = (spread, high) if 2 * (p * (1 - p)).mean() > discordance else (low, spread)
    return p


def is_alarm(new: Floats, base: Floats, share: float) -> bool:
    """Return whether the gate on accuracy turns red for the passes `new` against the runs `base`, (passes, N) each."""
    if new.mean() - base.mean() >= -MARGIN:
        return False
    outcomes, m, k = np.vstack([new, base]).T, len(new), len(base)
    p_value = permuted_p_value(outcomes, m, float(new.sum()))
    chance = permuted_p_value(outcomes, m, (float(outcomes.sum()) / k - MARGIN * N) / (1 / m + 1 / k))
    return p_value < spend(share, 0.0, [chance]).level


def month(
    rng: np.random.Generator, p: Floats, worse: Floats, runs: int, passes: int, picks: int, share: float
) -> tuple[int, float, bool]:
    """Return the nights with an alarm, by how much the baseline is too good, and whether a worse model is found."""
    base = max((rng.binomial(1, p, (runs, N)).astype(float) for _ in range(picks)), key=np.sum)
    alarms = sum(is_alarm(rng.binomial(1, p, (passes, N)).astype(float), base, share) for _ in range(NIGHTS))
    found = is_alarm(rng.binomial(1, worse, (passes, N)).astype(float), base, share)
    return alarms, float(base.mean() - p.mean()), found


def dropped(p: Floats) -> Floats:
    """Return the chances of a model that is `DROP` worse: all logits lower by the same amount."""
    logits = np.log(np.clip(p, 1e-12, 1) / np.clip(1 - p, 1e-12, 1))
    low, high = 0.0, 50.0
    for _ in range(60):
        shift = (low + high) / 2
        worse: Floats = 1 / (1 + np.exp(-(logits - shift)))
        low, high = (shift, high) if p.mean() - worse.mean() < DROP else (low, shift)
    return worse


def main(months: int) -> None:
    """Print the table."""
    began = time.process_time()
    print("| two runs differ in | baseline | passes a night | --qbench-nights | alarms a night | months with an alarm "
          "| baseline too good by | 2 points found a night |\n|---:|---|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for discordance in (0.06, 0.20):
        p = chances(discordance)
        worse = dropped(p)
        for runs, passes, picks, nights in SCENES:
            rng = np.random.default_rng([runs, passes, picks, nights, int(100 * discordance)])
            found = [month(rng, p, worse, runs, passes, picks, SHARE / nights) for _ in range(months)]
            alarms, luck = np.array([a for a, _, _ in found]), np.mean([luck for _, luck, _ in found])
            seen = np.mean([each for _, _, each in found])
            name = f"{runs} run{'s' * (runs > 1)}" + (", best of 5" if picks > 1 else "")
            print(
                f"| {100 * discordance:g} % | {name} | {passes} | {nights} | {alarms.mean() / NIGHTS:.4f} "
                f"| {(alarms > 0).mean():.3f} | {100 * luck:+.2f} points | {seen:.3f} |",
                flush=True,
            )  # fmt: skip
    print(f"{time.process_time() - began:.0f} s of one core")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
