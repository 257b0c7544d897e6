"""The verdict on one row of a gate. `evaluate` gives the gate the verdict of its worst row."""

from __future__ import annotations

from typing import Literal

from pytest_qbench.stats.paired import Paired

Verdict = Literal["pass", "improved", "inconclusive", "regressed", "invalid"]
# Worst first: a gate over several rows is as good as its worst row.
SEVERITY: tuple[Verdict, ...] = ("invalid", "regressed", "inconclusive", "pass", "improved")


def decide(paired: Paired, margin: float, is_drop: bool, is_gain: bool) -> Verdict:
    """Return the verdict on one comparison, whose interval leaves 0.05 in each tail.

    `is_drop` and `is_gain` state whether its p-values of a drop and of a gain lie below their levels. The interval
    decides `pass` at the undivided alpha. This is valid because a run passes only if every row of every gate does: it
    passes wrongly at most as often as a single row (intersection-union test, Berger 1982).
    """
    if is_drop and paired.delta < -margin:
        return "regressed"
    if paired.lower > -margin:
        return "improved" if is_gain and paired.lower > 0 else "pass"
    return "inconclusive"
