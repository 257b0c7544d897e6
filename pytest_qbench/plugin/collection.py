"""Collect one test per item, and order the gates last. Usage errors are kept until the end of collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_qbench.errors import NOT_MEASURED, UsageError
from pytest_qbench.escaping import printable
from pytest_qbench.gates.written_gate import FIXTURE
from pytest_qbench.plugin.access import KEY
from pytest_qbench.plugin.alpha_allocation import gate_calls
from pytest_qbench.plugin.item_group import ItemGroup, Tests, collects_groups
from pytest_qbench.plugin.nodes import ItemNode, Items, is_plain, item_nodes, nodes_of
from pytest_qbench.plugin.stash import GATE_CALLS
from pytest_qbench.session.gc import freeze, gc_paused
from pytest_qbench.session.options import NAME, in_use
from pytest_qbench.session.process_role import is_controller, is_worker

if TYPE_CHECKING:
    from pytest_qbench.gates.written_gate import WrittenGate
    from pytest_qbench.items import Item, Task
    from pytest_qbench.session.run import Run

NO_MODEL = "no model: add --qbench-model=SPEC, for example --qbench-model=tiny (embedded; `qbench models` lists more)"


def is_gate(item: pytest.Item) -> bool:
    """Return whether a test is a gate, that is, uses the results."""
    return "qbench_results" in getattr(item, "fixturenames", ())


def declared_gates(node: pytest.Item) -> int | None:
    """Return N of ``@pytest.mark.qbench(gates=N)``, or None without it. Raises `UsageError` for a wrong N."""
    for marker in node.iter_markers("qbench"):
        if "gates" in marker.kwargs:
            number = marker.kwargs["gates"]
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise UsageError(f"{node.nodeid}: @pytest.mark.qbench(gates={number!r}): must be a positive integer")
            return number
    return None


def bench_item(node: pytest.Item) -> Item | None:
    """Return the benchmark item of a node, or None."""
    if isinstance(node, ItemNode):
        return node.bench
    callspec = getattr(node, "callspec", None)
    return cast("Item | None", callspec.params.get("qbench_item")) if callspec else None


def parametrize_items(run: Run, metafunc: pytest.Metafunc, marker: pytest.Mark) -> None:
    """Parametrize a function marked `qbench` with its items.

    A usage error is kept for `order_and_check`. Raised here, it would give exit status 2 or, under xdist, 1 with fifty
    lines of output.
    """
    if run.collected.lacks_model:
        return
    try:
        items = _items(run, metafunc, marker)
        items = run.early_stop.order(items) if run.early_stop else items
    except UsageError as e:
        run.usage_error = run.usage_error or str(e)
        items = []
    if run.collected.lacks_model:
        return
    has_duplicate_ids = len({item.id for item in items}) < len(items)
    is_normal = metafunc.definition.nodeid in run.collected.parametrized_normally or has_duplicate_ids
    if items and is_plain(metafunc) and not is_normal:
        metafunc.parametrize("qbench_item", [Items(items)], ids=["items"])  # `nodes.item_nodes` creates their nodes
    elif items:
        metafunc.parametrize("qbench_item", items, ids=[item.id for item in items])
    else:  # pytest would skip an empty parametrization, and the session would pass
        run.collected.without_items.add(metafunc.definition.nodeid)


def replace_with_item_nodes(run: Run, collector: Any, name: str, obj: object, found: list[Any]) -> list[Any]:
    """Return the item nodes that replace the node of a suite function without a body; on a worker one for all items."""

    def make(function: pytest.Function, items: Items) -> list[Any]:
        if collects_groups(function.config):
            return [ItemGroup.of(function, items, run)]
        return list(nodes_of(function, items, run))

    nodes = item_nodes(found, make)
    if nodes is None:  # another plugin parametrized the function too: parametrize its items normally
        run.collected.parametrized_normally.add(f"{collector.nodeid}::{name}")
        again: list[Any] = collector.ihook.pytest_pycollect_makeitem(collector=collector, name=name, obj=obj)
        return again
    return nodes


def _items(run: Run, metafunc: pytest.Metafunc, marker: pytest.Mark) -> list[Item]:
    from pytest_qbench.items import TASKS

    where = metafunc.definition.nodeid
    task = cast("Task", marker.kwargs.get("task", marker.args[0] if marker.args else None))
    if task not in TASKS:
        raise UsageError(f"{where}: @pytest.mark.qbench needs task= one of {', '.join(TASKS)}, not {task!r}")
    if "qbench_record" not in metafunc.fixturenames:
        raise UsageError(f"{where}: is marked qbench but lacks the fixture qbench_record, which measures the item")
    # pytest has no public API to tell whether a conftest overrides a fixture.
    manager = metafunc.definition.session._fixturemanager
    models, judges = (manager.getfixturedefs(f, metafunc.definition) for f in ("qbench_model", "qbench_judge"))
    if run.request.spec is None and len(models or ()) == 1:
        run.collected.lacks_model = True
        return []
    run.request.has_project_judge = len(judges or ()) > 1
    run.request.has_project_model = len(models or ()) > 1
    run.request.tasks[task] = None
    return run.request.items_of(task)


def _check_one_model(items: list[pytest.Item]) -> None:
    """Raise `UsageError` if the suites use several models, as a baseline belongs to one model."""
    found = set()
    for suite in dict.fromkeys(item.suite for item in items if isinstance(item, ItemNode | ItemGroup)):
        found.add(suite.model)
    for item in items:
        if not isinstance(item, ItemNode | ItemGroup) and bench_item(item) is not None:
            definitions = item._fixtureinfo.name2fixturedefs.get("qbench_model")  # type: ignore[attr-defined]
            if definitions is None:  # a qbench_record of the project's own, which measures nothing
                continue
            parameters = item.callspec.params  # type: ignore[attr-defined]
            found.add((id(definitions[-1]), parameters.get("qbench_model"), parameters.get("qbench_engine")))
    if len(found) > 1:
        raise UsageError("the suites use different qbench_model fixtures: measure one model per run")


def _check_distribution(config: pytest.Config) -> None:
    """Raise `UsageError` for a mode that splits chunks, measures items several times or ends a process per test."""
    if config.getoption("forked", False):
        raise UsageError("--forked ends the process of each test and with it the loaded model: drop --forked")
    if not is_worker(config):
        return
    dist = config.workerinput["qbench_dist"]  # type: ignore[attr-defined]
    if dist in ("each", "loadgroup", "worksteal"):
        raise UsageError(f"--dist={dist} splits batches or measures items twice: use -n alone (or --dist=load)")
    if config.workerinput["qbench_folder"] is None:  # type: ignore[attr-defined]
        raise UsageError("-n needs a named model before collection: add --qbench-model=SPEC")


def order_and_check(config: pytest.Config, run: Run, items: list[pytest.Item]) -> None:
    """Order and check the collected tests. Raises `pytest.UsageError`; on a worker, an error empties the collection."""
    if run.collected.without_items:
        items[:] = [item for item in items if item.nodeid.partition("[")[0] not in run.collected.without_items]
    gates = [item for item in items if is_gate(item)]
    callers = [gate for gate in gates if FIXTURE in getattr(gate, "fixturenames", ())]
    functions = [gate for gate in callers if isinstance(gate, pytest.Function)]
    try:
        config.stash[GATE_CALLS] = [gate_calls(gate.function, declared_gates(gate)) for gate in functions]
    except UsageError as e:
        run.usage_error = run.usage_error or str(e)
    if run.collected.gates_only:
        items[:] = gates
        return
    if run.collected.lacks_model:
        _skip_without_model(config, items, gates)
        return
    try:
        if run.usage_error is None and run.request.tasks:
            _check_distribution(config)
            _check_one_model(items)
            run.request.check_collected()
            if is_worker(config):  # all workers alike; one process alone checks more, before it opens the run folder
                from pytest_qbench.session.preflight import check_conditions

                check_conditions(run, compared_tasks(config, run))
        _note_suites(config, run, items)
    except UsageError as e:
        run.usage_error = run.usage_error or str(e)
    if run.usage_error and not is_worker(config):
        raise pytest.UsageError(run.usage_error)
    items[:] = [] if run.usage_error else [item for item in items if not is_gate(item)]
    if run.early_stop is not None and not run.usage_error:
        from pytest_qbench.plugin.early_stop import stop_plan

        run.early_stop.plan = stop_plan(run, items, gates, config.stash[GATE_CALLS])
    if is_worker(config):
        # Workers measure. The controller gets the gates' ids when a worker ends, and runs each gate once.
        # An id starts with a full path, as a suite may lie outside rootdir.
        run.collected.gate_ids = [f"{gate.path}::{gate.nodeid.partition('::')[2]}" for gate in gates]
    else:
        items += gates


def _note_suites(config: pytest.Config, run: Run, items: list[pytest.Item]) -> None:
    """Hash the files of suites and gates, as they are before the first item is measured. Raises `UsageError`."""
    if run.request.tasks:
        from pytest_qbench.evidence.suite_files import hash_suites

        paths = {item.path for item in items if is_gate(item) or bench_item(item) is not None}
        try:
            run.collected.suites = hash_suites(paths, config.rootpath)
        except OSError as e:
            raise UsageError(f"{e.filename}: cannot be read: {e.strerror}") from e


def _skip_without_model(config: pytest.Config, items: list[pytest.Item], gates: list[pytest.Item]) -> None:
    """Skip suites and gates among a project's other tests. Raise `pytest.UsageError` if there are no other tests."""
    suites = [item for item in items if item.get_closest_marker(NAME) is not None]
    if len(items) == len(suites) + len(gates) and not config.option.collectonly:
        if is_worker(config):
            items.clear()  # the controller collects nothing, so the worker reports the error to it
            config.stash[KEY].usage_error = NO_MODEL
            return
        raise pytest.UsageError(NO_MODEL)
    for item in (*suites, *gates):
        item.add_marker(pytest.mark.skip(reason=NO_MODEL))


