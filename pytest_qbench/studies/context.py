"""The same items with and without their context: does context in the prompt help?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.records import Record


def items_with_context(items: Sequence[Item], sends_context: Callable[[Item], bool]) -> list[Item]:
    """Return the items that have a context. Raises `UsageError` if none has one, or if a template lacks `{context}`."""
    found = [item for item in items if item.context]
    if not found:
        raise UsageError(
            "no item has a context: add a field or column context to the data, or give all one by --context (docs: "
            "studies)"
        )
    if lost := [item for item in found if not sends_context(item)]:
        raise UsageError(f"the prompts of {lost[0].task} have no {{context}}: add it to the template")
    return found


def measure_with_and_without(engine: Engine, items: Sequence[Item]) -> list[tuple[Record, Record]]:
    """Return the records of each item with and without its context."""
    bare = [replace(item, context=None) for item in items]
    return list(zip(engine.measure(items), engine.measure(bare), strict=True))
