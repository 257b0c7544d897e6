"""Records of an earlier run, finished, resumed or killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.errors import DataError, ItemError, ModelError
from pytest_qbench.metrics.fingerprint import Fingerprint, fingerprint
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.records import Record, Response
from tests.models.output_formats.harness import question

ITEMS = [question(i) for i in range(3)]


def model(folder: Path, *lines: str) -> Any:
    (folder / "records.jsonl").write_text("".join(lines), encoding="utf-8")
    return load_model(parse_spec(f"replay:{folder}"), {})


def line(number: int, reply: str) -> str:
    return Record.of(ITEMS[number], "correct", response=reply, choice=ITEMS[number].answer).to_json() + "\n"


FAILED = Record.of(ITEMS[0], "error", error="out of memory").to_json() + "\n"


@pytest.mark.parametrize("cut", ["", '{"schema": 1, "item": "llvisionqa/dev/2", "resp', "\n"])
def test_the_last_record_of_an_item_counts_also_when_the_run_was_killed(tmp_path: Path, cut: str) -> None:
    replayed = model(tmp_path, FAILED, line(1, "B"), line(0, "A"), line(1, "C"), cut)
    assert replayed.recall(ITEMS[:2]) == [Response("A"), Response("C")]
    with pytest.raises(ItemError, match="llvisionqa/dev/2: no recorded output"):
        replayed.recall(ITEMS[2:])
    with pytest.raises(ItemError, match="recorded as an error: out of memory"):
        model(tmp_path, line(0, "A"), FAILED).recall(ITEMS[:1])


def test_a_last_line_cut_within_a_character(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_bytes(line(0, "A").encode() + line(1, "é").encode()[:-40])
    content = line(0, "A").encode() + '{"schema": 1, "item": "é'.encode()[:-1]
    (tmp_path / "records.jsonl").write_bytes(content)
    assert load_model(parse_spec(f"replay:{tmp_path}"), {}).recall(ITEMS[:1]) == [Response("A")]  # type: ignore[attr-defined]


def test_a_broken_line_before_the_last_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="records.jsonl: line 2: not JSON"):
        model(tmp_path, line(0, "A"), '{"schema": 1\n', line(1, "B"))


def test_a_run_that_was_killed_before_its_first_record_has_no_outputs(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no records"):
        model(tmp_path, "")


def test_how_a_killed_run_asked_stands_in_its_journal(tmp_path: Path) -> None:
    """There is no summary yet; without the journal, a blind run would be replayed as one that saw the images."""
    stated = {"prompts": "p", "answer": "generate", "blind": True, "batch_size": 4}
    (tmp_path / "journal.jsonl").write_text(json.dumps({"schema": 1, "conditions": stated}) + "\n{")
    assert model(tmp_path, line(0, "A")).conditions == {"prompts": "p", "answer": "generate", "blind": True}
    (tmp_path / "summary.json").write_text(json.dumps({"fingerprint": stated | {"blind": False}}))
    assert model(tmp_path, line(0, "A")).conditions["blind"] is False


def test_the_prompts_of_a_run_are_carried_as_its_fingerprint_has_them(tmp_path: Path) -> None:
    made = fingerprint(answer="generate", blind=False, judge=None, judge_rounds=5, pixels=1, model={}).to_json()
    (tmp_path / "summary.json").write_text(json.dumps({"fingerprint": made}))
    conditions = model(tmp_path, line(0, "A")).conditions
    assert conditions["prompts"] == made["prompts"]
    assert Fingerprint().with_conditions(conditions).prompts == made["prompts"]


def test_other_files_of_a_run_folder_are_listed_but_those_of_the_run(tmp_path: Path) -> None:
    for name in ("items.jsonl", "journal.jsonl", "koniq.json"):
        (tmp_path / name).write_text(
            '{"schema": 1, "conditions": {"prompts": "p", "answer": "generate", "blind": false}}\n'
        )
    assert [entry.entry for entry in model(tmp_path, line(0, "A")).left_out] == ["koniq.json"]
