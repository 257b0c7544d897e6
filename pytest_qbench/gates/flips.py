"""List the items behind a change: answers that flipped, descriptions and scores that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from pytest_qbench.items import Item
from pytest_qbench.metrics.specs import judged_mean
from pytest_qbench.records import Record
from pytest_qbench.runs.summary_parts import Flip
from pytest_qbench.stats.correlation import mid_ranks

MOVED = 0.1  # fraction of a dataset by which a score's rank must move against the rank of its MOS to be listed
MOST = 50  # moved descriptions or scores listed in each direction; flipped answers are all listed

Pair = tuple[Record, Record]


@dataclass(frozen=True, slots=True)
class Flips:
    """Items lost and gained, the most harmful first, and the ids of all of them: lists may be cut to `MOST`."""

    lost: tuple[Flip, ...] = ()
    gained: tuple[Flip, ...] = ()
    all_lost: frozenset[str] = frozenset()
    all_gained: frozenset[str] = frozenset()


def merge_flips(found: Sequence[Flips]) -> Flips:
    """Return the flips of several datasets and slices, each item once."""
    lost = dict.fromkeys(flip for one in found for flip in one.lost)
    gained = dict.fromkeys(flip for one in found for flip in one.gained)
    all_lost, all_gained = (one.all_lost for one in found), (one.all_gained for one in found)
    none: frozenset[str] = frozenset()
    return Flips(tuple(lost), tuple(gained), none.union(*all_lost), none.union(*all_gained))


def flips(name: str, pairs: Sequence[Pair], items: Mapping[tuple[str, str], Item]) -> Flips:
    """Return the items lost and gained for a metric, from pairs (candidate, baseline) of one dataset.

    perception: the answer was right before and is not now, or the reverse, in the order of the data. description: the
    judged mean (of the dimension that the metric names) is lower or higher. assessment: the score's rank moved away
    from that of the MOS, or towards it, by more than `MOVED` of the ranks. Descriptions and scores start with the
    largest moves, at most `MOST` in each direction. Ranks are written as per cent of the dataset: 100 % is the best.
    `items` holds the items by task and id.
    """
    if name.startswith("perception."):
        lost = [p for p in pairs if p[1].status == "correct" != p[0].status]
        gained = [p for p in pairs if p[0].status == "correct" != p[1].status]
        both = [tuple(_answer(p, items) for p in flipped) for flipped in (lost, gained)]
        return Flips(both[0], both[1], *(frozenset(f.item for f in flipped) for flipped in both))
    if name.startswith("description."):
        dimension = name.partition(".")[2]
        means = [tuple(_judged_mean(r, dimension) for r in pair) for pair in pairs]
        moves = [0.0 if new is None or old is None else new - old for new, old in means]
        texts = [tuple("none" if v is None else f"{v:.2f}" for v in pair) for pair in means]
        questions = [items[r.task, r.item].question or "" for r, _ in pairs]
        return _largest(pairs, moves, texts, questions, 0.0)
    mos = mid_ranks([float(r.target or 0) for r, _ in pairs])
    new, old = (mid_ranks([r.score or 0.0 for r in column]) for column in zip(*pairs, strict=True))
    texts = [(_rank(a, pairs), _rank(b, pairs)) for a, b in zip(new, old, strict=True)]
    moves = ((np.abs(old - mos) - np.abs(new - mos)) / len(pairs)).tolist()
    return _largest(pairs, moves, texts, [f"MOS ranks it at {_rank(rank, pairs)}" for rank in mos], MOVED)


def _judged_mean(record: Record, dimension: str) -> float | None:
    means = [judged_mean(one, dimension) for one in record.outcomes]
    known = [mean for mean in means if mean is not None]
    return fmean(known) if len(known) == len(means) else None


def _rank(rank: float, pairs: Sequence[Pair]) -> str:
    return f"{100 * rank / len(pairs):.0f} %"


def _answer(pair: Pair, items: Mapping[tuple[str, str], Item]) -> Flip:
    new, old = pair
    return Flip(
        new.item, items[new.task, new.item].question or "", old.choice or old.response, new.choice or new.response
    )


def _largest(
    pairs: Sequence[Pair],
    moves: Sequence[float],
    texts: Sequence[tuple[str, ...]],
    questions: Sequence[str],
    least: float,
) -> Flips:
    """Return the moves beyond `least`, split by their sign (negative: worse), the largest first."""
    order = sorted(range(len(pairs)), key=lambda i: -abs(moves[i]))
    found = [(i, Flip(pairs[i][0].item, questions[i], texts[i][1], texts[i][0])) for i in order]
    lost = [flip for i, flip in found if moves[i] < -least]
    gained = [flip for i, flip in found if moves[i] > least]
    everyone = (frozenset(flip.item for flip in flipped) for flipped in (lost, gained))
    return Flips(tuple(lost[:MOST]), tuple(gained[:MOST]), *everyone)
