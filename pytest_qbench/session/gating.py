"""The gates of one run: their limits, their results, and the outcome of each gate's test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.session.settings import Settings

if TYPE_CHECKING:  # statistics load where gates run; a worker only measures
    from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
    from pytest_qbench.gates.evaluate import GateResult
    from pytest_qbench.metrics.results import Results
    from pytest_qbench.session.early_stop import EarlyStop


@dataclass
class Gating:
    """The gate results so far, and the outcomes of the session's tests.

    - `tests` holds the test of each result.
    - `collected` are the gate tests to run, `ended` those that ran to their end.
    - `uncalled` are tests that request the fixture `qbench_gate` but did not call it.
    - `own_checks` is the number of ended tests that judge `qbench_results` themselves.
    - `failed_tests` are tests that failed for another reason than a verdict, `failed_gate_tests` the gates among them.
    """

    settings: Settings
    results: list[GateResult] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    collected: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    uncalled: list[str] = field(default_factory=list)
    own_checks: int = 0
    failed_tests: list[str] = field(default_factory=list)
    failed_gate_tests: list[str] = field(default_factory=list)
    failed_by_verdict: int = 0
    early_stop: EarlyStop | None = None

    def judge(
        self,
        test: str,
        name: str,
        results: Results,
        baseline: Baseline | MissingBaseline,
        comparisons: int,
        **bounds: Any,
    ) -> GateResult:
        """Judge one of `comparisons` gates that share alpha, and keep the result for the summary.

        They also share it with the gates of other nights (--qbench-nights).
        """
        from pytest_qbench.gates.budget import judge
        from pytest_qbench.gates.evaluate import Limits
        from pytest_qbench.gates.judge_again import as_call

        s = self.settings
        # A test that runs again, or has several gates, does not get back the alpha that it did not spend.
        leftover = self.results[-1].unspent if self.results and test not in self.tests else 0.0
        limits = Limits(s.max_errors, s.max_unparsed, s.max_cut, comparisons * s.nights, s.seed, leftover)
        label = " ".join(part for part in (name, bounds.get("dataset"), bounds.get("slice")) if part)
        early, compares = self.early_stop, bounds.get("margin") is not None
        if early is not None and compares:
            limits = early.limits_of(label, limits)
        result = early.result_of(name, label, compares=compares) if early is not None else None
        if result is None:
            result = replace(judge(name, results, baseline, limits, **bounds), call=as_call(name, limits, bounds))
        self.results.append(result)
        self.tests.append(test)
        return result

    def count(self, report: pytest.TestReport) -> None:
        """Record the report of a test's phase: ended gates, and tests that failed for another reason than a verdict."""
        kind = getattr(report, "qbench_kind", None)
        if report.failed and getattr(report, "qbench_failed_by_verdict", False):
            self.failed_by_verdict += 1
        elif report.failed:
            self.failed_tests.append(report.nodeid)
            if kind is not None:
                self.failed_gate_tests.append(report.nodeid)
        if kind is not None and report.when == "call" and (not report.skipped or hasattr(report, "wasxfail")):
            self.ended.add(report.nodeid)
            self.own_checks += kind == "check"

    def failures(self) -> list[str]:
        """Return each kind of failure with its gates, worst first, then gate tests that failed for other reasons."""
        failing = [
            (gate, test) for gate, test in zip(self.results, self.tests, strict=True) if self.outcome(gate) == "fail"
        ]
        kinds: dict[str, dict[str, list[str]]] = {
            "invalid": {},
            "out of bounds": {},
            "regressed": {},
            "inconclusive": {},
        }
        for gate, test in failing:
            is_bound = gate.verdict == "regressed" and all(row.delta is None for row in gate.rows)
            kinds["out of bounds" if is_bound else gate.verdict].setdefault(gate.name, []).append(
                test.rpartition("::")[2]
            )
        lines = []
        for kind, gates in kinds.items():
            # If several gates have the same name, add the names of their tests.
            names = [name if len(tests) == 1 else f"{name} ({', '.join(tests)})" for name, tests in gates.items()]
            lines += [f"{kind.upper()}: {', '.join(names)}"] if names else []
        others = self.failed_gate_tests
        return lines + ([f"FAILED: {', '.join(others)}"] if others and lines else [])

    @property
    def not_gated(self) -> str | None:
        """The reason why no gate of this run decides, or None."""
        if self.settings.shard:
            part, parts = self.settings.shard
            return f"shard {part} of {parts}: join the run folders with qbench merge, then judge with qbench compare"
        if self.settings.blind:
            return "a blind run decides nothing"
        if self.settings.shuffle_options:
            return "a run with shuffled options decides nothing"
        if not self.settings.gates:
            return "--qbench-no-gates"
        return None

    def outcome(self, result: GateResult) -> str:
        """Return the outcome of a gate's test: pass, fail, inconclusive or not gated."""
        s = self.settings
        if self.not_gated or result.nothing:
            return "not gated"
        if result.verdict == "regressed":
            return "pass" if s.accept_regression else "fail"
        if result.verdict == "invalid":
            # A missing or incompatible old baseline does not prevent a new one. All other invalid gates do.
            return "pass" if s.update_baseline and result.incomparable else "fail"
        if result.verdict == "inconclusive":
            return "fail" if s.strict else "inconclusive"
        return "pass"
