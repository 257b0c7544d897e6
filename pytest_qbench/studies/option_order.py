"""The same questions with their options shuffled and in the order of the data: how large is the bias of position?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_qbench.data.option_order import shuffled
from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.metrics.diagnostics import diagnose
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.records import Record

BY_POSITION = ("perception.accuracy_at", "perception.position_bias")


def answered_questions(items: Iterable[Item]) -> list[Item]:
    """Return the questions whose right answer is known. Raises `UsageError` if there are none."""
    found = [item for item in items if item.options and item.answer is not None]
    if not found:
        raise UsageError("no question with a known answer is in the data: name a folder with some as --data")
    return found


def measure_both_orders(engine: Engine, items: Sequence[Item], seed: int) -> list[tuple[Record, Record]]:
    """Return the records of each question with its options shuffled and in the order of the data."""
    other = [shuffled(item, seed) for item in items]
    return list(zip(engine.measure(other), engine.measure(items), strict=True))


def by_position(records: Iterable[Record], items: Iterable[Item]) -> list[Metric]:
    """Return accuracy and bias per position. `items` have the options as they were shown."""
    shown: dict[tuple[str, str], Item] = {(item.task, item.id): item for item in items}
    return [metric for metric in diagnose(records, shown) if metric.name in BY_POSITION]
