"""`WrittenGate`, a call of `qbench_gate` as the source of a test shows it. Imports nothing heavy."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIXTURE = "qbench_gate"


@dataclass(frozen=True, slots=True)
class WrittenGate:
    """A call of a gate in the source of a test: metric and arguments. The value of a non-literal argument is None."""

    metric: str
    arguments: Mapping[str, Any]

    @property
    def task(self) -> str:
        """The task of the metric."""
        return self.metric.partition(".")[0]

    @property
    def compares_all(self) -> bool:
        """Whether it compares every dataset of its task with the baseline."""
        return "margin" in self.arguments and not {"dataset", "slice"} & set(self.arguments)


def is_gate_call(node: ast.AST) -> bool:
    """Return whether a node of a syntax tree calls the fixture `qbench_gate` by its name."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == FIXTURE


def written_gate(call: ast.Call) -> WrittenGate | None:
    """Return a gate as the source names it; None where the metric is no literal."""
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
    name = given[0].value if given and isinstance(given[0], ast.Constant) else None
    if not isinstance(name, str):
        return None
    arguments = {k.arg: k.value.value if isinstance(k.value, ast.Constant) else None for k in call.keywords if k.arg}
    return WrittenGate(name, {key: value for key, value in arguments.items() if key != "name"})
