"""Which items a change comes from: answers that flipped, descriptions and scores that moved. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from pytest_qbench.items import Item
from pytest_qbench.metrics.metrics import judged_mean
from pytest_qbench.records import Record

MOVED = 0.1  # share of a dataset by which a score's rank must move against the rank of its MOS to be listed
MOST = 50  # items listed each way, of those that moved by degrees; flipped answers are all listed

Pair = tuple[Record, Record]


@dataclass(frozen=True, slots=True)
class Flip:
    """An item that came out otherwise: its answer, its judged mean, its quality score (beside the MOS)."""

    item: str
    question: str
    before: str | None
    after: str | None


def flips(
    name: str, pairs: Sequence[Pair], asked: Mapping[tuple[str, str], Item]
) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    """Items lost and items gained for a metric, from pairs (candidate, baseline) of one dataset.

    perception: right before and not now, or the other way round, in the order of the data. description: a lower or a
    higher judged mean (of the dimension that the metric names). assessment: the score's rank moved away from that of
    the MOS, or towards it, by more than `MOVED` of the ranks. The last two list the largest moves first, `MOST` each.
    """
    if name.startswith("perception."):
        lost = [p for p in pairs if p[1].status == "correct" != p[0].status]
        gained = [p for p in pairs if p[0].status == "correct" != p[1].status]
        return tuple(_answer(p, asked) for p in lost), tuple(_answer(p, asked) for p in gained)
    if name.startswith("description."):
        dimension = name.partition(".")[2]
        means = [tuple(judged_mean(r, dimension) for r in pair) for pair in pairs]
        moves = [0.0 if new is None or old is None else new - old for new, old in means]
        texts = [tuple("none" if v is None else f"{v:.2f}" for v in pair) for pair in means]
        return _largest(pairs, moves, texts, asked, 0.0)
    rank_of_mos = rankdata([float(r.target or 0) for r, _ in pairs])
    new, old = (np.abs(rankdata([r.score or 0.0 for r in side]) - rank_of_mos) for side in zip(*pairs, strict=True))
    texts = [(f"{a.score:.4f}", f"{b.score:.4f}") for a, b in pairs]
    return _largest(pairs, ((old - new) / len(pairs)).tolist(), texts, asked, MOVED)


def _answer(pair: Pair, asked: Mapping[tuple[str, str], Item]) -> Flip:
    new, old = pair
    return Flip(new.item, _question(new, asked), old.choice or old.response, new.choice or new.response)


def _largest(
    pairs: Sequence[Pair],
    moves: Sequence[float],
    texts: Sequence[tuple[str, ...]],
    asked: Mapping[tuple[str, str], Item],
    least: float,
) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    """Split by the sign of `moves` (negative: worse), those beyond `least`, the largest first."""
    order = sorted(range(len(pairs)), key=lambda i: -abs(moves[i]))
    found = [(i, Flip(pairs[i][0].item, _question(pairs[i][0], asked), texts[i][1], texts[i][0])) for i in order]
    lost = [flip for i, flip in found if moves[i] < -least]
    gained = [flip for i, flip in found if moves[i] > least]
    return tuple(lost[:MOST]), tuple(gained[:MOST])


def _question(record: Record, asked: Mapping[tuple[str, str], Item]) -> str:
    if record.task == "assessment":
        return f"MOS {record.target:g}"
    return asked[record.task, record.item].question or ""
