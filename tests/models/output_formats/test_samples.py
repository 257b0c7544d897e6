"""Sample logs of lmms-eval and lm-eval, generated and by likelihood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qbench.errors import DataError, ItemError, ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.output_formats.samples import in_prompt
from pytest_qbench.records import CUT, Response
from tests.models.output_formats.harness import lines, lm_eval, lmms_eval, prompt, question

ITEMS = [question(i) for i in range(4)]
REPLIES = ["A", "B. Blurred", "<think>hm</think>C", ""]
LIKELIHOODS = [(-0.5, -1.25, -2.0), (-3.0, -0.125, -1.0), (-7.5, -7.25, -7.0), (-1e-9, -30.0, -2.5)]


def recall(path: Path, **arguments: str) -> list[Response]:
    model = load_model(parse_spec(f"replay:{path}"), arguments)
    return model.recall(ITEMS)  # type: ignore[attr-defined, no-any-return]


def by_option(values: tuple[float, ...]) -> Response:
    return Response(logprobs=dict(zip(ITEMS[0].options, values, strict=True)))


@pytest.mark.parametrize("version", ["0.3", "0.4", "0.7"])
def test_lmms_eval_of_each_version(tmp_path: Path, version: str) -> None:
    path = tmp_path / "20260801_101500_samples_qbench_dev.jsonl"
    lmms_eval(path, version, list(zip(ITEMS, REPLIES, strict=True)))
    assert recall(path) == [Response(text) for text in REPLIES]
    # A loss is the lower the likelier the option is: its sign is turned.
    lmms_eval(path, version, list(zip(ITEMS, LIKELIHOODS, strict=True)))
    assert recall(path) == [by_option(values) for values in LIKELIHOODS]


def test_lm_eval(tmp_path: Path) -> None:
    path = tmp_path / "samples_qbench_dev_2026-08-01T10-15-00.123456.jsonl"
    assert recall(lm_eval(path, list(zip(ITEMS, REPLIES, strict=True)))) == [Response(text) for text in REPLIES]
    assert recall(lm_eval(path, list(zip(ITEMS, LIKELIHOODS, strict=True)))) == [by_option(v) for v in LIKELIHOODS]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 1e3, exclude_min=True), min_size=12, max_size=12))
def test_losses_and_log_likelihoods_of_the_same_model_are_the_same(tmp_path: Path, losses: list[float]) -> None:
    answers = [(item, tuple(-value for value in losses[i * 3 : i * 3 + 3])) for i, item in enumerate(ITEMS)]
    losses_log = lmms_eval(tmp_path / "a_samples_qbench_dev.jsonl", "0.7", answers)
    assert recall(losses_log) == recall(lm_eval(tmp_path / "samples_qbench_dev.jsonl", answers))


def test_likelihoods_of_both_signs_are_refused(tmp_path: Path) -> None:
    path = lm_eval(tmp_path / "samples_qbench_dev.jsonl", [(ITEMS[0], (-1.0, -2.0, -3.0)), (ITEMS[1], (1.0, 2.0, 3.0))])
    with pytest.raises(DataError, match=r"entry 1: likelihoods .* neither losses nor log-likelihoods"):
        recall(path)


def test_another_number_of_likelihoods_than_options_is_an_error_of_the_item(tmp_path: Path) -> None:
    path = lm_eval(tmp_path / "samples_qbench_dev.jsonl", [(item, (-1.0, -2.0)) for item in ITEMS])
    with pytest.raises(ItemError, match=r"entry 1 \(line 1\): 2 likelihoods for 3 options"):
        recall(path)


def test_one_of_several_filters_has_to_be_named(tmp_path: Path) -> None:
    path = lm_eval(
        tmp_path / "samples_qbench_dev.jsonl", list(zip(ITEMS, REPLIES, strict=True)), ("strict-match", "flexible")
    )
    with pytest.raises(ModelError, match=r"2 filters \(strict-match, flexible\); choose one with --qbench-model-arg=f"):
        recall(path)
    assert recall(path, filter="flexible") == [Response(text) for text in REPLIES]
    with pytest.raises(ModelError, match="no filter 'loose'"):
        recall(path, filter="loose")


def test_a_document_that_was_asked_twice(tmp_path: Path) -> None:
    path = tmp_path / "samples_qbench_dev.jsonl"
    rows = [{"doc_id": i, "filtered_resps": ["A", "A"], "input": prompt(item)} for i, item in enumerate(ITEMS)]
    assert recall(lines(path, rows)) == [Response("A")] * 4
    rows[2]["filtered_resps"] = ["A", "B"]
    with pytest.raises(ModelError, match=r"entry 3 \(line 3\) contradicts samples_qbench_dev.jsonl: entry 3"):
        recall(lines(path, rows))
    assert recall(path, duplicates="last")[2] == Response("B")


def test_a_log_that_names_no_item_is_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "samples_qbench_dev.jsonl", [{"doc_id": 0, "filtered_resps": "A"}])
    with pytest.raises(DataError, match="entry 1: neither its doc nor its metrics nor its input tell the item"):
        recall(path)


@settings(deadline=None, max_examples=60)
@given(
    st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1).filter(lambda t: t.strip() == t),
    st.lists(st.from_regex(r"\A[a-z][a-z ,]{0,20}[a-z]\Z"), min_size=2, max_size=6),
)
def test_question_and_options_of_a_prompt(text: str, options: list[str]) -> None:
    assert in_prompt(prompt(question(0, f"Q {text}", options))) == (f"Q {text}", tuple(options))


def test_a_prompt_without_lettered_options_is_all_question() -> None:
    assert in_prompt("Rate it.\nA. is the best mark") == ("Rate it.\nA. is the best mark", ())
    assert json.dumps(in_prompt("")) == '["", []]'


@pytest.mark.parametrize("reason", ["length", ["length"], [["max_tokens"]]])
def test_a_sample_that_states_why_its_reply_ended(tmp_path: Path, reason: object) -> None:
    path = lm_eval(tmp_path / "samples_qbench_dev.jsonl", list(zip(ITEMS, REPLIES, strict=True)))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    lines(path, [rows[0], *(row | {"finish_reason": reason} for row in rows[1:])])
    assert recall(path) == [Response(text, finish=CUT if i else None) for i, text in enumerate(REPLIES)]
