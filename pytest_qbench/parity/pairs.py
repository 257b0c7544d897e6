"""The pairs of records of two runs, after the check that both measured the same items in the same way."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.baseline.align import align
from pytest_qbench.baseline.baseline import as_baseline, shows_another_picture
from pytest_qbench.baseline.eligibility import why_incomplete
from pytest_qbench.errors import QBenchError
from pytest_qbench.gates.comparison import check_comparable
from pytest_qbench.gates.evaluate import Limits
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record

Pair = tuple[Record, Record]  # of B, of A
SPEC_OF_TASK = {"perception": "perception.accuracy", "description": "description.sum", "assessment": "assessment.srcc"}


class NotComparable(QBenchError):
    """The two sides cannot be compared: one is incomplete, or they measured other items or in another way."""


def check_complete(side: str, results: Results, limits: Limits) -> None:
    """Raise `NotComparable` if a side lacks items, or has too many errors, unparsed or cut replies."""
    reason = why_incomplete(results, limits.max_errors, limits.max_unparsed, limits.max_cut)
    if reason is not None:
        raise NotComparable(f"{side} is incomplete: {reason}")


def pair_records(a: Results, b: Results) -> list[Pair]:
    """Return the records (B, A) of each item, in the order of B; errors are left out.

    Raises `NotComparable` for other items, images, prompts, scoring or judges.
    """
    base = align(as_baseline(Path("A"), a), b.expected)
    tasks = [task for task in TASKS if any(t == task for t, _ in (*a.expected, *b.expected))]
    for name, results, other in (("A", b, base.digests), ("B", base.digests, b.expected)):
        keys = results.expected if isinstance(results, Results) else results
        if lost := [key for key in keys if key not in other]:
            whose = "B" if name == "A" else "A"
            raise NotComparable(
                f"{len(lost)} of the {len(keys)} items of {whose} are not in {name} (first: {lost[0][1]}); measure "
                "the same items: equal data, datasets, tasks, split, limit and seed"
            )
    for task in tasks:
        try:
            check_comparable(SPEC_OF_TASK[task], b, base, None)
        except InvalidError as e:
            raise NotComparable(
                f"{task}: {str(e).replace('this run differs from the baseline', 'B differs from A')}"
            ) from e
    if changed := [key for key, item in b.expected.items() if base.digests[key] != item.digest()]:
        raise NotComparable(
            f"{len(changed)} of {len(b.expected)} items have another text, key or reference (first: {changed[0][1]})"
        )
    if seen := [r.item for r in b.records if shows_another_picture(r, base)]:
        raise NotComparable(f"{len(seen)} of {len(b.records)} items show another image (first: {seen[0]})")
    pairs = [(r, base.records[r.task, r.item]) for r in b.records if (r.task, r.item) in base.records]
    return [pair for pair in pairs if "error" not in (pair[0].status, pair[1].status)]
