"""`MadeWith`, the model, judge and machine of a run. Its comparable entries become a part of the fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_qbench.metrics.fingerprint import CONTROL
from pytest_qbench.untrusted.shape import MappingOf, Maybe, Shape, check_shape

_SHAPE: Shape = {
    "model": Maybe(dict), "machine": Maybe(str), "judge": Maybe(dict), "judge_control": Maybe(CONTROL),
    "batch_size": Maybe(int), "conditions": Maybe(dict), "left_out": Maybe(list),
    "altered": Maybe(MappingOf({"example": str, "hashes": [str]})), "outputs_matched": Maybe(MappingOf(int)),
}  # fmt: skip


@dataclass
class MadeWith:
    """The model, judge and machine of a run. None means not known, or not known yet.

    `conditions` are entries of the fingerprint that come from the model: those of a replayed run, or the part of the
    protocol that an endpoint cannot follow. `left_out` lists recorded outputs that match no item. `outputs_matched`
    counts the matched items by rule. `altered` has the forms of prompts that the project changed, by task
    (`engine.prompt_changes`).
    """

    model: Mapping[str, Any] | None = None
    machine: str | None = None
    judge: Mapping[str, Any] | None = None
    judge_control: Mapping[str, Any] | None = None
    batch_size: int | None = None
    conditions: Mapping[str, Any] | None = None
    left_out: list[tuple[str, str, str]] | None = None
    outputs_matched: Mapping[str, int] | None = None
    altered: dict[str, dict[str, Any]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the known entries as plain values."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MadeWith:
        """Return the value of an entry. Raises `TypeError` or `ValueError` for a wrong shape."""
        check_shape(data, _SHAPE)
        return cls(**data)

    def add(self, other: MadeWith) -> None:
        """Add the known entries of another process. A judge that failed its control set in one process has failed."""
        altered = _joined(self.altered or {}, other.altered or {})
        failed = self.judge_control if (self.judge_control or {}).get("failed") else None
        for f in fields(self):
            if (value := getattr(other, f.name)) is not None:
                setattr(self, f.name, value)
        self.judge_control = failed or self.judge_control
        self.altered = altered or None

    def identity(self) -> dict[str, Any]:
        """Return the entries that must stay the same when a run is resumed.

        The batch size shrinks when memory runs out, and a judge's control scores vary from run to run. How prompts are
        altered is known only after the first items.
        """
        varying = ("batch_size", "judge_control", "altered")
        return {key: value for key, value in self.to_json().items() if key not in varying}


def _joined(one: Mapping[str, dict[str, Any]], other: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the forms that either process saw; the example is that of the least hash."""
    joined = {**one, **other}
    for task in one.keys() & other.keys():
        hashes = sorted({*one[task]["hashes"], *other[task]["hashes"]})
        first = one[task] if hashes[0] in one[task]["hashes"] else other[task]
        joined[task] = {"example": first["example"], "hashes": hashes}
    return joined