def plan_measurement(session: pytest.Session, run: Run) -> None:
    """Order the gates last once more, after plugins that reorder late (--ff), and plan the chunks."""
    config, items = session.config, session.items
    items.sort(key=is_gate)
    if any(isinstance(item, ItemGroup) for item in items):
        session.items = tests = Tests(items)
        run.recorder.measurer.find_chunk = tests.chunk
        freeze()  # the items exist as long as the session
        return
    run.gating.collected = [item.nodeid for item in items if is_gate(item)]
    if run.request.tasks and not is_controller(config):
        with gc_paused():
            nodes = [(node.nodeid, bench_item(node)) for node in items]
            request = run.request
            # An early stop leaves later chunks out, so nothing of them is measured ahead.
            following = not is_worker(config) and run.early_stop is None
            run.recorder.measurer.plan(nodes, request.chunk_size, request.planned_batch, following=following)
        freeze()  # so do the nodes


def open_run_folder(config: pytest.Config, run: Run) -> None:
    """Check the paths of all outputs and open the run folder, before anything is measured.

    A controller collects nothing: it opens the folder that its workers may come to need. Raises `pytest.UsageError`.
    """
    from pytest_qbench.session.recorder import check_output_paths

    try:
        check_output_paths(run.request)
        if run.usage_error is None and (run.request.tasks or (is_controller(config) and in_use(config))):
            check_baseline(config, run)
            folder = run.recorder.folder
            if is_controller(config) and run.request.spec is not None and run.request.spec.is_managed:
                server = run.engine.start(folder.path)
                reporter = config.pluginmanager.getplugin("terminalreporter")
                if reporter is not None:
                    reporter.ensure_newline()
                    reporter.write_line(printable(f"qbench: {server.engine}: starting, log in {folder.path}"))
    except UsageError as e:
        raise pytest.UsageError(str(e)) from e


