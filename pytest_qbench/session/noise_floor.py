"""A second measurement of some items by the same model: the noise floor of drift, for a new baseline."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.engine.engine import Engine
from pytest_qbench.items import Item
from pytest_qbench.metrics.noise_floor import SecondMeasurement, noise_items
from pytest_qbench.models.base import SupportsDtypeSwitch


def measure_again(engine: Engine, items: Sequence[Item]) -> SecondMeasurement | None:
    """Measure 64 items of each dataset again, with another batch size and dtype; an endpoint answers a second time.

    None where the model cannot do it, or fails: its memory may hold no second dtype. Do not use the engine afterwards.
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
    return SecondMeasurement(f"batch size {engine.batch_size}, {dtype}", records)
