"""The family of a run is read off the source of its gate tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.plugin.alpha_allocation import Plan, family, plan_of


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
    "function, calls",
    [
        (one, 1), (floor, 0), (floor_and_two, 2), (loop, None), (comprehension, None), (floors_in_a_loop, 0),
        (inner, None), (handed_on, None), (spread, None), (renamed, None), (lambda gate: gate("a", margin=0.1), None), (eval("lambda qbench_gate: 1"), None),
    ],
)  # fmt: skip
def test_calls_that_compare_are_counted(function: Callable[..., Any], calls: int | None) -> None:
    assert plan_of(function) == Plan(calls)


def test_the_family_counts_tests_not_calls_and_no_floors() -> None:
    assert family([one, floor_and_two, loop, floor]) == 3
    assert family([floor]) == 1
    assert family([]) == 1


@given(st.none() | st.integers(1, 5), st.integers(1, 300))
def test_shares_never_exceed_the_whole(calls: int | None, made: int) -> None:
    made = min(made, calls) if calls else made
    assert sum(Plan(calls).share(i) for i in range(1, made + 1)) <= 1 + 1e-12
