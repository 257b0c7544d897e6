"""What repeats show: flaky items, how much two passes differ, and how lucky a baseline may be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from pytest_qbench.report.labels import plural
from pytest_qbench.runs.repeats_state import FlakyItem, RepeatsState

LISTED = 50  # flaky items in the summary
NAMED = 3  # of them in a line
FEW = 3  # a baseline of fewer passes leaves much to luck
LUCK = 0.002  # a luck of the baseline's accuracy below this is not worth a warning: a fifth of the default margin


def repeats_state(results: Results, baseline: Baseline | MissingBaseline) -> RepeatsState | None:
    """Return what the repeats of a run and its baseline show; None where both asked every item once."""
    new = results.records
    old = [] if isinstance(baseline, MissingBaseline) else [
        record for record in baseline.records.values() if (record.task, record.item) in results.expected
    ]  # fmt: skip
    passes, before = _passes(new), _passes(old)
    if max(passes, before) < 2:
        return None
    flaky = sorted(_flaky(new), key=lambda one: abs(one.right - len(one.answers) / 2))
    differ = _differ(old if before > 1 else new)
    right = [_right(record) for record in _questions(old)]
    luck = None if differ is None or not right else math.sqrt(differ / 2 / len(right) / before)
    is_even = before > 1 and all(len(one) == before for one in right)
    values = tuple(fmean(column) for column in zip(*right, strict=True)) if right and is_even else ()
    return RepeatsState(passes, before or None, len(flaky), tuple(flaky[:LISTED]), differ, luck, values)


def repeats_lines(state: RepeatsState) -> list[tuple[str, bool]]:
    """Return lines about the repeats, each with whether it is a warning."""
    lines = []
    if state.passes > 1:
        names = ", ".join(f"{one.item} (right in {one.right} of {len(one.answers)})" for one in state.flaky[:NAMED])
        more = ", ..." if state.flaky_count > NAMED else ""
        found = f"{plural(state.flaky_count, 'flaky item')}: {names}{more}" if state.flaky_count else "no flaky item"
        lines.append((f"each item asked {state.passes} times: {found}", False))
    if state.differ is not None:
        text = f"two runs of this model differ in {100 * state.differ:.1f} % of the answers"
        if state.luck is not None:
            text += f"; chance moves the accuracy of the baseline by {100 * state.luck:.2g} points"
        if state.baseline_values:
            low, high = min(state.baseline_values), max(state.baseline_values)
            text += f" (its {state.baseline_passes} passes: {100 * low:.1f} to {100 * high:.1f} %)"
        lines.append((text, False))
        if state.luck is not None and state.luck > LUCK and (state.baseline_passes or 0) < FEW:
            lines.append((
                "a lucky baseline raises false alarms in all later runs: record it with --qbench-repeats=5, or from "
                "several runs with qbench baseline RUN RUN ...", True,
            ))  # fmt: skip
    return lines


def _passes(records: Sequence[Record]) -> int:
    return max((len(record.outcomes) for record in records), default=0)


def _questions(records: Iterable[Record]) -> list[Record]:
    return [r for r in records if r.task == "perception" and r.status in ("correct", "wrong", "unparsed")]


def _right(record: Record) -> list[bool]:
    return [one.status == "correct" for one in record.outcomes]


def _flaky(records: Iterable[Record]) -> Iterable[FlakyItem]:
    for record in _questions(records):
        answers = tuple(one.choice or one.status for one in record.outcomes)
        if len(set(answers)) > 1:
            yield FlakyItem(record.item, sum(_right(record)), answers)


def _differ(records: Iterable[Record]) -> float | None:
    """Return the probability that two passes differ in right or wrong, mean over the questions."""
    found = []
    for record in _questions(records):
        right = _right(record)
        n, k = len(right), sum(right)
        if n > 1:
            found.append(2 * k * (n - k) / (n * (n - 1)))
    return fmean(found) if found else None
