from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.errors import UsageError
from pytest_qbench.records import CUT, Record, read_records
from tests.builders import question

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(), st.floats(0, 1), st.dictionaries(st.text(), finite, max_size=3))
def test_a_record_round_trips_exactly(response: str, score: float, logprobs: dict[str, float]) -> None:
    record = Record.of(question(0), "wrong", response=response, choice="No", score=score, logprobs=logprobs)
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_dict(json.loads(line), "x") == record


def test_the_finish_reason_is_kept_and_left_out_of_ordinary_lines() -> None:
    whole, cut = (Record.of(question(0), "wrong", response="B", finish=finish) for finish in (None, CUT))
    assert "finish" not in json.loads(whole.to_json())
    assert json.loads(cut.to_json())["finish"] == "length"
    assert [Record.from_dict(json.loads(r.to_json()), "x") for r in (whole, cut)] == [whole, cut]


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Record.of(question(0), "measured", score=float("nan")).to_json()


def test_a_torn_last_line_is_dropped_and_any_other_broken_line_is_an_error(tmp_path: Path) -> None:
    records = [Record.of(question(i), "correct", choice="Yes") for i in range(3)]
    path = tmp_path / "records.jsonl"
    text = "".join(record.to_json() + "\n" for record in records)
    path.write_text(text[:-20])
    assert read_records(path) == records[:2]
    path.write_text(text.replace("correct", "correct\n", 1))
    with pytest.raises(UsageError, match="records.jsonl:1: not JSON"):
        read_records(path)
    path.write_text(text.replace('"schema": 1', '"schema": 2', 1))
    with pytest.raises(UsageError, match="schema 2 is not 1"):
        read_records(path)


WRONG = [
    {"status": "pass"}, {"status": 1}, {"task": "vision"}, {"task": None}, {"item": 7}, {"dataset": None}, {"group": 1.5}, {"split": 3},
    {"score": float("inf")}, {"score": float("nan")}, {"score": "0.5"}, {"score": True}, {"score": 10**400}, {"target": 3}, {"target": ["Yes"]},
    {"logprobs": [1]}, {"logprobs": {"Yes": "x"}}, {"logprobs": {"Yes": True}}, {"logprobs": {"Yes": 10**400}}, {"judge": {"relevance": 1}},
    {"judge": {"relevance": [3]}}, {"judge": {"relevance": [-1]}}, {"judge": {"relevance": ["2"]}}, {"judge": [1]}, {"slices": {"type": 1}},
    {"slices": None}, {"response": 1}, {"choice": 0}, {"error": []}, {"finish": "stop"}, {"finish": True}, {"choice": "No"}, {"status": "wrong"}, {"more": 1},
]  # fmt: skip


@pytest.mark.parametrize("score", [-412.5, 0, 87.3])
def test_a_score_computed_elsewhere_has_any_finite_value(score: float) -> None:
    record = Record.of(question(0), "correct", choice="Yes", score=score)
    assert Record.from_dict(json.loads(record.to_json()), "x") == record


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_an_impossible_record_is_refused_in_one_line(change: dict[str, object]) -> None:
    whole = json.loads(Record.of(question(0), "correct", choice="Yes", score=0.5, logprobs={"Yes": -0.1}).to_json())
    assert Record.from_dict(whole, "x")
    with pytest.raises(UsageError, match=r"^x: not a record: ") as caught:
        Record.from_dict({**whole, **change}, "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, "x", [], [["schema", 1]]])
def test_a_record_must_be_an_object(value: object) -> None:
    with pytest.raises(UsageError, match="no JSON object"):
        Record.from_dict(value, "x")  # type: ignore[arg-type]
