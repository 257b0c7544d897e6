"""What the test of an item does: measure it, or end the session where that cannot work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.escaping import printable

if TYPE_CHECKING:
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.items import Item
    from pytest_qbench.records import Record
    from pytest_qbench.session.run import Run


def measure(node: pytest.Item, run: Run, item: Item, engine: Any) -> Record:
    """Measure the item of a test, store the record for the report and return it.

    Fails the test if the record is an error and no errors are tolerated.
    """
    from pytest_qbench.plugin.stash import RECORD

    try:
        used: list[Engine] = []  # the engine, unless the record exists already

        def use_engine() -> Engine:
            used[:] = [engine()]
            return used[0]

        record = run.recorder.measurer.measure(node.nodeid, item, use_engine)
        if used:
            run.recorder.note_batch_size(used[0].batch_size)  # the automatic batch size may have been halved
            run.tracebacks.update(used[0].tracebacks)
    except UsageError as e:
        stop(node.session, run, e)
    node.stash[RECORD] = record
    if record.status == "error" and run.request.settings.max_errors == 0:
        pytest.fail(printable(f"{item.id}: {record.error}"), pytrace=False)
    return record


def stop(session: pytest.Session, run: Run, error: UsageError) -> NoReturn:
    """End the session with a usage error (exit status 4). Items that did not run are not reported."""
    pytest.skip(end_session(session, run, error))  # for the report of this item


def end_session(session: pytest.Session, run: Run, error: UsageError) -> str:
    """Note a usage error that ends the session, outside of a test. Return the first one of this process."""
    run.usage_error = run.usage_error or str(error)
    session.shouldstop = run.usage_error
    return run.usage_error
