"""`Summary`, the content of `summary.json`, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_qbench.data.item_matching import RULES
from pytest_qbench.items import TASKS, LeftOut
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metric import METRIC, Metric
from pytest_qbench.metrics.results import ItemCounts, Results
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.metrics.stop_state import StopState
from pytest_qbench.records import SCHEMA
from pytest_qbench.runs.endpoint_usage import USAGE, EndpointUsage
from pytest_qbench.runs.repeats_state import RepeatsState
from pytest_qbench.runs.summary_parts import (
    ANCHOR,
    BASELINE,
    GATE,
    AnchorState,
    BaselineState,
    DataState,
    DriftState,
    Gate,
    ItemError,
    RayReport,
    Sight,
)
from pytest_qbench.untrusted.shape import MappingOf, Maybe, Shape, check_shape, short_repr

SUMMARY = "summary.json"
NAMED = 20  # items in error and missing items that the summary lists, each
_SHAPE: Shape = {
    "fingerprint": dict,
    "items": {**dict.fromkeys(("total", "scored", "unparsed", "errors"), int), "cut": Maybe(int)},
    "metrics": [METRIC],
    "gates": [GATE],
    "errors": Maybe([{"item": str, "error": (str, None)}]),
    "missing": Maybe([str]),
    "left_out": [{"dataset": str, "entry": str, "reason": str}],
    "outputs_matched": Maybe(MappingOf(int)),
    "drifts": Maybe([{"name": str, "dataset": (str, None), "moved": bool}]),
    "made_otherwise": Maybe([str]),
    "began": str,
    "commit": Maybe(str),
    "verdict": str,
    "baseline": BASELINE,
    "sight": Maybe({"seeing": float, "blind": float}),
    "usage": Maybe(MappingOf(USAGE)),
    "ray": Maybe(dict),
    "tracebacks": Maybe(MappingOf(str)),
    "data": Maybe({"meaning": [str], "direction_stated": [str]}),
    "notes": [str],
    "changes": Maybe([str]),
    "submissions": Maybe([str]),
    "seconds": Maybe(float),
    "resumed": Maybe(int),
    "hints": Maybe([str]),
    "suites": Maybe(MappingOf(str)),
    "anchor": Maybe(ANCHOR),
    "repeats": Maybe(dict),
    "stopped": Maybe(dict),
}


@dataclass(frozen=True, slots=True)
class Summary:
    """The description of a finished run, without its items and records.

    - `errors` and `missing` list the first items in error and without a record.
    - `outputs_matched` counts the items with a recorded output by matching rule.
    - `differing_conditions` differ from those of the baseline. The JSON calls them `made_otherwise`.
    - `commit` is the commit that CI tests.
    - `changes` are the changes of a new baseline.
    - `hints` are lines for the terminal.
    - `anchor` compares with the first baseline of the chain, None where that is the baseline itself.
    - `suites` are the hashes of the suites' files by name. Empty for a comparison and for runs of earlier versions.
    - `seconds` is the duration, None for a comparison.
    - `repeats` is about items that were asked several times, `stopped` about a run that ended early. The JSON leaves
      them out elsewhere.
    - `resumed` counts the items that an earlier run had measured, None if unknown.
    """

    fingerprint: Fingerprint
    items: ItemCounts
    began: str
    verdict: str
    baseline: BaselineState
    metrics: tuple[Metric, ...] = ()
    gates: tuple[Gate, ...] = ()
    errors: tuple[ItemError, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    outputs_matched: Mapping[str, int] = field(default_factory=dict)
    drifts: tuple[DriftState, ...] = ()
    differing_conditions: tuple[str, ...] = ()
    commit: str | None = None
    sight: Sight | None = None
    usage: Mapping[str, EndpointUsage] = field(default_factory=dict)
    ray: RayReport | None = None
    tracebacks: Mapping[str, str] = field(default_factory=dict)
    data: DataState = field(default_factory=DataState)
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    submissions: tuple[str, ...] = ()
    seconds: float | None = None
    resumed: int | None = None
    hints: tuple[str, ...] = ()
    suites: Mapping[str, str] = field(default_factory=dict)
    anchor: AnchorState | None = None
    repeats: RepeatsState | None = None
    stopped: StopState | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the content of `summary.json`. What does not exist is left out: hints, suites, anchor."""
        made = self.fingerprint.to_json()
        return {
            "schema": SCHEMA,
            "model": made["model"],
            "fingerprint": made,
            "items": self.items.to_json(),
            "metrics": [metric.to_json() for metric in self.metrics],
            "gates": [gate.to_json() for gate in self.gates],
            "errors": [error.to_json() for error in self.errors],
            "missing": list(self.missing),
            "left_out": [asdict(entry) for entry in self.left_out],
            "outputs_matched": dict(self.outputs_matched),
            "drifts": [drift.to_json() for drift in self.drifts],
            "made_otherwise": list(self.differing_conditions),
            "began": self.began,
            "commit": self.commit,
            "verdict": self.verdict,
            "baseline": self.baseline.to_json(),
            "sight": self.sight.to_json() if self.sight else None,
            "usage": {role: usage.to_json() for role, usage in self.usage.items()},
            "ray": self.ray.to_json() if self.ray else {},
            "tracebacks": dict(self.tracebacks),
            "data": self.data.to_json(),
            "notes": list(self.notes),
            "changes": list(self.changes),
            "submissions": list(self.submissions),
            "seconds": self.seconds,
            "resumed": self.resumed,
            **({"hints": list(self.hints)} if self.hints else {}),
            **({"suites": dict(self.suites)} if self.suites else {}),
            **({"anchor": self.anchor.to_json()} if self.anchor else {}),
            **({"stopped": self.stopped.to_json()} if self.stopped else {}),
            **({"repeats": self.repeats.to_json()} if self.repeats else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Summary:
        """Return the summary of a file's content. Raises `ValueError` or `TypeError` for a wrong shape."""
        check_shape(data, _SHAPE)
        metrics = tuple(Metric.from_json(m) for m in data["metrics"])
        measured = {task_of(m.name) for m in metrics}
        drifts = tuple(DriftState.from_json(drift) for drift in data.get("drifts") or ())
        if lone := {(d.name, d.dataset) for d in drifts} - {(m.name, m.dataset) for m in metrics if m.slice is None}:
            raise ValueError(f"drift {short_repr(lone.pop())} is not in the metrics")
        if unknown := set(data.get("outputs_matched") or ()) - set(RULES):
            raise ValueError(f"outputs_matched has the unknown rule {short_repr(unknown.pop())}")
        named = ("missing", "notes", "changes", "submissions", "hints")
        return cls(
            fingerprint=Fingerprint.from_json(data["fingerprint"]),
            items=ItemCounts.from_json(data["items"]),
            began=data["began"],
            verdict=data["verdict"],
            baseline=BaselineState.from_json(data["baseline"]),
            metrics=metrics,
            gates=tuple(Gate.from_json(gate, measured) for gate in data["gates"]),
            errors=tuple(ItemError.from_json(error) for error in data.get("errors") or ()),
            left_out=tuple(LeftOut(**entry) for entry in data["left_out"]),
            outputs_matched=data.get("outputs_matched") or {},
            drifts=drifts,
            differing_conditions=tuple(data.get("made_otherwise") or ()),
            commit=data.get("commit"),
            sight=Sight.from_json(data["sight"]) if data.get("sight") else None,
            usage={role: EndpointUsage.from_json(usage) for role, usage in (data.get("usage") or {}).items()},
            ray=RayReport.from_json(data["ray"]) if data.get("ray") else None,
            tracebacks=data.get("tracebacks") or {},
            data=DataState.from_json(data["data"]) if data.get("data") else DataState(),
            seconds=data.get("seconds"),
            resumed=data.get("resumed"),
            suites=data.get("suites") or {},
            anchor=AnchorState.from_json(data["anchor"]) if data.get("anchor") else None,
            stopped=StopState.from_json(data["stopped"]) if data.get("stopped") else None,
            repeats=RepeatsState.from_json(data["repeats"]) if data.get("repeats") else None,
            **{name: tuple(data.get(name) or ()) for name in named},
        )

    def as_text(self) -> str:
        """Return the text of `summary.json`."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def summary_of(
    results: Results, metrics: Sequence[Metric], *, began: str, verdict: str, baseline: BaselineState
) -> Summary:
    """Return a summary with `metrics` and the conditions, counts, errors and missing items of `results`."""
    return Summary(
        fingerprint=results.fingerprint,
        items=results.counts(),
        began=began,
        verdict=verdict,
        baseline=baseline,
        metrics=tuple(metrics),
        errors=tuple(ItemError(r.item, r.error) for r in results.records if r.status == "error")[:NAMED],
        missing=tuple(item for task in TASKS for item in results.missing(task))[:NAMED],
        left_out=results.left_out,
        stopped=results.stop,
    )
