"""How the gates of a run share alpha: the family is known before anything is measured, from the source of the tests.

A gate test counts for the family if it compares with the baseline (``margin=``); floors and ceilings do not count. What
cannot be read off the source (the fixture handed to a helper, ``**bounds``) is taken to compare.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

FIXTURE = "qbench_gate"
_LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Plan:
    """The comparing gates of one test: `calls` of them, each made once; None where their number is open."""

    calls: int | None

    @property
    def compares(self) -> bool:
        """Whether the test counts for the family."""
        return self.calls != 0

    def share(self, nth: int) -> float:
        """Share of the test's alpha for its `nth` comparing gate (1, 2, ...), in (0, 1]; the shares sum to at most 1.

        Equal ones where their number is known, else 1 / (n (n + 1)): 1/2, 1/6, 1/12, ...
        """
        if self.calls and nth <= self.calls:
            return 1 / self.calls
        return 1 / (nth * (nth + 1))


def plan_of(function: Callable[..., Any]) -> Plan:
    """Read off a test's source how many gates it compares with the baseline."""
    if FIXTURE not in inspect.signature(function).parameters:
        return Plan(None)  # it comes through another fixture
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return Plan(None)
    uses = sum(isinstance(n, ast.Name) and n.id == FIXTURE and isinstance(n.ctx, ast.Load) for n in ast.walk(tree))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _is_gate(n.func)]
    bounds = [{keyword.arg for keyword in call.keywords} for call in calls]
    if uses != len(calls) or any(None in names for names in bounds):
        return Plan(None)
    comparing = [call for call, names in zip(calls, bounds, strict=True) if "margin" in names]
    repeated = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, _LOOPS) or (isinstance(outer, _NESTED) and outer is not tree.body[0])
        for inner in ast.walk(outer)
    }
    return Plan(None if any(id(call) in repeated for call in comparing) else len(comparing))


def family(functions: Iterable[Callable[..., Any]]) -> int:
    """Number of the gate tests that compare with the baseline, at least 1."""
    return max(1, sum(plan_of(function).compares for function in functions))


def _is_gate(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == FIXTURE
