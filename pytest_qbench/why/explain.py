"""Explain why B differs from A: trace both, compare stage by stage, and name the first stage that departs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_qbench.items import Item
from pytest_qbench.prompts import one_line
from pytest_qbench.records import Key, Record
from pytest_qbench.runs.explanation import EXTRACTION, JUDGE, STAGES, UNSEEN, Example, Explanation, Stage
from pytest_qbench.why.causes import causes, differing_conditions
from pytest_qbench.why.choose import MOST, most_different
from pytest_qbench.why.compare import NOTHING_COMPARED, compare, first_departures
from pytest_qbench.why.pictures import pictures
from pytest_qbench.why.sides import Side
from pytest_qbench.why.trace import Trace, Traces

SHOWN = 6
"""Items whose replies are shown."""
NOTHING = "no stage differs beyond noise"


def explain(a: Side, b: Side, items: Sequence[Item], most: int = MOST) -> Explanation:
    """Return why B differs from A on those of `items` where their replies differ most."""
    return compare_traces(a.trace(items, noise=True), b.trace(items, noise=False), most)


def compare_traces(a: Traces, b: Traces, most: int = MOST) -> Explanation:
    """Return why B differs from A, from the traces of both."""
    if not a.is_live and b.is_live and not b.noise.measured:
        raise ValueError("the noise of the live side is needed")
    shared = [trace.item for key, trace in a.by_item.items() if key in b.by_item]
    chosen = most_different(shared, _records(a), _records(b), most)
    one, other = (_only(side, chosen) for side in (a, b))
    stages, layers = compare(one, other)
    departures = first_departures(stages)
    first = departures[0] if departures else None
    by_name = {stage.name: stage for stage in stages}
    pairs = [(one.by_item[key], other.by_item[key]) for key in one.by_item]
    return Explanation(
        a.name, b.name, _verdict(first, by_name, len(pairs)), first, tuple(departures[1:]), tuple(stages),
        tuple(layers),
        causes=tuple(causes(first, by_name[first], pairs, one, other)) if first else (),
        conditions=tuple(differing_conditions(one, other)),
        unseen=_unseen(stages),
        pictures=tuple(pictures(first, by_name[first], pairs)) if first else (),
        examples=tuple(_example(*pair) for pair in pairs[:SHOWN]),
        items=tuple(item.id for item in chosen),
    )  # fmt: skip


def _only(side: Traces, items: Sequence[Item]) -> Traces:
    return replace(side, by_item={(item.task, item.id): side.by_item[item.task, item.id] for item in items})


def _records(side: Traces) -> Mapping[Key, Record]:
    return {key: trace.record for key, trace in side.by_item.items()}


def _verdict(first: str | None, stages: Mapping[str, Stage], items: int) -> str:
    if not items:
        return "nothing was compared: the two have no item in common"
    if first is None:
        seen = [stage for stage in stages.values() if stage.state != UNSEEN]
        return f"{NOTHING}, of {len(seen)} stages seen, {items} items"
    stage = stages[first]
    told = f"{first}: {stage.detail}" if stage.detail else first
    size = ""
    if stage.where and stage.difference is not None and stage.noise:
        size = f", {stage.difference:.2g} of its size, {stage.difference / stage.noise:,.0f} times the noise"
    return f"the first stage that departs is the {told}{size} ({stage.differing} of {stage.compared} items)"


def _unseen(stages: Sequence[Stage]) -> tuple[str, ...]:
    """Return what was not seen, the stages with one reason together."""
    reasons: dict[str, list[str]] = {}
    for stage in stages:
        quiet = stage.name in (EXTRACTION, JUDGE) and stage.detail == NOTHING_COMPARED[stage.name]
        if stage.state == UNSEEN and not quiet:
            reasons.setdefault(stage.detail, []).append(stage.name)
    return tuple(f"{', '.join(sorted(names, key=STAGES.index))}: {why}" for why, names in reasons.items())


def _example(one: Trace, other: Trace) -> Example:
    item = one.item
    return Example(item.id, one_line({"": item.question or item.task})[:200], _reply(one.record), _reply(other.record))


def _reply(record: Record) -> str:
    """Return what a side answered, in one line."""
    if record.status == "error":
        return f"error: {record.error}"[:300]
    if record.response is not None:
        said = one_line({"": record.response})[:200]
        return f"{said} -> {record.choice}" if record.task == "perception" else said
    if record.score is not None:
        return f"score {record.score:.4f}"
    return f"{record.choice} ({', '.join(f'{k} {v:.3f}' for k, v in (record.logprobs or {}).items())})"[:300]
