"""Recorded outputs in every supported format, in files written by hand."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qbench.errors import DataError, ItemError, ModelError, QBenchError, UsageError
from pytest_qbench.items import Item
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.base import SupportsReplay
from pytest_qbench.models.output_names import dataset_of
from pytest_qbench.models.replay import check_option_order
from pytest_qbench.records import Record, Response
from tests.builders import picture


def question_item(
    name: str, question: str = "Is it sharp?", dataset: str = "llvisionqa", split: str | None = "dev"
) -> Item:
    ident = f"{dataset}/{split}/{name}" if split else f"{dataset}/{name}"
    return Item(ident, "perception", dataset, split, ident, (), question, ("Yes", "No"), "Yes")


def replay(path: Path) -> Any:
    return load_model(parse_spec(f"replay:{path}"), {})


def write(path: Path, *rows: dict[str, Any], separator: str = "\n") -> Path:
    path.write_text(separator.join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


A3 = {"img_path": "1.jpg", "gt_score": 3.8, "logit_good": " 17.5 ", "logit_poor": 14.5, "logit_excellent": 1}


@pytest.mark.parametrize("separator", ["", "\n", ",\n"])
@pytest.mark.parametrize("file, dataset", [("koniq.json", "koniq"), ("cgi.json", "cgiqa"), ("cgiqa.json", "cgiqa"), ("own.json", "own")])  # fmt: skip
def test_official_outputs_keep_every_word(tmp_path: Path, file: str, dataset: str, separator: str) -> None:
    write(tmp_path / file, A3, {**A3, "img_path": "2.jpg", "logit_good": 1.0}, separator=separator)
    model = replay(tmp_path)
    assert isinstance(model, SupportsReplay)
    assert model.recall([picture("2.jpg", 1.0, dataset), picture("1.jpg", 1.0, dataset)]) == [  # type: ignore[arg-type]
        Response(logprobs={"good": 1.0, "poor": 14.5, "excellent": 1.0}),
        Response(logprobs={"good": 17.5, "poor": 14.5, "excellent": 1.0}),
    ]


def test_an_item_without_an_output_is_an_error_that_names_the_item(tmp_path: Path) -> None:
    write(tmp_path / "koniq.json", A3, {**A3, "img_path": "3.jpg", "logit_poor": "n/a"})
    model = replay(tmp_path)
    with pytest.raises(ItemError, match=r"koniq/2.jpg: no recorded output in .*"):
        model.recall([picture("2.jpg", 1.0, "koniq")])  # type: ignore[arg-type]
    with pytest.raises(ItemError, match=r"koniq/3.jpg: koniq.json: entry 2: logit_poor 'n/a' is not a finite number"):
        model.recall([picture("3.jpg", 1.0, "koniq")])  # type: ignore[arg-type]
    with pytest.raises(ItemError, match=r"spaq/1.jpg: no recorded output"):
        model.recall([picture("1.jpg", 1.0, "spaq")])  # type: ignore[arg-type]


def test_a_repeated_entry_is_left_out_and_reported(tmp_path: Path) -> None:
    write(tmp_path / "livec.json", A3, A3, {**A3, "img_path": "2.jpg"})
    model = replay(tmp_path)
    model.expect([picture("1.jpg", 1.0, "livec"), picture("2.jpg", 2.0, "livec")])  # type: ignore[arg-type]
    assert [(e.dataset, e.entry, e.reason) for e in model.left_out] == [
        ("livec", "livec.json", "1 entry repeats the item of an earlier one (first: entry 2); each item counts once")
    ]


@pytest.mark.parametrize("file", ["llvisionqa_dev.json", "answers.jsonl"])
def test_entries_with_image_and_response_are_read(tmp_path: Path, file: str) -> None:
    write(tmp_path / file, {"img_path": "7.png", "response": "A"}, {"img_path": "8.png", "response": 3})
    model = replay(tmp_path / file)
    assert model.recall([question_item("7.png")]) == [Response(text="A")]
    assert model.recall([question_item("8.png")]) == [Response(text="3")]


def test_several_questions_on_an_image_have_their_own_answers(tmp_path: Path) -> None:
    rows = [{"img_path": "7.png", "question": q, "response": r} for q, r in (("Is it sharp?", "A"), ("Dark?", "B"))]
    file = write(tmp_path / "llvisionqa_dev.json", *rows)
    assert replay(file).recall([question_item("7.png#2", "Dark?"), question_item("7.png")]) == [
        Response(text="B"),
        Response(text="A"),
    ]
    with pytest.raises(ItemError, match=r"answers another question \('Is it sharp\?'\)"):
        replay(file).recall([question_item("7.png", "Is it noisy?")])


def test_answers_of_one_split_do_not_count_for_another(tmp_path: Path) -> None:
    write(tmp_path / "llvisionqa_test.json", {"img_path": "7.png", "response": "A"})
    with pytest.raises(ItemError, match="no recorded output"):
        replay(tmp_path).recall([question_item("7.png")])


@pytest.mark.parametrize("replies", [{"filtered_resps": ["B"], "resps": [["(B) No"]]}, {"resps": [["B"]]}])
def test_lmms_eval_samples(tmp_path: Path, replies: dict[str, Any]) -> None:
    row = {"doc_id": 0, "doc": {"id": "dev_0", "question": "Is it sharp?"}, "target": "A", **replies}
    write(tmp_path / "20260101_samples_qbench_dev.jsonl", row)
    assert replay(tmp_path).recall([question_item("dev_0")]) == [Response(text="B")]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "xlsx"])
def test_vlmevalkit_tables(tmp_path: Path, suffix: str) -> None:
    table = [["index", "question", "A", "B", "answer", "prediction"], [0, "Is it sharp?", "Yes", "No", "A", "No, it is not"], [1, "Dark?", "Yes", "No", "A", "B"]]  # fmt: skip
    path = tmp_path / f"llava_Q-Bench1_VAL.{suffix}"
    if suffix == "xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for line in table:
            book.active.append(line)
        book.save(path)
    else:
        text = "\t" if suffix == "tsv" else ","
        path.write_text("\n".join(text.join(f'"{cell}"' for cell in line) for line in table))
    model = replay(tmp_path)
    assert model.recall([question_item("1", "Dark?"), question_item("0")]) == [
        Response(text="B"),
        Response(text="No, it is not"),
    ]


@pytest.mark.parametrize("file, named", [
    ("koniq.json", ("koniq", None)), ("flive.json", ("livefb", None)), ("agi.json", ("agiqa", None)),
    ("llvisionqa_test.jsonl", ("llvisionqa", "test")), ("samples_qbench2_dev.jsonl", ("qbench2", "dev")),
    ("samples_abench_test.jsonl", ("abench", "test")), ("m_Q-Bench1_TEST.xlsx", ("llvisionqa", "test")),
    ("lldescribe.json", ("lldescribe", None)),
])  # fmt: skip
def test_a_file_name_gives_dataset_and_split(file: str, named: tuple[str, str | None]) -> None:
    assert dataset_of(file) == named


def test_records_of_an_earlier_run(tmp_path: Path) -> None:
    likely = question_item("1.png")
    records = [
        Record.of(picture(1, 2.0), "measured", score=0.5, logprobs={"good": -1.25, "poor": -1.25}),
        Record.of(likely, "wrong", choice="No", logprobs={"Yes": -2.0, "No": -1.0}),
        Record.of(question_item("2.png"), "error", error="out of memory"),
    ]
    (tmp_path / "records.jsonl").write_text("".join(record.to_json() + "\n" for record in records))
    made = {"fingerprint": {"prompts": "p", "answer": "likelihood", "blind": False, "other": 1}}
    (tmp_path / "summary.json").write_text(json.dumps(made))
    model = replay(tmp_path)
    assert model.conditions == {"prompts": "p", "answer": "likelihood", "blind": False}
    assert model.recall([picture(1, 2.0), likely]) == [
        Response(logprobs={"good": -1.25, "poor": -1.25}), Response(logprobs={"Yes": -2.0, "No": -1.0}),
    ]  # fmt: skip
    with pytest.raises(ItemError, match="recorded as an error: out of memory"):
        model.recall([question_item("2.png")])


@pytest.mark.parametrize("recorded, asked, remedy", [
    (None, "shuffled with seed 0", "drop --qbench-shuffle-options"),
    ("shuffled with seed 0", None, "add --qbench-shuffle-options with that seed"),
    ("shuffled with seed 0", "shuffled with seed 1", "give that --qbench-seed"),
])  # fmt: skip
def test_letters_are_not_read_in_another_order_of_the_options(
    tmp_path: Path, recorded: str | None, asked: str | None, remedy: str
) -> None:
    record = Record.of(question_item("1.png"), "wrong", choice="No", response="A")
    (tmp_path / "records.jsonl").write_text(record.to_json() + "\n")
    order = {"option_order": recorded} if recorded else {}
    made = {"fingerprint": {"prompts": "p", "answer": "generate", "blind": False, **order}}
    (tmp_path / "summary.json").write_text(json.dumps(made))
    model = replay(tmp_path)
    check_option_order(model, recorded)
    was, now = (order or "in the order of the data" for order in (recorded, asked))
    with pytest.raises(UsageError, match=f"was recorded with options {was}, not {now}: {remedy}"):
        check_option_order(model, asked)


@pytest.mark.parametrize("file, content, message", [
    ("koniq.json", '[{"img_path": "1.jpg", "logit_good": 1', "koniq.json: broken or truncated JSON"),
    ("koniq.json", "", "koniq.json: is empty"),
    ("koniq.json", '[{"img_path": "1.jpg", "gt_score": 1}]', "no recorded outputs"),
    ("x.xlsx", "no workbook", "x.xlsx: no readable workbook"),
    ("records.jsonl", '{"schema": 9, "item": "a", "status": "wrong"}', "schema 9 is not 1"),
    ("notes.txt", "hello", "no recorded outputs"),
])  # fmt: skip
def test_an_unreadable_file_is_an_error_that_names_it(tmp_path: Path, file: str, content: str, message: str) -> None:
    if file.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    (tmp_path / file).write_text(content)
    with pytest.raises((ModelError, DataError, UsageError), match=message) as caught:
        replay(tmp_path)
    assert "\n" not in str(caught.value)


def test_other_files_of_a_folder_are_reported(tmp_path: Path) -> None:
    write(tmp_path / "koniq.json", A3)
    write(tmp_path / "results.json", {"accuracy": 1})
    assert [(e.entry, e.reason.split(" with ")[0]) for e in replay(tmp_path).left_out] == [
        ("results.json", "not read: entry 1 has no image or id")
    ]


def test_other_prompts_and_other_arguments_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "koniq.json", A3)
    with pytest.raises(ModelError, match="has recorded outputs only"):
        replay(tmp_path).generate([], 1)
    with pytest.raises(ModelError, match="does not apply to recorded outputs; valid are files, duplicates"):
        load_model(parse_spec(f"replay:{tmp_path}"), {"dtype": "float32"})


def test_replay_does_not_load_torch(tmp_path: Path) -> None:
    write(tmp_path / "koniq.json", A3)
    code = f"import sys; from pytest_qbench.models import *; load_model(parse_spec('replay:{tmp_path}'), {{}}); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "PIL", "openpyxl"} & set(run.stdout.split())


def test_a_pair_of_images_is_matched_by_both_names(tmp_path: Path) -> None:
    write(tmp_path / "qbench2_dev.json", {"img_path": ["1.png", "2.png"], "response": "A"})
    item = question_item("1.png_cat_2.png", dataset="qbench2")
    assert replay(tmp_path).recall([item]) == [Response(text="A")]


@pytest.mark.parametrize("change", [{"item": 1}, {"logprobs": [1]}, {"logprobs": {"good": "x"}}, {"response": 3}])
def test_a_malformed_record_is_an_error_that_names_it(tmp_path: Path, change: dict[str, Any]) -> None:
    made = {**json.loads(Record.of(picture(1, 2.0), "measured").to_json()), **change}
    write(tmp_path / "records.jsonl", made)
    with pytest.raises(ModelError, match="records.jsonl: line 1: not a record"):
        replay(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["question", "id"]), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    ["img_path", "id", "index", "response", "prediction", "question", "logit_good", "logit_poor", "doc", "resps",
     "filtered_resps", "schema", "item", "status", "task", "dataset", "split", "group"]
)  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(FIELDS, VALUES, max_size=6), max_size=4),
    st.sampled_from(["koniq.json", "llvisionqa_dev.jsonl", "samples_qbench_dev.jsonl", "records.jsonl", "own.json"]),
)
def test_any_rows_give_responses_or_an_error_that_names_the_file(
    tmp_path: Path, rows: list[dict[str, Any]], file: str
) -> None:
    path = write(tmp_path / file, *rows)
    items = [picture("1.jpg", 1.0, "koniq"), question_item("1.jpg")]  # type: ignore[arg-type]
    try:
        model = replay(path)
    except QBenchError as e:
        assert "\n" not in str(e)
        return
    for item in items:
        with contextlib.suppress(ItemError):
            model.recall([item])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["koniq.json", "a.csv", "a.tsv", "records.jsonl", "a.xlsx"]))
def test_any_bytes_give_responses_or_an_error_that_names_the_file(tmp_path: Path, content: bytes, file: str) -> None:
    (tmp_path / file).write_bytes(content)
    with contextlib.suppress(QBenchError):
        replay(tmp_path / file)
