"""Compute diagnostics from records: numbers that explain a metric, such as position bias. Pure; SciPy is loaded on use.

No gate judges them and no baseline stores them. If one is undefined, `Metric.note` says why.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.metrics.compute import in_slice, published_order
from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.metrics.yes_or_no import is_yes_or_no, says_yes
from pytest_qbench.prompts import LETTERS
from pytest_qbench.records import Record
from pytest_qbench.stats.agreement import alpha, golden_agreement, variance_split
from pytest_qbench.stats.correlation import krcc, plcc
from pytest_qbench.stats.intervals import wilson_by_group
from pytest_qbench.stats.logistic import logistic_fit
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.resampling import Undefined, bootstrap_mean

Floats = NDArray[np.float64]
_NOTHING = "no item counts for it"


def diagnose(records: Iterable[Record], items: Mapping[tuple[str, str], Item]) -> list[Metric]:
    """Return the diagnostics of each task, dataset and split. `items` are the items of the records, by (task, id)."""
    by_place: dict[tuple[str, str, str | None], list[Record]] = {}
    for record in records:
        if record.status != "error":
            by_place.setdefault((record.task, record.dataset, record.split), []).append(record)
    by_key: dict[tuple[str, str], Record] = {(r.task, r.item): r for group in by_place.values() for r in group}
    found: list[Metric] = []
    for (task, dataset, split), group in by_place.items():
        if task == "perception":
            found += _perception(group, dataset, split, items)
            found += degradation(group, by_key, dataset, split, items)
        elif task == "assessment":
            found += _assessment(group, dataset, split)
        else:
            found += _description(group, dataset, split, items)
    return found


def _perception(
    records: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """Return chance, accuracy without unparsed replies, yes and no, accuracy by position, position bias."""
    marked = [r for r in records if r.status != "measured"]  # the answers of the others are hidden
    parsed = [r for r in marked if r.status != "unparsed"]
    yes_or_no = [r for r in marked if is_yes_or_no(r)]
    share = fmean(float(says_yes(r.target) is True) for r in yes_or_no) if yes_or_no else None
    rows = [
        *chance(marked or records, dataset, split, items),
        _accuracy("perception.accuracy_parsed", parsed, dataset, split),
        Metric("perception.true_yes_rate", dataset, split, None, share, len(yes_or_no),
               note=None if yes_or_no else _NOTHING),
    ]  # fmt: skip
    for name, says in (("yes", True), ("no", False)):
        chosen = [r for r in yes_or_no if says_yes(r.target) is says]
        rows.append(_accuracy(f"perception.accuracy_{name}", chosen, dataset, split))
    one_answer = [r for r in parsed if not items[r.task, r.item].answers]
    return [
        *rows,
        *accuracy_by_position(marked, dataset, split, items),
        *position_bias(one_answer, dataset, split, items),
    ]


def chance(
    records: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """Return the expected accuracy of a random choice, in total and per slice: the mean of 1 / number of options.

    Where several answers are right, it is the mean of 1 / number of sets with at least one option.
    """
    rows = []
    for slice_ in (None, *published_order(records)):
        odds = [1 / _ways(items[r.task, r.item]) for r in records if in_slice(r, slice_)]
        rows.append(Metric("perception.chance", dataset, split, slice_, fmean(odds), len(odds)))
    return rows


def _ways(item: Item) -> int:
    """Return the number of possible answers to a question."""
    return 2 ** len(item.options) - 1 if item.answers else len(item.options)


def degradation(
    records: Sequence[Record],
    by_key: Mapping[tuple[str, str], Record],
    dataset: str,
    split: str | None,
    items: Mapping[tuple[str, str], Item],
) -> list[Metric]:
    """Return what degradation costs: the accuracy of the clean twins minus that of the degraded items, pair by pair.

    There is a row for all pairs and one per severity, with the 95 % interval of the paired difference by group; none
    for a dataset without twins. A pair counts if both items have a record with a known answer.
    """
    degraded = [r for r in records if items[r.task, r.item].clean is not None and r.status != "measured"]
    pairs = [
        (twin, r) for r in degraded if (twin := by_key.get((r.task, str(items[r.task, r.item].clean)))) is not None
    ]
    severities = [s for s in published_order(degraded) if s.startswith("severity=")]
    rows = []
    for slice_ in (None, *severities) if degraded else ():
        chosen = [(clean, r) for clean, r in pairs if in_slice(r, slice_)]
        rows.append(_paired_difference(chosen, sum(in_slice(r, slice_) for r in degraded), dataset, split, slice_))
    return rows


def _paired_difference(
    pairs: Sequence[tuple[Record, Record]], expected: int, dataset: str, split: str | None, slice_: str | None
) -> Metric:
    name = "perception.degradation"
    if not pairs:
        return Metric(name, dataset, split, slice_, None, 0, note="no clean twin has a record")
    clean, degraded = ([record.status == "correct" for record in side] for side in zip(*pairs, strict=True))
    found = paired_binary(clean, degraded, [r.group for _, r in pairs], ALPHA / 2)
    alone = expected - len(pairs)
    note = f"{alone} of {expected} items lack a record of their clean twin" if alone else None
    return Metric(name, dataset, split, slice_, found.delta, len(pairs), (found.lower, found.upper), note=note)


def _accuracy(name: str, records: Sequence[Record], dataset: str, split: str | None) -> Metric:
    if not records:
        return Metric(name, dataset, split, None, None, 0, note=_NOTHING)
    right = [float(r.status == "correct") for r in records]
    ci = wilson_by_group(right, [r.group for r in records], ALPHA)
    return Metric(name, dataset, split, None, fmean(right), len(right), ci)


def accuracy_by_position(
    marked: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """Return the accuracy of the questions whose right option has one position, per position (slices).

    Questions with several right options have no such position.
    """
    by_position: dict[int, list[Record]] = {}
    for record in marked:
        options = items[record.task, record.item].options
        if record.target in options:
            by_position.setdefault(options.index(str(record.target)), []).append(record)
    return [
        replace(_accuracy("perception.accuracy_at", own, dataset, split), slice=f"position={LETTERS[position]}")
        for position, own in sorted(by_position.items())
        if position < len(LETTERS)
    ]


def position_bias(
    parsed: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """Return the position bias: per position (slices) how much more often it is chosen than correct, and a total.

    The total is the total variation distance of the two distributions, in [0, 1]. It is 0 for a model without a bias,
    but also for a model whose errors are spread evenly.
    """
    chosen: Counter[int] = Counter()
    right: Counter[int] = Counter()
    for record in parsed:
        options = items[record.task, record.item].options
        chosen[options.index(str(record.choice))] += 1
        right[options.index(str(record.target))] += 1
    n = chosen.total()
    if not n:
        return [Metric("perception.position_bias", dataset, split, None, None, 0, note="no reply was parsed")]
    excess = {i: (chosen[i] - right[i]) / n for i in sorted(chosen.keys() | right.keys())}
    total = sum(abs(value) for value in excess.values()) / 2
    return [
        Metric("perception.position_bias", dataset, split, None, total, n),
        *(
            Metric("perception.position_bias", dataset, split, f"position={LETTERS[i]}", value, n)
            for i, value in excess.items()
            if i < len(LETTERS)
        ),
    ]


def _assessment(records: Sequence[Record], dataset: str, split: str | None) -> list[Metric]:
    pairs = [(r.score, float(r.target)) for r in records if r.score is not None and r.target is not None]
    scores, mos = (np.array([pair[i] for pair in pairs], dtype=np.float64) for i in (0, 1))
    n = len(pairs)
    counts = Counter(score for score, _ in pairs)
    tied = sum(count for count in counts.values() if count > 1)

    def row(name: str, value: float | None, note: str | None = None) -> Metric:
        return Metric(f"assessment.{name}", dataset, split, None, value, n, note=note)

    rows = [row("distinct_scores", float(len(counts))), row("tied_share", tied / n if n else None)]
    try:
        rows.insert(0, row("krcc", krcc(scores, mos)))
    except Undefined as e:
        rows.insert(0, row("krcc", None, str(e)))
    try:
        fitted = logistic_fit(scores, mos)
        rows.append(row("plcc_fitted", plcc(fitted, mos)))
        rows.append(row("rmse_fitted", math.sqrt(float(np.mean((fitted - mos) ** 2)))))
    except Undefined as e:
        rows += [row("plcc_fitted", None, str(e)), row("rmse_fitted", None, str(e))]
    return rows


def _description(
    records: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """Return the fractions of 0, 1 and 2, the agreement of the rounds, and that of the golden texts of an item."""
    found = [golden_agreement(items[r.task, r.item].golden) for r in records]
    values = [value for value in found if value is not None]
    rows = []
    if values:
        rows.append(Metric("description.golden_agreement", dataset, split, None, fmean(values), len(values)))
    judged = [r for r in records if r.judge is not None]
    if not judged:
        return rows
    entries = [entry for r in judged for d in DIMENSIONS for entry in (r.judge or {}).get(d, ())]
    unread = sum(entry is None for entry in entries) / len(entries) if entries else None
    rows.append(Metric("description.unreadable_rate", dataset, split, None, unread, len(judged)))
    for dimension in DIMENSIONS:
        rows += verdict_shares(judged, dimension, dataset, split)
        rows += _trust([list((r.judge or {}).get(dimension, ())) for r in judged], dimension, dataset, split)
    return rows


def verdict_shares(records: Sequence[Record], dimension: str, dataset: str, split: str | None) -> list[Metric]:
    """Return P0, P1 and P2 of Q-Bench's tables: the fraction of 0, 1 and 2 among an item's readable rounds.

    Each is a mean over items, with a bootstrap interval by group. A judge that returns expectations has none.
    """
    items = [[v for v in (r.judge or {}).get(dimension, ()) if v is not None] for r in records]
    chosen = [(row, r.group) for row, r in zip(items, records, strict=True) if row]
    groups = [group for _, group in chosen]
    rows = []
    for verdict in (0, 1, 2):
        name = f"description.{dimension}_p{verdict}"
        if any(v not in (0, 1, 2) for row, _ in chosen for v in row):
            rows.append(Metric(name, dataset, split, None, None, 0, note="expectations have no shares"))
            continue
        if not chosen:
            rows.append(Metric(name, dataset, split, None, None, 0, note="no readable verdict"))
            continue
        shares = [row.count(verdict) / len(row) for row, _ in chosen]
        ci = bootstrap_mean(shares, groups, ALPHA) if len(set(groups)) > 1 else None
        rows.append(Metric(name, dataset, split, None, fmean(shares), len(shares), ci))
    return rows


def _trust(rounds: Sequence[Sequence[float | None]], dimension: str, dataset: str, split: str | None) -> list[Metric]:
    def row(name: str, value: float | None, note: str | None = None) -> Metric:
        return Metric(f"description.{dimension}_{name}", dataset, split, None, value, len(rounds), note=note)

    found = []
    try:
        found.append(row("alpha", alpha(rounds)))
    except Undefined as e:
        found.append(row("alpha", None, str(e)))
    try:
        between, within = variance_split(rounds)
        found += [row("item_variance", between), row("round_variance", within)]
    except Undefined as e:
        found += [row("item_variance", None, str(e)), row("round_variance", None, str(e))]
    return found
