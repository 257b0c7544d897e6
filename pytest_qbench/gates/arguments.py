"""Check the bounds of a gate; a bound that every result keeps, or that none can keep, is refused."""

from __future__ import annotations

from math import isfinite
from numbers import Real

from pytest_qbench.metrics.specs import SPECS


def check_bounds(name: str, margin: object, minimum: object, maximum: object, budget: object = None) -> None:
    """Raise `ValueError` for an unknown metric, for no bound at all, and for a bound that cannot decide.

    A bound cannot decide if no result breaks it or no result keeps it.
    """
    if (spec := SPECS.get(name)) is None:
        raise ValueError(f"qbench_gate: no metric {name!r}; there are {', '.join(SPECS)}")
    if all(bound is None for bound in (margin, minimum, maximum, budget)):
        raise ValueError(f"qbench_gate({name!r}): give margin=, budget=, minimum= or maximum=")
    if spec.is_drift and (maximum is None or any(bound is not None for bound in (margin, minimum, budget))):
        raise ValueError(f"qbench_gate({name!r}): a drift takes maximum= alone")
    least, greatest = spec.least, spec.greatest
    drop, loss, floor, ceiling = (
        None if value is None else _number(name, word, value)
        for word, value in (("margin", margin), ("budget", budget), ("minimum", minimum), ("maximum", maximum))
    )
    extent = f"{name} lies from {least:g} to {greatest:g}"
    half = (greatest - least) / 2
    for word, allowed in (("margin", drop), ("budget", loss)):
        if allowed is not None and allowed < 0:
            raise ValueError(f"qbench_gate({name!r}): {word}={allowed:g} must be >= 0")
        if allowed is not None and allowed >= half:
            example = ", such as 0.01 for one point" if half == 0.5 else ""
            raise ValueError(
                f"qbench_gate({name!r}): {word}={allowed:g} would allow any drop; give less than {half:g}{example}"
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
