"""Judge the gates of a finished run again, from its records, its baseline and the arguments in its summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.gates.budget import judge
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS, GateResult, Limits, evaluate
from pytest_qbench.gates.targets import gated_tasks
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.runs.summary_parts import Gate, GateCall

_BOUNDS = ("margin", "minimum", "maximum", "budget")
_LIMITS = ("max_errors", "max_unparsed", "max_cut", "comparisons", "seed", "leftover", "bet", "pass_alpha")


def as_call(metric: str, limits: Limits, bounds: Mapping[str, Any]) -> GateCall:
    """Return the arguments of a gate as plain values. `bounds` are the keywords of `evaluate`."""
    given: dict[str, Any] = {key: bounds.get(key) for key in ("dataset", "slice")}
    given |= {key: None if bounds.get(key) is None else float(bounds[key]) for key in _BOUNDS}
    given |= {key: getattr(limits, key) for key in _LIMITS}
    return GateCall(metric, each_dataset=bool(bounds.get("each_dataset")), **given)


def judge_again(
    gates: Iterable[Gate],
    results: Results,
    baseline: Baseline | MissingBaseline,
    anchor: Baseline | MissingBaseline,
) -> list[tuple[Gate, GateResult]]:
    """Return each gate that has its arguments, with the verdict that follows from the records now."""
    found = []
    for gate in gates:
        if gate.call is not None:
            given = asdict(gate.call)
            limits = Limits(**{key: given.pop(key) for key in _LIMITS})
            found.append((gate, judge(given.pop("metric"), results, baseline, limits, anchor=anchor, **given)))
    return found


def judge_by_default(results: Results, baseline: Baseline | MissingBaseline, limits: Limits) -> list[GateResult]:
    """Return the gates of the suites for a run that has none, such as merged shards. They share alpha as in a run."""
    names = sorted(name for name in DEFAULT_MARGINS if task_of(name) in gated_tasks(results))
    judged: list[GateResult] = []
    for name in names:
        leftover = judged[-1].unspent if judged else 0.0
        mine = replace(limits, comparisons=max(1, len(names)), leftover=leftover)
        judged.append(evaluate(name, results, baseline, mine, margin=DEFAULT_MARGINS[name]))
    return judged
