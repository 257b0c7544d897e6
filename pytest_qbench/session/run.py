"""What one pytest process knows of a run: beside what was asked and recorded, how it is judged."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_qbench.errors import UsageError
from pytest_qbench.session.recorder import Recording

if TYPE_CHECKING:
    from pytest_qbench.baseline.baseline import Baseline
    from pytest_qbench.gates.evaluate import GateResult
    from pytest_qbench.items import Item
    from pytest_qbench.metrics.metrics import Metric
    from pytest_qbench.metrics.results import Results
    from pytest_qbench.report.finished_run import Finished


@dataclass
class QBench(Recording):
    """State of a run in one process.

    A worker fills `asked`, `gate_ids`, `problem` and `made_with` and hands them over as it ends; the controller takes
    them over, collects the records and runs the gates. Alone, one process does both.
    """

    absent: set[str] = field(default_factory=set)
    ordinary: set[str] = field(default_factory=set)
    gate_ids: list[str] = field(default_factory=list)
    gates_only: bool = False
    gates: list[GateResult] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    gates_passed: int = 0
    family: int = 1
    notes: list[str] = field(default_factory=list)
    submissions: list[str] = field(default_factory=list)
    baseline_written: Path | None = None
    changes: list[str] = field(default_factory=list)
    finished: Finished | None = None
    began: float = field(default_factory=time.time)

    # across processes

    def handover(self) -> dict[str, Any]:
        """What a worker knows that its reports do not carry; plain values."""
        return {
            "asked": list(self.asked),
            "gate_ids": self.gate_ids,
            "problem": self.problem,
            "made_with": self.made_with,
            "noise": self.noise,
            "usage": self.remote.usage,
        }

    def take_over(self, output: dict[str, Any]) -> list[str]:
        """Take in what a worker handed over; return the node ids of its gates."""
        self.asked.update(dict.fromkeys(output["asked"]))
        self.problem = self.problem or output["problem"]
        control = self.made_with.get("judge_control") or {}
        self.made_with.update(output["made_with"])
        if control.get("failed"):  # a judge that failed in one process is not made good by another
            self.made_with["judge_control"] = control
        self.noise = self.noise or output["noise"]
        self.remote.take_over(output["usage"])
        return list(output["gate_ids"])

    # the verdict (alone, or on the controller)

    def note(self, kind: str, nodeid: str, when: str, outcome: str) -> None:
        """Remember an item or a gate that failed, for whatever reason, and count the gates that passed."""
        if outcome == "failed":
            self.failed.append(nodeid)
        elif kind == "gate" and when == "call" and outcome == "passed":
            self.gates_passed += 1

    @cached_property
    def results(self) -> Results:
        """The records beside what was expected; asked for by gates, after the last item."""
        from pytest_qbench.items import LeftOut
        from pytest_qbench.metrics.results import Results
        from pytest_qbench.runs.fingerprint import fingerprint

        expected: dict[tuple[str, str], Item] = {(t, item.id): item for t in self.asked for item in self.ask(t)}
        left_out = tuple(entry for d in self.datasets if d.task in self.asked for entry in d.left_out)
        made_with = {**self.folder.journal.made_with, **self.made_with}
        left_out += tuple(LeftOut(*entry) for entry in made_with.pop("left_out", ()))
        recorded = made_with.pop("conditions", {})  # of the run that is replayed
        return Results(
            [self.records[key] for key in expected if key in self.records],
            expected,
            fingerprint(
                scoring=self.scoring, answer=self.answer, blind=self.settings.blind, judge=made_with.pop("judge", None),
                judge_rounds=self.settings.judge_rounds, unparsed=self.settings.judge_unparsed,
                model=made_with.pop("model", {}), data=self.settings.data,
                selection=self.selection,
                **made_with,
            )
            | recorded,
            left_out,
            frozenset(task for task in self.asked if not any(task == t for t, _ in expected)),
            narrowed=self.settings.limit is not None or self.settings.datasets is not None,
        )  # fmt: skip

    @property
    def baseline_name(self) -> str:
        """Name of the baseline to compare with."""
        if self.settings.baseline or self.spec:
            return self.settings.baseline or (self.spec.name if self.spec else "")
        return re.sub(r"[^\w.-]+", "-", str(self.made_with.get("model", {}).get("name") or "model"))

    @cached_property
    def baseline(self) -> Baseline | str:
        """The stored baseline, or the reason why there is none to compare with."""
        from pytest_qbench.baseline.store import find_baseline, read_baseline

        try:
            path = find_baseline(self.settings.baseline_dir, self.baseline_name)
        except UsageError as e:
            return str(e)
        if path is None:
            missing = f"no baseline {self.baseline_name!r} in {self.settings.baseline_dir.name}/"
            if self.not_gated or self.settings.update_baseline:
                return missing
            return f"{missing}; accept this model with: pytest {self.command} --qbench-update-baseline"
        try:
            return read_baseline(path)
        except UsageError as e:
            return str(e)

    def gate(self, name: str, results: Results, baseline: Baseline | str, share: float, **bounds: Any) -> GateResult:
        """Judge one gate, with its `share` of its test's alpha, and keep the result for the summary."""
        from pytest_qbench.gates.evaluate import Limits, evaluate

        s = self.settings
        limits = Limits(s.max_errors, s.max_unparsed, self.family / share, s.seed)
        result = evaluate(name, results, baseline, limits, **bounds)
        self.gates.append(result)
        return result

    @cached_property
    def drifts(self) -> list[tuple[Metric, bool]]:
        """How far probabilities moved from the baseline's, by dataset, and whether that is more than noise."""
        from pytest_qbench.gates.comparison import drifts

        return [] if isinstance(self.baseline, str) else drifts(self.results, self.baseline)

    @property
    def made_otherwise(self) -> list[str]:
        """What differs from how the baseline was made, and forbids no comparison."""
        from pytest_qbench.runs.fingerprint import reported

        return [] if isinstance(self.baseline, str) else reported(self.baseline.fingerprint, self.results.fingerprint)

    @property
    def not_gated(self) -> str | None:
        """Why this run decides nothing, or None."""
        if self.settings.shard:
            part, parts = self.settings.shard
            return f"shard {part} of {parts}: join the run folders with qbench merge, then judge with qbench compare"
        if self.settings.blind:
            return "a blind run decides nothing"
        if not self.settings.gates:
            return "--qbench-no-gates"
        return None

    def outcome(self, result: GateResult) -> str:
        """What a gate's test ends in: pass, fail, inconclusive or not gated."""
        s = self.settings
        if self.not_gated or result.nothing:
            return "not gated"
        if result.verdict == "regressed":
            return "pass" if s.accept_regression else "fail"
        if result.verdict == "invalid":
            # A missing or incompatible old baseline is no ground to refuse a new one; anything else invalid is.
            return "pass" if s.update_baseline and result.incomparable else "fail"
        if result.verdict == "inconclusive":
            return "fail" if s.strict else "inconclusive"
        return "pass"
