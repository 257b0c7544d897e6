"""Under xdist, leave the reports of recorded items to the controller: one message for many items, not four for each.

A worker runs the first test of a chunk, which measures the chunk and, for a short time, the chunks queued after it. It
then takes the tests that follow in its queue, as long as they can be reported from their records, out of the queue.
xdist's own message for this, which `--dist worksteal` uses, names them to the controller's scheduler. The controller
reports them from the run folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.plugin.fast_path import take_recorded
from pytest_qbench.plugin.item_group import ItemGroup, Tests, item_id
from pytest_qbench.plugin.nodes import ItemNode
from pytest_qbench.plugin.watchers import hears_reports

if TYPE_CHECKING:
    from pytest_qbench.items import Item
    from pytest_qbench.plugin.nodes import Suite
    from pytest_qbench.session.chunk_measurer import Chunk
    from pytest_qbench.session.run import Run


class ReportHandover:
    """Hooks of a worker: after a test, they leave those that follow it to the controller."""

    def __init__(self, run: Run, session: pytest.Session) -> None:
        self.run, self.session = run, session
        plugins = session.config.pluginmanager.get_plugins()
        self.worker: Any = next(plugin for plugin in plugins if type(plugin).__name__ == "WorkerInteractor")
        self.reported: str | None = None
        self._queued_at: int | None = None  # index of the test that ran when `_queued` was made
        self._queued: list[Chunk] = []

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the last test whose report names its item. The controller has seen its location and its task."""
        if hasattr(report, "qbench_item"):
            self.reported = report.nodeid

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Take the recorded tests of the same function out of the queue, up to the first that has to run."""
        if nodeid != self.reported or self.session.shouldfail or self.session.shouldstop:
            return
        item = self.session.items[self.worker.item_index]
        if not isinstance(item, ItemNode):
            return
        with self.worker.torun.lock() as queue:
            taken = list(takewhile(lambda index: isinstance(index, int) and self._take(index, item.suite), queue))
            if taken:
                self.worker.steal(taken)

    def queued_after(self, chunk: Chunk) -> Iterable[Chunk]:
        """Return the chunks of the running test's function that are in this worker's queue after `chunk`."""
        if self.worker.item_index != self._queued_at:
            self._queued_at = self.worker.item_index
            self._queued = list(self._chunks_in_queue())
        place = next((i for i, one in enumerate(self._queued) if one.nodeids == chunk.nodeids), len(self._queued))
        return islice(self._queued, place + 1, None)

    def _chunks_in_queue(self) -> Iterator[Chunk]:
        """Yield the running test's chunk, and those of the same function in the queue."""
        items, find_chunk = self.session.items, self.run.recorder.measurer.find_chunk
        running = items[self.worker.item_index]
        if not isinstance(running, ItemNode) or not running.suite.takes_fast_path:
            return
        with self.worker.torun.lock() as queue:
            indices = [self.worker.item_index, self.worker.nextitem_index, *queue]
        seen = range(0)  # indices of the last chunk, which follow one another
        for index in takewhile(lambda index: isinstance(index, int), indices):
            if index in seen:
                continue
            if (test := self._test_of(index, running.suite)) is None:
                return
            chunk = find_chunk(*test)
            start = index - chunk.nodeids.index(test[0])
            seen = range(start, start + len(chunk.nodeids))
            yield chunk

    def _take(self, index: int, suite: Suite) -> bool:
        """Take the record of a test, and return whether it has one and is of this suite function."""
        node, position = self._locate(index)
        if getattr(node, "suite", None) is not suite:
            return False
        return (node.take(position) if isinstance(node, ItemGroup) else take_recorded(self.run, node)) is not None

    def _test_of(self, index: int, suite: Suite) -> tuple[str, Item] | None:
        """Return the node id and the item of a test of this suite function, None for other tests."""
        node, position = self._locate(index)
        if isinstance(node, ItemGroup) and node.suite is suite:
            return item_id(suite.function_id, node.items[position]), node.items[position]
        return (node.nodeid, node.bench) if isinstance(node, ItemNode) and node.suite is suite else None

    def _locate(self, index: int) -> tuple[pytest.Item, int]:
        items = self.session.items
        return items.locate(index) if isinstance(items, Tests) else (items[index], 0)


def hand_over_reports(run: Run, session: pytest.Session) -> None:
    """Let the controller report recorded items, unless a plugin of this worker hears of each test.

    A run that stops early leaves out items after each report, so its workers report each item.
    """
    config = session.config
    if run.early_stop is not None:
        return
    if config.workerinput["qbench_dist"] == "load" and not hears_reports(config):  # type: ignore[attr-defined]
        handover = ReportHandover(run, session)
        run.recorder.measurer.queued_after = handover.queued_after
        config.pluginmanager.register(handover, "qbench-handover")
