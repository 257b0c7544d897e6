"""Split alpha between the gates of a run: count their comparisons in the source of the gate tests.

A gate test gets a share if it compares with the baseline (``margin=``) or its anchor (``budget=``) on a task with data.
A gate with both halves its share. Floors and ceilings get
none. The source does not show the number of gates in a loop, of a fixture passed to a helper, or with ``**bounds``. The
author then states it: ``@pytest.mark.qbench(gates=7)``.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from typing import Any

from pytest_qbench.gates.written_gate import FIXTURE, WrittenGate, is_gate_call, written_gate

_LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class GateCalls:
    """The comparing gates of one test: the task of each, None where it is computed; `tasks` None: an unknown number.

    `written` are all gates whose metric the source names, also those that compare nothing.
    """

    tasks: tuple[str | None, ...] | None
    written: tuple[WrittenGate, ...] = field(default=(), compare=False)

    def count(self, measured: Set[str]) -> int:
        """Number of the gates that have data, one for an unknown number; `measured` are the tasks with data."""
        if self.tasks is None:
            return 1
        return sum(task is None or task in measured for task in self.tasks)


def gate_calls(function: Callable[..., Any], declared: int | None = None) -> GateCalls:
    """Return the gates of a test that compare with the baseline, from the `declared` number or else the source."""
    if declared is not None:
        return GateCalls((None,) * declared)
    if FIXTURE not in inspect.signature(function).parameters:
        return GateCalls(None)  # the test gets it through another fixture
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return GateCalls(None)
    uses = sum(isinstance(n, ast.Name) and n.id == FIXTURE and isinstance(n.ctx, ast.Load) for n in ast.walk(tree))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and is_gate_call(n)]
    bounds = [{keyword.arg for keyword in call.keywords} for call in calls]
    if uses != len(calls) or any(None in names for names in bounds):
        return GateCalls(None)
    comparing = [call for call, names in zip(calls, bounds, strict=True) if {"margin", "budget"} & names]
    repeated = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, _LOOPS) or (isinstance(outer, _NESTED) and outer is not tree.body[0])
        for inner in ast.walk(outer)
    }
    written = tuple(gate for call in calls if (gate := written_gate(call)) is not None)
    return GateCalls(None if any(id(call) in repeated for call in comparing) else tuple(map(_task, comparing)), written)


def comparisons(tests: Iterable[GateCalls], measured: Set[str]) -> int:
    """Return the number of gate tests that compare with the baseline on a task with data, at least 1."""
    return max(1, sum(calls.count(measured) > 0 for calls in tests))


def _task(call: ast.Call) -> str | None:
    """Task of the metric that a gate names; None where the name is no literal."""
    gate = written_gate(call)
    return gate.task if gate else None
