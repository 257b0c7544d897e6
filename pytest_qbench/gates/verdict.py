"""The rule of a gate: from one paired comparison to a verdict."""

from __future__ import annotations

from typing import Literal

from pytest_qbench.stats.paired import Paired

Verdict = Literal["pass", "improved", "inconclusive", "regressed", "invalid"]
# Worst first: a gate over several rows is as good as its worst row.
SEVERITY: tuple[Verdict, ...] = ("invalid", "regressed", "inconclusive", "pass", "improved")


def decide(paired: Paired, margin: float, level: float, p_value: float, p_gain: float) -> Verdict:
    """Return the verdict on one comparison, whose interval leaves 0.05 in each tail.

    `p_value` and `p_gain` are the p-values of a drop and of a gain, adjusted for the rows of the gate; `level` is the
    share of alpha that the gate has. The interval decides `pass` at the undivided alpha: a run passes only if every
    row of every gate does, so the run passes wrongly at most as often as a single row (intersection-union test,
    Berger 1982).
    """
    if p_value < level and paired.delta < -margin:
        return "regressed"
    if paired.lower > -margin:
        return "improved" if p_gain < level and paired.lower > 0 else "pass"
    return "inconclusive"
