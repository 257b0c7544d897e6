"""Entries with an image or an id beside an answer: Q-Align, DeQA-Score, Q-Instruct, VLMEvalKit, plain tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.gates.targets import InvalidError, check_complete
from pytest_qbench.items import FileImage, Item
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.results import Results
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.records import CUT, Response
from pytest_qbench.scoring.score import score
from tests.models.output_formats.harness import lines, question


def scored_item(file: str, dataset: str = "koniq", own: str | None = None) -> Item:
    ident = f"{dataset}/{own or file}"
    return Item(ident, "assessment", dataset, None, ident, (FileImage(Path("d"), f"data/{dataset}", file),), target=2.5)


def model(path: Path, **arguments: str) -> Any:
    return load_model(parse_spec(f"replay:{path}"), arguments)


LOGITS = {"excellent": 11.5, "good": 13.25, "poor": 12.0}
NAMES = ["100.jpg", "koniq/100.jpg", "/datasets/koniq/1024x768/100.jpg", "D:\\iqa\\koniq\\100.jpg", "./100.jpg"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("own", [None, "100.jpg->2.5", "17"])
@pytest.mark.parametrize("nested", [False, True])
def test_logits_and_names_as_they_are_published(tmp_path: Path, name: str, own: str | None, nested: bool) -> None:
    """Whatever stands before an image's name, and whether the data's rows have ids or not."""
    logits: dict[str, Any] = {"logits": LOGITS} if nested else {f"logit_{word}": LOGITS[word] for word in LOGITS}
    lines(tmp_path / "koniq.json", [{"id": "100.jpg->2.5", "image": name, "gt_score": 2.5} | logits])
    assert model(tmp_path).recall([scored_item("100.jpg", own=own)]) == [Response(logprobs=LOGITS)]


def test_the_name_in_an_id_is_enough(tmp_path: Path) -> None:
    lines(tmp_path / "test_koniq.json", [{"id": "a->b.jpg->2.5", "logits": LOGITS}])
    assert model(tmp_path).recall([scored_item("a->b.jpg")]) == [Response(logprobs=LOGITS)]


@pytest.mark.parametrize("logits", [{}, [1.0], {"good": "x", "poor": 1.0}, {"good": None, "poor": 1.0}])
def test_logits_of_another_shape_are_an_error_of_the_item(tmp_path: Path, logits: object) -> None:
    lines(tmp_path / "koniq.json", [{"image": "100.jpg", "logits": logits}])
    with pytest.raises(ItemError, match="koniq.json: entry 1: "):
        model(tmp_path).recall([scored_item("100.jpg")])


@pytest.mark.parametrize("suffix, content", [
    ("csv", "image,score\n100.jpg,63.5\n101.jpg,-2\n"), ("tsv", "id\tscore\nkoniq/100.jpg\t63.5\nkoniq/101.jpg\t-2\n"),
    ("jsonl", '{"id": "100.jpg", "score": 63.5}\n{"id": "101.jpg", "score": -2}\n'),
    ("csv", "filename;pred_score\n100.jpg;63.5\n101.jpg;-2\n"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["koniq", "mine"])
def test_a_plain_table_of_scores(tmp_path: Path, name: str, suffix: str, content: str) -> None:
    (tmp_path / f"{name}.{suffix}").write_text(content)
    items = [scored_item("100.jpg"), scored_item("101.jpg")]
    responses = model(tmp_path).recall(items)
    assert [response.score for response in responses] == [63.5, -2.0]
    assert [score(*pair).score for pair in zip(items, responses, strict=True)] == [63.5, -2.0]


def test_a_score_that_is_no_number_is_an_error_of_the_item(tmp_path: Path) -> None:
    (tmp_path / "koniq.csv").write_text("image,score\n100.jpg,nan\n")
    with pytest.raises(ItemError, match=r"koniq.csv: entry 1 \(line 2\): score 'nan' is not a finite number|no score"):
        model(tmp_path).recall([scored_item("100.jpg")])


@pytest.mark.parametrize("column", ["response", "prediction", "reply", "output"])
def test_a_plain_table_of_replies(tmp_path: Path, column: str) -> None:
    (tmp_path / "answers.csv").write_text(f'id,{column}\nllvisionqa/dev/1,B\n0,"A, ""sharp"""\n')
    assert model(tmp_path).recall([question(0), question(1)]) == [Response('A, "sharp"'), Response("B")]


