"""Hash the images of items during the forward pass, and compare the hashes when a run is resumed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pytest_qbench.data.identity import picture_hash
from pytest_qbench.items import Item
from pytest_qbench.records import Key, Record


class PictureHashes:
    """Hashes of the images of a batch. A thread computes them while the model answers and the files are cached."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._found: dict[Key, Future[str | None]] = {}

    def start(self, items: Sequence[Item]) -> None:
        """Start to hash the images of a batch of items."""
        self._pool = self._pool or ThreadPoolExecutor(1, "qbench-hash")
        for item in items:
            if (item.task, item.id) not in self._found:
                self._found[item.task, item.id] = self._pool.submit(picture_hash, item)

    def take(self, key: Key) -> str | None:
        """Return the hash of an item's images, or None if they are not hashed or cannot be read."""
        found = self._found.pop(key, None)
        return found.result() if found else None


def changed_pictures(records: Iterable[Record], items: Mapping[Key, Item]) -> list[Item]:
    """Return the items whose images have changed since their records were made. Reads all of these images."""
    pairs = [
        (record.picture, items[record.task, record.item])
        for record in records
        if record.picture is not None and (record.task, record.item) in items
    ]
    if not pairs:
        return []
    with ThreadPoolExecutor(os.cpu_count() or 1, "qbench-hash") as pool:
        now = list(pool.map(picture_hash, (item for _, item in pairs)))
    return [item for (before, item), found in zip(pairs, now, strict=True) if found not in (None, before)]
