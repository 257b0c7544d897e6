"""Study the sensitivity of the gates: measure the embedded model with known faults and with harmless changes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_qbench import packaged
from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.baseline.store import read_baseline
from pytest_qbench.data.load import open_datasets
from pytest_qbench.doctor.faults import FAULTS, Fault, inject
from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.comparison import drifts
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS, GateResult, Limits, evaluate
from pytest_qbench.items import Item
from pytest_qbench.judges.load import make_judge
from pytest_qbench.metrics.fingerprint import fingerprint
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.models.base import Model
from pytest_qbench.models.load import load_model
from pytest_qbench.models.pixels import PIXEL_RULES
from pytest_qbench.models.specs import aliases, parse_spec
from pytest_qbench.runs.read import read_run

MODEL, DATA, ROUNDS, BATCH_SIZE = "tiny", "mini", 5, 16


@dataclass(frozen=True)
class SensitivityResult:
    """Gate and drift results of one change to the model or to the run."""

    name: str
    harmless: bool
    must_drift: bool
    gates: tuple[GateResult, ...]
    drifts: tuple[tuple[Metric, bool], ...]

    @property
    def verdict(self) -> str:
        """Whether the gates judge the change correctly.

        For a fault: ``caught``, ``drift`` (only drift detects it), ``too small`` or ``MISSED``. A fault is missed if a
        metric falls by more than the margin and the MDE without the verdict `regressed`, if a gate cannot compare, or
        if drift must detect it and does not. A gate that refuses the replies, for too many that are cut, say, has
        caught it.

        For a harmless change: ``green`` or ``FALSE ALARM``. Its gates may be inconclusive on so few items, but no gate
        may fail.
        """
        verdicts = {gate.verdict for gate in self.gates}
        moved = any(found for _, found in self.drifts)
        if self.harmless:
            return "green" if not verdicts & {"regressed", "invalid"} and not moved else "FALSE ALARM"
        rows = [row for gate in self.gates for row in gate.rows]
        if any(gate.incomparable or gate.nothing for gate in self.gates):
            return "MISSED"
        if any(_is_detectable(row) and row.verdict != "regressed" for row in rows):
            return "MISSED"
        if self.must_drift and not moved:
            return "MISSED"
        if verdicts & {"regressed", "invalid"}:
            return "caught"
        return "drift" if moved else "too small"


def _is_detectable(row: Metric) -> bool:
    """Return whether the drop exceeds both the margin and the minimum detectable effect."""
    drop, margin = -(row.delta or 0.0), row.margin or 0.0
    return row.mde is not None and drop > max(margin, row.mde)


def run_study() -> Iterator[SensitivityResult]:
    """Yield the result of each change. A change is measured when the caller requests its result; all take minutes."""
    datasets = open_datasets(DATA, rootdir=Path(), names=None, split="dev")
    items = [item for dataset in datasets for item in dataset.items]
    baseline = read_baseline(packaged("baselines") / MODEL)
    original = Path(aliases()[MODEL].target)
    for name, order, size in (
        ("batch size 5", items, 5),
        ("items in reverse", items[::-1], BATCH_SIZE),
    ):
        yield _evaluate(name, _measure(Fault(name), original, order, size), baseline, harmless=True)
    yield _evaluate("two processes", _measure_in_two_processes(), baseline, harmless=True)
    for fault in FAULTS:
        results = _measure(fault, original, items, BATCH_SIZE)
        yield _evaluate(fault.name, results, baseline, harmless=False, must_drift=fault.must_drift)


def _evaluate(
    name: str, results: Results, baseline: Baseline, *, harmless: bool, must_drift: bool = False
) -> SensitivityResult:
    limits = Limits(comparisons=len(DEFAULT_MARGINS))
    gates = [evaluate(gate, results, baseline, limits, margin=margin) for gate, margin in DEFAULT_MARGINS.items()]
    return SensitivityResult(name, harmless, must_drift, tuple(gates), tuple(drifts(results, baseline)))


def _measure(fault: Fault, original: Path, items: Sequence[Item], batch_size: int) -> Results:

    judge = make_judge("lexicon")
    with tempfile.TemporaryDirectory(prefix="qbench-") as folder:
        model = load_model(parse_spec(str(inject(fault, original, Path(folder)))), {})
        faulty: Model = fault.wrap(model) if fault.wrap else model
        engine = Engine(
            faulty, answer="likelihood", batch_size=batch_size, blind=False, judge_rounds=ROUNDS, judge=lambda: judge
        )
        try:
            records = engine.measure(items)
        finally:
            engine.close()
            faulty.close()
    conditions = fingerprint(
        answer="likelihood", blind=False, pixels=PIXEL_RULES, judge={"name": judge.name, **judge.describe()},
        judge_rounds=ROUNDS, model={},
    )  # fmt: skip
    return Results(records, {(item.task, item.id): item for item in items}, conditions)


def _measure_in_two_processes() -> Results:
    """Return the results of a pytest run with two xdist workers."""
    with tempfile.TemporaryDirectory(prefix="qbench-") as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider", f"--rootdir={folder}",
                   f"--qbench-model={MODEL}", f"--qbench-data={DATA}", f"--qbench-run-dir={run}", "--qbench-no-gates",
                   str(packaged("suites"))]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=_environment_without_pytest(), check=False
        )
        if done.returncode != 0:
            raise UsageError(
                f"two processes: pytest ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}"
            )
        return read_run(run)


def _environment_without_pytest() -> dict[str, str]:
    """Return the environment of this process without the variables that pytest reads."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
