"""Gates share alpha as those of a test session: by tests, and by the gates of a test."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qbench.doctor import covered_gate
from pytest_qbench.doctor.covered_gate import CoveredGate, judge_all
from pytest_qbench.gates.evaluate import GateResult, Limits


def test_gates_share_alpha_as_in_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, float]] = []

    def judge(name: str, results: Any, baseline: Any, limits: Limits, **bounds: Any) -> GateResult:
        asked.append((name, limits.comparisons, limits.leftover))
        return GateResult(name, "pass", "", unspent=0.001 * len(asked))

    monkeypatch.setattr(covered_gate, "judge", judge)
    gates = [
        CoveredGate("assessment.srcc", margin=0.01, test="one"), CoveredGate("assessment.plcc", budget=0.01, test="two"),
        CoveredGate("perception.accuracy", margin=0.01, test="two"), CoveredGate("description.sum", minimum=1, test="three"),
    ]  # fmt: skip
    judge_all(gates, None, None, Limits())  # type: ignore[arg-type]
    assert asked == [
        ("assessment.srcc", 2, 0.0), ("assessment.plcc", 4, 0.001), ("perception.accuracy", 4, 0.0),
        ("description.sum", 2, 0.003),
    ]  # fmt: skip
