"""False alarms and power of the default gates, simulated, beside fixed tolerances and unpaired intervals.

`python benchmarks/power.py [PAIRS] [FILE]` (2,000 pairs of runs a cell; docs/power.md). Seeded: the numbers come out
again. The decisions are the project's own: its p-values and `gates.decide`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

from pytest_qbench.gates.evaluate import DEFAULT_MARGINS, decide
from pytest_qbench.metrics.metrics import ALPHA
from pytest_qbench.stats.correlation import srcc
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.paired_correlation import paired_correlation
from pytest_qbench.stats.resampling import sign_flip_drop

Rng = np.random.Generator
Bools = NDArray[np.bool_]
SIZES, DISCORDANCES, ROUNDS, LEVELS = (20, 60, 400, 1_495), (0.02, 0.06, 0.20), 5, 24
ACCURACY, JUDGED, RANKED = DEFAULT_MARGINS.values()
FAMILY = len(DEFAULT_MARGINS)
TOLERANCES = (0.01, 0.02, 0.08)


@dataclass(frozen=True)
class Seen:
    """One comparison as a gate sees it: the change and the one-sided p-value of a drop."""

    delta: float
    p_value: float

    def regressed(self, margin: float, alpha: float) -> bool:
        """The verdict of the rule; the interval decides between the other verdicts alone."""
        return (
            decide(Paired(self.delta, -np.inf, np.inf, self.p_value, None, 0), margin, alpha, self.p_value)
            == "regressed"
        )


def see(delta: float, margin: float, p_value: Callable[[], float]) -> Seen:
    """The p-value costs a resampling; where the drop is within the margin nothing hangs on it."""
    return Seen(delta, p_value() if delta < -margin else 1.0)


def answers(rng: Rng, n: int, discordance: float, drop: float = 0.0, accuracy: float = 0.7) -> tuple[Bools, Bools]:
    """Right answers of candidate and baseline, (n,) each: a net `drop` among `discordance` discordant items."""
    fate = rng.random(n)
    lost, gained = fate < (discordance + drop) / 2, fate > 1 - (discordance - drop) / 2
    same = rng.random(n) < accuracy
    return np.where(lost, False, np.where(gained, True, same)), np.where(lost, True, np.where(gained, False, same))


def verdicts(rng: Rng, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Judged sums of two runs of one model: the same texts, every round of the judge drawn anew; (n,) each."""
    leaning = rng.dirichlet((1.0, 1.0, 1.0), (n, 3)).cumsum(-1)[..., None, :]  # shares of 0, 1, 2 per dimension
    first, second = ((rng.random((n, 3, ROUNDS, 1)) > leaning).sum(-1).mean(-1).sum(-1) for _ in range(2))
    return first, second


