"""--qbench-early-stop in pytest: plan it from the gates, follow the reports, and pass over the items left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from pytest_qbench.escaping import printable
from pytest_qbench.gates.written_gate import FIXTURE
from pytest_qbench.plugin.alpha_allocation import GateCalls, comparisons
from pytest_qbench.plugin.collection import bench_item, is_gate
from pytest_qbench.session.early_stop import StopPlan
from pytest_qbench.session.process_role import is_worker

if TYPE_CHECKING:
    from pytest_qbench.gates.early_stop import Decision
    from pytest_qbench.session.run import Run


def stop_plan(run: Run, items: Sequence[pytest.Item], gates: Sequence[pytest.Item], calls: list[GateCalls]) -> StopPlan:
    """Return the plan of the collected tests: `items` with the tests of the `gates`, whose source has these `calls`."""
    from pytest_qbench.gates.early_stop import PlannedGate, watchable

    request = run.request
    measured = {item.task for item in request.expected.values() if item.task != "perception" or item.answer is not None}
    tests = comparisons(calls, measured)
    planned: list[PlannedGate] = []
    otherwise: set[str] = set()
    # Tests that read the results themselves, and gates that the source does not name, may judge any task.
    unknown = len(calls) < len(gates) or any(FIXTURE not in getattr(gate, "fixturenames", ()) for gate in gates)
    for own in calls:
        if own.tasks is None or None in own.tasks:
            unknown = True
            continue
        for gate in own.written:
            given = gate.arguments
            if watchable(gate.metric, given):
                number = tests * max(1, own.count(measured)) * request.settings.nights
                planned.append(
                    PlannedGate(
                        gate.metric, given["margin"], given.get("dataset"), bool(given.get("each_dataset")), number
                    )
                )
            else:
                otherwise.add(gate.task)
    if unknown:
        otherwise.update(request.tasks)
    functions = {}
    for node in items:
        if (bench := bench_item(node)) is not None:
            functions[node.nodeid.partition("[")[0]] = bench.task
    return StopPlan([gate.to_json() for gate in planned], sorted(otherwise), functions, list(request.tasks))


def stop_lines(run: Run) -> list[str]:
    """Return a line that says what may end the run early, and with which part of alpha; empty without early stop."""
    if run.early_stop is None or run.early_stop.plan is None:
        return []
    from pytest_qbench.gates.early_stop import BET, LOOKS
    from pytest_qbench.metrics.specs import SPECS

    plan = run.early_stop.plan
    bets = [gate["name"] for gate in plan.gates if SPECS[gate["name"]].value_of is not None]
    passing = [task for task in run.request.tasks if task not in plan.judged_otherwise]
    looks = " and ".join(f"{100 * look:g} %" for look in LOOKS)
    parts = [
        f"{', '.join(dict.fromkeys(bets)) or 'no gate'} may end the run at any item (by {100 * BET:g} % of its alpha)",
        f"{', '.join(passing) or 'no task'} may pass after {looks} of the items",
    ]
    return [printable(f"qbench: early stop: {'; '.join(parts)}")]


def plan_attribute(config: pytest.Config, run: Run) -> dict[str, object]:
    """Return the plan as an attribute of a worker's report, as its controller has collected nothing; else nothing."""
    if run.early_stop is None or run.early_stop.plan is None or not is_worker(config):
        return {}
    return {"qbench_plan": asdict(run.early_stop.plan)}


def send_plan(config: pytest.Config, run: Run, report: pytest.TestReport) -> None:
    """Attach the plan to the report of a worker."""
    report.__dict__.update(plan_attribute(config, run))


def follow(config: pytest.Config, run: Run, report: pytest.TestReport) -> list[Decision]:
    """Follow the records after a report, alone or on the controller. Announce and return new decisions."""
    early = run.early_stop
    assert early is not None
    if early.plan is None and (plan := getattr(report, "qbench_plan", None)) is not None:
        early.plan = StopPlan(**plan)
        run.request.tasks.update(dict.fromkeys(early.plan.tasks))
    decisions = early.follow()
    reporter = config.pluginmanager.getplugin("terminalreporter")
    for decision in decisions:
        if reporter is not None:
            reporter.ensure_newline()
            for label, result in decision.results.items():
                reporter.write_line(printable(f"qbench: {label} {result.verdict}: {result.reason}"))
    return decisions


def passes_over(run: Run, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Return whether a test is not run because its item is left out.

    The last test of a module runs as a skipped test, because it tears down what the module has set up.
    """
    if run.early_stop is None or not run.early_stop.left_out or is_gate(item):
        return False
    bench = bench_item(item)
    if bench is None or (bench.task, bench.id) not in run.early_stop.left_out:
        return False
    if nextitem is not None and nextitem.parent is item.parent:
        return True
    item.add_marker(pytest.mark.skip(reason="left out: the run was stopped early"))
    return False
