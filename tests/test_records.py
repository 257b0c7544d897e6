from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.errors import UsageError
from pytest_qbench.records import Record, read_records
from tests.builders import question

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(), st.floats(0, 1), st.dictionaries(st.text(), finite, max_size=3))
def test_a_record_round_trips_exactly(response: str, score: float, logprobs: dict[str, float]) -> None:
    record = Record.of(question(0), "wrong", response=response, choice="No", score=score, logprobs=logprobs)
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_dict(json.loads(line), "x") == record


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
