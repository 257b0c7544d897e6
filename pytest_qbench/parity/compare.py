"""Decide whether two runs are equal within the noise floor, different, or neither can be told.

Each measure (`measures.py`) is the mean distance of the two records of an item, per dataset. The noise floor is the
same distance between A and a second measurement of A. The margin is twice the noise floor, and at least the measure's
smallest margin. With the interval [L, U] of the distance, at 0.05 in each tail:

- *equal*: U lies below the margin, on at least 50 items;
- *different*: L lies above it, where k rows share 0.05; or a metric changed by more than the margin of its gate and its
  two-sided p-value is below 0.05 / k;
- *cannot tell*: anything else.

The runs are equal only if all rows are, so 0.05 needs no division there (intersection-union test, Berger 1982). Where
the margin is twice the noise floor, the interval is that of the items' distance minus twice their own noise, plus the
margin: an item that moves much by noise may move much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from pytest_qbench.gates.comparison import paired_items
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.metrics.compute import usable_records
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.metrics.paired_scores import paired_scores
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import CORRELATIONS, kind_of, task_of
from pytest_qbench.parity.measures import FACTOR, Measure, measures_of
from pytest_qbench.parity.pairs import NotComparable, Pair, pair_records
from pytest_qbench.records import Record
from pytest_qbench.stats.equivalence import Bounds, mean_bounds, rate_bounds
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.resampling import Undefined

Verdict = Literal["equal", "different", "cannot tell"]
FEWEST_ITEMS = 50  # with fewer, nothing is called equal
Noise = Mapping[tuple[str, str], float]  # distance of each item in the second measurement, by task and id


@dataclass(frozen=True, slots=True)
class Row:
    """One measure on one dataset. `value` is None where it could not be computed; `note` says why.

    `floor` is the noise floor, None if it is not known. `margin` decides *equal*, `limit` *different*; they differ
    where the noise floor is not known. `changed` counts the items with any distance.
    """

    measure: Measure
    dataset: str
    items: int
    changed: int
    value: float | None
    interval: tuple[float, float]
    floor: float | None
    margin: float
    limit: float
    verdict: Verdict
    note: str = ""
    pairs: Sequence[Pair] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class MetricChange:
    """The signed change of a metric on one dataset: B - A. `verdict` is *different* or None."""

    name: str
    dataset: str
    paired: Paired
    margin: float
    is_different: bool


@dataclass(frozen=True, slots=True)
class Parity:
    """The comparison of two runs: its rows, and the changes of the metrics that the gates judge."""

    rows: tuple[Row, ...]
    changes: tuple[MetricChange, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict over all rows and metrics."""
        verdicts = {row.verdict for row in self.rows}
        if "different" in verdicts or any(change.is_different for change in self.changes):
            return "different"
        return "cannot tell" if "cannot tell" in verdicts else "equal"


