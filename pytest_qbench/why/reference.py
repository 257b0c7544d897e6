"""A recorded reference whose own model is at hand: did the model change, or what it runs on?"""

from __future__ import annotations

from dataclasses import replace

from pytest_qbench.runs.explanation import DECODING, DIFFERS, Explanation
from pytest_qbench.why.causes import differing_conditions
from pytest_qbench.why.compare import same_reply
from pytest_qbench.why.explain import compare_traces
from pytest_qbench.why.trace import Traces


def with_recorded_reference(recorded: Traces, reference: Traces, b: Traces, most: int) -> Explanation:
    """Return why B differs from the records, whose own model answers here as `reference`."""
    found = compare_traces(reference, b, most)
    pairs = [(trace.record, reference.by_item[key].record) for key, trace in recorded.by_item.items()]
    # A baseline may have been asked with other token limits, so that of texts the beginnings decide.
    changed = sum(not (same_reply(x, y, reference.noise) or begins_alike(x.response, y.response)) for x, y in pairs)
    conditions = list(found.conditions)
    if not changed:
        told = f"{reference.name} gives the answers of {recorded.name} here too, so it was compared in its place."
        return replace(found, a=f"{recorded.name} ({reference.name} here)", causes=(*found.causes, told))
    conditions += [text for text in differing_conditions(recorded, reference) if text not in conditions]
    told = (
        f"{reference.name} itself answers {changed} of {len(pairs)} items differently here than in {recorded.name}: "
        "its files, the versions of the libraries or the hardware changed since."
    )
    if found.first is None:
        stages = tuple(replace(s, state=DIFFERS, detail=told) if s.name == DECODING else s for s in found.stages)
        found = replace(found, first=DECODING, stages=stages, verdict=told)
    return replace(found, causes=(told, *found.causes), conditions=tuple(conditions))


def begins_alike(a: str | None, b: str | None) -> bool:
    """Return whether one text is the beginning of the other."""
    return a is not None and b is not None and (a.startswith(b) or b.startswith(a))
