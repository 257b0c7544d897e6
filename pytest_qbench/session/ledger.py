"""List everything that a run did not measure or judge, and derive its exit status."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.expectation import expected_keys
from pytest_qbench.errors import CANNOT_TELL, NOT_MEASURED
from pytest_qbench.items import TASKS, Item
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.session.gating import Gating
from pytest_qbench.session.request import RunRequest


def shortfalls(
    request: RunRequest, gating: Gating, results: Results, baseline: Baseline | MissingBaseline
) -> list[str]:
    """Return the reasons why a run does not count as measured, one sentence each. Empty if it is measured.

    A run is measured when (a) every selected item has a record, (b) the items are those that the baseline expects,
    (c) a gate that ran to its end judged every task of the data and of the baseline, and (d) every gate could judge.
    The items that --qbench-early-stop left out are not expected. Runs without gates (--qbench-no-gates, controls,
    shards) have no shortfall. A run that records a baseline may lack items of the data; `finish` refuses it if it lacks
    items of the old baseline.
    """
    if gating.not_gated:
        return []
    expected = set() if isinstance(baseline, MissingBaseline) else expected_keys(baseline, request.selection)
    if results.stop is not None:  # left out by the rule of --qbench-early-stop, which has decided their gates
        expected -= results.stop.left_out
    return [
        *_without_record(results),
        *([] if request.settings.update_baseline else _gone(expected, results)),
        *_unfinished(gating),
        *([] if request.settings.update_baseline else _unjudged(request, gating, {task for task, _ in expected})),
        *(f"{g.name}: {g.reason}" for g in gating.results if g.verdict == "invalid" and gating.outcome(g) == "fail"),
    ]


def _without_record(results: Results) -> Iterable[str]:
    for task in dict.fromkeys(task for task, _ in results.expected):
        if missing := results.missing(task):
            yield (f"{len(missing)} {task} items have no record (first: {missing[0]}): deselected, skipped or not run")


def _gone(expected: set[tuple[str, str]], results: Results) -> Iterable[str]:
    for task in TASKS:
        if gone := sorted(id_ for t, id_ in expected if t == task and (task, id_) not in results.expected):
            yield f"{len(gone)} {task} items of the baseline are not in this data (first: {gone[0]})"


def _unfinished(gating: Gating) -> Iterable[str]:
    for nodeid in gating.collected:
        if nodeid not in gating.ended:
            yield f"{nodeid} did not run to its end"
    for nodeid in gating.uncalled:
        yield f"{nodeid} asks for qbench_gate and never calls it"


def _unjudged(request: RunRequest, gating: Gating, in_baseline: set[str]) -> Iterable[str]:
    """Yield a sentence about tasks that no gate judged. Without gates, tests on `qbench_results` judge every task."""
    if gating.own_checks and not gating.results:
        return
    judged = {task_of(gate.name) for gate in gating.results}
    in_data = {dataset.task for dataset in request.datasets if any(_is_gateable(item) for item in dataset.items)}
    if open_ := [task for task in TASKS if task in in_data | in_baseline and task not in judged]:
        tasks = ", ".join(open_)
        where = "the data" if set(open_) <= in_data else "the baseline"
        yield f"no gate judged {tasks}, which {where} has"


def _is_gateable(item: Item) -> bool:
    """Return whether a gate can judge an item: not if its answer is hidden or its golden texts are missing."""
    if item.task == "description":
        return bool(item.golden)
    return item.task != "perception" or item.answer is not None


def exit_status(gating: Gating, not_measured: list[str], notes: list[str], session_status: int) -> int:
    """Return the exit status of the session. It depends on the verdicts and not on the outcomes of tests.

    A usage error, an interruption and an internal error keep their status.
    """
    if session_status in (
        pytest.ExitCode.INTERRUPTED,
        pytest.ExitCode.INTERNAL_ERROR,
        pytest.ExitCode.USAGE_ERROR,
    ):
        return session_status
    failing = {gate.verdict for gate in gating.results if gating.outcome(gate) == "fail"}
    if "regressed" in failing:
        return int(pytest.ExitCode.TESTS_FAILED)
    if not_measured:
        return NOT_MEASURED
    other_failure = session_status == pytest.ExitCode.TESTS_FAILED and not gating.failed_by_verdict
    if gating.failed_tests or notes or other_failure:
        return int(pytest.ExitCode.TESTS_FAILED)
    if failing:
        return CANNOT_TELL
    return 0 if session_status in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED) else session_status
