"""The controller combines the output of several workers."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qbench.session.process_role import ProcessRole
from pytest_qbench.session.run import Run
from pytest_qbench.session.settings import read_settings

USAGE = {"requests": 2, "retries": 1, "cache_hits": 0, "prompt_tokens": 10, "completion_tokens": 1, "cost": None}


def output(failed: str | None, cost: float | None) -> dict[str, Any]:
    return {
        "tasks": ["description"], "gate_ids": [], "usage_error": None, "second": None, "tracebacks": {}, "suites": {},
        "made_with": {"judge_control": {"scores": {}, "failed": failed}}, "usage": {"judge": {**USAGE, "cost": cost}},
    }  # fmt: skip


@pytest.fixture
def run(pytestconfig: pytest.Config) -> Run:
    return Run.of(read_settings(pytestconfig), ProcessRole(), "", pytestconfig.add_cleanup)


@pytest.mark.parametrize("failed", [("kind", None), (None, "kind")])
def test_a_judge_that_failed_on_one_worker_has_failed(run: Run, failed: tuple[str | None, str | None]) -> None:
    for each in failed:
        run.add_worker(output(each, None))
    control = run.recorder.made_with.judge_control
    assert control is not None
    assert control["failed"] == "kind"


def test_usage_is_the_sum_over_workers(run: Run) -> None:
    run.add_worker(output(None, None))
    assert run.endpoints.usage["judge"].cost is None
    run.add_worker(output(None, 0.5))
    assert run.endpoints.usage["judge"].to_json() == {**{k: 2 * (v or 0) for k, v in USAGE.items()}, "cost": 0.5}
