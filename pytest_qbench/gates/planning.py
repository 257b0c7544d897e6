"""Power of a number of items: the drop that turns a run red, and whether an unchanged model passes.

Without a run the numbers come from enumeration, with two runs from the width of their comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.comparison import Comparison, check_comparable
from pytest_qbench.gates.evaluate import count_parts
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import SPECS, task_of
from pytest_qbench.stats.intervals import POWER
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.power import items_needed, items_to_pass, mcnemar_mde
from pytest_qbench.stats.resampling import Undefined

DISCORDANCES = (0.02, 0.06, 0.20)
MARGIN = 0.01
DROPS = (0.015, 0.02, 0.03, 0.05)
SIZES = (450, 1_495, 2_990)


@dataclass(frozen=True, slots=True)
class PowerTarget:
    """The wanted power of a decision, where `gates` gates share `alpha`."""

    power: float = POWER
    alpha: float = ALPHA
    gates: int = 3

    @property
    def level(self) -> float:
        """The one-sided level of one gate."""
        return self.alpha / self.gates


@dataclass(frozen=True, slots=True)
class Row:
    """The plan of one comparison of two runs: the drop that turns it red, and the items that a drop or a pass needs."""

    metric: str
    dataset: str
    items: int
    discordance: float | None
    detectable_drop: float | None
    drop: float
    items_for_drop: int | None
    items_for_pass: int | None


@dataclass(frozen=True, slots=True)
class Unplanned:
    """A comparison that two runs cannot plan, and the reason."""

    metric: str
    dataset: str
    reason: str


def items_for_drop(drop: float, discordance: float, margin: float, target: PowerTarget) -> int:
    """Return the number of items with which a net drop of accuracy turns a gate red (`power.items_needed`).

    A drop brings at least as much discordance; raises ValueError unless margin < drop <= 1.
    """
    return items_needed(drop, max(drop, discordance), target.level, target.power, margin)


def detectable_drop(items: int, discordance: float, margin: float, target: PowerTarget) -> float | None:
    """Return the smallest net drop of accuracy that turns a gate on `items` items red; None where no drop does."""
    return mcnemar_mde(discordance, items, target.level, target.power, margin)


def items_for_pass(discordance: float, margin: float, target: PowerTarget) -> int:
    """Return the number of items with which an unchanged model passes a gate on accuracy.

    Its interval has the undivided alpha.
    """
    return items_to_pass(margin, discordance, target.alpha, target.power)


def from_runs(
    new: Results,
    old: Baseline,
    margins: Mapping[str, float],
    target: PowerTarget,
    drop: float | None = None,
    seed: int = 0,
) -> Iterator[Row | Unplanned]:
    """Plan from a pair of runs, for each metric (with its margin) and dataset that can be compared.

    Right/wrong answers of independent items use their discordance and the exact test. Other metrics use the standard
    error of this comparison, which falls as one over the square root of the number of items. `drop` is the drop to
    find, twice the margin by default. Each row is planned at the share of alpha that a gate over these datasets gives
    it.
    """
    for name, margin in margins.items():
        datasets = new.datasets(task_of(name))
        part = replace(target, gates=target.gates * count_parts(name, len(datasets), len(datasets)))
        wanted = 2 * margin if drop is None else drop
        for dataset in datasets:
            comparison = Comparison(name, dataset, None, new, old)
            try:
                check_comparable(name, new, old, dataset)
                paired = comparison.paired(target.alpha, seed)
            except (InvalidError, Undefined) as e:
                yield Unplanned(name, dataset, str(e))
                continue
            yield Row(
                name, dataset, paired.n, comparison.discordance if SPECS[name].is_rate else None,
                paired.detectable_drop(part.level, margin, part.power), wanted,
                _items_for(paired, wanted, margin, part), paired.items_to_pass(target.alpha, margin, target.power),
            )  # fmt: skip


def _items_for(paired: Paired, drop: float, margin: float, target: PowerTarget) -> int | None:
    """Return the number of such items with which a drop turns the comparison red; None if no number does."""
    if drop <= margin:
        return None
    if paired.discordance is not None:
        found = items_needed(drop, max(drop, paired.discordance), target.level, target.power, margin)
        return ceil(found * paired.effect)
    if not paired.error > 0:
        return None
    seen = paired.detectable_drop(target.level, 0.0, target.power)
    beyond = paired.detectable_drop(0.5, 0.0, target.power)  # z[power] standard errors
    assert seen is not None
    assert beyond is not None
    return ceil(paired.n * max(seen / drop, beyond / (drop - margin)) ** 2)
