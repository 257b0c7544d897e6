"""The engine gives every item a record, whatever fails in its batch."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models.errors import OutOfMemoryError
from pytest_qbench.models.images import GREY
from pytest_qbench.prompts import RATE_PREFIX, Prompt
from pytest_qbench.records import CUT, Response
from pytest_qbench.scoring.score import DEFAULT
from pytest_qbench.scoring.strategies import STRATEGY_WORDS


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
    """A model that answers A, stores the prompts, and fails for the keys in `poison`."""

    poison: tuple[str, ...] = ()
    error: Exception = field(default_factory=lambda: ItemError("melted"))
    name: str = "scripted"
    needs_images: bool = True
    calls: list[list[Prompt]] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        return {}

    def _store(self, prompts: Sequence[Prompt]) -> None:
        self.calls.append(list(prompts))
        if any(p.key in self.poison for p in prompts):
            raise self.error

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        self._store(prompts)
        return ["A" if "\nA. " in p.text else "The image is blurry." for p in prompts]

    def option_loglikelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        self._store(prompts)
        return [[-float(i + 1) for i in range(len(o))] for o in options]

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
        self._store(prompts)
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
def test_each_item_gets_a_record_in_order_and_only_poisoned_items_fail(
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


@pytest.mark.parametrize("fits", [1, 2, 3, 7])
@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), OutOfMemoryError("too little")])
def test_out_of_memory_halves_the_batch_and_loses_no_item(fits: int, error: Exception) -> None:
    class Small(Scripted):
        def _store(self, prompts: Sequence[Prompt]) -> None:
            self.calls.append(list(prompts))
            if len(prompts) > fits:
                raise error

    model = Small()
    measuring = engine(model, batch_size=None)
    assert measuring.batch_size == 16
    records = measuring.measure([item(i, "assessment", Picture(f"{i}.png")) for i in range(40)])
    assert [r.status for r in records] == ["measured"] * 40
    assert fits / 2 < measuring.batch_size <= fits  # the batch size stays at the largest that fits
    failed = [len(call) for call in model.calls if len(call) > fits]
    assert failed == [16 >> i for i in range(len(failed))]  # each size fails once


class Observer:
    def __init__(self) -> None:
        self.events: list[tuple[str, list[str]]] = []
        self.thread = threading.get_ident()

    def batch_started(self, items: Sequence[Item]) -> None:
        assert threading.get_ident() == self.thread
        self.events.append(("started", [i.id for i in items]))

    def batch_finished(self, records: Sequence[Any]) -> None:
        assert threading.get_ident() == self.thread
        self.events.append(("finished", [r.item for r in records]))


def test_an_observer_receives_the_start_and_end_of_every_batch() -> None:
    items = [item(i, "assessment", Picture(f"{i}.png")) for i in range(5)]
    observer = Observer()
    engine(Scripted(poison=(items[1].id,))).measure(items, observer)
    ids = [i.id for i in items]
    assert observer.events == [
        ("started", ids[:3]),  # fails, then its items start one by one
        ("started", ids[:1]), ("finished", ids[:1]), ("started", ids[1:2]), ("finished", ids[1:2]),
        ("started", ids[2:3]), ("finished", ids[2:3]), ("started", ids[3:]), ("finished", ids[3:]),
    ]  # fmt: skip


@dataclass
class Prefetching(Scripted):
    """A model that preprocesses images in threads, with a different delay for each image."""

    largest_batch: int = 4
    looked: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    broken_prepare: bool = False

    def preprocess(self, picture: Any) -> None:
        with picture.lock:
            image = picture.decode()
            time.sleep(image.getpixel((0, 0))[0] / 20000)
            self.looked.append(id(picture))
            self.threads.add(threading.current_thread().name.split("_")[0])

    def prepare(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        self.threads.add(threading.current_thread().name.split("_")[0])
        if self.broken_prepare:
            raise RuntimeError("not in a thread")
        return prompts


def coloured(n: int, task: str = "assessment", broken: int | None = None) -> list[Item]:
    pictures = [Picture(f"{i}.png", (i * 37 % 256, 0, 0), broken=i == broken) for i in range(n)]
    return [item(i, task, picture) for i, picture in enumerate(pictures)]


def test_images_are_preprocessed_in_threads_and_batches_do_not_depend_on_timing() -> None:
    model = Prefetching()
    measuring = engine(model, batch_size=None)
    records = measuring.measure(coloured(14))
    measuring.close()
    assert model.threads == {"qbench-preprocess", "qbench-prepare"}
    assert len(model.looked) == 14
    assert [[p.key for p in call] for call in model.calls] == [
        [f"d/assessment/{i}" for i in range(s, min(s + 4, 14))] for s in range(0, 14, 4)
    ]
    assert [r.status for r in records] == ["measured"] * 14


def test_an_unreadable_image_affects_its_item_only_and_causes_no_second_pass() -> None:
    model, observer = Prefetching(), Observer()
    measuring = engine(model, batch_size=4)
    records = measuring.measure(coloured(8, broken=2), observer)
    measuring.close()
    assert [r.status for r in records] == ["measured"] * 2 + ["error"] + ["measured"] * 5
    assert "2.png: not a readable image" in str(records[2].error)
    assert [len(call) for call in model.calls] == [3, 4]
    assert [item for kind, ids in observer.events if kind == "finished" for item in ids].count("d/assessment/2") == 1


def test_pillow_keeps_memory_while_the_threads_run_or_if_the_user_sets_it() -> None:
    core = Image.core  # type: ignore[attr-defined]
    before = core.get_blocks_max()
    try:
        for own, meanwhile in ((0, min(4 * (os.cpu_count() or 1), 32)), (5, 5)):
            core.set_blocks_max(own)
            measuring = engine(Prefetching(), batch_size=4)
            measuring.measure(coloured(6))
            assert core.get_blocks_max() == meanwhile
            measuring.close()
            assert core.get_blocks_max() == own
    finally:
        core.set_blocks_max(before)


class Counting(Prefetching):
    """Stores the number of torch threads in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[str, set[int]] = {}

    def count(self, where: str) -> None:
        self.counted.setdefault(where, set()).add(torch.get_num_threads())

    def preprocess(self, picture: Any) -> None:
        self.count("preprocess")

    def prepare(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        self.count("prepare")
        return prompts

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> Any:
        self.count("ask")
        return super().next_token_logprobs(prompts, words)


def test_prefetching_takes_no_threads_from_the_model() -> None:
    before, model, later = torch.get_num_threads(), Counting(), []
    torch.set_num_threads(3)
    try:
        measuring = engine(model, batch_size=4)
        measuring.measure(coloured(14))
        measuring.close()
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(before)
    assert model.counted == {"preprocess": {1}, "prepare": {1}, "ask": {3}}
    assert later == [3]


def test_the_model_repeats_a_preparation_that_failed_in_a_thread() -> None:
    measuring = engine(Prefetching(broken_prepare=True))
    assert {r.status for r in measuring.measure(coloured(7))} == {"measured"}
    measuring.close()


@pytest.mark.parametrize("kept", [True, False], ids=["expected", "in vain"])
def test_the_next_call_is_prefetched_during_this_one(kept: bool) -> None:
    model = Prefetching()
    measuring = engine(model, batch_size=4)
    first, second, other = coloured(4), coloured(4, "description"), coloured(5)
    measuring.measure(first, next_calls=[second])
    measuring._prefetcher._preparing.submit(lambda: None).result()  # all started batches are prepared
    assert len(model.looked) == 8
    records = measuring.measure(second if kept else other)
    measuring.close()
    assert [r.item for r in records] == [i.id for i in (second if kept else other)]
    assert len(model.looked) == (8 if kept else 13)


def test_prompts_on_one_image_share_one_object() -> None:
    class Keeping(Prefetching):
        def prepare(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
            return prompts

        def _store(self, prompts: Sequence[Prompt]) -> None:
            self.seen = [id(p.images.lazy_images[0]) for p in prompts]  # type: ignore[attr-defined]
            self.shared = [p.images.lazy_images[0].shared for p in prompts]  # type: ignore[attr-defined]
            order.append((self.seen, self.shared))

    order: list[tuple[list[int], list[bool]]] = []
    ratings = coloured(8)
    questions = [replace(item(i, "perception"), images=rating.images) for i, rating in enumerate(ratings)]
    measuring = engine(Keeping(), batch_size=4)
    measuring.measure([*ratings, *questions])
    measuring.close()
    assert len(order) == 4
    assert order[0] == order[1]
    assert order[2] == order[3]
    assert all(all(shared) for _, shared in order)


def test_a_broken_image_affects_one_item() -> None:
    items = [item(0, "assessment"), item(1, "assessment", Picture("torn.png", broken=True)), item(2, "assessment")]
    records = engine(Scripted()).measure(items)
    assert [r.status for r in records] == ["measured", "error", "measured"]
    assert "torn.png: not a readable image" in str(records[1].error)


def test_a_model_error_ends_the_run_and_is_not_an_item_error() -> None:
    model = Scripted(poison=("d/assessment/0",), error=ModelError("no word 'good'"))
    with pytest.raises(ModelError):
        engine(model).measure([item(0, "assessment")])


def test_blind_shows_grey_of_the_same_size() -> None:
    model = Scripted()
    engine(model, blind=True).measure([item(0, "perception")])
    (image,) = model.calls[0][0].images
    assert image.size == (9, 7)
    assert image.getcolors() == [(63, GREY)]


def test_prompts_follow_the_protocol() -> None:
    model = Scripted()
    engine(model).measure([item(0, "perception"), item(1, "assessment")])
    texts = {p.key: p for call in model.calls for p in call}
    assert (
        texts["d/perception/0"].text
        == "?\nA. x\nB. y\nAnswer with the option's letter from the given choices directly."
    )
    assert texts["d/assessment/1"].prefix == RATE_PREFIX == "The quality of the image is"


def test_a_text_only_model_reads_no_image() -> None:
    records = engine(Scripted(needs_images=False)).measure([item(0, "assessment", Picture(broken=True))])
    assert records[0].status == "measured"


def test_an_error_in_place_of_a_result_affects_its_item_only_and_repeats_no_prompt() -> None:
    class OneByOne(Scripted):
        def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Any]:
            self._store(prompts)
            return [ItemError("A") if p.key.endswith("/1") else "A" for p in prompts]

    model = OneByOne()
    records = engine(model).measure([item(i, "perception") for i in range(3)])
    assert [r.status for r in records] == ["correct", "error", "correct"]
    assert (records[1].response, records[1].choice, records[1].error) == (None, None, "ItemError: A")
    assert len(model.calls) == 1


def test_a_description_on_which_the_judge_fails_is_an_error_that_keeps_the_text() -> None:
    class Half(LexiconJudge):
        def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Any]:
            return [ItemError("no reply"), *super().judge(descriptions[1:], golden[1:], rounds)]

    made = Engine(Scripted(), answer="generate", batch_size=8, blind=False, judge_rounds=2, judge=Half, scoring=DEFAULT)
    first, second = made.measure([item(i, "description") for i in range(2)])
    assert (first.status, first.judge, first.response) == ("error", None, "The image is blurry.")
    assert first.error == "ItemError: no reply"
    assert (second.status, len((second.judge or {})["relevance"])) == ("measured", 2)


