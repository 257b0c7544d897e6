"""Run under xdist: workers get shares of whole chunks, and the controller reports recorded items and runs the gates.

Imported only with xdist. `xdist_worker` is the other side.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.plugin.access import run_of
from pytest_qbench.plugin.fast_path import FREEZE_EVERY, RecordedTest, report
from pytest_qbench.plugin.item_group import expand
from pytest_qbench.plugin.nodes import node_name
from pytest_qbench.plugin.progress import flush_manually
from pytest_qbench.plugin.scheduling import ChunkScheduling
from pytest_qbench.plugin.shared_data import DATASETS, dump_datasets
from pytest_qbench.plugin.watchers import LISTENS, listens_to_phases, reported_phases
from pytest_qbench.session.chunks import SHARE, plan_shares
from pytest_qbench.session.gc import freeze
from pytest_qbench.session.options import in_use
from pytest_qbench.session.process_role import is_controller

if TYPE_CHECKING:
    from pytest_qbench.items import Task
    from pytest_qbench.session.run import Run

ISOLATION = 12  # additional workers that may die while an item that kills its process is isolated


class XdistController:
    """Hooks of the controller: it distributes shares, takes over the workers' output and runs the gates."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.gate_ids: list[str] | None = None
        self.scheduler: ChunkScheduling | None = None
        self._functions: dict[str, tuple[Task, tuple[str, int | None, str]]] = {}
        self._ids: dict[Task, dict[str, str]] = {}
        self._reported = 0  # items since the last call of `freeze`
        self._expanded: dict[tuple[str, ...], list[str]] = {}  # of the last worker, as workers collect the same
        self.is_in_use = in_use(config)
        if self.is_in_use and config.option.maxworkerrestart is None and config.option.numprocesses:
            # Isolating an item costs some workers. xdist's own limit is four per process.
            config.option.maxworkerrestart = str(4 * config.option.numprocesses + ISOLATION)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker the distribution mode and the run folder."""
        dist = node.workerinput["qbench_dist"] = self.config.getvalue("dist")
        node.workerinput[LISTENS] = listens_to_phases(self.config)
        try:
            run = run_of(self.config) if self.is_in_use else None
            node.workerinput["qbench_folder"] = str(run.recorder.folder_path) if run else None
            node.workerinput["qbench_engine"] = run.engine.address_in(run.recorder.folder_path) if run else None
            spec = node.gateway.spec
            if run is not None and dist == "load" and spec.popen and not spec.chdir:
                node.workerinput[DATASETS] = self._datasets
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e

    @cached_property
    def _datasets(self) -> bytes | None:
        return dump_datasets(run_of(self.config).request.datasets)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Name all tests that a worker found, where it names a suite function once."""
        collected = tuple(ids)
        if collected not in self._expanded:
            try:
                expand(ids, lambda task: run_of(self.config).request.items_of(task))
            except UsageError as e:
                raise pytest.UsageError(str(e)) from e
            self._expanded = {collected: list(ids)}
        ids[:] = self._expanded[collected]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ChunkScheduling | None:
        """Return the scheduler of shares if Q-Bench is in use and the user names no other distribution."""
        if not self.is_in_use or config.getvalue("dist") != "load":
            return None
        request = run_of(config).request

        def plan(nodeids: Sequence[str], workers: int) -> list[list[int]]:
            # An early stop leaves out the items of queued shares, so these are short.
            chunks = 1 if request.settings.early_stop else SHARE
            return plan_shares(nodeids, request.chunk_size, request.planned_batch, workers=workers, chunks=chunks)

        try:
            self.scheduler = ChunkScheduling(config, log, plan, self.report_recorded)
        except UsageError as e:  # in the project's configuration; the command line has been checked before
            raise pytest.UsageError(str(e)) from e
        return self.scheduler

    def leave_out(self, run: Run) -> None:
        """Send no worker the items that the run leaves out."""
        early = run.early_stop
        if self.scheduler is None or early is None or early.plan is None:
            return
        functions: dict[str, list[str]] = {}
        for function, task in early.plan.functions.items():
            functions.setdefault(task, []).append(function)
        self.scheduler.leave_out(
            {(function, node_name(id_)) for task, id_ in early.left_out for function in functions.get(task, ())}
        )

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what the tests of a suite function have in common: the location, and the task of their items."""
        if (key := getattr(report, "qbench_item", None)) is not None and hasattr(report, "node"):
            function = report.nodeid.partition("[")[0]
            self._functions.setdefault(function, (key[0], report.location))

    def report_recorded(self, node: Any, tests: Mapping[int, str]) -> None:
        """Report tests of recorded items as their worker would have: by index, their node ids."""
        recorder, began = run_of(self.config).recorder, time.time()
        self._reported += len(tests)
        if self._reported >= FREEZE_EVERY:
            freeze()
            self._reported = 0
        phases = reported_phases(self.config)
        attributes = {"node": node, "worker_id": node.gateway.id, "testrun_uid": node.workerinput["testrunuid"]}
        with flush_manually(self.config.pluginmanager.getplugin("terminalreporter")):
            for index, nodeid in tests.items():
                function, _, name = nodeid.partition("[")
                task, (path, line, _) = self._functions[function]
                key = task, self._item_ids(task)[name.removesuffix("]")]
                recorder.ensure_record(key)
                suite = function.rpartition("::")[2]
                location = path, line, f"{suite}[{name}"
                test = RecordedTest(nodeid, location, {suite: 1}, recorder.records[key].status)
                report(self.config.hook, nodeid, test, phases, began=began, item_index=index, **attributes)

    def _item_ids(self, task: Task) -> dict[str, str]:
        """Return the ids of a task's items by the names of their tests."""
        if task not in self._ids:
            self._ids[task] = {node_name(item.id): item.id for item in run_of(self.config).request.items_of(task)}
        return self._ids[task]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over the output of a worker that ends."""
        output = getattr(node, "workeroutput", {}).get("qbench")
        if output:
            self.gate_ids = run_of(self.config).add_worker(output)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run the gates after the last item, unless -x, --maxfail or Ctrl-C has ended the session."""
        result = yield
        self._check_complete(run_of(session.config))
        if is_controller(session.config) and self.gate_ids and not run_of(self.config).usage_error:
            self._run_gates(session, self.gate_ids)
        return result

    def _check_complete(self, run: Run) -> None:
        """Note the tests that did not run because their workers died, so that the run does not pass."""
        if self.scheduler is None or run.usage_error:
            return
        if left := self.scheduler.unfinished:
            run.notes.append(f"{len(left)} tests were not run, as their workers died (first: {left[0]})")
        if self.gate_ids is None and self.scheduler.collection:
            run.notes.append("no worker finished: gates were not run")

    def _run_gates(self, session: pytest.Session, gate_ids: list[str]) -> None:
        config, collected = session.config, run_of(session.config).collected
        reporter = config.pluginmanager.getplugin("terminalreporter")
        count, pyargs = session.testscollected, config.option.pyargs
        collected.gates_only = True
        if reporter is not None:
            config.pluginmanager.unregister(reporter)  # else it prints a second "collected N items"
        try:
            config.option.pyargs = False  # these are paths
            gates = list(session.perform_collect(gate_ids))
        finally:
            collected.gates_only, config.option.pyargs = False, pyargs
            if reporter is not None:
                config.pluginmanager.register(reporter, "terminalreporter")
        session.testscollected = count + len(gates)
        run_of(config).gating.collected = [gate.nodeid for gate in gates]
        for i, gate in enumerate(gates):
            following = gates[i + 1] if i + 1 < len(gates) else None
            config.hook.pytest_runtest_protocol(item=gate, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
