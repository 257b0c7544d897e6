"""Items of an endpoint flow: a new one starts when another is done, across calls, and each record is told at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Record


class Passing(ItemError):
    """An error that another attempt may not meet."""

    may_pass = True


class Served:
    """A model whose server answers when a test lets it. `fails` maps ids to what their first attempts raise."""

    name, needs_images = "served", False

    def __init__(self, at_once: int = 4, fails: dict[str, list[Exception]] | None = None) -> None:
        self.items_at_once, self.fails = at_once, fails or {}
        self.asked: list[str] = []
        self.answering = self.most = 0
        self.lock = threading.Lock()
        self.held: dict[str, threading.Event] = {}

    def describe(self) -> dict[str, Any]:
        return {}

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        (prompt,) = prompts
        with self.lock:
            self.asked.append(prompt.key)
            self.answering += 1
            self.most = max(self.most, self.answering)
        try:
            if prompt.key in self.held:
                assert self.held[prompt.key].wait(20)
            if left := self.fails.get(prompt.key):
                raise left.pop(0)
        finally:
            with self.lock:
                self.answering -= 1
        return ["A"]

    def close(self) -> None: ...


class Observer:
    """Notes what starts and ends."""

    def __init__(self) -> None:
        self.in_progress: list[list[str]] = []
        self.records: list[Record] = []
        self.thread = threading.get_ident()

    def batch_started(self, items: Sequence[Item], others: Sequence[Item] = ()) -> None:
        assert threading.get_ident() == self.thread
        self.in_progress.append(sorted(item.id for item in (*items, *others)))

    def batch_finished(self, records: Sequence[Record]) -> None:
        assert threading.get_ident() == self.thread
        self.records += records


def question(number: int) -> Item:
    return Item(
        f"{number:03}", "perception", "d", None, str(number), (), "Is it?", ("Yes", "No"), "Yes", {"type": "yes_or_no"}
    )


def engine_of(model: Served, **more: Any) -> Engine:
    settings_ = {"answer": "generate", "batch_size": None, "blind": False, "judge_rounds": 1, "judge": LexiconJudge}
    return Engine(model, **{**settings_, **more})  # type: ignore[arg-type]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 7),
    st.sets(st.integers(0, 20), max_size=6), st.sets(st.integers(0, 20), max_size=3),
)  # fmt: skip
@settings(max_examples=60)
def test_each_item_has_one_record_whatever_fails(
    calls: list[int], at_once: int, passing: set[int], failing: set[int]
) -> None:
    fails = {f"{i:03}": [Passing("busy")] for i in passing} | {f"{i:03}": [ItemError("bad")] * 9 for i in failing}
    model, observer = Served(at_once, fails), Observer()
    starts = [sum(calls[:k]) for k in range(len(calls) + 1)]
    items = [[question(i) for i in range(a, b)] for a, b in pairwise(starts)]
    engine, known = engine_of(model), dict[str, Record]()
    for k, call in enumerate(items):
        left = [item for item in call if item.id not in known]
        later = ([item for item in each if item.id not in known] for each in items[k + 1 :])
        returned = engine.measure(left, observer, later)
        assert [record.item for record in returned] == [item.id for item in left]
        known = {record.item: record for record in observer.records}
        assert {item.id for item in call} <= known.keys()
    engine.close()
    assert len(observer.records) == len(known) == sum(calls)
    assert model.most <= at_once
    assert all(len(each) <= at_once for each in observer.in_progress)
    for item, record in known.items():
        bad = int(item) in failing
        assert (record.status, record.error) == (("error", "ItemError: bad") if bad else ("correct", None))
        assert model.asked.count(item) == (2 if int(item) in passing and not bad else 1)


def test_the_next_items_start_while_one_hangs_and_later_calls_begin() -> None:
    model = Served(4)
    model.held["001"] = threading.Event()
    calls = [[question(i) for i in range(8)], [question(i) for i in range(8, 16)]]
    engine = engine_of(model)

    class Releasing(Observer):
        def batch_finished(self, records: Sequence[Record]) -> None:
            super().batch_finished(records)
            if len(self.records) == 15:  # all others are done, those of the next call too
                model.held["001"].set()

    observer = Releasing()
    found = engine.measure(calls[0], observer, iter([calls[1]]))
    assert [record.item for record in found] == [item.id for item in calls[0]]
    assert {record.item for record in observer.records} == {item.id for call in calls for item in call}
    assert observer.records[-1].item == "001"
    engine.close()


def test_an_item_that_fails_is_asked_again_when_all_others_are_done() -> None:
    model, observer = Served(2, {"000": [Passing("busy")]}), Observer()
    records = engine_of(model).measure([question(i) for i in range(6)], observer)
    assert [record.status for record in records] == ["correct"] * 6
    assert model.asked[-1] == "000"
    assert sorted(model.asked) == ["000", *(f"{i:03}" for i in range(6))]


def test_an_item_that_fails_twice_is_an_error() -> None:
    model = Served(2, {"000": [Passing("busy"), Passing("still busy"), Passing("never asked")]})
    records = engine_of(model).measure([question(i) for i in range(3)])
    assert records[0].error == "Passing: still busy"
    assert model.asked.count("000") == 2


def test_an_error_that_ends_the_run_reaches_the_caller() -> None:
    model = Served(2, {"001": [ModelError("gone")]})
    with pytest.raises(ModelError, match="gone"):
        engine_of(model).measure([question(i) for i in range(4)], Observer())


def test_another_observer_gets_nothing_of_what_was_asked_ahead() -> None:
    model, first = Served(2), Observer()
    engine = engine_of(model)
    engine.measure([question(0)], first, iter([[question(1)]]))
    again = engine.measure([question(0), question(1)])
    assert [record.item for record in again] == ["000", "001"]
    assert model.asked.count("000") == 2


class LocalJudge:
    """A judge that fails on the texts of `fails` once."""

    name = "judge"

    def __init__(self, fails: set[str]) -> None:
        self.fails = fails
        self.judged: list[str] = []
        self.threads: set[int] = set()

    def describe(self) -> dict[str, Any]:
        return {}

    def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Any]:
        self.threads.add(threading.get_ident())
        found: list[Any] = []
        for (text,) in golden:
            self.judged.append(text)
            verdicts: Any = {name: [2] * rounds for name in ("completeness", "preciseness", "relevance")}
            if text in self.fails:
                self.fails.remove(text)
                verdicts = Passing("busy")
            found.append(verdicts)
        return found


class ServedJudge(LocalJudge):
    """The same judge behind a server."""

    items_at_once = 4


def described(number: int) -> Item:
    return Item(f"{number:03}", "description", "d", None, str(number), (), golden=(f"golden {number}",))


def test_a_judge_behind_a_server_grades_in_the_threads_and_only_it_is_asked_again() -> None:
    judge, model = ServedJudge({"golden 2"}), Served(3)
    records = engine_of(model, judge=lambda: judge).measure([described(i) for i in range(5)])
    assert [record.status for record in records] == ["measured"] * 5
    assert threading.get_ident() not in judge.threads
    assert judge.judged.count("golden 2") == 2
    assert model.asked.count("002") == 1


def test_another_judge_grades_on_the_thread_of_the_run() -> None:
    judge = LocalJudge(set())
    records = engine_of(Served(3), judge=lambda: judge).measure([described(i) for i in range(5)])
    assert [record.status for record in records] == ["measured"] * 5
    assert judge.threads == {threading.get_ident()}


class Sampled(Served):
    """A served model whose answer depends on the pass of the calling thread. `held` items wait in their first pass."""

    def __init__(self, at_once: int = 4, fails: dict[str, list[Exception]] | None = None) -> None:
        super().__init__(at_once, fails)
        self.number = threading.local()
        self.passes: list[tuple[str, int]] = []

    def use_sample(self, number: int) -> None:
        self.number.value = number

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        super().generate(prompts, max_new_tokens)
        with self.lock:
            self.passes.append((prompts[0].key, self.number.value))
        return ["AAB"[self.number.value]]


def test_an_item_takes_all_its_passes_while_another_one_hangs() -> None:
    model, observer = Sampled(at_once=2), Observer()
    model.held["000"] = threading.Event()
    items = [question(i) for i in range(6)]

    def release() -> None:
        while model.passes.count(("005", 2)) < 1:
            threading.Event().wait(0.001)
        model.held["000"].set()

    helper = threading.Thread(target=release)
    helper.start()
    records = engine_of(model, repeats=3).measure(items, observer)
    helper.join()
    assert observer.records[-1].item == "000"
    for record in records:
        assert [one.choice for one in record.outcomes] == ["Yes", "Yes", "No"]
        assert (record.status, record.choice) == ("correct", "Yes")
    assert sorted(model.passes) == [(item.id, number) for item in items for number in range(3)]


def test_an_item_whose_pass_fails_is_asked_again_from_its_first_pass_on() -> None:
    busy = {"001": [Passing("busy")], "002": [ItemError("bad")] * 9}
    model, observer = Sampled(fails=busy), Observer()
    records = engine_of(model, repeats=3).measure([question(i) for i in range(3)], observer)
    assert [(record.status, len(record.outcomes)) for record in records] == [
        ("correct", 3), ("correct", 3), ("error", 1),
    ]  # fmt: skip
    assert model.asked.count("001") == 4
    assert model.asked.count("002") == 1
