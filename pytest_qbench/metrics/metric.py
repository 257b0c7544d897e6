"""One number of a run, and its JSON form. Imports no NumPy: a process that only collects or measures computes none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_qbench.untrusted.shape import Maybe, Shape

ALPHA = 0.05
_TEXT, _NUMBER = (str, None), (float, None)
METRIC: Shape = {
    "name": str, "dataset": _TEXT, "split": _TEXT, "slice": _TEXT, "value": _NUMBER, "n": int, "ci": Maybe([float]),
    "delta_ci": Maybe([float]), "verdict": Maybe(str), "note": Maybe(str), "test": Maybe(str),
    "items_to_pass": Maybe(int), "identical": Maybe(bool), "datasets": Maybe([str]),
    "against": Maybe(str),
    **dict.fromkeys(("baseline", "delta", "p_value", "alpha", "margin", "mde", "delta_alpha"), Maybe(float)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a run. With `dataset` None, it is the mean over datasets. An example of a `slice` is ``type=what``.

    `value` is None if it is undefined, and `note` says why. `ci` is the two-sided 95 % interval. A gate fills the
    fields from `baseline` on. `delta` and `delta_ci` belong to `test`, which decides. `items_to_pass` is the number of
    items with which an unchanged model passes with a probability of 80 %. `datasets` are those that a mean of
    correlations is over. `against` is "anchor" where a gate compares with the anchor of the baseline. `delta_alpha` is
    the error probability in each tail of `delta_ci`, None for 0.05.
    """

    name: str
    dataset: str | None
    split: str | None
    slice: str | None
    value: float | None
    n: int
    ci: tuple[float, float] | None = None
    baseline: float | None = None
    delta: float | None = None
    delta_ci: tuple[float, float] | None = None
    p_value: float | None = None
    alpha: float | None = None
    margin: float | None = None
    mde: float | None = None
    verdict: str | None = None
    note: str | None = None
    test: str | None = None
    items_to_pass: int | None = None
    identical: bool | None = None
    datasets: tuple[str, ...] | None = None
    against: str | None = None
    delta_alpha: float | None = None

    @property
    def is_smoothed(self) -> bool:
        """Whether the change is that of the smoothed accuracy, and not exactly the difference of the two values."""
        return (self.test or "").startswith("smoothed")

    def to_json(self) -> dict[str, Any]:
        """Return plain values. `datasets`, `against` and `delta_alpha` are left out where they are None."""
        optional = ("datasets", "against", "delta_alpha")
        return {key: value for key, value in asdict(self).items() if key not in optional or value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Metric:
        """Return the metric of an entry of the shape `METRIC`.

        Raises `TypeError` for unknown keys and `ValueError` for an interval without two ends.
        """
        pairs = {key: tuple(data[key]) for key in ("ci", "delta_ci") if data.get(key) is not None}
        if any(len(pair) != 2 for pair in pairs.values()):
            raise ValueError(f"an interval of {data['name']} does not have two ends")
        datasets = data.get("datasets")
        return cls(**{**data, **pairs, "datasets": None if datasets is None else tuple(datasets)})
