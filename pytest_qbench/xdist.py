"""Whole chunks to workers, gates once on the controller. Imported only where xdist is installed and active."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from pytest_qbench.access import is_controller, qbench
from pytest_qbench.chunks import plan_chunks
from pytest_qbench.errors import UsageError


class ChunkScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the planned chunks. The stock class costs O(n) an item and runs the crashing item again and again."""

    def __init__(self, config: pytest.Config, log: Any, size: int) -> None:
        super().__init__(config, log)
        self.size = size
        self._index: dict[str, int] = {}
        self._scope: dict[str, str] = {}

    def schedule(self) -> None:
        """Plan once, over the collection that all workers share."""
        if self.collection is None and self.registered_collections:
            nodeids = next(iter(self.registered_collections.values()))
            self._index = {nodeid: i for i, nodeid in enumerate(nodeids)}
            for number, positions in enumerate(plan_chunks(nodeids, self.size)):
                self._scope.update((nodeids[i], str(number)) for i in positions)
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._scope[nodeid]

    def _assign_work_unit(self, node: Any) -> None:
        scope, unit = self.workqueue.popitem(last=False)
        self.assigned_work.setdefault(node, {})[scope] = unit
        node.send_runtest_some([self._index[nodeid] for nodeid, done in unit.items() if not done])

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forget finished chunks, so that pending items are counted over the chunks in flight only."""
        nodeid = self.registered_collections[node][item_index]
        units, scope = self.assigned_work[node], self._scope[nodeid]
        units[scope][nodeid] = True
        if all(units[scope].values()):
            del units[scope]
        self._reschedule(node)

    def remove_node(self, node: Any) -> str | None:
        """Give the unfinished items of a lost worker to the others; the item in flight is not run again."""
        units = self.assigned_work.pop(node)
        unfinished = [nodeid for unit in units.values() for nodeid, done in unit.items() if not done]
        if not unfinished:
            return None
        crashed: str = unfinished[0]
        for scope, unit in reversed(units.items()):
            if crashed in unit:
                unit[crashed] = True
            if not all(unit.values()):
                self.workqueue[scope] = unit
                self.workqueue.move_to_end(scope, last=False)
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed


class Controller:
    """The controller's side of a run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.gate_ids: list[str] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ChunkScheduling | None:
        """Replace the default distribution only, and only where a model is named; an explicit --dist is respected."""
        named = config.getoption("qbench_model") or config.getini("qbench_model")
        if not named or config.getvalue("dist") != "load":
            return None
        try:
            return ChunkScheduling(config, log, qbench(config).chunk_size)
        except UsageError as e:  # from the project's ini; what was typed was checked before
            raise pytest.UsageError(str(e)) from e

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over what a worker hands over as it ends."""
        output = getattr(node, "workeroutput", {}).get("qbench")
        if output:
            self.gate_ids = qbench(self.config).take_over(output)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run the gates after the last item; -x, --maxfail and Ctrl-C raise before."""
        result = yield
        if is_controller(session.config) and self.gate_ids and not qbench(self.config).problem:
            self._run_gates(session, self.gate_ids)
        return result

    def _run_gates(self, session: pytest.Session, gate_ids: list[str]) -> None:
        config, run = session.config, qbench(session.config)
        reporter = config.pluginmanager.getplugin("terminalreporter")
        collected, pyargs = session.testscollected, config.option.pyargs
        run.gates_only = True
        if reporter is not None:
            config.pluginmanager.unregister(reporter)  # or a second "collected N items" is printed
        try:
            config.option.pyargs = False  # these are paths
            gates = list(session.perform_collect(gate_ids))
        finally:
            run.gates_only, config.option.pyargs = False, pyargs
            if reporter is not None:
                config.pluginmanager.register(reporter, "terminalreporter")
        session.testscollected = collected + len(gates)
        for i, gate in enumerate(gates):
            following = gates[i + 1] if i + 1 < len(gates) else None
            config.hook.pytest_runtest_protocol(item=gate, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