def test_the_judge_sees_the_answer_without_its_reasoning() -> None:
    class Thinking(Scripted):
        def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Any]:
            thought = "<think>Very blurry.</think>"
            return [f"{thought}It shows a street.", Response(f"{thought}It is", finish=CUT), thought][: len(prompts)]

    seen: list[str] = []

    class Noting(LexiconJudge):
        unreadable: Sequence[str | None] = ["because of A", None]

        def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Any]:
            seen.extend(descriptions)
            return [{d: [None, None] for d in DIMENSIONS}, *super().judge(descriptions[1:], golden[1:], rounds)]

    made = engine(Thinking(), judge=Noting)
    first, second, third = made.measure([item(i, "description") for i in range(3)])
    assert seen == ["It shows a street.", "It is"]
    assert first.response == "<think>Very blurry.</think>It shows a street."
    assert (first.status, first.finish, first.error) == ("measured", None, "because of A")
    assert (second.status, second.finish, second.error) == ("measured", CUT, None)
    assert (third.status, third.response) == ("error", "<think>Very blurry.</think>")


def test_the_model_gets_the_token_limit_of_each_task() -> None:
    asked: list[int] = []

    class Noting(Scripted):
        def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
            asked.append(max_new_tokens)
            return super().generate(prompts, max_new_tokens)

    made = engine(Noting(), max_new_tokens={"perception": 7, "description": 9})
    made.measure([item(0, "perception"), item(1, "description")])
    assert sorted(asked) == [7, 9]


