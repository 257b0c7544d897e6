"""Lost and gained items: the moves of judged means, and of ranks as SciPy gives them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from pytest_qbench.gates.flips import MOVED, Flips, flips, merge_flips
from pytest_qbench.items import Item
from pytest_qbench.records import Record, repeated
from pytest_qbench.runs.summary_parts import Flip
from tests.builders import answered, question

SCORES = st.lists(st.tuples(*[st.integers(0, 20)] * 3), min_size=5, max_size=40)


def judged(number: int, verdicts: list[float | None]) -> Record:
    """Return a description whose relevance has these verdicts."""
    return Record(f"d/{number}", "description", "d", None, str(number), "measured", judge={"relevance": verdicts})


def test_descriptions_are_listed_with_their_means_the_largest_move_first() -> None:
    before = [[2, 2], [1, 1], [0, 1], [2, 1], [None]]
    now = [[2, 1], [1, 1], [2, 2], [0, 0], [2]]
    pairs = [(judged(i, new), judged(i, old)) for i, (new, old) in enumerate(zip(now, before, strict=True))]
    items = {("description", f"d/{i}"): Item(f"d/{i}", "description", "d", None, str(i), ()) for i in range(5)}
    found = flips("description.relevance", pairs, items)
    assert [(f.item, f.before, f.after) for f in found.lost] == [("d/3", "1.50", "0.00"), ("d/0", "2.00", "1.50")]
    assert [(f.item, f.before, f.after) for f in found.gained] == [("d/2", "0.50", "2.00")]


@given(SCORES)
def test_scores_are_lost_where_their_rank_leaves_that_of_the_mos(rows: list[tuple[int, int, int]]) -> None:
    def record(number: int, score: int, mos: int) -> Record:
        return Record(f"a/{number}", "assessment", "a", None, str(number), "measured", score=score / 20, target=mos)

    pairs = [(record(i, new, mos), record(i, old, mos)) for i, (new, old, mos) in enumerate(rows)]
    items = {("assessment", f"a/{i}"): Item(f"a/{i}", "assessment", "a", None, str(i), ()) for i in range(len(rows))}
    found = flips("assessment.srcc", pairs, items)
    now, before, mos = (rankdata(column) for column in zip(*rows, strict=True))
    moves = (abs(before - mos) - abs(now - mos)) / len(rows)
    assert {f.item for f in found.lost} == {f"a/{i}" for i, move in enumerate(moves) if move < -MOVED}
    assert {f.item for f in found.gained} == {f"a/{i}" for i, move in enumerate(moves) if move > MOVED}


def test_a_text_with_an_unreadable_pass_has_no_mean() -> None:
    """The mean of the other passes would be that of fewer than all."""
    read, unread = judged(0, [2]), judged(0, [None])
    pairs = [(repeated([read, unread]), judged(0, [1])), (repeated([judged(1, [2]), judged(1, [1])]), judged(1, [1]))]
    items = {("description", f"d/{i}"): Item(f"d/{i}", "description", "d", None, str(i), ()) for i in range(2)}
    found = flips("description.relevance", pairs, items)
    assert [(f.item, f.before, f.after) for f in found.gained] == [("d/1", "1.00", "1.50")]
    assert found.lost == ()


def test_fifty_moves_are_listed_and_all_are_counted() -> None:
    pairs = [(judged(i, [0]), judged(i, [1 + (i % 2)])) for i in range(60)]
    pairs += [(judged(i, [2]), judged(i, [1])) for i in range(60, 115)]
    items = {("description", f"d/{i}"): Item(f"d/{i}", "description", "d", None, str(i), ()) for i in range(115)}
    found = flips("description.relevance", pairs, items)
    assert (len(found.lost), len(found.gained), len(found.all_lost), len(found.all_gained)) == (50, 50, 60, 55)
    assert {f.before for f in found.lost[:30]} == {"2.00"}
    assert {f.before for f in found.lost[30:]} == {"1.00"}


def test_answers_that_flip_are_listed_with_their_texts_in_the_order_of_the_data() -> None:
    items = [question(i) for i in range(4)]
    new = [answered(i, c) for i, c in zip(items, ("No", "Yes", "No", None), strict=True)]
    old = [answered(i, c) for i, c in zip(items, ("Yes", "No", "No", "Yes"), strict=True)]
    new[3] = replace(new[3], response="perhaps")
    found = flips("perception.accuracy", list(zip(new, old, strict=True)), {(i.task, i.id): i for i in items})
    assert [(f.item, f.before, f.after) for f in found.lost] == [("mini/0", "Yes", "No"), ("mini/3", "Yes", "perhaps")]
    assert [(f.item, f.question) for f in found.gained] == [("mini/1", "Is image 1 blurry?")]
    assert (found.all_lost, found.all_gained) == ({"mini/0", "mini/3"}, {"mini/1"})


def test_flips_of_several_datasets_list_each_item_once() -> None:
    a, b = Flip("a", "?", "Yes", "No"), Flip("b", "?", "Yes", "No")
    one = Flips((a, b), (), frozenset("ab"), frozenset())
    other = Flips((b,), (a,), frozenset("bc"), frozenset("a"))
    assert merge_flips([one, other]) == Flips((a, b), (a,), frozenset("abc"), frozenset("a"))
    assert merge_flips([]) == Flips()
