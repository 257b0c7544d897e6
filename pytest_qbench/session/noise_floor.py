"""Measure some items a second time with the same model, for the noise floor of a new baseline."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.engine.engine import Engine
from pytest_qbench.items import Item
from pytest_qbench.metrics.noise_floor import SecondMeasurement, noise_items
from pytest_qbench.models.base import SupportsDtypeSwitch


def measure_again(engine: Engine, items: Sequence[Item]) -> SecondMeasurement | None:
    """Measure 64 items of each dataset again, with another batch size and dtype. An endpoint just answers again.

    Returns None if the model does not support this or fails, for example for lack of memory. Do not use the engine
    afterwards.
    """
    if not items or not isinstance(engine.model, SupportsDtypeSwitch):
        return None
    try:
        dtype = engine.model.switch_dtype()
    except RuntimeError:  # includes torch's out-of-memory error
        return None
    if dtype is None:
        return None
    engine.repeats = 1
    engine.batch_size = max(1, engine.batch_size // 2)
    records = engine.measure(noise_items(items))
    if all(record.status == "error" for record in records):
        return None
    return SecondMeasurement(f"batch size {engine.batch_size}, {dtype}", records)
