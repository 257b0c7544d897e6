"""The engine: every item ends as a record, whatever fails beside it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models.engine import GREY, Engine
from pytest_qbench.prompts import LETTER_INSTRUCTION, RATE_PREFIX, Prompt
from pytest_qbench.scoring import DEFAULT


@dataclass(frozen=True)
class Picture:
    name: str = "p.png"
    colour: tuple[int, int, int] = (200, 30, 30)
    broken: bool = False

    def read(self) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (9, 7), self.colour).save(buffer, "PNG")
        return b"not an image" if self.broken else buffer.getvalue()

    def missing(self) -> bool:
        return False


@dataclass
class Scripted:
    """A model that answers A, notes what it was asked, and fails for the keys it is told to fail for."""

    poison: tuple[str, ...] = ()
    error: Exception = field(default_factory=lambda: ItemError("melted"))
    name: str = "scripted"
    needs_images: bool = True
    calls: list[list[Prompt]] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        return {}

    def _note(self, prompts: Sequence[Prompt]) -> None:
        self.calls.append(list(prompts))
        if any(p.key in self.poison for p in prompts):
            raise self.error

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        self._note(prompts)
        return ["A" if LETTER_INSTRUCTION in p.text else "The image is blurry." for p in prompts]

    def option_likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        self._note(prompts)
        return [[-float(i + 1) for i in range(len(o))] for o in options]

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
        self._note(prompts)
        return [[-1.0, -2.0] for _ in prompts]

    def close(self) -> None: ...


def item(i: int, task: Any, picture: Picture | None = None) -> Item:
    asked = {"question": "?" * (i % 5 + 1), "options": ("x", "y"), "answer": "x"} if task == "perception" else {}
    golden = ("The image is blurry.",) if task == "description" else ()
    return Item(f"d/{task}/{i}", task, "d", None, f"d/{i}", (picture or Picture(),), target=1.0, golden=golden, **asked)  # type: ignore[arg-type]


def engine(model: Scripted, **changes: Any) -> Engine:
    settings: dict[str, Any] = {
        "answer": "generate",
        "batch_size": 3,
        "blind": False,
        "judge_rounds": 2,
        "judge": LexiconJudge,
    }
    return Engine(model, **{**settings, **changes})


tasks = st.lists(st.sampled_from(["perception", "description", "assessment"]), max_size=20)


@given(tasks, st.integers(1, 7), st.sets(st.integers(0, 19), max_size=4), st.sampled_from(["generate", "likelihood"]))
def test_one_record_an_item_in_order_and_only_the_poisoned_fail(
    kinds: list[str], size: int, bad: set[int], answer: str
) -> None:
    items = [item(i, task) for i, task in enumerate(kinds)]
    model = Scripted(poison=tuple(items[i].id for i in bad if i < len(items)))
    records = engine(model, batch_size=size, answer=answer).measure(items)
    assert [r.item for r in records] == [i.id for i in items]
    assert [r.status == "error" for r in records] == [i in bad for i in range(len(items))]
    for r in records:
        if r.status == "error":
            assert r.error == "ItemError: melted"
        elif r.task == "description":
            assert r.judge == {"completeness": [2, 2], "preciseness": [2, 2], "relevance": [2, 2]}
        elif r.task == "perception":
            assert (r.status, r.choice) == ("correct", "x")
        else:
            assert r.score == pytest.approx(0.7310585786300049)  # 1 / (1 + exp(-1))
    for call in model.calls:
        assert len(call) <= size
        assert len({p.key.split("/")[1] for p in call}) == 1
        assert len({p.prefix for p in call}) == 1


def test_out_of_memory_costs_no_item() -> None:
    class Small(Scripted):
        def _note(self, prompts: Sequence[Prompt]) -> None:
            if len(prompts) > 1:
                raise RuntimeError("CUDA out of memory")

    records = engine(Small()).measure([item(i, "assessment") for i in range(7)])
    assert [r.status for r in records] == ["measured"] * 7


def test_a_broken_image_costs_one_item() -> None:
    items = [item(0, "assessment"), item(1, "assessment", Picture("torn.png", broken=True)), item(2, "assessment")]
    records = engine(Scripted()).measure(items)
    assert [r.status for r in records] == ["measured", "error", "measured"]
    assert "torn.png: not a readable image" in str(records[1].error)


def test_what_the_model_cannot_do_at_all_is_no_item_error() -> None:
    model = Scripted(poison=("d/assessment/0",), error=ModelError("no word 'good'"))
    with pytest.raises(ModelError):
        engine(model).measure([item(0, "assessment")])


def test_blind_shows_grey_of_the_same_size() -> None:
    model = Scripted()
    engine(model, blind=True).measure([item(0, "perception")])
    (image,) = model.calls[0][0].images
    assert image.size == (9, 7)
    assert image.getcolors() == [(63, GREY)]


def test_prompts_are_the_protocols() -> None:
    model = Scripted()
    engine(model).measure([item(0, "perception"), item(1, "assessment")])
    texts = {p.key: p for call in model.calls for p in call}
    assert (
        texts["d/perception/0"].text
        == "?\nA. x\nB. y\nAnswer with the option's letter from the given choices directly."
    )
    assert texts["d/assessment/1"].prefix == RATE_PREFIX == "The quality of the image is"


def test_a_model_without_eyes_reads_no_image() -> None:
    records = engine(Scripted(needs_images=False)).measure([item(0, "assessment", Picture(broken=True))])
    assert records[0].status == "measured"


def test_an_error_in_the_place_of_a_result_costs_its_item_and_nothing_is_asked_again() -> None:
    class OneByOne(Scripted):
        def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Any]:
            self._note(prompts)
            return [ItemError("A") if p.key.endswith("/1") else "A" for p in prompts]

    model = OneByOne()
    records = engine(model).measure([item(i, "perception") for i in range(3)])
    assert [r.status for r in records] == ["correct", "error", "correct"]
    assert (records[1].response, records[1].choice, records[1].error) == (None, None, "ItemError: A")
    assert len(model.calls) == 1


def test_a_text_that_could_not_be_judged_is_an_error_that_keeps_the_text() -> None:
    class Half(LexiconJudge):
        def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Any]:
            return [ItemError("no reply"), *super().judge(descriptions[1:], golden[1:], rounds)]

    made = Engine(Scripted(), answer="generate", batch_size=8, blind=False, judge_rounds=2, judge=Half, scoring=DEFAULT)
    first, second = made.measure([item(i, "description") for i in range(2)])
    assert (first.status, first.judge, first.response) == ("error", None, "The image is blurry.")
    assert first.error == "ItemError: no reply"
    assert (second.status, len((second.judge or {})["relevance"])) == ("measured", 2)


def test_a_judge_reads_only_what_extraction_left_open() -> None:
    class Reader(LexiconJudge):
        def decide(self, items: Sequence[Item], replies: Sequence[str], rounds: int) -> list[Any]:
            asked.extend(replies)
            return [ItemError("no reply") if "melted" in r else votes for r in replies]

    asked: list[str] = []
    replies = ["A", "hm", "", "melted"]

    class Says(Scripted):
        def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
            return replies

    for votes, status in (
        ([0, 0, 0, None, 1], "correct"),
        ([1, 1, 1, 1, 1], "wrong"),
        ([0, 0, 1, 1, None], "unparsed"),
    ):
        made = Engine(
            Says(), answer="generate", batch_size=8, blind=False, judge_rounds=2, judge=Reader, scoring=DEFAULT,
            decides=True,
        )  # fmt: skip
        asked.clear()
        records = made.measure([item(i, "perception") for i in range(4)])
        assert [r.status for r in records] == ["correct", status, "unparsed", "error"]
        assert [r.judge for r in records] == [None, {"choice": votes}, None, None]
        assert asked == ["hm", "melted"]


def test_a_score_that_is_none_costs_its_item_and_nothing_is_asked_again() -> None:
    class Broken(Scripted):
        def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
            self._note(prompts)
            return [[float("nan") if p.key.endswith("/1") else -1.0, -2.0] for p in prompts]

    model = Broken()
    records = engine(model).measure([item(i, "assessment") for i in range(3)])
    assert [r.status for r in records] == ["measured", "error", "measured"]
    assert "the log-probability of 'good' is nan" in str(records[1].error)
    assert len(model.calls) == 1
