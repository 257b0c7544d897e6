"""Check the bounds of a gate; a bound that every result keeps, or that none can keep, is refused."""

from __future__ import annotations

from math import isfinite
from numbers import Real

from pytest_qbench.metrics.specs import SPECS


def check_bounds(name: str, margin: object, minimum: object, maximum: object) -> None:
    """Raise `ValueError` for an unknown metric, for no bound at all, and for a bound that cannot decide.

    A bound cannot decide if no result breaks it or no result keeps it.
    """
    if (spec := SPECS.get(name)) is None:
        raise ValueError(f"qbench_gate: no metric {name!r}; there are {', '.join(SPECS)}")
    if margin is None and minimum is None and maximum is None:
        raise ValueError(f"qbench_gate({name!r}): give margin=, minimum= or maximum=")
    if spec.is_drift and (maximum is None or margin is not None or minimum is not None):
        raise ValueError(f"qbench_gate({name!r}): a drift takes maximum= alone")
    least, greatest = spec.least, spec.greatest
    drop, floor, ceiling = (
        None if value is None else _number(name, word, value)
        for word, value in (("margin", margin), ("minimum", minimum), ("maximum", maximum))
    )
    extent = f"{name} lies from {least:g} to {greatest:g}"
    half = (greatest - least) / 2
    if drop is not None and drop < 0:
        raise ValueError(f"qbench_gate({name!r}): margin={drop:g} must be >= 0")
    if drop is not None and drop >= half:
        example = ", such as 0.01 for one point" if half == 0.5 else ""
        raise ValueError(
            f"qbench_gate({name!r}): margin={drop:g} would allow any drop; give less than {half:g}{example}"
        )
    if floor is not None and not least < floor <= greatest:
        raise ValueError(f"qbench_gate({name!r}): minimum={floor:g} decides nothing: {extent}")
    if ceiling is not None and not least <= ceiling < greatest:
        raise ValueError(f"qbench_gate({name!r}): maximum={ceiling:g} decides nothing: {extent}")
    if floor is not None and ceiling is not None and floor > ceiling:
        raise ValueError(f"qbench_gate({name!r}): minimum={floor:g} is above maximum={ceiling:g}")


def _number(name: str, word: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(number := float(value)):
        raise ValueError(f"qbench_gate({name!r}): {word}={value!r} is not a finite number")
    return number
