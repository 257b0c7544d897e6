"""The failures of a run: all of them, the worst kind first."""

from __future__ import annotations

import pytest

from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.session.gating import Gating
from pytest_qbench.session.settings import Settings, read_settings

ACCURACY = "perception.accuracy"


def gating(settings: Settings, *found: tuple[str, GateResult], failed: tuple[str, ...] = ()) -> Gating:
    return Gating(
        settings, tests=[test for test, _ in found], results=[r for _, r in found], failed_gate_tests=list(failed)
    )


@pytest.fixture
def settings(pytestconfig: pytest.Config) -> Settings:
    return read_settings(pytestconfig)


def test_every_kind_of_failure_names_its_gates_and_tests(settings: Settings) -> None:
    low = Metric(ACCURACY, "mini", None, None, 0.3, 10)
    fell = Metric(ACCURACY, "mini", None, None, 0.3, 10, None, 0.5, -0.2)
    run = gating(
        settings,
        ("t.py::test_a", GateResult(ACCURACY, "regressed", "below", (low,))),
        ("t.py::test_b", GateResult("assessment.srcc", "regressed", "fell", (fell,))),
        ("t.py::test_c", GateResult(ACCURACY, "invalid", "no such slice")),
        ("t.py::test_d", GateResult(ACCURACY, "invalid", "no such dataset")),
        ("t.py::test_e", GateResult("description.sum", "pass", "same")),
        failed=("t.py::test_typo",),
    )
    assert run.failures() == [
        "INVALID: perception.accuracy (test_c, test_d)",
        "OUT OF BOUNDS: perception.accuracy",
        "REGRESSED: assessment.srcc",
        "FAILED: t.py::test_typo",
    ]


def test_one_kind_of_failure_is_one_sentence(settings: Settings) -> None:
    assert gating(settings, ("t.py::test_b", GateResult("assessment.srcc", "invalid", "-"))).failures() == [
        "INVALID: assessment.srcc"
    ]
    assert gating(settings, ("t.py::test_b", GateResult("assessment.srcc", "pass", "-"))).failures() == []
