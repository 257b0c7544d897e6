"""The noise floor of drift: how far probabilities change when the same model is measured a second time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_qbench.items import Item
from pytest_qbench.metrics.probabilities import change
from pytest_qbench.records import Key, Record

NOISE_ITEMS = 64  # for each task and dataset

Floor = Mapping[str, float]  # change of each item in the second measurement, by item id


@dataclass(frozen=True, slots=True)
class SecondMeasurement:
    """The records of items that the model of a new baseline answered again; `how` says what was varied."""

    how: str
    records: Sequence[Record]

    def to_json(self) -> dict[str, Any]:
        """Return plain values: a worker hands them to its controller."""
        return {"how": self.how, "records": [record.to_dict() for record in self.records]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SecondMeasurement:
        """Return the value of what `to_json` returned."""
        return cls(data["how"], [Record(**record) for record in data["records"]])


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The change of each item that was measured twice, by metric and dataset, as a baseline stores it."""

    how: str
    changes: Mapping[str, Mapping[str, Floor]]

    def of(self, metric: str, dataset: str) -> Floor:
        """Return the changes by item id; empty where that dataset was not measured again."""
        return self.changes.get(metric, {}).get(dataset, {})

    def to_json(self) -> dict[str, Any]:
        """Return the entry `noise` of `baseline.yaml`, with six digits, so that a reviewer can read the file."""
        short = {
            name: {dataset: {item: float(f"{v:.6g}") for item, v in floor.items()} for dataset, floor in found.items()}
            for name, found in self.changes.items()
        }
        return {"how": self.how, **short}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NoiseFloor:
        """Return the noise floor of an entry; raises `TypeError` for another shape, an earlier version's for one."""
        changes = {name: found for name, found in data.items() if name != "how"}
        for name, found in changes.items():
            if not isinstance(found, Mapping) or not all(isinstance(floor, Mapping) for floor in found.values()):
                raise TypeError(f"noise of {name} is not the changes of items by dataset")
        return cls(data["how"], changes)


def noise_items(items: Sequence[Item], most: int = NOISE_ITEMS) -> list[Item]:
    """Return at most `most` items of each task and dataset, spread evenly over it; depends on the items alone."""
    by_dataset: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_dataset.setdefault((item.task, item.dataset), []).append(item)
    return [item for group in by_dataset.values() for item in _spread(group, most)]


def noise_floor(
    second: SecondMeasurement | None, records: Mapping[Key, Record], words: Sequence[str]
) -> NoiseFloor | None:
    """Return the change of each item between `records`, the first measurement, and `second`; None if none is known."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for new in second.records if second else ():
        old = records.get((new.task, new.item))
        moved = None if old is None else change(new, old, words)
        if moved is not None:
            found.setdefault(f"{new.task}.drift", {}).setdefault(new.dataset, {})[new.item] = float(f"{moved:.4g}")
    return NoiseFloor(second.how, found) if second and found else None


def _spread(items: list[Item], most: int) -> list[Item]:
    return [items[i * len(items) // most] for i in range(most)] if len(items) > most else items
