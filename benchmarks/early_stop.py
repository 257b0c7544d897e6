"""What --qbench-early-stop finds, how soon, and what it costs against the test of all items.

`python benchmarks/early_stop.py [RUNS] [SCENE]` (400 runs of each scene, or of one by its number). Seeded. 1,495
questions in random order, one gate on accuracy with margin 0.01, alone (level 0.05) and as one of three (0.05 / 3). The
decisions are the project's own: `EProcess`, `look_levels`, `paired_binary` and `decide`. With `false-alarms`, 4,000
runs of an unchanged model in closed form.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence

import numpy as np
from scipy.special import betaln
from scipy.stats import beta, binom

from pytest_qbench.gates.early_stop import BET, LOOKS
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
from pytest_qbench.gates.verdict import decide
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.stats.betting import WEAKEST, EProcess
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.spending import look_levels

N, MARGIN = 1495, DEFAULT_MARGINS["perception.accuracy"]
SHARES = (ALPHA, ALPHA / 3)
ENDS = (*(math.ceil(part * N) for part in LOOKS), N)
LEVELS = dict(zip(ENDS, look_levels(tuple(end / N for end in ENDS), ALPHA), strict=True))
# Fraction of answers that differ, true drop; the last one is a broken prompt template.
SCENES = ((0.06, 0.05), (0.30, 0.20), (0.06, 0), (0.06, 0.02), (0.20, 0), (0.20, 0.03), (0.02, 0))


def verdict(new: np.ndarray, old: np.ndarray, end: int, share: float, alpha: float) -> str:
    """Return the verdict on the first `end` items, with the interval of `pass` at `alpha`."""
    found = paired_binary(new[:end], old[:end], range(end), alpha)
    return decide(found, MARGIN, found.p_value < share, found.p_gain < share)


def stopped(new: np.ndarray, old: np.ndarray, share: float, won: np.ndarray) -> tuple[str, int]:
    """Return the verdict of a run with early stop, and after how many items it comes.

    `won` is the logarithmic wealth of the bet after each item.
    """
    change = np.cumsum(new.astype(int) - old.astype(int)) / np.arange(1, N + 1)
    red = (won >= -math.log(BET * share)) & (change < -MARGIN)
    first = int(red.argmax()) + 1 if red[:-1].any() else N
    for end in ENDS:
        if first < end:
            return "regressed", first
        found = verdict(new, old, end, share * (1 - BET), LEVELS[end])
        if end == N or found in ("pass", "improved"):
            return found, end
    raise AssertionError("the last look decides")


def main(runs: int, scenes: Sequence[tuple[float, float]]) -> None:
    """Print the table."""
    began = time.process_time()
    print("| differ | drop | gate | red, all items | red, early stop | items until red (median) | pass, all items | "
          "pass, early stop | items used (mean) |\n|---:|---:|---|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for differ, drop in scenes:
        rng = np.random.default_rng([int(1000 * differ), int(1000 * drop)])
        found: dict[float, list[tuple[str, str, int]]] = {share: [] for share in SHARES}
        for _ in range(runs):
            u = rng.random(N)
            lost, gained = u < (differ + drop) / 2, u > 1 - (differ - drop) / 2
            old = np.where(lost, True, np.where(gained, False, rng.random(N) < 0.7))
            new = np.where(lost, False, np.where(gained, True, old))
            bet, won = EProcess(), np.empty(N)
            for i in range(N):
                if new[i] != old[i]:
                    bet.add(np.array([float(new[i]), float(old[i])]), 1)
                won[i] = bet.log_wealth
                if i and drop >= 0.05 and bet.log_wealth > 8:  # certain at both levels
                    won[i:] = bet.log_wealth
                    break
            for share in SHARES:
                found[share].append((verdict(new, old, N, share, ALPHA), *stopped(new, old, share, won)))
        for share in SHARES:
            whole, early, items = zip(*found[share], strict=True)
            red = [n for v, n in zip(early, items, strict=True) if v == "regressed"]
            cells = [
                f"{100 * differ:g} %", f"{100 * drop:g}", "alone" if share == ALPHA else "one of three",
                f"{whole.count('regressed') / runs:.3f}", f"{early.count('regressed') / runs:.3f}",
                f"{np.median(red):.0f}" if red else "-",
                *(f"{sum(v in ('pass', 'improved') for v in each) / runs:.3f}" for each in (whole, early)),
                f"{np.mean(items):.0f}",
            ]  # fmt: skip
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"{time.process_time() - began:.0f} s of one core")


def false_alarms(runs: int) -> None:
    """Print how often an unchanged model ends red: the same rule in closed form for many runs, passes ignored."""
    print("| differ | gate | red, all items | red, early stop |\n|---:|---|---:|---:|")
    for differ in (0.06, 0.20):
        u = np.random.default_rng(int(1000 * differ)).random((runs, N))
        lost, gained = np.cumsum(u < differ / 2, axis=1), np.cumsum(u > 1 - differ / 2, axis=1)
        change = (gained - lost) / np.arange(1, N + 1)
        pairs = lost + gained
        tail = beta.sf(WEAKEST, lost + 1, gained + 1)
        won = pairs * math.log(2) + betaln(lost + 1, gained + 1) + np.log(np.maximum(tail, 1e-300) / (1 - WEAKEST))
        p = binom.sf(lost[:, -1], pairs[:, -1], 0.5) + binom.pmf(lost[:, -1], pairs[:, -1], 0.5) / 2
        beyond = change[:, -1] < -MARGIN
        for share, name in zip(SHARES, ("alone", "one of three"), strict=True):
            bet = ((won >= -math.log(BET * share)) & (change < -MARGIN)).any(axis=1)
            early = bet | ((p < share * (1 - BET)) & beyond)
            print(
                f"| {100 * differ:g} % | {name} | {((p < share) & beyond).mean():.4f} | {early.mean():.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["false-alarms"]:
        false_alarms(4000)
        sys.exit()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400, [SCENES[int(sys.argv[2])]] if len(sys.argv) > 2 else SCENES)
