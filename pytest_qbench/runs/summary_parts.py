"""The parts of a run's summary: gates, baseline, endpoints, what was left unmeasured.

Their shapes are checked with that of the summary, which names the place of a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_qbench.data.item_matching import RULES
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.metrics import METRIC, Metric
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.untrusted.shape import MappingOf, Maybe, Shape, check_shape, shown

OUTCOMES = ("fail", "inconclusive", "not gated", "pass")
FLIP: Shape = {"item": str, "question": str, "before": (str, None), "after": (str, None)}
GATE: Shape = {
    "name": str, "verdict": str, "outcome": str, "reason": str, "rows": [METRIC], "lost": [FLIP], "gained": [FLIP],
    "lost_count": int, "gained_count": int,
}  # fmt: skip
BASELINE: Shape = {
    "name": (str, None), "missing": Maybe(str), "path": Maybe(str), "recorded": Maybe(str),
    "matched": Maybe(MappingOf(int)), "written": Maybe(str),
}  # fmt: skip
_RAY: Shape = {"replicas": int, "nodes": int, "started": bool, "deaths": int}


@dataclass(frozen=True, slots=True)
class Flip:
    """An item whose result changed: its answer, its judged mean, or the rank of its score beside that of its MOS."""

    item: str
    question: str
    before: str | None
    after: str | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Flip:
        """Return the flip of an entry; raises `TypeError` for other keys."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Gate:
    """One judged gate; its name may end in dataset and slice. `outcome`, one of `OUTCOMES`, is what its test ended in.

    `lost` and `gained` list items, at most the largest moves; the counts are of all. `is_measured` tells whether the
    run has numbers of its task; the metrics of a summary say so, not its JSON.
    """

    name: str
    verdict: str
    outcome: str
    reason: str
    rows: tuple[Metric, ...]
    lost: tuple[Flip, ...]
    gained: tuple[Flip, ...]
    lost_count: int
    gained_count: int
    is_measured: bool

    @property
    def word(self) -> str:
        """The verdict for a reader: what was never judged is not called invalid."""
        if self.verdict == "regressed" and all(row.delta is None for row in self.rows):
            return "out of bounds"
        if self.verdict != "invalid" or self.outcome == "fail":
            return self.verdict
        if self.outcome == "pass":
            return "no baseline yet"
        return "not gated" if self.is_measured else "not measured"

    @property
    def task(self) -> str:
        """The task of its metric."""
        return task_of(self.name)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name, "verdict": self.verdict, "outcome": self.outcome, "reason": self.reason,
            "rows": [row.to_json() for row in self.rows],
            "lost": [flip.to_json() for flip in self.lost], "gained": [flip.to_json() for flip in self.gained],
            "lost_count": self.lost_count, "gained_count": self.gained_count,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any], measured: set[str]) -> Gate:
        """Return the gate of an entry, given the tasks that the run has numbers of; raises `ValueError`."""
        if task_of(data["name"]) not in TASKS:
            raise ValueError(f"gate {shown(data['name'])} is of no task")
        if data["outcome"] not in OUTCOMES:
            raise ValueError(f"outcome {shown(data['outcome'])} of gate {data['name']} is unknown")
        return cls(
            data["name"], data["verdict"], data["outcome"], data["reason"],
            tuple(Metric.from_json(row) for row in data["rows"]),
            tuple(Flip.from_json(flip) for flip in data["lost"]),
            tuple(Flip.from_json(flip) for flip in data["gained"]),
            data["lost_count"], data["gained_count"], task_of(data["name"]) in measured,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BaselineState:
    """What a run was compared with: a baseline with its date, or why there is none (`missing`).

    `matched` counts the items found in it by each rule. `written` is the folder that the run recorded.
    """

    name: str | None
    missing: str | None = None
    path: str | None = None
    recorded: str | None = None
    matched: Mapping[str, int] | None = None
    written: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is known as plain values."""
        return {key: value for key, value in asdict(self).items() if value is not None or key == "name"}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BaselineState:
        """Return the state of an entry; raises `TypeError` for other keys, `ValueError` for an unknown rule."""
        if unknown := set(data.get("matched") or ()) - set(RULES):
            raise ValueError(f"baseline.matched has the unknown rule {shown(unknown.pop())}")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class ItemError:
    """An item that ended in an error."""

    item: str
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ItemError:
        """Return the error of an entry; raises `TypeError` for other keys."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class DriftState:
    """Whether the items of a dataset moved beyond the noise floor; its numbers are a row of the metrics."""

    name: str
    dataset: str | None
    moved: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DriftState:
        """Return the drift of an entry; raises `TypeError` for other keys."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Sight:
    """The accuracy with images and without them, each in [0, 1]."""

    seeing: float
    blind: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sight:
        """Return the accuracies of an entry; raises `TypeError` for other keys."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class RayReport:
    """How a cluster spread the items: its size, whether the run started it, how often processes died."""

    replicas: int
    nodes: int
    started: bool
    deaths: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RayReport:
        """Return the report of an entry; raises `ValueError` or `TypeError` for another shape."""
        check_shape(data, _RAY, "ray")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class DataState:
    """How the columns of the quality databases are understood, and whose direction the user states."""

    meaning: tuple[str, ...] = ()
    direction_stated: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"meaning": list(self.meaning), "direction_stated": list(self.direction_stated)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DataState:
        """Return the state of an entry."""
        return cls(tuple(data["meaning"]), tuple(data["direction_stated"]))
