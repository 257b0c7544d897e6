"""`qbench compare` on recorded outputs: one run in every file format gets exactly the same verdict."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.cli import main
from pytest_qbench.cli.scored_outputs import OutputScorer
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.fingerprint import Fingerprint
from tests.cli.test_compare import folder
from tests.models.output_formats.harness import inspect_log, inspect_sample, lines, lm_eval, lmms_eval, question

ITEMS = [question(i, f"How sharp is object {i // 2 * 2}?" if i % 7 == 0 else "") for i in range(60)]
OLD = ["A" if i % 6 else "B" for i in range(60)]
NEW = ["The answer is (C)." if i % 3 else "A" for i in range(60)]


def table(path: Path, delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(_cells())


def _cells() -> list[list[Any]]:
    rows = [[int(i.id.rpartition("/")[2]), i.question, *i.options, "", "A", text] for i, text in zip(ITEMS, NEW, strict=True)]  # fmt: skip
    return [["index", "question", "A", "B", "C", "D", "answer", "prediction"], *rows]


def sheet(path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in _cells():
        book.active.append(row)
    book.save(path)


def answers(path: Path, replies: list[str] = NEW) -> None:
    rows = [{"img_path": f"{n}.png", "question": i.question, "candidates": i.options, "response": text} for n, (i, text) in enumerate(zip(ITEMS, replies, strict=True))]  # fmt: skip
    path.write_text("".join(map(json.dumps, rows)))


def plain(path: Path) -> None:
    path.write_text("id,reply\n" + "".join(f"{i.id},{text}\n" for i, text in zip(ITEMS, NEW, strict=True)))


PAIRS = list(zip(ITEMS, NEW, strict=True))
ENCODINGS: dict[str, Callable[[Path], object]] = {
    "llvisionqa_dev.json": answers, "qbench_a1_dev.jsonl": answers, "m_Q-Bench1_VAL.csv": table, "m_Q-Bench1_VAL.xlsx": sheet,
    "m_Q-Bench1_VAL.tsv": lambda path: table(path, "\t"), "replies.csv": plain,
    "1_samples_qbench_dev.jsonl": lambda path: lmms_eval(path, "0.3", PAIRS),
    "2_samples_qbench_dev.jsonl": lambda path: lmms_eval(path, "0.4", PAIRS),
    "3_samples_qbench_dev.jsonl": lambda path: lmms_eval(path, "0.7", PAIRS),
    "samples_qbench_dev_2026-08-01T10-15-00.1.jsonl": lambda path: lm_eval(path, PAIRS),
    "log.eval": lambda path: inspect_log(path, [inspect_sample(*pair) for pair in PAIRS]),
}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Return data in the hub's format, with the same questions: a running number and, here, an image name."""
    place = tmp_path / "data" / "llvisionqa"
    place.mkdir(parents=True)
    rows = [{"id": i, "img_path": f"{i}.png", "question": item.question, "candidates": item.options, "correct_ans": item.answer, "type": 1, "concern": 0} for i, item in enumerate(ITEMS)]  # fmt: skip
    (place / "llvisionqa_dev.json").write_text(json.dumps(rows))
    return str(tmp_path / "data")


