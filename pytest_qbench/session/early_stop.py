"""Follow a run with --qbench-early-stop: which items are left out, and which gates are decided.

The process that runs the gates follows the records, alone or as the controller of workers. The order of the items is
seeded, so the same records give the same decisions, also in a resumed run. The statistics are imported when the first
record is followed: a worker needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_qbench.data.random_order import random_order
from pytest_qbench.items import Item, Task
from pytest_qbench.metrics.stop_state import StoppedTask, StopState
from pytest_qbench.records import Key
from pytest_qbench.session.recorder import Recorder
from pytest_qbench.session.request import RunRequest

if TYPE_CHECKING:
    from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
    from pytest_qbench.gates.early_stop import Decision, PlannedGate, TaskMonitor
    from pytest_qbench.gates.evaluate import GateResult, Limits
    from pytest_qbench.metrics.results import Results


@dataclass(frozen=True)
class StopPlan:
    """The gates that can be decided early, as plain values: a worker sends them to its controller.

    - `gates` are the fields of `PlannedGate`s.
    - `judged_otherwise` are tasks that other gates or tests judge as well, on all items: they may not pass early.
    - `functions` maps each suite function to its task; `tasks` are those of the suites, in order.
    """

    gates: list[dict[str, Any]] = field(default_factory=list)
    judged_otherwise: list[str] = field(default_factory=list)
    functions: dict[str, Task] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)


class EarlyStop:
    """The decisions of a run so far. `follow` reads new records; `left_out` are the items that need no record."""

    def __init__(
        self,
        request: RunRequest,
        recorder: Recorder,
        baseline: Callable[[], Baseline | MissingBaseline],
        results: Callable[[StopState | None], Results],
    ) -> None:
        """`results` returns the results of the run as if it had been stopped in some state."""
        self._request, self._recorder, self._baseline, self._results = request, recorder, baseline, results
        self.plan: StopPlan | None = None
        self.decisions: list[Decision] = []
        self.left_out: set[Key] = set()
        self._stopped: dict[str, StoppedTask] = {}
        self._monitors: dict[str, TaskMonitor] | None = None

    def order(self, items: list[Item]) -> list[Item]:
        """Return the items of a task in the order in which they are measured."""
        return random_order(items, self._request.settings.seed)

    @property
    def state(self) -> StopState | None:
        """How the run was stopped; None if it was not."""
        return self._state(self._stopped, self.left_out) if self._stopped else None

    def follow(self) -> list[Decision]:
        """Read the new records and return the decisions that they bring. The first failing gate ends the run."""
        if self.plan is None or any(decision.stops_run for decision in self.decisions):
            return []
        monitors = self._all_monitors()
        self._recorder.read_records()
        found: list[Decision] = []
        for task, monitor in monitors.items():
            if task in self._stopped:
                continue
            decision = monitor.advance(self._record, partial(self._up_to, monitor))
            if decision is not None:
                self._take(decision, monitor)
                found.append(decision)
                if decision.stops_run:
                    break
        return found

    def result_of(self, name: str, label: str, *, compares: bool) -> GateResult | None:
        """Return the result of a gate that was decided early or whose items were left out; None for any other gate."""
        task = name.partition(".")[0]
        if compares and (found := next((d.results[label] for d in self.decisions if label in d.results), None)):
            return found
        if not any(key[0] == task for key in self.left_out):
            return None
        from pytest_qbench.gates.evaluate import GateResult

        decider = ", ".join(name for decision in self.decisions for name in decision.results)
        return GateResult(label, "invalid", f"left out: {decider} ended the run early", nothing=True)

    def limits_of(self, label: str, limits: Limits) -> Limits:
        """Return the limits of a gate at the end of its whole task."""
        for monitor in (self._monitors or {}).values():
            for gate in monitor.gates:
                if gate.label == label:
                    last = monitor.last_limits(gate)
                    return replace(limits, bet=last.bet, pass_alpha=last.pass_alpha)
        return limits

    def _record(self, key: Key) -> Any:
        return None if key in self._recorder.skipped else self._recorder.records.get(key)

    def _all_monitors(self) -> Mapping[str, TaskMonitor]:
        if self._monitors is None:
            from pytest_qbench.baseline.baseline import Baseline
            from pytest_qbench.gates.early_stop import PlannedGate, TaskMonitor
            from pytest_qbench.gates.evaluate import Limits

            assert self.plan is not None
            s, baseline = self._request.settings, self._baseline()
            limits = Limits(s.max_errors, s.max_unparsed, s.max_cut, seed=s.seed)
            gates = [PlannedGate(**gate) for gate in self.plan.gates]
            self._monitors = {}
            for task in self._request.tasks:
                own: list[PlannedGate] = [gate for gate in gates if gate.name.partition(".")[0] == task]
                items = self._request.items_of(task)
                if own and items and isinstance(baseline, Baseline):
                    may_pass = task not in self.plan.judged_otherwise
                    self._monitors[task] = TaskMonitor(self.order(items), own, baseline, limits, may_pass)
        return self._monitors

    def _up_to(self, monitor: TaskMonitor, end: int) -> Results:
        """Return the results of the run as if a task ended after `end` of its items."""
        self._recorder.folder.journal.refresh()  # on a controller, model and judge are known from there
        rest = {(item.task, item.id) for item in monitor.order[end:]}
        stopped = {**self._stopped, monitor.task: StoppedTask(monitor.task, end, len(monitor.order), (), "")}
        return self._results(self._state(stopped, self.left_out | rest))

    def _take(self, decision: Decision, monitor: TaskMonitor) -> None:
        verdict = "regressed" if decision.stops_run else "pass"
        if decision.stops_run and all(result.verdict == "invalid" for result in decision.results.values()):
            verdict = "invalid"
        self.decisions.append(decision)
        self._stopped[decision.task] = StoppedTask(
            decision.task, decision.items, len(monitor.order), tuple(decision.results), verdict
        )
        self.left_out |= {(item.task, item.id) for item in monitor.order[decision.items :]}
        if decision.stops_run:
            for task in self._request.tasks:
                keys = [(item.task, item.id) for item in self._request.items_of(task)]
                if task not in self._stopped and any(self._record(key) is None for key in keys):
                    self.left_out.update(keys)

    def _state(self, stopped: Mapping[str, StoppedTask], left_out: set[Key]) -> StopState:
        of = len(self._request.expected)
        return StopState(tuple(stopped.values()), of - len(left_out), of, frozenset(left_out))
