"""How many items a drop needs, and which drop a number of items shows: before any run, or from two of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

from scipy.special import ndtri

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.comparison import Comparison, check_comparable
from pytest_qbench.gates.evaluate import shares
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.metrics.metrics import ALPHA, RATES, task_of
from pytest_qbench.metrics.results import Results
from pytest_qbench.stats.intervals import POWER
from pytest_qbench.stats.power import items_needed, mcnemar_mde
from pytest_qbench.stats.resampling import Undefined

DISCORDANCES = (0.06, 0.20)
DROPS = (0.01, 0.02, 0.03, 0.05)
SIZES = (450, 1_495, 2_990)


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted: to find a drop with `power` where `gates` gates share `alpha`."""

    power: float = POWER
    alpha: float = ALPHA
    gates: int = 3

    @property
    def level(self) -> float:
        """The one-sided level of one gate."""
        return self.alpha / self.gates

    @property
    def stretch(self) -> float:
        """How much larger the drop shown is than at the power of `Paired.mde`."""
        z = float(ndtri(1 - self.level))
        return (z + float(ndtri(self.power))) / (z + float(ndtri(POWER)))


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison of two runs: its discordance (rates only), the drop it shows, the items that a drop needs."""

    metric: str
    dataset: str
    items: int
    discordance: float | None
    mde: float | None
    drop: float
    needed: int | None


@dataclass(frozen=True, slots=True)
class Unplanned:
    """What two runs say nothing about, and why."""

    metric: str
    dataset: str
    reason: str


def needed(drop: float, discordance: float, aim: Aim) -> int:
    """Paired items with which a net drop of accuracy is found by the exact McNemar test (`power.items_needed`).

    A drop brings at least as much discordance; raises ValueError unless 0 < drop <= 1.
    """
    return items_needed(drop, max(drop, discordance), aim.level, aim.power)


def shown(items: int, discordance: float, aim: Aim) -> float | None:
    """Smallest net drop of accuracy that `items` paired items show (`power.mcnemar_mde`); None for none at all."""
    return mcnemar_mde(discordance, items, aim.level, aim.power)


def from_runs(
    new: Results, old: Baseline, drops: Mapping[str, float], aim: Aim, seed: int = 0
) -> Iterator[Row | Unplanned]:
    """Plan from a pair of runs, for each metric (with the drop to find) and dataset that can be compared.

    Right and wrong answers of independent items by their discordance and the exact test. Scores, and items that share
    photos, by the width of this comparison: it shrinks as one over the root of the number of items, so that
    n (MDE / drop)^2 are needed; for another power than 0.8 the MDE is taken in proportion to z[1 - level] + z[power].
    Each row is planned at the share of alpha that a gate over these datasets gives it (`gates.shares`).
    """
    for name, drop in drops.items():
        datasets = new.datasets(task_of(name))
        part = replace(aim, gates=aim.gates * shares(name, len(datasets), len(datasets)))
        for dataset in datasets:
            comparison = Comparison(name, dataset, None, new, old)
            try:
                check_comparable(name, new, old, dataset)
                paired = comparison.paired(part.level, seed)
            except (InvalidError, Undefined) as e:
                yield Unplanned(name, dataset, str(e))
                continue
            share = comparison.discordance if name in RATES else None
            if share is not None and len({r.group for r, _ in comparison.pairs}) == paired.n:
                yield Row(name, dataset, paired.n, share, shown(paired.n, share, part), drop, needed(drop, share, part))
            else:
                wide = None if paired.mde is None else paired.mde * part.stretch
                more = None if wide is None else ceil(paired.n * (wide / drop) ** 2)
                yield Row(name, dataset, paired.n, share, wide, drop, more)