def scores(rng: Rng, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Quality scores of two runs with independent noise on `LEVELS` distinct values, and the MOS; (n,) each."""
    mos = rng.normal(size=n)
    first, second = (np.round(LEVELS * norm.cdf(0.7 * mos + 0.7 * rng.normal(size=n))) / LEVELS for _ in range(2))
    return first, second, mos


def seen_answers(rng: Rng, n: int, discordance: float, drop: float = 0.0) -> tuple[Seen, Bools, Bools]:
    new, old = answers(rng, n, discordance, drop)
    deltas = new.astype(float) - old
    return see(float(deltas.mean()), ACCURACY, lambda: sign_flip_drop(deltas, range(n), 0)), new, old


def seen_verdicts(rng: Rng, n: int) -> Seen:
    new, old = verdicts(rng, n)
    return see(float((new - old).mean()), JUDGED, lambda: sign_flip_drop(new - old, range(n), 0))


def seen_scores(rng: Rng, n: int) -> Seen:
    new, old, mos = scores(rng, n)
    delta = srcc(new, mos) - srcc(old, mos)
    return see(delta, RANKED, lambda: paired_correlation(new, old, mos, range(n), "srcc", ALPHA / FAMILY).p_value)


def unpaired(new: Bools, old: Bools) -> bool:
    """What most harnesses offer: two accuracies with error bars of their own; a drop shown at the same alpha."""
    a, b, n = new.mean(), old.mean(), new.size
    error = np.sqrt((a * (1 - a) + b * (1 - b)) / n)
    return bool(error > 0 and norm.cdf((a - b) / error) < ALPHA)


@dataclass(frozen=True)
class Cell:
    """Shares of the runs in which each method raises the alarm."""

    single: float
    family: float
    lower: float
    tolerances: Sequence[float]
    unpaired: float


def cell(
    rng: Rng, n: int, discordance: float, pairs: int, others: Sequence[tuple[Seen, Seen]], drop: float = 0.0
) -> Cell:
    """Simulate `pairs` comparisons; `others` are those of the two other gates, which have no drop."""
    found = [seen_answers(rng, n, discordance, drop) for _ in range(pairs)]
    alone = [seen.regressed(ACCURACY, ALPHA) for seen, _, _ in found]
    any_of_three = [
        accuracy.regressed(ACCURACY, ALPHA / FAMILY)
        or judged.regressed(JUDGED, ALPHA / FAMILY)
        or ranked.regressed(RANKED, ALPHA / FAMILY)
        for (accuracy, _, _), (judged, ranked) in zip(found, others, strict=True)
    ]
    in_family = any_of_three if drop == 0 else [seen.regressed(ACCURACY, ALPHA / FAMILY) for seen, _, _ in found]
    return Cell(
        float(np.mean(alone)), float(np.mean(in_family)), clopper_pearson_lower(sum(in_family), pairs),
        [float(np.mean([seen.delta < -t for seen, _, _ in found])) for t in TOLERANCES],
        float(np.mean([unpaired(new, old) for _, new, old in found])),
    )  # fmt: skip


def clopper_pearson_lower(hits: int, n: int) -> float:
    """Lower bound of the exact two-sided 95 % interval of a share (Clopper & Pearson 1934)."""
    return float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0


def other_gates(rng: Rng, n: int, pairs: int) -> list[tuple[Seen, Seen]]:
    """The two other default gates on runs of one model."""
    return [(seen_verdicts(rng, n), seen_scores(rng, n)) for _ in range(pairs)]


def tables(pairs: int) -> str:
    """Both tables, in Markdown."""
    head = [
        "gate alone",
        "three gates",
        "its lower 95 % bound",
        *(f"{100 * t:g} points" for t in TOLERANCES),
        "unpaired",
    ]
    lines = [
        "## False alarms", "",
        f"{pairs:,} pairs of runs of one model a row (A/A): discordant answers fall either way, the {ROUNDS} rounds of",
        f"the judge are drawn anew, quality scores have independent noise on {LEVELS} distinct values. Shares of the",
        "runs that raise an alarm.", "",
        f"| items | discordant | {' | '.join(head)} |", "| ---: | ---: |" + " ---: |" * len(head),
    ]  # fmt: skip
    for n in SIZES:
        others = other_gates(np.random.default_rng([n, 1]), n, pairs)
        for discordance in DISCORDANCES:
            rng = np.random.default_rng([n, round(100 * discordance)])
            lines.append(_line(n, discordance, cell(rng, n, discordance, pairs, others)))
    lines += [
        "", "## Power", "",
        f"{pairs:,} pairs a row, 1,495 items (LLVisionQA's dev split): how often a real drop of accuracy is found.",
        "Under \"three gates\" accuracy is judged at alpha / 3.", "",
        f"| drop | discordant | {' | '.join(h for h in head if 'bound' not in h)} |",
        "| ---: | ---: |" + " ---: |" * (len(head) - 1),
    ]  # fmt: skip
    quiet = [(Seen(0.0, 1.0), Seen(0.0, 1.0))] * pairs
    for drop, discordance in ((0.02, 0.06), (0.03, 0.06), (0.05, 0.06), (0.03, 0.20), (0.05, 0.20)):
        rng = np.random.default_rng([round(1000 * drop), round(100 * discordance)])
        found = cell(rng, 1_495, discordance, pairs, quiet, drop)
        lines.append(_line(f"{100 * drop:g} points", discordance, found, bound=False))
    return "\n".join(lines) + "\n"


def _line(first: object, discordance: float, c: Cell, *, bound: bool = True) -> str:
    shares = [c.single, c.family, *([c.lower] if bound else []), *c.tolerances, c.unpaired]
    return f"| {first} | {100 * discordance:g} % | " + " | ".join(f"{s:.3f}" for s in shares) + " |"


PREFACE = """# What the gates see, and how often they cry wolf

Made by `python benchmarks/power.py`; seeded. *Gate alone*: accuracy with margin 0.01 at alpha 0.05. *Three gates*: the
default suite, each at 0.05 / 3, an alarm of any. Beside them what others do: a fixed tolerance on the drop of accuracy
(1, 2, 8 points), and two accuracies each with its own error bar (*unpaired*, one-sided at 0.05). Both runs answer the
same items, so their difference varies less than such bars say; on other items of the same kind they would find the
drop of 2 points in 0.3 of the runs.

"""


if __name__ == "__main__":
    began = time.time()
    text = PREFACE + tables(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
    print(text)
    print(f"{time.time() - began:.0f} s")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text, encoding="utf-8")
