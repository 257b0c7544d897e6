"""Decide a task before its last item: `regressed` by a bet at any time, `pass` at a planned look.

The items come in random order, a group at once. A tenth of each gate's share of alpha belongs to a bet against "no
change" (`stats.betting`). When the bet wins 1 / level times its stake and the observed drop exceeds the margin, the
gate has regressed. When half and three quarters of the items are measured, the gates are judged as at the end. A task
whose gates all pass is decided. The interval of `pass` spends its alpha over these looks and the last one
(`stats.spending`), and the last test of a drop has the other nine tenths of the share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.evaluate import POOLED, GateResult, Limits, count_parts, evaluate
from pytest_qbench.gates.reasons import amount
from pytest_qbench.gates.targets import matches
from pytest_qbench.items import Item
from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import SPECS
from pytest_qbench.records import Key, Record
from pytest_qbench.stats.betting import EProcess
from pytest_qbench.stats.spending import look_levels

BET = 0.1  # part of a gate's share of alpha that belongs to its bet
LOOKS = (0.5, 0.75)  # fractions of a task's items at which its gates are judged before the end


@dataclass(frozen=True, slots=True)
class PlannedGate:
    """A gate that compares with the baseline, as the source of its test states it.

    `comparisons` is the number of gates that share alpha.
    """

    name: str
    margin: float
    dataset: str | None
    each_dataset: bool
    comparisons: int

    @property
    def label(self) -> str:
        """The name of its result."""
        return " ".join(part for part in (self.name, self.dataset) if part)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: a worker hands them to its controller."""
        return asdict(self)


class Decision(NamedTuple):
    """The results of a task's gates after its first `items` items. `stops_run`: a gate has failed."""

    task: str
    items: int
    results: Mapping[str, GateResult]
    stops_run: bool


class Bet:
    """The bet on one dataset of a gate, or on all of them together (`dataset` None)."""

    def __init__(self, gate: PlannedGate, dataset: str | None, level: float) -> None:
        spec = SPECS[gate.name]
        self.gate, self.dataset, self.level, self._spec = gate, dataset, level, spec
        self._process = EProcess(1.0 if spec.is_rate else None)
        self._change, self._items = 0.0, 0

    def add(self, pairs: Sequence[tuple[Record, Record]]) -> None:
        """Settle the bet on the pairs (candidate, baseline) of one group."""
        sides: tuple[list[list[float]], list[list[float]]] = ([], [])
        for pair in pairs:
            if self.dataset not in (None, pair[0].dataset):
                continue
            values = [self._spec.outcome_values(record) for record in pair]
            if values[0] is None or values[1] is None:
                continue
            for own, side in zip(values, sides, strict=True):
                assert own is not None
                side.append([1 - v for v in own] if self._spec.lower_is_better else own)
        if not sides[0] or any(len({len(own) for own in side}) > 1 for side in sides):
            return
        new, old = (np.array(side) for side in sides)
        self._change += float(new.mean(axis=1).sum() - old.mean(axis=1).sum())
        self._items += len(sides[0])
        self._process.add(np.concatenate([new.sum(axis=0), old.sum(axis=0)]), new.shape[1])

    @property
    def is_won(self) -> bool:
        """Whether the bet rejects "no change" and the observed drop exceeds the margin."""
        won = self._process.log_wealth >= -math.log(self.level)
        return won and self._change / self._items < -self.gate.margin

    def judge(self, found: GateResult, after: str) -> GateResult:
        """Return the result of the gate: `found` on the items so far, with the verdict of the bet.

        `after` says after how many items. A gate that could not be judged on these items keeps its reason.
        """
        if found.verdict == "invalid":
            return replace(found, reason=f"{after}: {found.reason}", unspent=0.0)
        rows = [self._row(row) for row in found.rows]
        lost = next(row for row in rows if row.verdict == "regressed")
        reason = (
            f"{lost.dataset or lost.note}: REGRESSED, {after}: {amount(lost.name, -(lost.delta or 0.0))} lost so far "
            f"(margin {self.gate.margin:g}, p = {lost.p_value:.2g} at any stop by {lost.test}, level {self.level:.2g})"
        )
        return replace(found, verdict="regressed", reason=reason, rows=tuple(rows), unspent=0.0)

    def _row(self, row: Metric) -> Metric:
        """Return a row without the interval and p-value of a fixed number of items; with the verdict if it is ours."""
        is_ours = row.note == POOLED if self.dataset is None else row.dataset == self.dataset
        return replace(
            row, delta_ci=None, p_value=self._process.p_value if is_ours else None, alpha=self.level, mde=None,
            items_to_pass=None, test="betting", verdict="regressed" if is_ours else None,
        )  # fmt: skip


