"""Suite function + dataset -> item nodes; gates last; problems become usage errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_qbench.access import is_controller, is_worker
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.items import Item, Task
    from pytest_qbench.session import QBench

NO_MODEL = "no model: add --qbench-model=SPEC, for example --qbench-model=tiny (embedded; `qbench models` lists more)"


def is_gate(item: pytest.Item) -> bool:
    """A gate is any test that asks for the results."""
    return "qbench_results" in getattr(item, "fixturenames", ())


def bench_item(node: pytest.Item) -> Item | None:
    """Return the benchmark item of a node, or None."""
    callspec = getattr(node, "callspec", None)
    return cast("Item | None", callspec.params.get("qbench_item")) if callspec else None


def generate(run: QBench, metafunc: pytest.Metafunc, marker: pytest.Mark) -> None:
    """Parametrize a function marked `qbench` with its items.

    A problem is kept for `arrange`: raised here it would exit with 2, and under xdist with 1 and fifty lines.
    """
    try:
        items = _items(run, metafunc, marker)
    except UsageError as e:
        run.problem = run.problem or str(e)
        items = []
    if items:
        metafunc.parametrize("qbench_item", items, ids=[item.id for item in items])
    else:  # an empty parametrization would be a skip, and green
        run.absent.add(metafunc.definition.nodeid)


def _items(run: QBench, metafunc: pytest.Metafunc, marker: pytest.Mark) -> list[Item]:
    from pytest_qbench.items import TASKS

    where = metafunc.definition.nodeid
    task = cast("Task", marker.kwargs.get("task", marker.args[0] if marker.args else None))
    if task not in TASKS:
        raise UsageError(f"{where}: @pytest.mark.qbench needs task= one of {', '.join(TASKS)}, not {task!r}")
    if "qbench_item" not in metafunc.fixturenames:
        raise UsageError(f"{where}: is marked qbench, but asks for neither qbench_item nor qbench_record")
    # pytest has no public way to ask whether a conftest overrides a fixture for a function.
    overridden = len(metafunc._arg2fixturedefs.get("qbench_model", ())) > 1
    if run.spec is None and not overridden:
        raise UsageError(NO_MODEL)
    return run.ask(task)


def arrange(run: QBench, items: list[pytest.Item]) -> None:
    """Order and check a collection; raises `pytest.UsageError` alone, empties the collection on a worker."""
    items[:] = [item for item in items if item.nodeid not in run.absent]
    gates = [item for item in items if is_gate(item)]
    run.family = max(1, sum("qbench_gate" in getattr(gate, "fixturenames", ()) for gate in gates))
    if run.gates_only:
        items[:] = gates
        return
    try:
        if run.problem is None and run.asked:
            run.check_collected()
    except UsageError as e:
        run.problem = str(e)
    if run.problem and not is_worker(run.config):
        raise pytest.UsageError(run.problem)
    items[:] = [] if run.problem else [item for item in items if not is_gate(item)]
    if is_worker(run.config):
        # Workers measure; gates run once, on the controller, which learns their ids when the worker ends.
        run.gate_ids = [gate.nodeid for gate in gates]
    else:
        items += gates


def plan(run: QBench, items: list[pytest.Item]) -> None:
    """Plan the chunks of this process's collection."""
    if run.asked and not is_controller(run.config):
        run.plan([(node.nodeid, bench_item(node)) for node in items])
