"""Distribute tests over the workers of xdist: in shares of whole chunks, and after a death what is left of a share.

Imported only with xdist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from pytest_qbench.plugin.access import run_of
from pytest_qbench.plugin.nodes import node_name


class ChunkScheduling(LoadScopeScheduling):  # type: ignore[misc] # mypy skips xdist
    """Schedules shares of whole chunks. xdist's own class takes O(n) per item and repeats a crashing item for ever."""

    def __init__(
        self,
        config: pytest.Config,
        log: Any,
        plan: Callable[[Sequence[str], int], list[list[int]]],
        report: Callable[[Any, Mapping[int, str]], None],
    ) -> None:
        super().__init__(config, log)
        self._plan, self._report = plan, report
        self._index: dict[str, int] = {}
        self._scope: dict[str, str] = {}
        self._deaths: Counter[str] = Counter()

    def schedule(self) -> None:
        """Plan the shares once, over the tests that all workers have collected."""
        if self.collection is None and self.registered_collections:
            nodeids = next(iter(self.registered_collections.values()))
            self._index = {nodeid: i for i, nodeid in enumerate(nodeids)}
            for number, positions in enumerate(self._plan(nodeids, self.numnodes)):
                self._scope.update((nodeids[i], str(number)) for i in positions)
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._scope[nodeid]

    def _assign_work_unit(self, node: Any) -> None:
        scope, unit = self.workqueue.popitem(last=False)
        self.assigned_work.setdefault(node, {})[scope] = unit
        node.send_runtest_some([self._index[nodeid] for nodeid, done in unit.items() if not done])

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Remove a share once it is finished, so that only shares in flight count as pending."""
        nodeid = self.registered_collections[node][item_index]
        self.assigned_work[node][self._scope[nodeid]][nodeid] = True
        self._finish_units(node)

    def _finish_units(self, node: Any) -> None:
        units = self.assigned_work[node]
        for scope in [scope for scope, unit in units.items() if all(unit.values())]:
            del units[scope]
        self._reschedule(node)

    def leave_out(self, names: Set[tuple[str, str]]) -> None:
        """Take tests that no worker has begun out of the queue. `names` are their functions and parameters."""
        for scope, unit in list(self.workqueue.items()):
            kept = {
                nodeid: done for nodeid, done in unit.items() if (_function(nodeid), _parameter(nodeid)) not in names
            }
            if kept:
                self.workqueue[scope] = kept
            else:
                del self.workqueue[scope]

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """Report the tests that a worker leaves to the controller, since their records exist.

        The worker gets its next share first, so that it does not wait for these reports.
        """
        nodeids = [self.registered_collections[node][index] for index in indices]
        for nodeid in nodeids:
            self.assigned_work[node][self._scope[nodeid]][nodeid] = True
        self._finish_units(node)
        self._report(node, dict(zip(indices, nodeids, strict=True)))

    def remove_node(self, node: Any) -> str | None:
        """Distribute the unfinished tests of a dead worker. Return the test that killed it, or None.

        The returned test is not repeated. An item in a batch is repeated: the journal knows the batch, and isolation
        ends with an error that names the item. An item is returned only if two workers die at it before they start a
        batch.
        """
        units = self.assigned_work.pop(node)
        unfinished = [nodeid for unit in units.values() for nodeid, done in unit.items() if not done]
        if not unfinished:
            return None
        cause = unfinished[0] if self._is_first_the_cause(unfinished) else None
        for scope, unit in reversed(units.items()):
            if cause in unit:
                unit[cause] = True
            if not all(unit.values()):
                self.workqueue[scope] = unit
                self.workqueue.move_to_end(scope, last=False)
        for other in self.assigned_work:
            self._reschedule(other)
        return cause

    def _is_first_the_cause(self, unfinished: list[str]) -> bool:
        """Return whether the first unfinished test killed the worker."""
        names = {_parameter(nodeid) for nodeid in unfinished}
        run = run_of(self.config)
        run.recorder.folder.journal.refresh()
        if any(node_name(id_) in names for _, id_ in run.recorder.folder.journal.in_flight()):
            return False
        first = unfinished[0]
        if not any(
            _parameter(first) == node_name(item.id) for dataset in run.request.datasets for item in dataset.items
        ):
            return True
        self._deaths[first] += 1
        return self._deaths[first] > 1

    @property
    def unfinished(self) -> list[str]:
        """Tests that no worker finished."""
        units = [*self.workqueue.values(), *(unit for units in self.assigned_work.values() for unit in units.values())]
        return [nodeid for unit in units for nodeid, done in unit.items() if not done]


def _function(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _parameter(nodeid: str) -> str:
    return nodeid.partition("[")[2].removesuffix("]")
