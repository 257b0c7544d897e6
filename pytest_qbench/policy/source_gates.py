"""Read the gates that test files hold, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pytest_qbench.gates.written_gate import is_gate_call

_SWITCHED_OFF = ("skip", "skipif", "xfail")
UNREAD = "an expression"
"""Stands for a metric, a dataset or a slice that the source does not show."""


@dataclass(frozen=True, slots=True)
class SourceGate:
    """A gate of a test file. `bounds` holds margin, budget, minimum and maximum: None where it is an expression.

    `function` is the function that holds it: a test, or what one calls.
    """

    path: str
    function: str
    metric: str
    dataset: str
    slice: str
    each_dataset: bool
    bounds: tuple[tuple[str, float | None], ...]

    @property
    def target(self) -> tuple[str, str, str]:
        """What it judges: metric, dataset and slice."""
        return self.metric, self.dataset, self.slice


def read_gates(path: str, source: str) -> list[SourceGate]:
    """Return the gates of a file that pytest would run. A gate in a skipped or xfailed test does not count.

    A file that is no Python has none. A function that is no test counts where its name is used, or where other files
    may use it.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    if any(_switches_off(value) for value in _pytestmarks(tree)):
        return []
    name = PurePath(path).name
    is_collected = name.startswith("test_") or name.endswith("_test.py")
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    used |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    gates: list[SourceGate] = []
    for function in _functions(tree):
        is_test = function.name.startswith("test")
        if is_test == is_collected or (not is_test and function.name in used):
            calls = [n for n in ast.walk(function) if isinstance(n, ast.Call) and is_gate_call(n)]
            gates += [_read(path, function.name, call) for call in calls]
    return gates


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the outermost functions of a module and its classes, without those that are switched off."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and any(
            _switches_off(each) for each in node.decorator_list
        ):
            continue
        if isinstance(node, ast.ClassDef) and any(_switches_off(value) for value in _pytestmarks(node)):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif not isinstance(node, ast.expr):
            yield from _functions(node)


def _pytestmarks(scope: ast.Module | ast.ClassDef) -> Iterator[ast.expr]:
    for statement in scope.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets):
                yield statement.value


def _switches_off(mark: ast.expr) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr in _SWITCHED_OFF for n in ast.walk(mark))


def _read(path: str, function: str, call: ast.Call) -> SourceGate:
    given: dict[str | None, Any] = {keyword.arg: _value(keyword.value) for keyword in call.keywords}
    metric = _value(call.args[0]) if call.args else given.get("name", UNREAD)
    bounds = []
    for name in ("margin", "budget", "minimum", "maximum"):
        value = given.get(name)
        if name in given and value is not None:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            bounds.append((name, float(value) if is_number else None))
    if None in given:  # **bounds
        bounds.append(("margin", None))
    dataset, slice_ = (str(given.get(name) or "") for name in ("dataset", "slice"))
    return SourceGate(path, function, str(metric), dataset, slice_, given.get("each_dataset") is True, tuple(bounds))


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNREAD
