"""Gate coverage: which of twenty known faults of a local model its gates catch, at the user's items and margins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_qbench.baseline.baseline import Baseline, as_baseline
from pytest_qbench.baseline.eligibility import why_incomplete
from pytest_qbench.doctor.covered_gate import CoveredGate, judge_all
from pytest_qbench.doctor.known_faults import KNOWN_FAULTS, KnownFault
from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.evaluate import GateResult, Limits
from pytest_qbench.items import Item
from pytest_qbench.judges.base import Judge
from pytest_qbench.metrics.fingerprint import fingerprint
from pytest_qbench.metrics.results import Results
from pytest_qbench.models.base import Model
from pytest_qbench.models.pixels import PIXEL_RULES
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import AnswerMode

ROUNDS = 5


@dataclass(frozen=True)
class FaultResult:
    """The gates of a model with one fault, against the model without it."""

    fault: KnownFault
    gates: tuple[GateResult, ...]

    @property
    def caught_by(self) -> tuple[str, ...]:
        """The gates that are red: those that regressed, and those that refuse the replies."""
        return tuple(gate.name for gate in self.gates if _is_red(gate))


@dataclass(frozen=True)
class GateCoverage:
    """Measures a model with and without faults, and judges it by `gates`. `judge` grades descriptions."""

    model: TransformersModel
    items: Sequence[Item]
    gates: Sequence[CoveredGate]
    limits: Limits
    answer: AnswerMode
    judge: Callable[[], Judge]
    faults: Sequence[KnownFault] = KNOWN_FAULTS

    def results(self) -> Iterator[FaultResult]:
        """Yield the result of each fault; each takes a run.

        Raises `UsageError` if the model makes no baseline, or if a gate is red without a fault.
        """
        baseline = self._baseline()
        for fault in self.faults:
            with fault.injected(self.model) as faulty:
                results = self._measure(faulty)
            yield FaultResult(fault, judge_all(self.gates, results, baseline, self.limits))

    def _baseline(self) -> Baseline:
        results = self._measure(self.model)
        if reason := why_incomplete(results, self.limits.max_errors, self.limits.max_unparsed, self.limits.max_cut):
            raise UsageError(f"{self.model.name} without a fault cannot serve as the baseline: {reason}")
        baseline = as_baseline(Path(self.model.name), results)
        for gate in judge_all(self.gates, results, baseline, self.limits):
            if _is_red(gate):  # it would count every fault as caught
                raise UsageError(f"{gate.name} is red for {self.model.name} without a fault: {gate.reason}")
        return baseline

    def _measure(self, model: Model) -> Results:
        engine = Engine(
            model, answer=self.answer, batch_size=None, blind=False, judge_rounds=ROUNDS, judge=self.judge
        )  # fmt: skip
        try:
            records = engine.measure(self.items)
        finally:
            engine.close()
        conditions = fingerprint(
            answer=self.answer, blind=False, pixels=PIXEL_RULES, judge=None, judge_rounds=ROUNDS, model={}
        )
        return Results(records, {(item.task, item.id): item for item in self.items}, conditions)


def _is_red(gate: GateResult) -> bool:
    return gate.verdict in ("regressed", "invalid")


def share_caught(results: Sequence[FaultResult]) -> float:
    """Return the share of the faults that at least one gate catches."""
    return sum(bool(result.caught_by) for result in results) / len(results)


def smallest_seen(results: Sequence[FaultResult], gate: str) -> dict[str, str | None]:
    """Return by family the strength from which on a gate catches all faults, None if it misses the strongest."""
    found: dict[str, str | None] = {}
    families: dict[str, list[FaultResult]] = {}
    for result in results:
        families.setdefault(result.fault.family, []).append(result)
    for family, own in families.items():
        found[family] = None
        for result in reversed(own):
            if gate not in result.caught_by:
                break
            found[family] = result.fault.strength or "yes"
    return found
