"""Choose the items that are looked at: those where two sides differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

from pytest_qbench.data.sampling import select
from pytest_qbench.items import TASKS, Dataset, Item
from pytest_qbench.records import Key, Record
from pytest_qbench.why.sides import logprob_difference

MOST = 16
"""Items that are compared at most."""
DESCRIPTIONS = 2
"""Descriptions among them: a long reply takes as much time as all the other items."""


def pool(datasets: Sequence[Dataset], size: int, seed: int) -> list[Item]:
    """Return a stratified sample of about `size` items over all datasets, few of them descriptions."""
    asked = [each for each in datasets if each.task != "description"]
    described = [each for each in datasets if each.task == "description"]
    limit = max(1, size // max(1, len(asked)))
    found = [item for one in select(asked, limit=limit, seed=seed) for item in one.items][:size]
    few = [item for one in select(described, limit=DESCRIPTIONS, seed=seed) for item in one.items]
    return found + few[: DESCRIPTIONS if found else MOST]


def most_different(
    items: Sequence[Item], a: Mapping[Key, Record], b: Mapping[Key, Record], most: int = MOST
) -> list[Item]:
    """Return at most `most` items that both sides have, those with the largest difference first, tasks in turn."""
    lists = []
    for task in TASKS:
        keys = [(item.task, item.id) for item in items]
        own = [item for item, key in zip(items, keys, strict=True) if item.task == task and key in a and key in b]
        own.sort(key=lambda item: -difference(a[item.task, item.id], b[item.task, item.id]))
        lists.append(own[:DESCRIPTIONS] if task == "description" else own)
    turns = [item for turn in zip_longest(*lists) for item in turn if item is not None]
    return turns[:most]


def difference(a: Record, b: Record) -> float:
    """Return how much two records of an item differ: from 0, the same, up to 2, another outcome."""
    if (a.status == "error") != (b.status == "error"):
        return 2.0
    if a.score is not None and b.score is not None:
        return min(1.0, abs(a.score - b.score))
    changed = float(a.choice != b.choice)
    if a.logprobs and b.logprobs:
        return changed + min(1.0, logprob_difference(a, b) / 10)
    if a.response is None or b.response is None:
        return changed
    return changed + 1 - SequenceMatcher(None, a.response[:400], b.response[:400], autojunk=False).ratio()
