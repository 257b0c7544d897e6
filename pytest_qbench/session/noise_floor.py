"""A second measurement of some items by the same model: the noise floor of drift, for a new baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_qbench.engine.engine import Engine
from pytest_qbench.items import Item
from pytest_qbench.metrics.drift import noise_items
from pytest_qbench.models.base import SupportsDtypeSwitch


def measure_again(engine: Engine, items: Sequence[Item]) -> dict[str, Any] | None:
    """Measure 64 items of each dataset again, with another batch size and dtype: how, and the records as plain values.

    An endpoint is asked twice.

    None where the model cannot, or fails at it: its memory may hold no second dtype. The engine is of no use after it.
    """
    if not items or not isinstance(engine.model, SupportsDtypeSwitch):
        return None
    try:
        dtype = engine.model.switch_dtype()
    except RuntimeError:  # torch's out of memory among them
        return None
    if dtype is None:
        return None
    engine.batch_size = max(1, engine.batch_size // 2)
    records = engine.measure(noise_items(items))
    if all(record.status == "error" for record in records):
        return None
    return {"how": f"batch size {engine.batch_size}, {dtype}", "records": [record.to_dict() for record in records]}
