"""Measure chunks of items in this process. A record is in the run folder before its test is reported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from pytest_qbench.engine.crash_isolation import next_batch_size
from pytest_qbench.errors import UsageError
from pytest_qbench.records import Key, Record
from pytest_qbench.session.chunks import plan_chunks
from pytest_qbench.session.pictures import PictureHashes

if TYPE_CHECKING:
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.items import Item
    from pytest_qbench.runs.run_folder import RunFolder

SHORT = 0.25
"""Seconds within which further chunks are measured before the first is reported: that test takes all three phases."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Node ids and their items, in order."""

    nodeids: tuple[str, ...]
    items: tuple[Item, ...]

    @property
    def function(self) -> str:
        """The node id of the suite function."""
        return self.nodeids[0].partition("[")[0]

    def pairs(self) -> Iterable[tuple[str, Item]]:
        """Return each node id with its item."""
        return zip(self.nodeids, self.items, strict=True)


def key_of(item: Item) -> Key:
    """Return the key of an item. The task is a part of it, because two tasks may share ids."""
    return item.task, item.id


class Measurer:
    """The chunks of this process's collection, and the records whose tests have not run yet.

    - `known` returns the record of an item that was measured before: by an earlier run in this folder, or by a worker
      that died.
    - `folder` opens the run folder. It is called when there is something to measure.
    - `is_verified` returns whether this process may use earlier records: after the model is loaded and was compared
      with the model of these records.
    - `conditions` returns the conditions hash of a task.

    `find_chunk` returns the chunk of a test and its item. `queued_after` returns the chunks that this process measures
    after a given one. Workers of xdist replace both.
    """

    def __init__(
        self,
        folder: Callable[[], RunFolder],
        known: Callable[[Key], Record | None],
        is_verified: Callable[[], bool] = lambda: True,
        conditions: Callable[[str], str | None] = lambda task: None,
    ) -> None:
        self._folder, self._known, self._is_verified, self._conditions = folder, known, is_verified, conditions
        self._pictures, self._sees = PictureHashes(), False
        self._chunk_of: dict[str, Chunk] = {}
        self.find_chunk: Callable[[str, Item], Chunk] = lambda nodeid, item: self._chunk_of[nodeid]
        self.queued_after: Callable[[Chunk], Iterable[Chunk]] = self._planned_after
        self._in_order: list[Chunk] = []  # the chunks in the order in which this process measures them
        self._place: dict[str, int] = {}  # position of a chunk in that order, by its first test
        self._ready: dict[str, Record] = {}
        self._failed: set[str] = set()
        self._early: dict[Key, Record] = {}  # records of later chunks, for which an endpoint was asked ahead
        self._in_progress: dict[Key, Item] = {}
        self._expected: set[Key] = set()  # the items that the engine is asked for now
        self._parent = os.getppid()

    def plan(self, nodes: Sequence[tuple[str, Item | None]], size: int, batch: int, *, following: bool) -> None:
        """Plan the chunks of a collection: node ids with their items (None for other tests).

        `following` says that this process measures all chunks in order, so that later ones can be prefetched.
        """
        for known in (self._chunk_of, self._in_order, self._place):
            known.clear()
        for positions in plan_chunks([nodeid for nodeid, _ in nodes], size, batch):
            own = [i for i in positions if nodes[i][1] is not None]
            if not own:
                continue
            chunk = Chunk(*zip(*(nodes[i] for i in own), strict=True))
            self._chunk_of.update(dict.fromkeys(chunk.nodeids, chunk))
            if following:  # under xdist the scheduler decides later which worker measures a chunk
                self._place[chunk.nodeids[0]] = len(self._in_order)
                self._in_order.append(chunk)

    def take(self, nodeid: str, item: Item) -> Record | None:
        """Return the record of a test if it exists and is not an error, else None."""
        record = self._ready.get(nodeid) or self._known(key_of(item))
        if record is None or record.status == "error" or not self._is_verified():
            return None
        self._ready.pop(nodeid, None)
        return record

    def needs_model(self, nodeid: str, item: Item) -> bool:
        """Return whether a test needs the model: it has no record, or it runs again after an error."""
        if nodeid in self._failed or not self._is_verified():
            return True
        return nodeid not in self._ready and self._known(key_of(item)) is None

    def measure(self, nodeid: str, item: Item, engine: Callable[[], Engine]) -> Record:
        """Return the record of one test. The first test of a chunk measures the whole chunk."""
        if nodeid in self._failed:  # a rerun, for example by pytest-rerunfailures: measure this item alone
            self._expected = {key_of(item)}
            (self._ready[nodeid],) = self._ask(engine()).measure([item], self)
        elif self.needs_model(nodeid, item):
            self._measure_chunks(self.find_chunk(nodeid, item), engine)
        record = self._ready.pop(nodeid, None) or self._known(key_of(item))
        assert record is not None, nodeid
        (self._failed.add if record.status == "error" else self._failed.discard)(nodeid)
        return record

    def _measure_chunks(self, first: Chunk, engine: Callable[[], Engine]) -> None:
        """Measure a chunk and, for a short time, those of the same function that are queued after it."""
        end = time.monotonic() + SHORT
        self._measure_chunk(first, engine)
        for chunk in self.queued_after(first):
            if time.monotonic() >= end or chunk.function != first.function:
                break
            self._measure_chunk(chunk, engine)

    def _measure_chunk(self, chunk: Chunk, engine: Callable[[], Engine]) -> None:
        folder = self._folder()
        folder.journal.refresh()
        lost = folder.journal.in_flight_elsewhere(key_of(item) for item in chunk.items)
        if lost:  # a worker died in this chunk and may have finished a part of it
            folder.index()
        for nodeid, item in chunk.pairs():
            if (early := self._early.pop(key_of(item), None)) is not None:
                self._ready[nodeid] = early
        left = {
            nodeid: item
            for nodeid, item in chunk.pairs()
            if nodeid not in self._ready and self._known(key_of(item)) is None
        }
        groups = _groups(left, lost)
        for group in groups:
            items = [left[nodeid] for nodeid in group]
            self._expected = {key_of(item) for item in items}
            sizes = lost.get(key_of(items[0]), [])
            if next_batch_size(sizes) == 0:
                records = [_worker_died(item, len(sizes)) for item in items]
                self.batch_finished(records)
            else:
                following = self._following(chunk) if group is groups[-1] else ()
                records = self._ask(engine()).measure(items, self, following)
            self._ready.update(zip(group, records, strict=True))
        if self._in_progress:  # items of later chunks
            folder.write(lambda: folder.journal.begin([*self._in_progress.values()]))
        else:
            folder.write(folder.journal.end)

    def _ask(self, engine: Engine) -> Engine:
        self._sees = engine.sees
        return engine

    def _following(self, chunk: Chunk) -> Iterator[list[Item]]:
        """Yield the items left to measure in each later chunk."""
        for following in self.queued_after(chunk):
            left = [i for i in following.items if self._known(key_of(i)) is None and key_of(i) not in self._early]
            if left:
                yield left

    def _planned_after(self, chunk: Chunk) -> Iterable[Chunk]:
        """Return the later chunks of the plan. It is empty where another process may measure some of them."""
        place = self._place.get(chunk.nodeids[0], len(self._in_order))
        return islice(self._in_order, place + 1, None)

    # called by the engine

    def batch_started(self, items: Sequence[Item], others: Sequence[Item] = ()) -> None:
        """Write the items in progress to the journal before new ones are measured, and begin to hash their images."""
        if os.getppid() != self._parent:
            raise UsageError("the process that started this one is gone")
        folder = self._folder()
        folder.write(lambda: folder.journal.begin([*others, *items]))
        self._in_progress.update((key_of(item), item) for item in items)
        if self._sees:
            self._pictures.start(items)

    def batch_finished(self, records: Sequence[Record]) -> None:
        """Write the records of a measured batch, each with the hashes of its images and conditions."""
        whole = [
            replace(r, picture=self._pictures.take((r.task, r.item)), conditions=self._conditions(r.task))
            for r in records
        ]
        self._folder().append(whole)
        for record in whole:
            self._in_progress.pop((record.task, record.item), None)
        self._early.update(((r.task, r.item), r) for r in whole if (r.task, r.item) not in self._expected)


def _groups(left: dict[str, Item], lost: dict[Key, list[int]]) -> list[list[str]]:
    """Return the groups to measure: first all items without a crash, then the others in ever smaller batches."""
    by_size: dict[int | None, list[str]] = {None: []}
    for nodeid, item in left.items():
        by_size.setdefault(next_batch_size(lost.get(key_of(item), [])), []).append(nodeid)
    groups = [by_size.pop(None)]
    for size, nodeids in by_size.items():
        step = size or 1
        groups += [nodeids[i : i + step] for i in range(0, len(nodeids), step)]
    return [group for group in groups if group]


def _worker_died(item: Item, times: int) -> Record:
    return Record.of(
        item,
        "error",
        error=f"WorkerDied: the process died {times} times while it measured {item.id}, the last time alone",
    )
