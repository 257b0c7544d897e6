"""Under xdist, leave the reports of recorded items to the controller: one message per chunk instead of four per item.

A worker runs the first test of a chunk, which measures the chunk. It then takes the tests that follow in its queue, as
long as they can be reported from their records, out of the queue. xdist's own message for this, which
`--dist worksteal` uses, names them to the controller's scheduler. The controller reports them from the run folder.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.plugin.fast_path import take_recorded
from pytest_qbench.plugin.item_group import ItemGroup, Tests
from pytest_qbench.plugin.nodes import ItemNode
from pytest_qbench.plugin.watchers import hears_reports

if TYPE_CHECKING:
    from pytest_qbench.plugin.nodes import Suite
    from pytest_qbench.session.run import Run


class ReportHandover:
    """Hooks of a worker: after a test, they leave those that follow it to the controller."""

    def __init__(self, run: Run, session: pytest.Session) -> None:
        self.run, self.session = run, session
        plugins = session.config.pluginmanager.get_plugins()
        self.worker: Any = next(plugin for plugin in plugins if type(plugin).__name__ == "WorkerInteractor")
        self.reported: str | None = None

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

    def _take(self, index: int, suite: Suite) -> bool:
        """Take the record of a test, and return whether it has one and is of this suite function."""
        items = self.session.items
        node, position = items.locate(index) if isinstance(items, Tests) else (items[index], 0)
        if getattr(node, "suite", None) is not suite:
            return False
        return (node.take(position) if isinstance(node, ItemGroup) else take_recorded(self.run, node)) is not None


def hand_over_reports(run: Run, session: pytest.Session) -> None:
    """Let the controller report recorded items, unless a plugin of this worker hears of each test.

    A run that stops early leaves out items after each report, so its workers report each item.
    """
    config = session.config
    if run.early_stop is not None:
        return
    if config.workerinput["qbench_dist"] == "load" and not hears_reports(config):  # type: ignore[attr-defined]
        config.pluginmanager.register(ReportHandover(run, session), "qbench-handover")
