"""Drift: how far a model's probabilities moved from the baseline's, item by item. Pure.

An early warning: a model that is not the one it was moves every item a little long before answers flip or ranks
change. What the same model moves by at another batch size and dtype is the noise floor, stored with the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from pytest_qbench.items import Item
from pytest_qbench.metrics.metrics import ALPHA, DRIFTS, Metric
from pytest_qbench.metrics.probabilities import change
from pytest_qbench.records import Record
from pytest_qbench.scoring.score import DEFAULT
from pytest_qbench.stats.resampling import bootstrap_mean

NOISE_ITEMS = 64


@dataclass(frozen=True, slots=True)
class Floor:
    """Drift of a model against itself: the mean over `items` items and its upper 95 % bound, in [0, 1]."""

    mean: float
    upper: float
    items: int


def words_of(fingerprint: Mapping[str, Any]) -> Sequence[str]:
    """The two words of the quality score of a run."""
    return (fingerprint.get("scoring") or {}).get("words") or DEFAULT.words


def changes(pairs: Sequence[tuple[Record, Record]], words: Sequence[str]) -> list[tuple[float, str]]:
    """Change and group of each pair (candidate, baseline) whose probabilities were recorded both times."""
    return [(moved, new.group) for new, old in pairs if (moved := change(new, old, words)) is not None]


def drift(name: str, dataset: str, pairs: Sequence[tuple[Record, Record]], words: Sequence[str]) -> Metric:
    """Mean absolute change per item with its 95 % interval; undefined unless every pair has its probabilities."""
    found = changes(pairs, words)
    row = Metric(name, dataset, pairs[0][0].split if pairs else None, None, None, len(found))
    if not found or len(found) < len(pairs):
        return _noted(row, f"{len(pairs) - len(found)} of {len(pairs)} items have no recorded probabilities")
    return Metric(name, dataset, row.split, None, fmean(v for v, _ in found), len(found), _interval(found))


def judged(row: Metric, floor: Floor | None) -> tuple[Metric, bool]:
    """The row with what it means, and whether it moved: its whole interval lies above the floor's upper bound."""
    if row.value is None:
        return row, False
    if floor is None:
        return _noted(row, "not judged: the baseline stores no noise floor"), False
    if row.ci is None:
        return _noted(row, "not judged: all items share one photo"), False
    moved = row.ci[0] > floor.upper
    where = "above" if moved else "within"
    return _noted(row, f"{where} the noise floor {floor.mean:.4f} (up to {floor.upper:.4f})", floor.mean), moved


def floors(noise: Mapping[str, Any] | None) -> dict[str, Floor | None]:
    """The floors that a baseline stores, by metric."""
    return {name: Floor(**found) if (found := (noise or {}).get(name)) else None for name in DRIFTS}


def noise_items(items: Sequence[Item], most: int = NOISE_ITEMS) -> list[Item]:
    """At most `most` items, as evenly from every dataset as they come; a function of the items alone."""
    by_dataset: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_dataset.setdefault((item.task, item.dataset), []).append(item)
    chosen: list[Item] = []
    queues = [_spread(group, most) for group in by_dataset.values()]
    for rank in range(most):
        chosen += [queue[rank] for queue in queues if rank < len(queue)]
    return chosen[:most]


def noise(how: str, records: Mapping[tuple[str, str], Record], varied: Sequence[Record], words: Sequence[str]) -> Any:
    """What a baseline stores: a floor for each kind of drift, and how it was varied; None where none is known."""
    pairs = [(new, old) for new in varied if (old := records.get((new.task, new.item))) is not None]
    found: dict[str, Any] = {}
    for name in DRIFTS:
        moved = changes([pair for pair in pairs if name.startswith(pair[0].task)], words)
        interval = _interval(moved)
        if interval:
            found[name] = asdict(Floor(fmean(v for v, _ in moved), interval[1], len(moved)))
    return {"how": how, **found} if found else None


def _spread(items: list[Item], most: int) -> list[Item]:
    step = max(1, len(items) // most)
    return items[::step]


def _interval(found: Sequence[tuple[float, str]]) -> tuple[float, float] | None:
    if len({group for _, group in found}) < 2:
        return None
    return bootstrap_mean([v for v, _ in found], [g for _, g in found], ALPHA)


def _noted(row: Metric, note: str, baseline: float | None = None) -> Metric:
    return replace(row, note=note, baseline=baseline)
