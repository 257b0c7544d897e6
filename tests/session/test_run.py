"""What the controller makes of several workers."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qbench.session.run import QBench

USAGE = {"requests": 2, "retries": 1, "cache_hits": 0, "prompt_tokens": 10, "completion_tokens": 1, "cost": None}


def handed(failed: str | None, cost: float | None) -> dict[str, Any]:
    return {
        "asked": ["description"], "gate_ids": [], "problem": None, "noise": None,
        "made_with": {"judge_control": {"scores": {}, "failed": failed}}, "usage": {"judge": {**USAGE, "cost": cost}},
    }  # fmt: skip


@pytest.mark.parametrize("failed", [("kind", None), (None, "kind")])
def test_a_judge_that_failed_on_one_worker_has_failed(failed: tuple[str | None, str | None]) -> None:
    run = QBench(None)  # type: ignore[arg-type]
    for each in failed:
        run.take_over(handed(each, None))
    assert run.made_with["judge_control"]["failed"] == "kind"


def test_usage_adds_up_and_an_unknown_cost_stays_unknown() -> None:
    run = QBench(None)  # type: ignore[arg-type]
    run.take_over(handed(None, None))
    assert run.remote.usage["judge"]["cost"] is None
    run.take_over(handed(None, 0.5))
    assert run.remote.usage == {"judge": {**{k: 2 * (v or 0) for k, v in USAGE.items()}, "cost": 0.5}}
