"""Suite function + dataset -> item nodes; gates last; problems become usage errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.plugin.alpha_allocation import FIXTURE, family
from pytest_qbench.plugin.nodes import ItemNode, Items, expand, is_plain
from pytest_qbench.session.gc import growing, settle
from pytest_qbench.session.workers import is_controller, is_worker

if TYPE_CHECKING:
    from pytest_qbench.items import Item, Task
    from pytest_qbench.session.run import QBench

NO_MODEL = "no model: add --qbench-model=SPEC, for example --qbench-model=tiny (embedded; `qbench models` lists more)"


def is_gate(item: pytest.Item) -> bool:
    """A gate is any test that asks for the results."""
    return "qbench_results" in getattr(item, "fixturenames", ())


def bench_item(node: pytest.Item) -> Item | None:
    """Return the benchmark item of a node, or None."""
    if isinstance(node, ItemNode):
        return node.bench
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
    ordinary = metafunc.definition.nodeid in run.ordinary or len({item.id for item in items}) < len(items)
    if items and is_plain(metafunc) and not ordinary:
        metafunc.parametrize("qbench_item", [Items(items)], ids=["items"])  # `nodes.expand` makes nodes of them
    elif items:
        metafunc.parametrize("qbench_item", items, ids=[item.id for item in items])
    else:  # an empty parametrization would be a skip, and green
        run.absent.add(metafunc.definition.nodeid)


def lighten(run: QBench, collector: Any, name: str, obj: object, found: list[Any]) -> list[Any]:
    """Put light nodes in the place of a plain suite function's node."""
    nodes = expand(found, run)
    if nodes is None:  # another plugin parametrized the function as well: its items are tests like any
        run.ordinary.add(f"{collector.nodeid}::{name}")
        again: list[Any] = collector.ihook.pytest_pycollect_makeitem(collector=collector, name=name, obj=obj)
        return again
    return nodes


def _items(run: QBench, metafunc: pytest.Metafunc, marker: pytest.Mark) -> list[Item]:
    from pytest_qbench.items import TASKS

    where = metafunc.definition.nodeid
    task = cast("Task", marker.kwargs.get("task", marker.args[0] if marker.args else None))
    if task not in TASKS:
        raise UsageError(f"{where}: @pytest.mark.qbench needs task= one of {', '.join(TASKS)}, not {task!r}")
    if "qbench_record" not in metafunc.fixturenames:
        raise UsageError(f"{where}: is marked qbench, but does not ask for qbench_record, which measures the item")
    # pytest has no public way to ask whether a conftest overrides a fixture.
    manager = metafunc.definition.session._fixturemanager
    models, judges = (manager.getfixturedefs(f, metafunc.definition) for f in ("qbench_model", "qbench_judge"))
    if run.spec is None and len(models or ()) == 1:
        raise UsageError(NO_MODEL)
    run.own_judge = len(judges or ()) > 1
    return run.ask(task)


def _one_model(items: list[pytest.Item]) -> None:
    """Refuse two models in one run: a chunk is measured by one, and a baseline is one model's."""
    found = set()
    for suite in dict.fromkeys(item.suite for item in items if isinstance(item, ItemNode)):
        found.add(suite.model)
    for item in items:
        if not isinstance(item, ItemNode) and bench_item(item) is not None:
            definitions = item._fixtureinfo.name2fixturedefs["qbench_model"]  # type: ignore[attr-defined]
            parameters = item.callspec.params  # type: ignore[attr-defined]
            found.add((id(definitions[-1]), parameters.get("qbench_model"), parameters.get("qbench_engine")))
    if len(found) > 1:
        raise UsageError("the suites get different qbench_model fixtures: measure one model a run")


def _whole_chunks(config: pytest.Config) -> None:
    """Refuse ways of distributing tests that break chunks apart, or measure items several times."""
    if not is_worker(config):
        return
    dist = config.workerinput["qbench_dist"]  # type: ignore[attr-defined]
    if dist in ("each", "loadgroup", "worksteal"):
        raise UsageError(f"--dist={dist} breaks batches apart or measures items twice: use -n alone (or --dist=load)")
    if config.workerinput["qbench_folder"] is None:  # type: ignore[attr-defined]
        raise UsageError("-n needs to know that Q-Bench runs before anything is collected: add --qbench-model=SPEC")


def arrange(run: QBench, items: list[pytest.Item]) -> None:
    """Order and check a collection; raises `pytest.UsageError` alone, empties the collection on a worker."""
    if run.absent:
        items[:] = [item for item in items if item.nodeid.partition("[")[0] not in run.absent]
    gates = [item for item in items if is_gate(item)]
    asking = [gate for gate in gates if FIXTURE in getattr(gate, "fixturenames", ())]
    run.family = family([gate.function for gate in asking if isinstance(gate, pytest.Function)])
    if run.gates_only:
        items[:] = gates
        return
    try:
        if run.problem is None and run.asked:
            _whole_chunks(run.config)
            _one_model(items)
            run.check_collected()
    except UsageError as e:
        run.problem = str(e)
    if run.problem and not is_worker(run.config):
        raise pytest.UsageError(run.problem)
    items[:] = [] if run.problem else [item for item in items if not is_gate(item)]
    if is_worker(run.config):
        # Workers measure; gates run once, on the controller, which learns their ids when the worker ends.
        # By path, not by node id: a suite may lie outside rootdir.
        run.gate_ids = [f"{gate.path}::{gate.nodeid.partition('::')[2]}" for gate in gates]
    else:
        items += gates


def plan(run: QBench, items: list[pytest.Item]) -> None:
    """Put the gates last once more, after what reorders for its own ends (--ff), and plan the chunks."""
    items.sort(key=is_gate)
    if run.asked and not is_controller(run.config):
        with growing():
            nodes = [(node.nodeid, bench_item(node)) for node in items]
            following = not is_worker(run.config)
            run.measuring.plan(nodes, run.chunk_size, run.planned_batch, following=following)
        settle()  # the nodes live as long as the session
