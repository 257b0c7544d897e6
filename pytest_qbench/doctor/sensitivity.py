"""The trial of the gates: the embedded model against its baseline, with every known fault and with harmless changes."""

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
from pytest_qbench.doctor.faults import FAULTS, Fault, broken_copy
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.comparison import drifts
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS, GateResult, Limits, evaluate
from pytest_qbench.items import Item
from pytest_qbench.metrics.metrics import Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.models.base import Model
from pytest_qbench.runs.fingerprint import fingerprint

MODEL, DATA, ROUNDS, BATCH_SIZE = "tiny", "mini", 5, 16


@dataclass(frozen=True)
class Trial:
    """What came of one change: its gates and drifts."""

    name: str
    harmless: bool
    drifts_at_least: bool
    gates: tuple[GateResult, ...]
    drifts: tuple[tuple[Metric, bool], ...]

    @property
    def verdict(self) -> str:
        """``caught``, ``green``, ``drift`` (only there), ``too small`` to be seen; ``MISSED``, ``FALSE ALARM``.

        A fault is missed where a metric fell by more than margin and MDE without `regressed`, or where drift alone had
        to show it and did not.
        """
        verdicts = {gate.verdict for gate in self.gates}
        moved = any(found for _, found in self.drifts)
        if self.harmless:
            return "green" if verdicts <= {"pass", "improved"} and not moved else "FALSE ALARM"
        rows = [row for gate in self.gates for row in gate.rows]
        if "invalid" in verdicts or any(_is_plain(row) and row.verdict != "regressed" for row in rows):
            return "MISSED"
        if self.drifts_at_least and not moved:
            return "MISSED"
        if "regressed" in verdicts:
            return "caught"
        return "drift" if moved else "too small"


def _is_plain(row: Metric) -> bool:
    """Whether the drop exceeds both what one can live with and what this data can show."""
    drop, margin = -(row.delta or 0.0), row.margin or 0.0
    return row.mde is not None and drop > max(margin, row.mde)


def trials() -> Iterator[Trial]:
    """Run them one after the other, each as soon as it is asked for; minutes in all."""
    from pytest_qbench.data.load import open_datasets
    from pytest_qbench.models.specs import aliases

    datasets = open_datasets(DATA, rootdir=Path(), names=None, split="dev")
    items = [item for dataset in datasets for item in dataset.items]
    baseline = read_baseline(packaged("baselines") / MODEL)
    original = Path(aliases()[MODEL].target)
    for name, order, size in (
        ("batch size 5", items, 5),
        ("items in reverse", items[::-1], BATCH_SIZE),
    ):
        yield _judged(name, _measured(Fault(name), original, order, size), baseline, harmless=True)
    yield _judged("two processes", _by_two_processes(), baseline, harmless=True)
    for fault in FAULTS:
        results = _measured(fault, original, items, BATCH_SIZE)
        yield _judged(fault.name, results, baseline, harmless=False, drifts_at_least=fault.drifts)


def _judged(name: str, results: Results, baseline: Baseline, *, harmless: bool, drifts_at_least: bool = False) -> Trial:
    limits = Limits(comparisons=len(DEFAULT_MARGINS))
    gates = [evaluate(gate, results, baseline, limits, margin=margin) for gate, margin in DEFAULT_MARGINS.items()]
    return Trial(name, harmless, drifts_at_least, tuple(gates), tuple(drifts(results, baseline)))


def _measured(fault: Fault, original: Path, items: Sequence[Item], batch_size: int) -> Results:
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.judges.load import make_judge
    from pytest_qbench.models.load import load_model
    from pytest_qbench.models.specs import parse_spec

    judge = make_judge("lexicon")
    with tempfile.TemporaryDirectory(prefix="qbench-") as folder:
        model = load_model(parse_spec(str(broken_copy(fault, original, Path(folder)))), {})
        asked: Model = fault.wrap(model) if fault.wrap else model
        engine = Engine(
            asked, answer="likelihood", batch_size=batch_size, blind=False, judge_rounds=ROUNDS, judge=lambda: judge
        )
        try:
            records = engine.measure(items)
        finally:
            engine.close()
            asked.close()
    made = fingerprint(
        answer="likelihood", blind=False, judge={"name": judge.name, **judge.describe()}, judge_rounds=ROUNDS, model={}
    )
    return Results(records, {(item.task, item.id): item for item in items}, made)


def _by_two_processes() -> Results:
    """The run of two xdist workers, by pytest itself."""
    from pytest_qbench.runs.read import read_run

    with tempfile.TemporaryDirectory(prefix="qbench-") as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider", f"--rootdir={folder}",
                   f"--qbench-model={MODEL}", f"--qbench-data={DATA}", f"--qbench-run-dir={run}", "--qbench-no-gates",
                   str(packaged("suites"))]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=_plain_environment(), check=False
        )
        if done.returncode != 0:
            raise UsageError(
                f"two processes: pytest ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}"
            )
        return read_run(run)


def _plain_environment() -> dict[str, str]:
    """This process's environment without the options that pytest takes from it."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
