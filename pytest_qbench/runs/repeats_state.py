"""`RepeatsState`, the part of a summary about items that were asked several times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_qbench.untrusted.shape import Maybe, Shape, check_shape

_FLAKY: Shape = {"item": str, "right": int, "answers": [str]}
_SHAPE: Shape = {
    "passes": int, "baseline_passes": Maybe(int), "flaky_count": int, "flaky": [_FLAKY], "differ": Maybe(float),
    "luck": Maybe(float), "baseline_values": Maybe([float]),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlakyItem:
    """A question whose answers differ between the passes: the number of right ones, and all answers in order."""

    item: str
    right: int
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepeatsState:
    """How often the items of a run and of its baseline were asked, and how much the answers to questions vary.

    - `flaky` lists flaky items, the most uncertain first, `flaky_count` counts all.
    - `differ` is the probability that two passes answer a question differently in right or wrong, mean over the items.
    - `luck` is the standard deviation of the baseline's accuracy by chance. With one pass it is that of a single run.
    - `baseline_values` are the accuracies of the baseline's passes.

    What needs several passes or questions is None (or empty) without them.
    """

    passes: int
    baseline_passes: int | None = None
    flaky_count: int = 0
    flaky: tuple[FlakyItem, ...] = ()
    differ: float | None = None
    luck: float | None = None
    baseline_values: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RepeatsState:
        """Return the state of an entry. Raises `ValueError` for a wrong shape."""
        check_shape(data, _SHAPE, "repeats")
        flaky = tuple(FlakyItem(one["item"], one["right"], tuple(one["answers"])) for one in data["flaky"])
        values = tuple(data.get("baseline_values") or ())
        return cls(**{**data, "flaky": flaky, "baseline_values": values})
