"""The parts of a run's summary: gates, baseline, errors, drift, cluster, data.

Their shapes are checked with the shape of the summary, so that an error names the place of the fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_qbench.data.item_matching import RULES
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.metric import METRIC, Metric
from pytest_qbench.metrics.specs import SPECS, task_of
from pytest_qbench.untrusted.shape import MappingOf, Maybe, Shape, check_shape, short_repr

OUTCOMES = ("fail", "inconclusive", "not gated", "pass")
FLIP: Shape = {"item": str, "question": str, "before": (str, None), "after": (str, None)}
GATE_CALL: Shape = {
    "metric": str, **dict.fromkeys(("margin", "minimum", "maximum", "budget"), Maybe(float)),
    **dict.fromkeys(("dataset", "slice"), Maybe(str)), "each_dataset": Maybe(bool), "comparisons": int, "seed": int,
    **dict.fromkeys(("max_errors", "max_unparsed", "max_cut", "leftover"), float),
    **dict.fromkeys(("bet", "pass_alpha"), Maybe(float)),
}  # fmt: skip
GATE: Shape = {
    "name": str, "verdict": str, "outcome": str, "reason": str, "rows": [METRIC], "lost": [FLIP], "gained": [FLIP],
    "lost_count": int, "gained_count": int, "call": Maybe(GATE_CALL),
}  # fmt: skip
BASELINE: Shape = {
    "name": (str, None), "missing": Maybe(str), "path": Maybe(str), "recorded": Maybe(str),
    "matched": Maybe(MappingOf(int)), "written": Maybe(str), "digest": Maybe(str), "written_digest": Maybe(str),
}  # fmt: skip
ANCHOR: Shape = {"recorded": str, "updates": int, "rows": [METRIC]}
_RAY: Shape = {"replicas": int, "nodes": int, "started": bool, "deaths": int}


@dataclass(frozen=True, slots=True)
class Flip:
    """An item whose result changed: its answer, its judged mean, or the rank of its score relative to its MOS."""

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
class GateCall:
    """The arguments of a gate, from which its verdict follows again: metric, bounds and place, then limits."""

    metric: str
    margin: float | None
    minimum: float | None
    maximum: float | None
    dataset: str | None
    slice: str | None
    each_dataset: bool
    max_errors: float
    max_unparsed: float
    max_cut: float
    comparisons: int
    seed: int
    leftover: float
    budget: float | None = None
    bet: float = 0.0
    pass_alpha: float = 0.05

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the arguments that were not given."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateCall:
        """Return the call of an entry of the shape `GATE_CALL`. Raises `TypeError` for unknown keys."""
        given = dict.fromkeys(("margin", "minimum", "maximum", "dataset", "slice"))
        return cls(**{**given, "each_dataset": False, **data})


@dataclass(frozen=True, slots=True)
class Gate:
    """One judged gate. Its name may end in dataset and slice. `outcome` is the outcome of its test, one of `OUTCOMES`.

    `lost` and `gained` list the items with the largest changes, the counts are those of all items. `is_measured` says
    whether the run has metrics of its task. It is derived from the summary's metrics and is not in the JSON. `call` is
    None in comparisons and in runs of earlier versions.
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
    call: GateCall | None = None

    @property
    def word(self) -> str:
        """The verdict as reports write it. A gate that was never judged is not called invalid."""
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
            **({"call": self.call.to_json()} if self.call else {}),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any], measured: set[str]) -> Gate:
        """Return the gate of an entry. `measured` are the tasks with metrics. Raises `ValueError` for a wrong entry."""
        if task_of(data["name"]) not in TASKS:
            raise ValueError(f"gate {short_repr(data['name'])} has no known task")
        if data["outcome"] not in OUTCOMES:
            raise ValueError(f"outcome {short_repr(data['outcome'])} of gate {data['name']} is unknown")
        return cls(
            data["name"], data["verdict"], data["outcome"], data["reason"],
            tuple(_gate_row(row) for row in data["rows"]),
            tuple(Flip.from_json(flip) for flip in data["lost"]),
            tuple(Flip.from_json(flip) for flip in data["gained"]),
            data["lost_count"], data["gained_count"], task_of(data["name"]) in measured,
            GateCall.from_json(data["call"]) if data.get("call") else None,
        )  # fmt: skip


def _gate_row(data: Mapping[str, Any]) -> Metric:
    """Return the row of a gate. Raises `ValueError` if it lacks what reports say about its verdict."""
    row = Metric.from_json(data)
    if row.name not in SPECS:
        raise ValueError(f"metric {short_repr(row.name)} of a gate is unknown")
    if row.alpha is not None and not 0 < row.alpha < 0.5:
        raise ValueError(f"alpha {row.alpha} of {row.name} is not between 0 and 0.5")
    if row.verdict == "inconclusive" and row.delta is not None and row.delta_ci is None:
        raise ValueError(f"{row.name} is inconclusive without an interval")
    return row


@dataclass(frozen=True, slots=True)
class BaselineState:
    """The baseline of a run with its date, or the reason why it is `missing`.

    `matched` counts the matched items by rule. `written` is the folder of the baseline that the run has recorded.
    `digest` and `written_digest` are the SHA-256 of the heads (`baseline.yaml`) of both, which contain a hash of
    every other file.
    """

    name: str | None
    missing: str | None = None
    path: str | None = None
    recorded: str | None = None
    matched: Mapping[str, int] | None = None
    written: str | None = None
    digest: str | None = None
    written_digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the known entries as plain values."""
        return {key: value for key, value in asdict(self).items() if value is not None or key == "name"}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BaselineState:
        """Return the state of an entry; raises `TypeError` for other keys, `ValueError` for an unknown rule."""
        if unknown := set(data.get("matched") or ()) - set(RULES):
            raise ValueError(f"baseline.matched has the unknown rule {short_repr(unknown.pop())}")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class AnchorState:
    """The anchor of the baseline: its date, the number of updates since, and the totals of the run compared with it."""

    recorded: str
    updates: int
    rows: tuple[Metric, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"recorded": self.recorded, "updates": self.updates, "rows": [row.to_json() for row in self.rows]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AnchorState:
        """Return the state of an entry of the shape `ANCHOR`. Raises `ValueError` or `TypeError` for a wrong row."""
        return cls(data["recorded"], data["updates"], tuple(_gate_row(row) for row in data["rows"]))


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
    """Whether the drift of a dataset is above the noise floor. The metric `name` holds its numbers."""

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
    """The Ray cluster of a run: its size, whether the run started it, and the number of processes that died."""

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
    """The interpretation of the columns of quality databases, and the databases whose direction the user has stated."""

    meaning: tuple[str, ...] = ()
    direction_stated: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"meaning": list(self.meaning), "direction_stated": list(self.direction_stated)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DataState:
        """Return the state of an entry."""
        return cls(tuple(data["meaning"]), tuple(data["direction_stated"]))
