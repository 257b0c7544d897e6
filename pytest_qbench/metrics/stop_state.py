"""`StopState`: a run that ended before its last item, by the rule of --qbench-early-stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_qbench.untrusted.shape import Shape, check_shape

_TASK: Shape = {"task": str, "items": int, "of": int, "gates": [str], "verdict": str}
_SHAPE: Shape = {"tasks": [_TASK], "items": int, "of": int}


@dataclass(frozen=True, slots=True)
class StoppedTask:
    """A task that was decided early: after how many of its items, by which gates, and with which verdict."""

    task: str
    items: int
    of: int
    gates: tuple[str, ...]
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"task": self.task, "items": self.items, "of": self.of, "gates": list(self.gates),
                "verdict": self.verdict}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StopState:
    """The decided tasks of a stopped run, and how many `items` of all `of` count.

    `left_out` are the task and id of the others. A run that is read from its folder does not know them.
    """

    tasks: tuple[StoppedTask, ...]
    items: int
    of: int
    left_out: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)

    def __str__(self) -> str:
        return f"stopped after {self.items:,} of {self.of:,} items"

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the items left out."""
        return {"tasks": [task.to_json() for task in self.tasks], "items": self.items, "of": self.of}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StopState:
        """Return the state of an entry. Raises `ValueError` for a wrong shape."""
        check_shape(data, _SHAPE, "stopped")
        tasks = tuple(StoppedTask(**{**task, "gates": tuple(task["gates"])}) for task in data["tasks"])
        return cls(tasks, data["items"], data["of"])
