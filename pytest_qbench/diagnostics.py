"""Numbers beside the gates' metrics: what a score hides. Records in, metrics out; pure, and SciPy is loaded on use.

None of these can be gated, and none stands in a baseline; where one is undefined, `Metric.note` says why.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_qbench.correlation import plcc
from pytest_qbench.items import Item
from pytest_qbench.judges.agreement import alpha, variance_split
from pytest_qbench.judges.base import DIMENSIONS
from pytest_qbench.metrics import ALPHA, Metric
from pytest_qbench.prompts import LETTERS
from pytest_qbench.records import Record
from pytest_qbench.stats import Undefined, bootstrap_mean, wilson

Floats = NDArray[np.float64]
EVALUATIONS = 1000  # of the logistic function; a fit that needs more has nothing to find
SCALES = (-7.0, 4.0)  # logarithm of the logistic function's s over the standard deviation of the scores
STARTS = (0.0, -2.0)  # two searches: from a gentle rise and from a steep one


def diagnose(records: Iterable[Record], items: Mapping[tuple[str, str], Item]) -> list[Metric]:
    """Return the diagnostics of each task, dataset and split; `items` are those of the records, by (task, id)."""
    by_place: dict[tuple[str, str, str | None], list[Record]] = {}
    for record in records:
        if record.status != "error":
            by_place.setdefault((record.task, record.dataset, record.split), []).append(record)
    found: list[Metric] = []
    for (task, dataset, split), group in by_place.items():
        if task == "perception":
            found += _perception(group, dataset, split, items)
        elif task == "assessment":
            found += _assessment(group, dataset, split)
        else:
            found += _description(group, dataset, split, items)
    return found


def _perception(
    records: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """Accuracy without unparsed replies, on questions answered yes and no, and the bias to positions."""
    marked = [r for r in records if r.status != "measured"]  # the answers of the others are hidden
    parsed = [r for r in marked if r.status != "unparsed"]
    yes_or_no = [r for r in marked if r.slices.get("type") == "yes_or_no"]
    rows = [_accuracy("perception.accuracy_parsed", parsed, dataset, split)]
    for answer in ("yes", "no"):
        chosen = [r for r in yes_or_no if str(r.target).casefold() == answer]
        rows.append(_accuracy(f"perception.accuracy_{answer}", chosen, dataset, split))
    return rows + position_bias(parsed, dataset, split, items)


def _accuracy(name: str, records: Sequence[Record], dataset: str, split: str | None) -> Metric:
    if not records:
        return Metric(name, dataset, split, None, None, 0, note="no item counts for it")
    right = sum(r.status == "correct" for r in records)
    return Metric(name, dataset, split, None, right / len(records), len(records), wilson(right, len(records), ALPHA))


def position_bias(
    parsed: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """How much more often each position is chosen than it is right (slices), and the share moved in all (total).

    The total is the total variation distance of the two distributions, in [0, 1]; 0 for a model without a bias, but
    also for one that errs evenly.
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


def krcc(scores: ArrayLike, mos: ArrayLike) -> float:
    """Kendall's tau-b of two lists (n,), in [-1, 1]; raises `Undefined` for fewer than two items or a constant list."""
    from scipy.stats import kendalltau

    x, y = np.asarray(scores, dtype=np.float64), np.asarray(mos, dtype=np.float64)
    _check(x, y)
    return float(kendalltau(x, y).statistic)


def logistic_fit(scores: ArrayLike, mos: ArrayLike) -> Floats:
    """Return `scores` (n,) mapped to the scale of `mos` by the best logistic function of four parameters.

    f(x) = b + a / (1 + exp(-(x - c) / s)) with a >= 0 and s > 0 (VQEG 2000): rising, so that a model that ranks
    upside down gains nothing; s lies between a step and what is a straight line over these scores (`SCALES`). Least
    squares: for given c and s the best a and b are those of a straight line, so that the search is for the largest
    correlation over c and s. Raises `Undefined` where it does not end or the best function is a constant.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    x, y = np.asarray(scores, dtype=np.float64), np.asarray(mos, dtype=np.float64)
    _check(x, y)
    if x.size < 5:
        raise Undefined(f"a fit of four parameters to {x.size} items")
    spread, middle = float(y.std()), float(y.mean())
    u, v = (x - x.mean()) / x.std(), (y - middle) / spread

    def curve(p: Floats) -> Floats:
        rising: Floats = expit((u - p[0]) * np.exp(-p[1]))
        rising -= rising.mean()
        return rising

    def loss(p: Floats) -> float:
        g = curve(p)
        size = float(np.einsum("i,i", g, g))  # of two long vectors; `@` wakes a thread on every core for it
        return -float(np.einsum("i,i", g, v)) / math.sqrt(size * g.size) if size > 0 else 0.0

    bounds = [(float(u.min()) - 1, float(u.max()) + 1), SCALES]
    limits = {"xatol": 1e-6, "fatol": 1e-10, "maxfev": EVALUATIONS}
    fits = [minimize(loss, (0.0, s), method="Nelder-Mead", bounds=bounds, options=limits) for s in STARTS]
    best = min(fits, key=lambda fit: float(fit.fun))
    if not best.success:
        raise Undefined(f"the logistic fit did not converge in {EVALUATIONS} evaluations")
    if best.fun > -1e-9:
        raise Undefined("the best rising logistic function is a constant: the scores do not rise with the MOS")
    g = curve(best.x)
    mapped: Floats = g * (np.einsum("i,i", g, v) / np.einsum("i,i", g, g)) * spread + middle
    return mapped


def _check(x: Floats, y: Floats) -> None:
    if x.size < 2:
        raise Undefined(f"a correlation of {x.size} items")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise Undefined("the correlation of a constant list")


def _description(
    records: Sequence[Record], dataset: str, split: str | None, items: Mapping[tuple[str, str], Item]
) -> list[Metric]:
    """The shares of 0, 1 and 2, how far the rounds agree, and how far the golden texts of an item do."""
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
    """P0, P1 and P2 of Q-Bench's tables: the share of 0, 1, 2 in an item's readable rounds, averaged over items."""
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


def golden_agreement(texts: Sequence[str]) -> float | None:
    """Mean F1 of the words that two golden texts share, over all pairs, in [0, 1]; None for fewer than two texts.

    Words count as often as they stand there, without case and punctuation.
    """
    bags = [Counter(re.findall(r"\w+", text.casefold())) for text in texts]
    scores = [
        2 * (a & b).total() / total if (total := a.total() + b.total()) else 1.0
        for a, b in itertools.combinations(bags, 2)
    ]
    return fmean(scores) if scores else None
