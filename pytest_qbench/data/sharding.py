"""Split the items into one part per machine. The part of an item depends only on task, id and number of parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from pytest_qbench.items import Dataset


def shard_of(task: str, item: str, parts: int) -> int:
    """Return the part, from 1 to `parts`, that an item belongs to."""
    digest = hashlib.sha256(f"{task}\n{item}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % parts + 1


def take_shard(datasets: Iterable[Dataset], part: int, parts: int) -> list[Dataset]:
    """Return the datasets with only the items of one part, in their order."""
    return [
        replace(each, items=tuple(i for i in each.items if shard_of(i.task, i.id, parts) == part)) for each in datasets
    ]
