"""The next step that a report suggests under its verdict, and the notice on a smoothed change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qbench.metrics.metric import Metric
from pytest_qbench.report.finished_run import FinishedRun, read_finished
from pytest_qbench.report.headline import next_step
from pytest_qbench.report.notices import notices
from pytest_qbench.runs.summary_parts import DriftState
from tests.report.builders import large, run_folder


@pytest.fixture(scope="module")
def regressed(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return read_finished(run_folder(tmp_path_factory.mktemp("run") / "run", *large(200)))


def is_open(run: FinishedRun, lower: float, floor: float | None) -> FinishedRun:
    """Return the run with an open gate whose interval begins at `lower`, and a drift that was judged with a `floor`."""
    (gate,) = run.gates
    (row,) = gate.rows
    row = replace(row, verdict="inconclusive", delta=0.0, delta_ci=(lower, 0.01), margin=0.01)
    drift = Metric("perception.drift", "mini", None, None, 0.001, 64, baseline=floor)
    summary = replace(
        run.summary,
        verdict="CANNOT TELL: accuracy",
        gates=(replace(gate, verdict="inconclusive", outcome="inconclusive", rows=(row,)),),
        metrics=(*run.summary.metrics, drift),
        drifts=(DriftState(drift.name, drift.dataset, moved=False),),
    )
    return replace(run, summary=summary)


def test_a_drop_is_told_from_a_bound_of_the_suite(regressed: FinishedRun) -> None:
    assert next_step(regressed)[0].startswith("a real drop")
    (gate,) = regressed.gates
    bound = replace(gate, rows=tuple(replace(row, delta=None, delta_ci=None) for row in gate.rows))
    outside = replace(regressed, summary=replace(regressed.summary, verdict="OUT OF BOUNDS: accuracy", gates=(bound,)))
    assert next_step(outside)[0].startswith("a value outside the bounds of the suite")
    both = replace(outside, summary=replace(outside.summary, gates=(bound, gate)))
    assert next_step(both)[0].startswith("a real drop")


def test_it_says_ship_only_where_the_interval_is_narrow_and_the_drift_was_judged(regressed: FinishedRun) -> None:
    assert "ship it" in next_step(is_open(regressed, -0.02, 0.001))[0]
    (wide,) = next_step(is_open(regressed, -0.10, 0.001))
    assert "cannot exclude a drop of 10.0 points in accuracy" in wide
    assert next_step(is_open(regressed, -0.02, None))[0].startswith("no drift was judged")


@pytest.mark.parametrize(("test", "delta", "is_told"), [("smoothed accuracy, sign flips", 0.0, True),
                                                       ("smoothed accuracy, sign flips", -0.03, False),
                                                       ("sign flips by group", 0.0, False)])  # fmt: skip
def test_a_change_that_is_not_the_difference_of_its_values_is_explained(
    regressed: FinishedRun, test: str, delta: float, is_told: bool
) -> None:
    (gate,) = regressed.gates
    rows = tuple(replace(row, test=test, value=0.71, baseline=0.74, delta=delta) for row in gate.rows)
    run = replace(regressed, summary=replace(regressed.summary, gates=(replace(gate, rows=rows),)))
    told = [notice.text for notice in notices(run) if "smoothed" in notice.text]
    assert (
        told
        == ["change of accuracy: smoothed over the likelihoods of the options; not exactly now minus before"] * is_told
    )