def compare(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    status = main(["compare", *map(str, arguments)])
    out, err = capsys.readouterr()
    names = ("A: ", "B: ", "outputs of ", "differs")
    return status, [line for line in (out + err).splitlines() if not line.startswith(names)]


def test_every_format_of_one_run_gives_the_same_verdict(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(old := tmp_path / "old_llvisionqa_dev.json", OLD)
    answers(new := tmp_path / "llvisionqa_dev.json")
    run = folder(tmp_path / "run", OutputScorer(data=data).score(new))
    reference = folder(tmp_path / "reference", OutputScorer(data=data).score(old))
    expected = compare(capsys, reference, run)
    assert expected[0] == 1
    row = next(line.split() for line in expected[1] if line.split()[:1] == ["perception.accuracy"])
    assert row[2:5] == ["0.8333", "0.3333", "-0.5000"]
    for name, write in ENCODINGS.items():
        side = tmp_path / "encoded" / name
        side.parent.mkdir(exist_ok=True)
        write(side)
        assert compare(capsys, reference, side) == expected, name  # the items of the other run
        side.unlink()
    answers(new)
    assert compare(capsys, old, new, f"--data={data}") == expected


def test_outputs_can_be_either_argument_and_a_folder(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(old := tmp_path / "old_llvisionqa_dev.json", OLD)
    (tmp_path / "new").mkdir()
    table(tmp_path / "new" / "m_Q-Bench1_VAL.csv")
    lines(tmp_path / "new" / "results.json", [{"accuracy": 0.8}])
    status, out = compare(capsys, tmp_path / "new", old, f"--data={data}")
    assert status == 0
    assert out[-1] == "PASS: 1 of 1 gates hold, improved: perception.accuracy" or out[-1].startswith("CANNOT TELL")
    assert any(line.startswith("not used of A: results.json: not read: entry 1 has no image or id") for line in out)
    status, out = compare(capsys, old, tmp_path / "new")
    assert status == 4
    assert out == [f"qbench: {old}: holds recorded outputs; name the data that they answer with --data=FOLDER"]


def test_an_item_without_an_output_never_passes(tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    answers(old := tmp_path / "old_llvisionqa_dev.json", OLD)
    rows = [{"img_path": f"{i}.png", "question": item.question, "response": "A"} for i, item in enumerate(ITEMS[1:], 1)]
    lines(tmp_path / "llvisionqa_dev.jsonl", rows)
    status, out = compare(capsys, old, tmp_path / "llvisionqa_dev.jsonl", f"--data={data}")
    assert (status, out[-1]) == (10, "INVALID: perception.accuracy")


def test_contradictory_outputs_are_resolved_by_an_option(tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    answers(old := tmp_path / "old_llvisionqa_dev.json", OLD)
    answers(new := tmp_path / "llvisionqa_dev.json")
    new.write_text(old.read_text() + new.read_text())
    status, out = compare(capsys, old, new, f"--data={data}")
    assert status == 4
    assert len(out) == 1
    assert "contradicts llvisionqa_dev.json: entry 1 (line 1): two outputs" in out[0]
    assert compare(capsys, old, new, f"--data={data}", "--qbench-model-arg=duplicates=last")[0] == 1


def test_likelihoods_and_replies_are_not_compared(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(old := tmp_path / "old_llvisionqa_dev.json", OLD)
    lm_eval(new := tmp_path / "samples_qbench_dev.jsonl", [(item, (-1.0, -2.0, -3.0)) for item in ITEMS])
    status, out = compare(capsys, old, new, f"--data={data}")
    assert status == 10
    assert "answer: generate -> likelihood" in "\n".join(out)


@pytest.mark.parametrize("judge", [[], ["--judge=lexicon"]])
def test_descriptions_need_a_judge(tmp_path: Path, judge: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "data" / "lldescribe"
    place.mkdir(parents=True)
    golden = "The image is blurry and dark, with noise in the shadows."
    rows = [{"img_path": f"{i}.png", "golden": [golden]} for i in range(12)]
    (place / "lldescribe.json").write_text(json.dumps(rows))
    for name, text in (("a", golden), ("b", "A cat.")):
        (tmp_path / name).mkdir()
        lines(tmp_path / name / "lldescribe.json", [{"img_path": f"{i}.png", "response": text} for i in range(12)])
    status, out = compare(capsys, tmp_path / "a", tmp_path / "b", f"--data={tmp_path / 'data'}", *judge)
    if judge:
        assert (status, out[-1]) == (1, "REGRESSED: description.sum")
    else:
        assert status == 4
        assert out[-1].endswith("holds descriptions, which need a judge: add --judge=SPEC")


def test_outputs_are_not_scored_against_shuffled_options(tmp_path: Path) -> None:
    answers(tmp_path / "llvisionqa_dev.json")
    shuffled = Fingerprint(answer="generate", option_order="shuffled with seed 0")
    with pytest.raises(UsageError, match="recorded with options in the order of the data, not shuffled with seed 0"):
        OutputScorer(items=ITEMS, conditions=shuffled).score(tmp_path / "llvisionqa_dev.json")
