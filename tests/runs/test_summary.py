"""The summary of a run survives a round trip through its file. A damaged file is an error of one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.report.finished_run import read_finished
from pytest_qbench.report.markdown import markdown
from pytest_qbench.report.terminal import section
from pytest_qbench.runs.read import read_summary
from pytest_qbench.runs.summary import SUMMARY, Summary, summary_of
from pytest_qbench.runs.summary_parts import BaselineState
from tests.builders import CONDITIONS, answered, question, results
from tests.report.builders import large, make_record, run_folder

# The summary of a run with all entries, in the order of the file.
ROW = {
    "name": "perception.accuracy", "dataset": "mini", "split": "dev", "slice": None, "value": 0.5, "n": 2,
    "ci": [0.1, 0.9], "baseline": 0.75, "delta": -0.25, "delta_ci": [-0.5, 0.1], "p_value": 0.5, "alpha": 0.05,
    "margin": 0.01, "mde": 0.3, "verdict": "inconclusive", "note": None, "test": "exact", "items_to_pass": 99,
    "identical": False,
}  # fmt: skip
DRIFT = {**ROW, "name": "perception.drift", "verdict": None, "note": "within"}
FLIP = {"item": "mini/1", "question": "Is it?", "before": "Yes", "after": None}
FULL: dict[str, Any] = {
    "schema": 1, "model": {"name": "m", "dtype": "float32"},
    "fingerprint": {
        **CONDITIONS, "pytest_qbench": "0", "model": {"name": "m", "dtype": "float32"}, "data": "mini",
        "selection": {"datasets": None, "split": "dev", "limit": None, "seed": 0},
    },
    "items": {"total": 3, "scored": 1, "unparsed": 0, "errors": 1, "cut": 0}, "metrics": [ROW, DRIFT],
    "gates": [{"name": "perception.accuracy mini type=what", "verdict": "inconclusive", "outcome": "inconclusive", "reason": "few",
               "rows": [ROW], "lost": [FLIP], "gained": [], "lost_count": 1, "gained_count": 0}],
    "errors": [{"item": "mini/2", "error": "no reply"}], "missing": ["mini/3"],
    "left_out": [{"dataset": "mini", "entry": "x", "reason": "no image"}], "outputs_matched": {"id": 3, "image": 2},
    "drifts": [{"name": "perception.drift", "dataset": "mini", "moved": False}],
    "made_otherwise": ["machine: a -> b"], "began": "2026-01-01T00:00:00+00:00", "commit": None,
    "verdict": "INCONCLUSIVE: perception.accuracy",
    "baseline": {"name": "b", "path": "baselines/b", "recorded": "2026-01-01", "matched": {"id": 3}},
    "sight": {"seeing": 0.5, "blind": 0.25},
    "usage": {"model": {"requests": 3, "retries": 0, "cache_hits": 1, "prompt_tokens": 9, "completion_tokens": 2,
                        "cost": None}},
    "ray": {"replicas": 2, "nodes": 1, "started": True, "deaths": 0}, "tracebacks": {"mini/2": "Traceback"},
    "data": {"meaning": ["m"], "direction_stated": ["mini"]}, "notes": ["n"], "changes": ["c"], "submissions": ["s"],
    "seconds": 1.5, "resumed": 2, "hints": ["h"],
}  # fmt: skip


def test_a_summary_survives_a_round_trip_byte_for_byte() -> None:
    text = json.dumps(FULL, indent=1, ensure_ascii=False) + "\n"
    assert Summary.from_json(json.loads(text)).as_text() == text


def test_errors_and_missing_items_come_from_the_results() -> None:
    items = [question(i) for i in range(3)]
    found = results(items, [answered(items[0], "Yes")])
    summary = summary_of(found, found.metrics, began="", verdict="-", baseline=BaselineState("b", missing="none"))
    assert summary.missing == ("mini/1", "mini/2")
    assert (summary.items.total, summary.items.scored, summary.items.missing) == (3, 1, 2)
    assert summary.to_json()["baseline"] == {"name": "b", "missing": "none"}


def places(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*place, key))  # type: ignore[index]


@pytest.mark.parametrize("wrong", [None, True, 7, "text", [], {"a": 1}, "gone"], ids=repr)
def test_a_damaged_part_ends_in_one_line_or_can_be_shown(wrong: object, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", (items := large(20)[0]), [make_record(i, 0) for i in items])
    for place in places(FULL):
        damaged = deepcopy(FULL)
        *above, last = place
        part: Any = damaged
        for key in above:
            part = part[key]
        if wrong == "gone":
            del part[last]
        else:
            part[last] = wrong
        (folder / SUMMARY).write_text(json.dumps(damaged))
        try:
            run = read_finished(folder)
        except UsageError as e:
            assert str(folder) in str(e), place
            assert "\n" not in str(e), place
        else:
            assert section(run, 80, 1), place
            assert markdown(run), place


def test_a_summary_without_a_part_names_it(tmp_path: Path) -> None:
    (tmp_path / SUMMARY).write_text(json.dumps({key: value for key, value in FULL.items() if key != "began"}))
    with pytest.raises(UsageError, match="no summary of this version: began is missing; run again"):
        read_summary(tmp_path)