def compare_runs(
    a: Results, b: Results, again: tuple[Results, Results] | None, margins: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Parity:  # fmt: skip
    """Compare run `b` with run `a`; `again` is the second and the first measurement of one of them, or None.

    `margins` fixes the margin of a measure by its name. Raises `NotComparable`, also where nothing could be compared.
    """
    pairs = pair_records(a, b)
    again_pairs = None if again is None else pair_records(again[1], again[0])
    words = b.fingerprint.words
    places = list(dict.fromkeys((new.task, new.dataset) for new, _ in pairs))
    if not places:
        raise NotComparable("nothing was measured")
    chosen: list[tuple[Measure, str, list[Pair]]] = []
    for task, dataset in places:
        own = [pair for pair in pairs if (pair[0].task, pair[0].dataset) == (task, dataset)]
        found = measures_of(task, own, words)
        if not found:
            raise NotComparable(f"{task} {dataset}: no item has an answer, a grade or probabilities to compare")
        chosen += [(measure, dataset, own) for measure in found]
    signed = [(name, dataset) for task, dataset in places for name in DEFAULT_MARGINS if task_of(name) == task]
    level = ALPHA / (len(chosen) + len(signed))
    rows = tuple(
        _row(
            measure, dataset, own, _noise(measure, again_pairs, words), (margins or {}).get(measure.name), words, level
        )
        for measure, dataset, own in chosen
    )
    changes = [_change(name, dataset, pairs, level, seed) for name, dataset in signed]
    return Parity(rows, tuple(change for change in changes if change is not None))


def _noise(measure: Measure, pairs: Sequence[Pair] | None, words: Sequence[str]) -> Noise | None:
    if pairs is None:
        return None
    return {
        (new.task, new.item): moved
        for new, old in pairs
        if new.task == measure.task and (moved := measure.distance(new, old, words)) is not None
    }


def _row(
    measure: Measure, dataset: str, pairs: Sequence[Pair], noise: Noise | None, fixed: float | None,
    words: Sequence[str], level: float,
) -> Row:  # fmt: skip
    distances = [(new, measure.distance(new, old, words)) for new, old in pairs]
    moved = [(new, value) for new, value in distances if value is not None]
    values, groups = [value for _, value in moved], [new.group for new, _ in moved]
    own = None if noise is None else [noise.get((new.task, new.item)) for new, _ in moved]
    known = [value for value in own or () if value is not None]
    floor = fmean(known) if own is not None and known and len(known) == len(own) else None
    margin, limit, note = _margins(measure, floor, fixed)
    blank = Row(measure, dataset, len(pairs), sum(v > 0 for v in values), None, (0.0, 0.0), floor, margin, limit,
                "cannot tell", note, pairs)  # fmt: skip
    if len(moved) < len(pairs):
        lost = len(pairs) - len(moved)
        return replace(blank, note=f"{lost} of {len(pairs)} items have no recorded probabilities or grades")
    scaled = fixed is None and floor is not None and FACTOR * floor > measure.least
    excess = [v - FACTOR * n for v, n in zip(values, known, strict=True)] if scaled else values
    shift = margin if scaled else 0.0

    def bounds(alpha: float) -> Bounds:
        if measure.is_rate and not scaled:
            return rate_bounds(excess, groups, alpha)
        return mean_bounds(excess, groups, alpha)

    found, strict = bounds(ALPHA), bounds(level)
    lower, upper = max(0.0, found.lower + shift), found.upper + shift
    verdict: Verdict = "cannot tell"
    if strict.lower + shift > limit:
        verdict = "different"
    elif upper < margin and len(moved) >= FEWEST_ITEMS:
        verdict = "equal"
    elif upper < margin:
        note = f"fewer than {FEWEST_ITEMS} items"
    return replace(blank, value=fmean(values), interval=(lower, upper), verdict=verdict, note=note)


def _margins(measure: Measure, floor: float | None, fixed: float | None) -> tuple[float, float, str]:
    """Return the margin for *equal*, the limit for *different* and a note."""
    if fixed is not None:
        return fixed, fixed, ""
    if floor is None:
        return measure.least, measure.coarse, "noise floor not known"
    margin = max(measure.least, FACTOR * floor)
    return margin, margin, ""


def _change(name: str, dataset: str, pairs: Sequence[Pair], level: float, seed: int) -> MetricChange | None:
    """Return the change of a metric with a two-sided 95 % interval; None where it has no value here."""
    usable = {(r.task, r.item) for r in usable_records([new for new, _ in pairs], name) if r.dataset == dataset}
    own = [pair for pair in pairs if (pair[0].task, pair[0].item) in usable]
    try:
        paired = _paired(name, own, seed)
    except (InvalidError, Undefined):
        return None
    margin = DEFAULT_MARGINS[name]
    return MetricChange(name, dataset, paired, margin, paired.two_sided_p < level and abs(paired.delta) > margin)


def _paired(name: str, pairs: Sequence[Pair], seed: int) -> Paired:
    if not pairs:
        raise Undefined("no items")
    if name in CORRELATIONS:
        return paired_scores(pairs, kind_of(name), ALPHA / 2, seed)
    return paired_items(name, pairs, ALPHA / 2)


def largest_moves(row: Row, words: Sequence[str], most: int) -> list[tuple[float, Record, Record]]:
    """Return the distance and the records (B, A) of the items that moved most, at most `most`."""
    moved = [(row.measure.distance(new, old, words) or 0.0, new, old) for new, old in row.pairs]
    return sorted((one for one in moved if one[0] > 0), key=lambda one: -one[0])[:most]


def by_slice(row: Row, words: Sequence[str]) -> list[tuple[str, int, float]]:
    """Return slice, number of items and mean distance, the largest mean first; keys with one value are left out."""
    found: dict[str, list[float]] = {}
    for new, old in row.pairs:
        for key, value in new.slices.items():
            found.setdefault(f"{key}={value}", []).append(row.measure.distance(new, old, words) or 0.0)
    keys = [name.partition("=")[0] for name in found]
    several = [(name, values) for name, values in found.items() if keys.count(name.partition("=")[0]) > 1]
    return sorted(((name, len(values), fmean(values)) for name, values in several), key=lambda one: -one[2])
