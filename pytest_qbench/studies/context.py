"""Compare the same items with and without their context, in pairs: does context in the prompt help?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.comparison import paired_items
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.items import Item
from pytest_qbench.metrics.metrics import published_order
from pytest_qbench.records import Record
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.paired_correlation import paired_correlation
from pytest_qbench.stats.resampling import Undefined

METRICS: Mapping[str, str] = {
    "perception": "perception.accuracy",
    "description": "description.sum",
    "assessment": "assessment.srcc",
}
TAIL = 0.025
"""Level of each side of an interval: intervals cover 95 %."""


@dataclass(frozen=True, slots=True)
class ContextEffect:
    """The effect of context on one metric, on one dataset or slice. `problem` says why there is no comparison.

    `answers_changed` counts the items whose answer, score or grades differ with and without context.
    """

    metric: str
    dataset: str
    slice: str | None
    items: int
    answers_changed: int
    paired: Paired | None
    problem: str = ""

    @property
    def p_value(self) -> float | None:
        """The two-sided p-value of no effect."""
        return None if self.paired is None else min(1.0, 2 * min(self.paired.p_value, self.paired.p_gain))


def items_with_context(items: Sequence[Item], sends_context: Callable[[Item], bool]) -> list[Item]:
    """Return the items that have a context. Raises `UsageError` if none has one, or if a template lacks `{context}`."""
    found = [item for item in items if item.context]
    if not found:
        raise UsageError("no item has a context: add a field or column context to the data (docs: studies)")
    if lost := [item for item in found if not sends_context(item)]:
        raise UsageError(f"the prompts of {lost[0].task} have no {{context}}: add it to the template")
    return found


def measure_both(engine: Engine, items: Sequence[Item]) -> list[tuple[Record, Record]]:
    """Return the records of each item with and without its context."""
    bare = [replace(item, context=None) for item in items]
    return list(zip(engine.measure(items), engine.measure(bare), strict=True))


def compare(pairs: Sequence[tuple[Record, Record]], seed: int = 0) -> Iterator[ContextEffect]:
    """Yield the effect on each dataset and, for questions, on each type and concern."""
    by_dataset: dict[tuple[str, str], list[tuple[Record, Record]]] = {}
    for pair in pairs:
        by_dataset.setdefault((pair[0].task, pair[0].dataset), []).append(pair)
    for (task, dataset), own in by_dataset.items():
        yield _effect(METRICS[task], dataset, None, own, seed)
        if task == "perception":
            for slice_ in published_order(aware for aware, _ in own):
                key, _, value = slice_.partition("=")
                part = [pair for pair in own if pair[0].slices.get(key) == value]
                yield _effect(METRICS[task], dataset, slice_, part, seed)


def _effect(
    metric: str, dataset: str, slice_: str | None, pairs: Sequence[tuple[Record, Record]], seed: int
) -> ContextEffect:
    changed = sum(_result(aware) != _result(bare) for aware, bare in pairs)
    failed = [record for pair in pairs for record in pair if record.status == "error"]
    if failed:
        problem = f"{len(failed)} measurements ended in an error (first: {failed[0].item}: {failed[0].error})"
        return ContextEffect(metric, dataset, slice_, len(pairs), changed, None, problem)
    try:
        return ContextEffect(metric, dataset, slice_, len(pairs), changed, _paired(metric, pairs, seed))
    except (InvalidError, Undefined) as e:
        return ContextEffect(metric, dataset, slice_, len(pairs), changed, None, str(e))


def _result(record: Record) -> tuple[object, ...]:
    return record.choice, record.score, record.judge


def _paired(metric: str, pairs: Sequence[tuple[Record, Record]], seed: int) -> Paired:
    if metric != METRICS["assessment"]:
        return paired_items(metric, pairs, TAIL)
    aware, bare = ([record.score or 0.0 for record in column] for column in zip(*pairs, strict=True))
    mos = [float(record.target or 0.0) for record, _ in pairs]
    return paired_correlation(aware, bare, mos, [record.group for record, _ in pairs], "srcc", TAIL, seed)
