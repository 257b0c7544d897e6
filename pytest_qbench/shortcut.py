"""One report an item instead of three phases: what pytest does around an empty test costs ten times the item itself.

Taken by items of functions with an empty body, our fixtures and no marks but ours. Everything else runs as any test
does. So do the last item of a module (it tears down), the first of a chunk (it measures all of it, and may fail at
that) and items that end in an error.
"""

from __future__ import annotations

import time
from types import FunctionType
from typing import TYPE_CHECKING

import pytest

from pytest_qbench.outcomes import label

if TYPE_CHECKING:
    from pytest_qbench.session import QBench

_OURS = frozenset({"qbench_item", "qbench_record", "qbench_engine", "qbench_model", "request"})
_PLAIN = frozenset({"qbench", "parametrize"})


def _empty() -> None: ...


def run_short(run: QBench, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Measure and report `item`; False where it has to run as any test does."""
    if nextitem is None or nextitem.parent is not item.parent or not _is_plain(item):
        return False
    began = time.time()
    record = run.take(item.nodeid)
    if record is None:
        return False
    ended = time.time()
    report = pytest.TestReport(
        item.nodeid, item.location, {item.name: 1}, "passed", None, "call",
        duration=ended - began, start=began, stop=ended,
    )  # fmt: skip
    label(report, record)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _is_plain(item: pytest.Item) -> bool:
    """Tell whether nothing but the measurement happens in a test; the items of one function share the answer."""
    function = getattr(item, "function", None)
    if not isinstance(item, pytest.Function) or not isinstance(function, FunctionType):
        return False
    if item.cls is not None or function.__code__.co_code != _empty.__code__.co_code:
        return False
    options = item.config.option  # each wants to see a test's phases
    if options.usepdb or options.trace or getattr(options, "setupshow", False) or getattr(options, "setuponly", False):
        return False
    # Marks may be added to single items, in pytest_collection_modifyitems say.
    if not _OURS.issuperset(item.fixturenames) or any(mark.name not in _PLAIN for mark in item.iter_markers()):
        return False
    # pytest has no public way to ask whether a conftest overrides a fixture for a function.
    definitions = item._fixtureinfo.name2fixturedefs
    return all(len(definitions.get(name, ())) == 1 for name in ("qbench_record", "qbench_engine"))
