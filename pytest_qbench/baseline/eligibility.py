"""Decide whether a run is complete enough to become a baseline."""

from __future__ import annotations

from pytest_qbench.metrics.compute import unscored_records
from pytest_qbench.metrics.results import Results, has_status, share
from pytest_qbench.scoring.score import explain_unparsed


def why_incomplete(results: Results, max_errors: float, max_unparsed: float, max_cut: float) -> str | None:
    """Return the reason why a run cannot become a baseline, or None.

    Reasons are missing items, undefined metrics, and too many items that are in error, unparsed or cut.
    """
    if results.stop:
        return f"it was {results.stop}; measure all items, without --qbench-early-stop"
    if results.is_weighted:
        return "its items were drawn by --qbench-limit-by; measure all items, without it"
    if not results.records:
        return "nothing was measured"
    for task in dict.fromkeys(t for t, _ in results.expected):
        if missing := results.missing(task):
            return f"{len(missing)} {task} items were not measured (first: {missing[0]})"
        records = [r for r in results.records if r.task == task]
        for status, limit in (("error", max_errors), ("unparsed", max_unparsed), ("cut", max_cut)):
            if share(records, status) > limit:
                reason = f"{share(records, status):.1%} of the {task} items are {status}, more than {limit:.1%}"
                first = next(one for r in records for one in r.outcomes if has_status(one, status))
                return f"{reason}; {explain_unparsed(first)}" if status == "unparsed" else reason
    if empty := unscored_records(results.records):
        return f"{len(empty)} items have no readable verdict or score (first: {empty[0].item})"
    for metric in results.metrics:
        # A half counts through its total, which is undefined as well if it depends on the halves.
        if (
            metric.value is None
            and metric.name != "perception.yes_rate"
            and not (metric.slice or "").startswith("half=")
        ):
            return f"{metric.name} of {metric.dataset} is undefined: {metric.note}"
    return None
