"""The fast path: report an item in one step. pytest's three phases would take ten times as long as the item itself.

It is for item nodes whose record exists. Other items run like any test: the first of a chunk (it measures the chunk),
the last of a module (it tears down the module's fixtures), items with additional marks, and items in error. All items
run like any test if a plugin looks at each test.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_qbench.plugin.early_stop import passes_over, plan_attribute
from pytest_qbench.plugin.nodes import ItemNode
from pytest_qbench.plugin.progress import flush_manually
from pytest_qbench.session.gc import freeze
from pytest_qbench.session.options import NAME
from pytest_qbench.session.process_role import is_worker

if TYPE_CHECKING:
    from pytest_qbench.plugin.watchers import Phase
    from pytest_qbench.records import Key, Record
    from pytest_qbench.session.run import Run

FREEZE_EVERY = 8192  # number of items between two calls of `freeze`; the collector rescans only objects since the last


def report_recorded(run: Run, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Report `item` from its record and return True; return False if it has to run like any test.

    An item that the run leaves out is passed over without a report.
    """
    if run.early_stop is not None and passes_over(run, item, nextitem):
        return True
    if nextitem is None or nextitem.parent is not item.parent:
        return False
    began = time.time()
    record = take_recorded(run, item)
    if record is None:
        return False
    assert isinstance(item, ItemNode)
    suite = item.suite
    # Only a worker names the item: its controller reads the record from the run folder.
    key = (record.task, record.item) if is_worker(item.config) else None
    test = RecordedTest(getattr(item, "id", item.nodeid), item.location, suite.keywords, record.status, key)
    report(
        suite.hook, item.nodeid, test, suite.reported_phases, began=began, duration=time.time() - began,
        **plan_attribute(item.config, run),
    )  # fmt: skip
    return True


def take_recorded(run: Run, item: pytest.Item) -> Record | None:
    """Return the record of a test that can be reported from it, once; None if the test has to run like any other."""
    if not isinstance(item, ItemNode):
        return None
    # Hooks such as pytest_collection_modifyitems may add marks to single items or to their module.
    if not item.suite.takes_fast_path or any(mark.name != NAME for mark in item.own_markers):
        return None
    return run.recorder.measurer.take(item.nodeid, item.bench)


class RecordedTest(NamedTuple):
    """What a report says of the test of a recorded item. `id` is a node id in the form of pytest's version."""

    id: Any
    location: tuple[str, int | None, str]
    keywords: Mapping[str, Any]
    outcome: str
    key: Key | None = None


def report(
    hook: Any,
    nodeid: str,
    test: RecordedTest,
    phases: Iterable[Phase],
    *,
    began: float,
    duration: float = 0,
    **extra: Any,
) -> None:
    """Call the hooks of a test that passed in these phases. `extra` are further attributes of its reports."""
    hook.pytest_runtest_logstart(nodeid=nodeid, location=test.location)
    for phase in phases:
        is_call = phase == "call"
        made = pytest.TestReport(
            test.id, test.location, test.keywords, "passed", None, phase,
            duration=duration if is_call else 0, start=began, stop=began, **extra,
        )  # fmt: skip
        if is_call:
            made.qbench_outcome = test.outcome  # type: ignore[attr-defined]
            if test.key is not None:
                made.qbench_item = test.key  # type: ignore[attr-defined]
        hook.pytest_runtest_logreport(report=made)
    hook.pytest_runtest_logfinish(nodeid=nodeid, location=test.location)


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