@pytest.mark.parametrize("end", ["</s>", " </s>", "<|im_end|>\n", "<|endoftext|></s>", "<|eot_id|>"])
def test_tokens_that_end_a_sequence_are_no_part_of_the_reply(tmp_path: Path, end: str) -> None:
    """Q-Instruct's scripts write objects end to end, decoded with the end token."""
    rows = [{"img_path": str(i), "question": question(i).question, "response": text + end} for i, text in enumerate(("B", "It is </s> sharp."))]  # fmt: skip
    (tmp_path / "qbench_a1_dev.jsonl").write_text("".join(map(json.dumps, rows)))
    assert model(tmp_path).recall([question(0), question(1)]) == [Response("B"), Response("It is </s> sharp.")]


def test_a_failed_request_of_vlmevalkit_is_no_reply(tmp_path: Path) -> None:
    (tmp_path / "m_Q-Bench1_VAL.csv").write_text("index,question,A,B,C,prediction\n0,How does object 0 look?,Sharp,Blurred,Noisy,Failed to obtain answer via API.\n")  # fmt: skip
    with pytest.raises(ItemError, match=r"entry 1 \(line 2\): the endpoint gave no answer"):
        model(tmp_path).recall([question(0)])


def test_an_entry_without_an_answer_refuses_the_file(tmp_path: Path) -> None:
    lines(tmp_path / "koniq.json", [{"image": "1.jpg", "score": 1}, {"image": "2.jpg"}])
    with pytest.raises(ModelError, match="koniq.json was not read: entry 2 has no image or id with a reply"):
        model(tmp_path)


@pytest.mark.parametrize("field, value, cut", [
    ("finish_reason", "length", True), ("finish_reason", "stop", False), ("finish_reason", None, False),
    ("stop_reason", "max_tokens", True), ("stop_reason", "end_turn", False), ("stop_reason", 128009, False),
    ("finishReason", "MAX_TOKENS", True), ("finish_reason", "FinishReason.MAX_TOKENS", True),
    ("done_reason", "length", True), ("finish_reasons", ["length"], True), ("finish_reasons", [["stop"]], False),
])  # fmt: skip
def test_an_entry_that_states_why_its_reply_ended(tmp_path: Path, field: str, value: object, cut: bool) -> None:
    rows = [{"id": 0, "response": "B", field: value}, {"id": 1, "response": "", field: value}]
    lines(tmp_path / "llvisionqa_dev.jsonl", rows)
    found = model(tmp_path)
    finish = CUT if cut else None
    assert found.recall([question(0), question(1)]) == [Response("B", finish=finish), Response("", finish=finish)]
    if cut:
        with pytest.raises(ItemError, match="llvisionqa/dev/1: the reply ended at the token limit before its answer"):
            score(question(1), *found.recall([question(1)]))


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "tool_calls", "error"])
def test_a_reply_that_a_filter_or_a_failure_ended_is_no_answer(tmp_path: Path, reason: str) -> None:
    (tmp_path / "llvisionqa_dev.csv").write_text(f"id,response,finish_reason\n0,The,{reason}\n1,B,stop\n")
    found = model(tmp_path)
    with pytest.raises(ItemError, match=r"llvisionqa_dev.csv: entry 1 \(line 2\): the reply .*; run this item again"):
        found.recall([question(0)])
    assert found.recall([question(1)]) == [Response("B")]


def test_the_share_of_cut_replies_of_foreign_outputs_is_limited(tmp_path: Path) -> None:
    items = [question(i) for i in range(20)]
    rows = [{"id": i, "response": "A", "finish_reason": "length" if i < 2 else "stop"} for i in range(20)]
    lines(tmp_path / "llvisionqa_dev.jsonl", rows)
    replies = model(tmp_path).recall(items)
    records = [score(item, reply) for item, reply in zip(items, replies, strict=True)]
    results = Results(records, {(item.task, item.id): item for item in items}, Fingerprint())
    assert results.counts().cut == 2
    check_complete("perception.accuracy", "llvisionqa", results, 0, 0.05, 0.1)
    with pytest.raises(InvalidError, match=r"2 of 20 items cut, above 5.0%"):
        check_complete("perception.accuracy", "llvisionqa", results, 0, 0.05, 0.05)
