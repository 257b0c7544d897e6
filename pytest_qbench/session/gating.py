"""The gates of one run: their limits, their results, and the outcome of each gate's test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_qbench.session.settings import Settings

if TYPE_CHECKING:  # statistics load where gates run; a worker only measures
    from pytest_qbench.baseline.baseline import Baseline
    from pytest_qbench.gates.evaluate import GateResult
    from pytest_qbench.metrics.results import Results


@dataclass
class Gating:
    """The gate results so far, the tests that failed for any reason, and the number of gate tests that passed."""

    settings: Settings
    results: list[GateResult] = field(default_factory=list)
    failed_tests: list[str] = field(default_factory=list)
    passed_tests: int = 0

    def judge(
        self, name: str, results: Results, baseline: Baseline | str, comparisons: int, **bounds: Any
    ) -> GateResult:
        """Judge one of `comparisons` gates that share alpha, and keep the result for the summary."""
        from pytest_qbench.gates.evaluate import Limits, evaluate

        s = self.settings
        limits = Limits(s.max_errors, s.max_unparsed, comparisons, s.seed)
        result = evaluate(name, results, baseline, limits, **bounds)
        self.results.append(result)
        return result

    def count(self, kind: str, nodeid: str, when: str | None, outcome: str) -> None:
        """Count a finished item or gate test: the failed ones by node id, the passed gates by number."""
        if outcome == "failed":
            self.failed_tests.append(nodeid)
        elif kind == "gate" and when == "call" and outcome == "passed":
            self.passed_tests += 1

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
        """Return the outcome of a gate's test: pass, fail, inconclusive or not gated."""
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