def written_gates(config: pytest.Config) -> list[WrittenGate]:
    """Return the gates of the collected tests, as their source names them."""
    return [gate for calls in config.stash.get(GATE_CALLS, []) for gate in calls.written]


def compared_tasks(config: pytest.Config, run: Run) -> set[str]:
    """Return the tasks of this run of which a gate compares with the baseline."""
    compared = {gate.task for gate in written_gates(config) if {"margin", "budget"} & set(gate.arguments)}
    return compared & set(run.request.tasks)


def check_baseline(config: pytest.Config, run: Run) -> None:
    """Compare the known conditions and items of this run with the baseline, before the first item is measured.

    Raises `UsageError` for a name, a seal or conditions that do not fit. Other items end the session as not measured.
    """
    from pytest_qbench.session import preflight

    gates = written_gates(config)
    preflight.check_stored(run)
    preflight.check_conditions(run, compared_tasks(config, run))
    if is_worker(config) or run.collected.has_compared_items or not run.knows_baseline_name:
        return
    run.collected.has_compared_items = True
    if reason := preflight.foreign_items(run, {gate.task for gate in gates if gate.compares_all}):
        reporter = config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(printable(f"NOT MEASURED: {reason}"), red=True)
        pytest.exit("no item was measured", returncode=NOT_MEASURED)
