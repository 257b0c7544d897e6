"""The fast path: report an item in one step. pytest's three phases would take ten times as long as the item itself.

It is for item nodes whose record exists. Other items run like any test: the first of a chunk (it measures the chunk),
the last of a module (it tears down the module's fixtures), items with additional marks, and items in error. All items
run like any test if a plugin looks at each test.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pytest_qbench.plugin.early_stop import passes_over, send_plan
from pytest_qbench.plugin.nodes import ItemNode
from pytest_qbench.plugin.progress import flush_manually
from pytest_qbench.session.gc import freeze
from pytest_qbench.session.options import NAME
from pytest_qbench.session.process_role import is_worker

if TYPE_CHECKING:
    from pytest_qbench.session.run import Run

FREEZE_EVERY = 8192  # number of items between two calls of `freeze`; the collector rescans only objects since the last


def report_recorded(run: Run, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Report `item` from its record and return True; return False if it has to run like any test.

    An item that the run leaves out is passed over without a report.
    """
    if run.early_stop is not None and passes_over(run, item, nextitem):
        return True
    if not isinstance(item, ItemNode) or nextitem is None or nextitem.parent is not item.parent:
        return False
    # Hooks such as pytest_collection_modifyitems may add marks to single items or to their module.
    if item.suite.has_marks_above or any(mark.name != NAME for mark in item.own_markers):
        return False
    if item.suite.needs_phases or item.suite.watcher:
        return False
    began = time.time()
    nodeid = item.nodeid
    record = run.recorder.measurer.take(nodeid, item.bench)
    if record is None:
        return False
    location = item.location
    hook, taken = item.suite.hook, time.time() - began
    hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
    for phase in item.suite.reported_phases:
        is_call = phase == "call"
        report = pytest.TestReport(
            getattr(item, "id", nodeid), location, item.suite.keywords, "passed", None, phase,
            duration=taken if is_call else 0, start=began, stop=began,
        )  # fmt: skip
        if is_call:
            report.qbench_outcome = record.status  # type: ignore[attr-defined]
            if is_worker(item.config):  # the controller reads the record itself from the run folder
                report.qbench_item = (record.task, record.item)  # type: ignore[attr-defined]
                send_plan(item.config, run, report)
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
    return True


def run_session(run: Run, session: pytest.Session) -> bool | None:
    """Run the tests of a session with item nodes and return True; return None if pytest's own loop has to run.

    For each test, pytest calls a hook of a dozen plugins and flushes the terminal. Here recorded items skip that hook,
    and the terminal is flushed once per chunk.
    """
    option = session.config.option
    if option.collectonly or (session.testsfailed and not option.continue_on_collection_errors):
        return None
    if not any(isinstance(item, ItemNode) for item in getattr(session, "items", ())):
        return None
    with flush_manually(session.config.pluginmanager.getplugin("terminalreporter")) as flush:
        for done, (item, following) in enumerate(pairwise((*session.items, None))):
            assert item is not None
            if done % FREEZE_EVERY == 0:
                freeze()
            if not report_recorded(run, item, following):
                flush()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
    return True
