"""Check that a gate could fail with its items; a gate that could not has no meaning."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.gates.comparison import Comparison
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.metrics.probabilities import option_margin
from pytest_qbench.metrics.specs import CORRELATIONS, SPECS
from pytest_qbench.records import Record


def check_can_fail(name: str, comparisons: Sequence[Comparison], margin: float, level: float) -> None:
    """Raise `InvalidError` where even the loss of every item would not be significant or not exceed the margin.

    The tests compare photos by their signs. If all k photos that can get worse do, the mid-p value is 2 ** -(k + 1),
    and no result has a smaller one.
    """
    pairs = [pair for comparison in comparisons for pair in comparison.pairs]
    drops = [(old.group, drop) for _, old in pairs if (drop := _possible_drop(name, old)) is not None]
    photos = {group for group, drop in drops if drop > 0}
    counted = f"{len(drops)} items of {len({group for group, _ in drops})} photos"
    if drops and sum(drop for _, drop in drops) / len(drops) <= margin:
        raise InvalidError(f"{counted}: the baseline is so low that no drop could exceed the margin; lower the margin")
    if (least := 0.5 ** (len(photos) + 1)) >= level:
        raise InvalidError(
            f"{counted}: too few for this gate to fail: the smallest possible p-value {least:.2g} is not below its "
            f"level {level:.2g}; measure more items"
        )


def _possible_drop(name: str, old: Record) -> float | None:
    """Return by how much the value of an item can fall; None where it has no value.

    A rank, and an answer by likelihood, can always fall.
    """
    if name in CORRELATIONS or (name == "perception.accuracy" and option_margin(old) is not None):
        return 1.0
    value = SPECS[name].item_value(old)
    if value is None:
        return None
    return 1 - value if SPECS[name].lower_is_better else value
