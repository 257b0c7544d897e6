"""The number of comparisons is read from the source of the gate tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_qbench.plugin.alpha_allocation import GateCalls, comparisons, gate_calls


def one(qbench_gate):
    qbench_gate("perception.accuracy", margin=0.01)


def floor(qbench_gate):
    qbench_gate("perception.accuracy", minimum=0.5)
    qbench_gate("perception.unparsed_rate", maximum=0.1)


def floor_and_two(qbench_gate):
    qbench_gate("perception.accuracy", minimum=0.5)
    qbench_gate("assessment.srcc", dataset="a", margin=0.01)
    if True:
        qbench_gate("assessment.srcc", dataset="b", margin=0.01, minimum=0.1)


def loop(qbench_gate):
    for dataset in ("a", "b"):
        qbench_gate("assessment.srcc", dataset=dataset, margin=0.01)


def comprehension(qbench_gate):
    assert [qbench_gate("assessment.srcc", dataset=d, margin=0.01) for d in "ab"]


def floors_in_a_loop(qbench_gate):
    for dataset in ("a", "b"):
        qbench_gate("assessment.srcc", dataset=dataset, minimum=0.01)


def inner(qbench_gate):
    def again():
        qbench_gate("assessment.srcc", margin=0.01)

    again()
    again()


def handed_on(qbench_gate):
    one(qbench_gate)


def spread(qbench_gate):
    qbench_gate("assessment.srcc", **{"margin": 0.1})


def renamed(qbench_gate):
    gate = qbench_gate
    gate("assessment.srcc", margin=0.1)


@pytest.mark.parametrize(
    "function, tasks",
    [
        (one, ("perception",)), (floor, ()), (floor_and_two, ("assessment",) * 2), (loop, None), (comprehension, None),
        (floors_in_a_loop, ()), (inner, None), (handed_on, None), (spread, None), (renamed, None),
        (lambda gate: gate("a", margin=0.1), None), (eval("lambda qbench_gate: 1"), None),
    ],
)  # fmt: skip
def test_calls_that_compare_are_read_with_their_task(
    function: Callable[..., Any], tasks: tuple[str | None, ...] | None
) -> None:
    assert gate_calls(function) == GateCalls(tasks)


def test_a_declared_number_stands_for_a_loop() -> None:
    assert gate_calls(loop, 7) == GateCalls((None,) * 7)
    assert gate_calls(loop, 7).count({"perception"}) == 7


def test_only_tests_that_compare_on_a_task_with_data_take_a_share() -> None:
    every = {"perception", "description", "assessment"}
    tests = [gate_calls(f) for f in (one, floor_and_two, loop, floor)]
    assert comparisons(tests, every) == 3
    assert comparisons(tests, {"perception"}) == 2  # the loop may be about anything
    assert comparisons([gate_calls(one)], {"assessment"}) == 1
    assert comparisons([gate_calls(floor)], every) == 1
    assert comparisons([], every) == 1
    assert gate_calls(floor_and_two).count(every) == 2
    assert gate_calls(floor_and_two).count({"perception"}) == 0
