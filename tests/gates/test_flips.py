"""Lost and gained items: the moves of judged means, and of ranks as SciPy gives them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from pytest_qbench.gates.flips import MOVED, flips
from pytest_qbench.items import Item
from pytest_qbench.records import Record

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