@pytest.mark.parametrize("verdicts", [
    {"relevance": [7]}, {"relevance": [-1]}, {"relevance": [float("nan")]}, {"relevance": [True]}, {"relevance": ["2"]}, {"relevance": 2},
    [2, 2, 2], "2", 7,
])  # fmt: skip
def test_a_judge_that_returns_anything_but_grades_makes_the_item_an_error(verdicts: Any) -> None:
    class Strange(LexiconJudge):
        def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Any]:
            return [verdicts for _ in descriptions]

    made = Engine(
        Scripted(), answer="generate", batch_size=8, blind=False, judge_rounds=1, judge=Strange, scoring=DEFAULT
    )
    (record,) = made.measure([item(0, "description")])
    assert (record.status, record.judge) == ("error", None)
    assert (record.error or "").startswith("ItemError: the judge returned no grades: judge")


def test_a_judge_reads_only_unparsed_replies() -> None:
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
            reads_unparsed=True,
        )  # fmt: skip
        asked.clear()
        records = made.measure([item(i, "perception") for i in range(4)])
        assert [r.status for r in records] == ["correct", status, "unparsed", "error"]
        assert [r.judge for r in records] == [None, {"choice": votes}, None, None]
        assert asked == ["hm", "melted"]


def test_further_words_are_recorded_where_the_model_takes_them() -> None:
    class Wordy(Scripted):
        def next_token_logprobs(
            self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
        ) -> list[list[float]]:
            self.asked = (tuple(words), tuple(named), tuple(free))
            values = {"poor": -2.0, "sharp": -1 / 3, "high": float("nan"), "low": float("-inf")}
            return [[values.get(word, -1.0) for word in (*words, *named, *free)] for _ in prompts]

    model = Wordy()
    (record,) = engine(model, named_words=("sharp", "good", "bad")).measure([item(0, "assessment")])
    assert model.asked[:2] == (("good", "poor"), ("sharp", "bad"))
    assert set(model.asked[2]) == set(STRATEGY_WORDS) - {"good", "poor", "bad"}
    assert record.status == "measured"
    assert set(record.logprobs or ()) == {"sharp", *STRATEGY_WORDS} - {"high", "low"}
    assert (record.logprobs or {})["sharp"] == -0.333333333
    (plain,) = engine(Scripted()).measure([item(0, "assessment")])
    assert plain.logprobs == {"good": -1.0, "poor": -2.0}
    assert plain.score == record.score


def test_a_missing_score_affects_its_item_only_and_repeats_no_prompt() -> None:
    class Broken(Scripted):
        def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
            self._store(prompts)
            return [[float("nan") if p.key.endswith("/1") else -1.0, -2.0] for p in prompts]

    model = Broken()
    records = engine(model).measure([item(i, "assessment") for i in range(3)])
    assert [r.status for r in records] == ["measured", "error", "measured"]
    assert "the log-probability of 'good' is nan" in str(records[1].error)
    assert len(model.calls) == 1


@pytest.mark.parametrize("task, method", [("perception", "generate"), ("assessment", "next_token_logprobs")])
def test_a_model_that_answers_too_few_prompts_ends_the_run_in_one_line(task: str, method: str) -> None:
    model = Scripted()
    whole = getattr(model, method)
    setattr(model, method, lambda prompts, *rest: whole(prompts, *rest)[:-1])
    items = [item(i, task, Picture(f"{i}.png")) for i in range(4)]
    with pytest.raises(ModelError, match=rf"^scripted: {method} returned 3 results for 4 prompts; return one for each"):
        engine(model, batch_size=4).measure(items)
