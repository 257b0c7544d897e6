"""Golden texts against each other: what is judged against what, the means, and alpha by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.cli import main
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.metrics.compute import mean_metric
from pytest_qbench.records import Record
from pytest_qbench.studies.experts import (
    agreement,
    grade_experts,
    grade_replies,
    items_of_several_experts,
    repeated_texts,
)
from tests.builders import results, text
from tests.cli.test_compare import folder
from tests.stats.test_agreement import brute_alpha

TEXTS = [
    ("The image is sharp and dark. The quality is good.", "The image is blurry. The quality is good."),
    (
        "The image is blurry and dark.",
        "The image is out of focus and underexposed.",
        "The image is well lit and sharp.",
    ),
    ("The image is sharp. The quality is poor.", "The image is clear. The quality is average."),
]
ITEMS = [replace(text(i), golden=golden) for i, golden in enumerate(TEXTS)]


class Noted:
    """Grade a text by its length, and note what was compared with what."""

    name = "noted"

    def __init__(self, broken: str = "") -> None:
        self.broken, self.seen = broken, list[tuple[str, tuple[str, ...]]]()

    def describe(self) -> dict[str, Any]:
        return {}

    def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Any]:
        self.seen += [(d, tuple(g)) for d, g in zip(descriptions, golden, strict=True)]
        verdict = {d: dict.fromkeys(DIMENSIONS, [len(d) % 3] * rounds) for d in descriptions}
        return [ItemError("no reply") if d == self.broken else verdict[d] for d in descriptions]


def test_each_text_is_judged_against_the_others_of_its_item() -> None:
    judge = Noted()
    records = grade_experts(judge, ITEMS, 2)
    assert judge.seen == [(own, tuple(t for t in texts if t != own)) for texts in TEXTS for own in texts]
    means = [sum(len(t) % 3 for t in texts) / len(texts) for texts in TEXTS]
    metric = mean_metric(records, "description.preciseness", "mini", None, None)
    assert (metric.value, metric.n) == (pytest.approx(sum(means) / 3), 3)


def test_a_reply_is_judged_against_the_same_sets_of_texts() -> None:
    judge = Noted()
    (record,) = grade_replies(judge, ITEMS[1:2], ["abcd"], 1)
    a, b, c = TEXTS[1]
    assert judge.seen == [("abcd", (b, c)), ("abcd", (a, c)), ("abcd", (a, b))]
    assert record.judge == {dimension: [1, 1, 1] for dimension in DIMENSIONS}


def test_a_text_that_cannot_be_judged_is_an_error_of_its_item() -> None:
    records = grade_experts(Noted(broken=TEXTS[1][2]), ITEMS, 1)
    assert [record.status for record in records] == ["measured", "error", "measured"]


def test_experts_who_say_the_same_reach_the_top() -> None:
    item = replace(text(0), golden=("The image is blurry and dark.", "The image is dark, and it is blurred."))
    (record,) = grade_experts(LexiconJudge(), [item], 1)
    assert record.judge == {dimension: [2, 2] for dimension in DIMENSIONS}


def test_alpha_of_what_the_texts_state() -> None:
    found = {one.aspect: one for one in agreement(ITEMS)}
    sharpness = [[1, -1], [-1, -1, 1], [1, 1]]
    assert found["sharpness"].alpha == pytest.approx(brute_alpha(sharpness))
    assert (found["sharpness"].items, found["sharpness"].same) == (3, pytest.approx((0 + 1 / 3 + 1) / 3))
    assert (found["brightness"].items, found["brightness"].alpha) == (1, pytest.approx(brute_alpha([[-1, -1, 0]])))
    assert found["quality"].alpha == pytest.approx(brute_alpha([[1, 1], [-1, 0]]))
    assert found["quality"].items == 2


def test_an_aspect_that_one_expert_states_has_no_alpha() -> None:
    (one,) = agreement([replace(text(0), golden=("The image is blurry.", "A cat."))])
    assert (one.aspect, one.items, one.same, one.alpha, one.note) == (
        "sharpness",
        0,
        None,
        None,
        "no item has two ratings",
    )


def test_items_with_one_text_are_left_out() -> None:
    assert items_of_several_experts([*ITEMS, text(9)]) == ITEMS
    with pytest.raises(UsageError, match="no item has two golden texts"):
        items_of_several_experts([text(9)])
    assert repeated_texts([*ITEMS, replace(text(9), golden=("a", "b", "a"))]) == 1


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "lldescribe").mkdir(parents=True)
    entries = [{"img_path": f"{i}.png", "golden": golden} for i, golden in enumerate(TEXTS)]
    (tmp_path / "data" / "lldescribe" / "lldescribe.json").write_text(json.dumps(entries))
    return tmp_path / "data"


def made(path: Path, golden: Sequence[Sequence[str]], described: int = 3) -> Path:
    items: list[Item] = [
        Item(f"lldescribe/{i}.png", "description", "lldescribe", None, f"{i}", (), golden=tuple(texts))
        for i, texts in enumerate(golden)
    ]
    records = [Record.of(item, "measured", response="The image is blurry.") for item in items[:described]]
    return folder(path, results(items, records))


def test_the_command_compares_a_run_with_the_experts(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["study", "experts", f"--data={data}", "--judge=lexicon"]
    assert main([*command, f"--run={made(tmp_path / 'run', TEXTS)}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("experts: 7 golden texts of 3 items, each judged against the others of its item by lexicon")
    assert "model - experts" in out
    assert main([*command, f"--run={made(tmp_path / 'part', TEXTS, 2)}"]) == 4
    assert "has no description of lldescribe/2.png; name a complete run" in capsys.readouterr().err
    assert main([*command, f"--run={made(tmp_path / 'old', [('a', 'b'), *TEXTS[1:]])}"]) == 4
    assert "lldescribe/0.png had other golden texts" in capsys.readouterr().err


def test_a_missing_value_is_named_and_the_command_fails(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pytest_qbench.cli.study_of_experts.make_judge", lambda *args: Noted(broken=TEXTS[1][2]))
    monkeypatch.setattr("pytest_qbench.cli.study_of_experts.run_control_set", lambda *args: {"failed": None})
    assert main(["study", "experts", f"--data={data}", "--judge=lexicon"]) == 1
    assert "description.sum: 1 of 3 items have no value (first: ItemError: no reply)" in capsys.readouterr().out


def test_a_judge_that_fails_its_control_set_judges_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pytest_qbench.cli.study_of_experts.make_judge", lambda *args: Noted())
    assert main(["study", "experts", f"--data={data}", "--judge=lexicon"]) == 4
    assert "failed its control set, before any item" in capsys.readouterr().err
