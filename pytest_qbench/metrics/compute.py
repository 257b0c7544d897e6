"""Compute metrics from records. Pure: no pytest, no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.metrics.specs import CORRELATIONS, CUT_RATES, METRICS, SPECS, judged_mean, kind_of, task_of
from pytest_qbench.records import Record
from pytest_qbench.stats.correlation import correlation_interval, grouped_interval, plcc, srcc
from pytest_qbench.stats.intervals import mean_interval, wilson_by_group
from pytest_qbench.stats.resampling import Undefined, bootstrap_mean


def in_slice(record: Record, slice_: str | None) -> bool:
    """Return whether `record` belongs to a slice ``key=value``. Every record belongs to the slice None."""
    if slice_ is None:
        return True
    key, _, value = slice_.partition("=")
    return record.slices.get(key) == value


def usable_records(records: Iterable[Record], name: str, slice_: str | None = None) -> list[Record]:
    """Return the records that count for a metric: those of its task in the slice, without errors."""
    task = task_of(name)
    chosen = [r for r in records if r.task == task and r.status != "error" and in_slice(r, slice_)]
    if SPECS[name].needs_answer_key:  # an item with a hidden answer is measured, but neither right nor wrong
        return [r for r in chosen if r.status != "measured"]
    return chosen


def unscored_records(records: Iterable[Record]) -> list[Record]:
    """Return the measured records that no metric can use: without a readable verdict, a score or a reference."""
    return [
        r
        for r in records
        if r.status == "measured"
        and (
            (r.task == "description" and any(judged_mean(one, "sum") is None for one in r.outcomes))
            or (r.task == "assessment" and (r.score is None or r.target is None))
        )
    ]


def mean_metric(records: Sequence[Record], name: str, dataset: str, split: str | None, slice_: str | None) -> Metric:
    """Mean over items with its interval by group: Wilson's (rates) or the bootstrap's (judged means).

    Items that were drawn with unequal probabilities count with their weights (`weighted.weighted_mean`).
    """
    spec = SPECS[name]
    chosen = usable_records(records, name, slice_)
    pairs = [(v, r.group) for r in chosen if (v := spec.item_value(r)) is not None]
    if not pairs:
        return Metric(name, dataset, split, slice_, None, 0, note="no item counts for it")
    if name == "perception.confidence" and len(pairs) < len(chosen):
        note = f"{len(chosen) - len(pairs)} of {len(chosen)} items have no recorded likelihoods"
        return Metric(name, dataset, split, slice_, None, len(pairs), note=note)
    values = [v for v, _ in pairs]
    ci: tuple[float, float] | None = None
    if any(r.probability is not None for r in chosen):
        from pytest_qbench.stats.weighted import weighted_mean  # it imports SciPy, which few runs need

        weights = [r.weight for r in chosen if spec.item_value(r) is not None]
        mean, ci = weighted_mean(values, weights, [g for _, g in pairs], ALPHA, spec.least, spec.greatest)
        return Metric(name, dataset, split, slice_, mean, len(values), ci)
    if spec.is_rate:
        ci = wilson_by_group(values, [g for _, g in pairs], ALPHA)
    elif len({g for _, g in pairs}) > 1:
        ci = bootstrap_mean(values, [g for _, g in pairs], ALPHA)
    return Metric(name, dataset, split, slice_, fmean(values), len(values), ci)


def correlation_metric(records: Sequence[Record], name: str, dataset: str, split: str | None) -> Metric:
    """SRCC or PLCC of the scores of one dataset with MOS, signed, with its Fisher-z interval by group.

    There is no interval for fewer than four groups.
    """
    chosen = [
        (r.score, float(r.target), r.group)
        for r in usable_records(records, name)
        if r.score is not None and r.target is not None
    ]
    kind, groups = kind_of(name), [g for _, _, g in chosen]
    try:
        scores, mos = [s for s, _, _ in chosen], [t for _, t, _ in chosen]
        value = srcc(scores, mos) if kind == "srcc" else plcc(scores, mos)
    except Undefined as e:
        return Metric(name, dataset, split, None, None, len(chosen), note=str(e))
    ci = None
    if (count := len(set(groups))) > 3:
        grouped = count < len(chosen)
        ci = (
            grouped_interval(scores, mos, groups, ALPHA, kind)
            if grouped
            else correlation_interval(value, len(chosen), ALPHA, kind)
        )
    return Metric(name, dataset, split, None, value, len(chosen), ci)


def correlation_rows(
    records: Sequence[Record], name: str, dataset: str, split: str | None, averages_halves: bool
) -> list[Metric]:
    """Return the correlation of one dataset, first its total.

    A dataset with two halves (CGIQA-6K) also has a row for each half and a row for the other kind of total. By default,
    the total is the correlation over all items, and ``half=mean`` is the mean of the halves' correlations. With
    `averages_halves`, as in the published tables, the total is this mean, and ``half=together`` is that over all items.
    """
    whole = correlation_metric(records, name, dataset, split)
    by_half: dict[str, list[Record]] = {}
    for record in records:
        if (half := record.slices.get("half")) is not None:
            by_half.setdefault(half, []).append(record)
    if len(by_half) < 2:
        return [whole]
    parts = [
        replace(correlation_metric(by_half[half], name, dataset, split), slice=f"half={half}")
        for half in sorted(by_half)
    ]
    mean = _mean_of(parts, whole)
    if averages_halves:
        return [mean, *parts, replace(whole, slice="half=together")]
    return [whole, *parts, replace(mean, slice="half=mean")]


def _mean_of(parts: Sequence[Metric], whole: Metric) -> Metric:
    values = [m.value for m in parts if m.value is not None]
    if len(values) < len(parts):
        note = "; ".join(f"{m.slice}: {m.note}" for m in parts if m.value is None)
        return replace(whole, value=None, ci=None, note=note)
    intervals = [m.ci for m in parts if m.ci is not None]
    ci = mean_interval(values, intervals) if len(intervals) == len(parts) else None
    return replace(whole, value=fmean(values), ci=ci, note=None)


def compute_metrics(records: Iterable[Record], averages_halves: bool = False) -> list[Metric]:
    """Return every metric of a run: per dataset and split, each total before its slices, then means over datasets.

    `correlation_rows` explains `averages_halves`.
    """
    by_place: dict[tuple[str, str, str | None], list[Record]] = {}
    for record in records:
        by_place.setdefault((record.task, record.dataset, record.split), []).append(record)
    metrics: list[Metric] = []
    for (task, dataset, split), group in by_place.items():
        for name in METRICS:
            if task_of(name) != task:
                continue
            if SPECS[name].correlation:
                metrics += correlation_rows(group, name, dataset, split, averages_halves)
                continue
            if name in CUT_RATES and all(r.finish is None for r in group):
                continue  # all replies are complete, or this is not known
            if name == "perception.confidence" and all(r.logprobs is None for r in group):
                continue  # answers by text have no probabilities
            slices = published_order(group) if name == "perception.accuracy" else []
            metrics += [mean_metric(group, name, dataset, split, s) for s in (None, *slices)]
    return metrics + _means(metrics)


# The order of the published tables. Other slices follow in alphabetical order.
PUBLISHED = (
    "type=yes_or_no", "type=what", "type=how",
    "concern=distortion", "concern=other", "concern=in_context_distortion", "concern=in_context_other",
)  # fmt: skip
_SEVERITIES = tuple(
    f"severity={name}" for name in ("clean", "low", "mild", "mid", "medium", "moderate", "high", "severe")
)


def published_order(records: Iterable[Record]) -> list[str]:
    """Return the slices of some records: those of the published tables, then others; severities from weak to strong."""
    found = {f"{key}={value}" for record in records for key, value in record.slices.items()}
    first = (*PUBLISHED, *_SEVERITIES)
    return [s for s in first if s in found] + sorted(found - set(first), key=_slice_key)


def _slice_key(slice_: str) -> tuple[str, float, str]:
    """Return a key that sorts slices by name, those with numbers by their numbers."""
    key, _, value = slice_.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.inf
    return key, number if math.isfinite(number) else math.inf, value


def _means(metrics: Sequence[Metric]) -> list[Metric]:
    """Return the unweighted means of SRCC and PLCC over the datasets, undefined if one of them is."""
    means = []
    for name in CORRELATIONS:
        parts = [m for m in metrics if m.name == name and m.slice is None]
        if parts:
            values = [m.value for m in parts if m.value is not None]
            whole = len(values) == len(parts)
            note = None if whole else "undefined in " + ", ".join(str(m.dataset) for m in parts if m.value is None)
            datasets = tuple(str(m.dataset) for m in parts)
            value = fmean(values) if whole else None
            means.append(Metric(name, None, None, None, value, sum(m.n for m in parts), note=note, datasets=datasets))
    return means
