"""`CoveredGate`, a gate whose reaction to faults is measured; the gates of one run judged as a session judges them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.budget import judge
from pytest_qbench.gates.evaluate import GateResult, Limits
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import task_of


@dataclass(frozen=True)
class CoveredGate:
    """A gate as its test writes it. `test` names that test: the gates of one test divide its share of alpha."""

    metric: str
    margin: float | None = None
    budget: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    dataset: str | None = None
    slice: str | None = None
    each_dataset: bool = False
    test: str = ""

    @property
    def task(self) -> str:
        """The task of the metric."""
        return task_of(self.metric)

    @property
    def label(self) -> str:
        """Metric, dataset and slice."""
        return " ".join(part for part in (self.metric, self.dataset, self.slice) if part)

    @property
    def compares(self) -> bool:
        """Whether it tests a drop, which takes a share of alpha."""
        return self.margin is not None or self.budget is not None

    def __str__(self) -> str:
        """Return the label and the bounds."""
        bounds = {"margin": self.margin, "budget": self.budget, "minimum": self.minimum, "maximum": self.maximum}
        return " ".join([self.label, *(f"{name} {value:g}" for name, value in bounds.items() if value is not None)])


def judge_all(
    gates: Sequence[CoveredGate], results: Results, baseline: Baseline, limits: Limits
) -> tuple[GateResult, ...]:
    """Return the verdicts of all gates of a run, in order. They share alpha as those of a test session do."""
    compared = [gate.test for gate in gates if gate.compares]
    tests = max(1, len(set(compared)))
    found: list[GateResult] = []
    for place, gate in enumerate(gates):
        is_first = gate.test not in [earlier.test for earlier in gates[:place]]
        own = replace(
            limits, comparisons=tests * max(1, compared.count(gate.test)),
            leftover=found[-1].unspent if found and is_first else 0.0,
        )  # fmt: skip
        found.append(
            judge(
                gate.metric, results, baseline, own, margin=gate.margin, budget=gate.budget, minimum=gate.minimum,
                maximum=gate.maximum, dataset=gate.dataset, slice=gate.slice, each_dataset=gate.each_dataset,
            )
        )  # fmt: skip
    return tuple(found)