class TaskMonitor:
    """Follows one task item by item. `order` holds its items in random order, those of a group together."""

    def __init__(
        self, order: Sequence[Item], gates: Sequence[PlannedGate], baseline: Baseline, limits: Limits, may_pass: bool
    ) -> None:
        """`limits` are those of the run. `may_pass`: whether the gates are all that judge the task."""
        self.order, self.gates, self._baseline, self._limits = order, gates, baseline, limits
        self.task = order[0].task
        self._ends = [
            i + 1 for i, item in enumerate(order) if i + 1 == len(order) or order[i + 1].group != item.group
        ]  # fmt: skip
        self._done = 0  # number of groups whose items all have a record
        looks = [min((end for end in self._ends if end >= part * len(order)), default=0) for part in LOOKS]
        self._looks = sorted({end for end in looks if end < len(order)}) if may_pass and gates else []
        fractions = (*(end / len(order) for end in self._looks), 1.0)
        self._levels = dict(zip((*self._looks, len(order)), look_levels(fractions, ALPHA), strict=True))
        self._bets = [bet for gate in gates for bet in self._bets_on(gate)]

    def _bets_on(self, gate: PlannedGate) -> list[Bet]:
        if SPECS[gate.name].value_of is None:
            return []
        datasets = [d for d in dict.fromkeys(item.dataset for item in self.order) if matches(d, gate.dataset)]
        parts = count_parts(gate.name, len(datasets), len(datasets))
        level = BET * ALPHA / gate.comparisons / max(1, parts)
        return [Bet(gate, dataset, level) for dataset in [*datasets, *([None] if parts > len(datasets) else [])]]

    def last_limits(self, gate: PlannedGate) -> Limits:
        """Return the limits of the last look, where all items are measured."""
        return self._limits_at(gate, len(self.order))

    def _limits_at(self, gate: PlannedGate, items: int) -> Limits:
        bet = BET if SPECS[gate.name].value_of is not None else 0.0
        return replace(self._limits, comparisons=gate.comparisons, bet=bet, pass_alpha=self._levels.get(items, ALPHA))

    def advance(self, record_of: Callable[[Key], Record | None], results: Callable[[int], Results]) -> Decision | None:
        """Follow the items that have records by now, in order, and return a decision where one falls.

        `results` returns the results of the run as if this task ended after a number of its items.
        """
        while self._done < len(self._ends):
            start = self._ends[self._done - 1] if self._done else 0
            end = self._ends[self._done]
            records = [record_of((item.task, item.id)) for item in self.order[start:end]]
            if any(record is None for record in records):
                return None
            self._done += 1
            olds = [self._baseline.records.get((item.task, item.id)) for item in self.order[start:end]]
            pairs = [
                (new, old) for new, old in zip(records, olds, strict=True)
                if new is not None and old is not None and "error" not in (new.status, old.status)
            ]  # fmt: skip
            for bet in self._bets:
                bet.add(pairs)
            if end == len(self.order):
                return None  # the gates judge the whole task
            if won := next((bet for bet in self._bets if bet.is_won), None):
                return self._lost(won, end, results(end))
            if end in self._looks and (passed := self._passed(end, results(end))):
                return passed
        return None

    def _after(self, items: int) -> str:
        return f"stopped after {items:,} of {len(self.order):,} items"

    def _lost(self, bet: Bet, items: int, results: Results) -> Decision:
        found = bet.judge(self._evaluate(bet.gate, items, results), self._after(items))
        return Decision(self.task, items, {bet.gate.label: found}, True)

    def _passed(self, items: int, results: Results) -> Decision | None:
        found = {gate.label: self._evaluate(gate, items, results) for gate in self.gates}
        if not all(result.verdict in ("pass", "improved") for result in found.values()):
            return None
        look = f"look {self._looks.index(items) + 1} of {len(self._looks) + 1}, level {self._levels[items]:.2g}"
        after = self._after(items)
        passed = {
            label: replace(result, verdict="pass", reason=f"{after}: {result.reason}; {look}", unspent=0.0)
            for label, result in found.items()
        }
        return Decision(self.task, items, passed, False)

    def _evaluate(self, gate: PlannedGate, items: int, results: Results) -> GateResult:
        return evaluate(
            gate.name, results, self._baseline, self._limits_at(gate, items), margin=gate.margin, dataset=gate.dataset,
            each_dataset=gate.each_dataset,
        )  # fmt: skip


def watchable(name: str, arguments: Mapping[str, Any]) -> bool:
    """Return whether a gate can be decided early: a comparison of whole datasets, whose arguments are known."""
    spec = SPECS.get(name)
    known = {"name", "margin", "dataset", "each_dataset"}
    return (
        spec is not None
        and not spec.is_drift
        and arguments.keys() <= known
        and isinstance(arguments.get("margin"), int | float)
        and all(value is not None for value in arguments.values())
    )
