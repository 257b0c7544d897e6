"""The state of a run that was stopped early, in words and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_qbench.metrics.stop_state import StoppedTask, StopState

TASK = StoppedTask("perception", 1_234, 5_678, ("perception.accuracy mini",), "regressed")
STATE = StopState((TASK,), 1_234, 6_000, frozenset({("perception", "mini/1")}))


def test_a_state_survives_json_but_for_the_items_left_out() -> None:
    entry = json.loads(json.dumps(STATE.to_json()))
    assert entry == {
        "tasks": [{"task": "perception", "items": 1_234, "of": 5_678, "gates": ["perception.accuracy mini"],
                   "verdict": "regressed"}],
        "items": 1_234, "of": 6_000,
    }  # fmt: skip
    back = StopState.from_json(entry)
    assert back == STATE  # the items left out do not count
    assert back.left_out == frozenset()
    assert str(back) == "stopped after 1,234 of 6,000 items"


@pytest.mark.parametrize("change", [{"items": "7"}, {"tasks": [{"task": "perception"}]}, {"of": None}])
def test_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="^stopped"):
        StopState.from_json(STATE.to_json() | change)
