"""Measures chunks of items in this process; a record is in the run folder before its test is reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from pytest_qbench.engine.crash_isolation import next_batch_size
from pytest_qbench.errors import UsageError
from pytest_qbench.records import Key, Record
from pytest_qbench.session.chunks import plan_chunks

if TYPE_CHECKING:
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.items import Item
    from pytest_qbench.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Chunk:
    """Node ids and their items, in order."""

    nodeids: tuple[str, ...]
    items: tuple[Item, ...]

    def pairs(self) -> Iterable[tuple[str, Item]]:
        """Each node id with its item."""
        return zip(self.nodeids, self.items, strict=True)


def key_of(item: Item) -> Key:
    """What tells items apart: two tasks may share ids."""
    return item.task, item.id


class Measurer:
    """The chunks of this process's collection, and the records that wait for their tests.

    `known` finds the record of an item that was measured before: by an earlier run of this folder, or by a worker that
    died. `folder` opens the run folder, not before there is something to measure.
    """

    def __init__(self, folder: Callable[[], RunFolder], known: Callable[[Key], Record | None]) -> None:
        self._folder, self._known = folder, known
        self._chunk_of: dict[str, Chunk] = {}
        self._in_order: list[Chunk] = []  # the chunks that this process measures one after another
        self._place: dict[str, int] = {}  # of a chunk in that order, by its first test
        self._ready: dict[str, Record] = {}
        self._failed: set[str] = set()
        self._parent = os.getppid()

    def plan(self, nodes: Sequence[tuple[str, Item | None]], size: int, batch: int, *, following: bool) -> None:
        """Plan the chunks of a collection: node ids with their items (None for tests that are no items).

        `following` tells that this process measures all chunks in order, so that the next can be made ready.
        """
        for known in (self._chunk_of, self._in_order, self._place):
            known.clear()
        for positions in plan_chunks([nodeid for nodeid, _ in nodes], size, batch):
            own = [i for i in positions if nodes[i][1] is not None]
            if not own:
                continue
            chunk = Chunk(*zip(*(nodes[i] for i in own), strict=True))
            self._chunk_of.update(dict.fromkeys(chunk.nodeids, chunk))
            if following:  # who measures a worker's next chunk shows later
                self._place[chunk.nodeids[0]] = len(self._in_order)
                self._in_order.append(chunk)

    def take(self, nodeid: str, item: Item) -> Record | None:
        """Return the record of a test where there is one without an error already, else None."""
        record = self._ready.get(nodeid) or self._known(key_of(item))
        if record is None or record.status == "error":
            return None
        self._ready.pop(nodeid, None)
        return record

    def needs_model(self, nodeid: str, item: Item) -> bool:
        """Return whether a test needs the model: it has no record, or it runs again after an error."""
        return nodeid in self._failed or (nodeid not in self._ready and self._known(key_of(item)) is None)

    def measure(self, nodeid: str, item: Item, engine: Callable[[], Engine]) -> Record:
        """Return the record of one test; the first of a chunk measures what is left of it."""
        if nodeid in self._failed:  # run once more, by pytest-rerunfailures say: this one alone
            (self._ready[nodeid],) = engine().measure([item], self)
        elif self.needs_model(nodeid, item):
            self._measure_chunk(self._chunk_of[nodeid], engine)
        record = self._ready.pop(nodeid, None) or self._known(key_of(item))
        assert record is not None, nodeid
        (self._failed.add if record.status == "error" else self._failed.discard)(nodeid)
        return record

    def _measure_chunk(self, chunk: Chunk, engine: Callable[[], Engine]) -> None:
        folder = self._folder()
        folder.journal.refresh()
        lost = folder.journal.in_flight_elsewhere(key_of(item) for item in chunk.items)
        if lost:  # a worker died at this chunk; it may have finished a part
            folder.index()
        left = {nodeid: item for nodeid, item in chunk.pairs() if self._known(key_of(item)) is None}
        groups = _groups(left, lost)
        for group in groups:
            items = [left[nodeid] for nodeid in group]
            sizes = lost.get(key_of(items[0]), [])
            if next_batch_size(sizes) == 0:
                records = [_killer(item, len(sizes)) for item in items]
                folder.append(records)
            else:
                records = engine().measure(items, self, self._following(chunk) if group is groups[-1] else ())
            self._ready.update(zip(group, records, strict=True))
        folder.write(folder.journal.end)

    def _following(self, chunk: Chunk) -> Iterator[list[Item]]:
        """Yield what is to be measured of each chunk behind this one."""
        place = self._place.get(chunk.nodeids[0], len(self._in_order))
        for following in islice(self._in_order, place + 1, None):
            if left := [item for item in following.items if self._known(key_of(item)) is None]:
                yield left

    # what the engine tells

    def batch_started(self, items: Sequence[Item]) -> None:
        """Journal a batch before it is measured."""
        if os.getppid() != self._parent:
            raise UsageError("the process that started this one is gone")
        folder = self._folder()
        folder.write(lambda: folder.journal.begin(items))

    def batch_finished(self, records: Sequence[Record]) -> None:
        """Write a batch as soon as it is measured."""
        self._folder().append(records)


def _groups(left: dict[str, Item], lost: dict[Key, list[int]]) -> list[list[str]]:
    """Cut what is left of a chunk: first all that nothing is held against, then suspects, in ever smaller batches."""
    by_size: dict[int | None, list[str]] = {None: []}
    for nodeid, item in left.items():
        by_size.setdefault(next_batch_size(lost.get(key_of(item), [])), []).append(nodeid)
    groups = [by_size.pop(None)]
    for size, nodeids in by_size.items():
        step = size or 1
        groups += [nodeids[i : i + step] for i in range(0, len(nodeids), step)]
    return [group for group in groups if group]


def _killer(item: Item, times: int) -> Record:
    return Record.of(
        item, "error", error=f"WorkerDied: the process died {times} times while it measured {item.id}, at last alone"
    )
