"""One report an item instead of three phases: what pytest does around an empty test costs ten times the item itself.

Taken by light nodes whose record is there. The first item of a chunk, which measures all of it, runs as any test does,
and so do the last of a module (it tears down), items with a mark of their own and items that end in an error.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pytest_qbench.nodes import ItemNode
from pytest_qbench.outcomes import label

if TYPE_CHECKING:
    from pytest_qbench.session import QBench


def run_short(run: QBench, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Report `item` from its record; False where it has to run as any test does."""
    if not isinstance(item, ItemNode) or nextitem is None or nextitem.parent is not item.parent:
        return False
    # Marks may be added to single items, or to their module, in pytest_collection_modifyitems say.
    if any(mark.name != "qbench" for mark in item.iter_markers()):
        return False
    began = time.time()
    record = run.measuring.take(item.nodeid, item.bench)
    if record is None:
        return False
    location = item.location
    report = pytest.TestReport(
        getattr(item, "id", item.nodeid), location, item.suite.keywords, "passed", None, "call",
        duration=time.time() - began, start=began, stop=began,
    )  # fmt: skip
    label(report, record)
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=location)
    hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=location)
    return True
