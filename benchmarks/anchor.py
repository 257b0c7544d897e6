"""How often ten small losses in a row stay unseen, with and without a budget against the anchor.

`python benchmarks/anchor.py [CHAINS]` (1,000 chains a row). Seeded. A chain is a first release and ten more, each of
which truly loses 0.5 points of 1,495 questions. Each release is compared with the one before, which is the baseline, by
a gate of margin 0.01 among the three gates of a run; with a budget also with the first release, the anchor, where each
comparison gets half of the gate's share of alpha. A chain is seen where any gate turns red. The decisions are the
project's own: `paired_binary` and `verdict.decide`.

Two models of the noise between two releases: "numerical", where each run draws its answers anew around fixed
probabilities, so that two runs of one model differ in the named share of the answers; and "retrained", where the named
share of the answers changes at each release and stays changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

from pytest_qbench.gates.verdict import decide
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.paired_binary import paired_binary

Rng = np.random.Generator
Bools = NDArray[np.bool_]
ITEMS, RELEASES, LOSS, MARGIN = 1495, 10, 0.005, 0.01
ACCURACY = 0.75
SHARE = ALPHA / 3
BUDGETS = (None, 0.03, 0.02, 0.01)


def numerical(rng: Rng, changed: float, loss: float) -> Iterator[Bools]:
    """Yield the right answers of each release: an item is right where its margin plus the run's noise is positive."""
    width = _width(changed)
    margins = rng.normal(norm.ppf(ACCURACY) * np.sqrt(1 + width**2), 1, ITEMS)
    for release in range(RELEASES + 1):
        shift = (norm.ppf(ACCURACY - loss * release) - norm.ppf(ACCURACY)) * np.sqrt(1 + width**2)
        yield margins + shift + rng.normal(0, width, ITEMS) > 0


def retrained(rng: Rng, changed: float, loss: float) -> Iterator[Bools]:
    """Yield the right answers of each release: a share of them changes each time and stays changed."""
    right = rng.random(ITEMS) < ACCURACY
    yield right
    for _ in range(RELEASES):
        share = right.mean()
        lost = rng.random(ITEMS) < (changed + loss) / 2 / share
        gained = rng.random(ITEMS) < (changed - loss) / 2 / (1 - share)
        right = np.where(right, ~lost, gained)
        yield right


@cache
def _width(changed: float) -> float:
    """The noise at which two runs of one model differ in a share of their answers, by bisection."""
    rng = np.random.default_rng(0)
    margins, a, b = rng.normal(0, 1, 400_000), rng.normal(0, 1, 400_000), rng.normal(0, 1, 400_000)
    low, high = 0.0, 5.0
    for _ in range(30):
        middle = (low + high) / 2
        centre = norm.ppf(ACCURACY) * np.sqrt(1 + middle**2)
        differ = ((margins + centre + middle * a > 0) != (margins + centre + middle * b > 0)).mean()
        low, high = (middle, high) if differ < changed else (low, middle)
    return low


def compare(releases: list[Bools]) -> list[tuple[Paired, Paired]]:
    """Each release compared with the one before and with the first."""
    groups = list(range(ITEMS))
    return [
        (paired_binary(now, before, groups, ALPHA), paired_binary(now, releases[0], groups, ALPHA))
        for before, now in pairwise(releases)
    ]


def is_seen(compared: list[tuple[Paired, Paired]], budget: float | None) -> bool:
    """Whether any release of a chain turns the gate red."""
    level = SHARE if budget is None else SHARE / 2
    return any(
        _is_red(step, MARGIN, level) or (budget is not None and _is_red(whole, budget, level))
        for step, whole in compared
    )


def _is_red(paired: Paired, margin: float, level: float) -> bool:
    return decide(paired, margin, paired.p_value < level, False) == "regressed"


def interval(found: int, runs: int) -> str:
    """The 95 % interval of a share (Clopper and Pearson)."""
    low = 0.0 if found == 0 else beta.ppf(0.025, found, runs - found + 1)
    high = 1.0 if found == runs else beta.ppf(0.975, found + 1, runs - found)
    return f"{found / runs:.3f} [{low:.3f}, {high:.3f}]"


def main(chains: int = 1000) -> None:
    names = " | ".join(f"budget {b}" if b else "no budget" for b in BUDGETS)
    print(f"| noise | answers changed | true loss in all | {names} |")
    print("| --- | --- | --- |" + " --- |" * len(BUDGETS))
    for make in (numerical, retrained):
        for changed in (0.02, 0.06):
            for loss in (LOSS, 0.0):
                rng = np.random.default_rng(22)
                counts = dict.fromkeys(BUDGETS, 0)
                for _ in range(chains):
                    compared = compare(list(make(rng, changed, loss)))
                    for budget in BUDGETS:
                        counts[budget] += is_seen(compared, budget) == (loss == 0)
                what = f"{100 * loss * RELEASES:g} points: unseen" if loss else "none: alarm"
                cells = " | ".join(interval(counts[b], chains) for b in BUDGETS)
                print(f"| {make.__name__} | {changed:.0%} | {what} | {cells} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
