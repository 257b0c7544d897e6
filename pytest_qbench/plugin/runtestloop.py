"""One report an item instead of three phases: what pytest does around an empty test costs ten times the item itself.

Taken by light nodes whose record is there. The first item of a chunk, which measures all of it, runs as any test does,
and so do the last of a module (it tears down), items with a mark of their own and items that end in an error.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pytest_qbench.plugin.nodes import ItemNode
from pytest_qbench.plugin.progress import flushed_by_hand
from pytest_qbench.session.gc import freeze
from pytest_qbench.session.options import NAME
from pytest_qbench.session.workers import is_worker

if TYPE_CHECKING:
    from pytest_qbench.session.run import Run

SETTLED = 8192  # items whose records and reports the garbage collector looks at more than once


def report_recorded(run: Run, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Report `item` from its record; False where it has to run as any test does."""
    if not isinstance(item, ItemNode) or nextitem is None or nextitem.parent is not item.parent:
        return False
    # Marks may be added to single items, or to their module, in pytest_collection_modifyitems say.
    if item.suite.marked_above or any(mark.name != NAME for mark in item.own_markers):
        return False
    began = time.time()
    nodeid = item.nodeid
    record = run.recorder.measurer.take(nodeid, item.bench)
    if record is None:
        return False
    location = item.location
    report = pytest.TestReport(
        getattr(item, "id", nodeid), location, item.suite.keywords, "passed", None, "call",
        duration=time.time() - began, start=began, stop=began,
    )  # fmt: skip
    report.qbench_outcome = record.status  # type: ignore[attr-defined]
    if is_worker(item.config):  # plain values; the record itself crosses in the run folder
        report.qbench_item = (record.task, record.item)  # type: ignore[attr-defined]
    hook = item.suite.hook
    hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
    hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
    return True


def run_session(run: Run, session: pytest.Session) -> bool | None:
    """Run the tests of a session with light nodes: pytest's own loop, without what it puts around short reports.

    That is a hook with a dozen plugins and a system call for every dot; here the display moves a chunk at a time, which
    is how results arrive. None where pytest's loop has to decide what to do.
    """
    option = session.config.option
    if option.collectonly or (session.testsfailed and not option.continue_on_collection_errors):
        return None
    if not any(isinstance(item, ItemNode) for item in getattr(session, "items", ())):
        return None
    with flushed_by_hand(session.config.pluginmanager.getplugin("terminalreporter")) as flush:
        for done, (item, following) in enumerate(pairwise((*session.items, None))):
            assert item is not None
            if done % SETTLED == 0:
                freeze()
            if not report_recorded(run, item, following):
                flush()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
    return True
