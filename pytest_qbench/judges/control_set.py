"""The control set: texts with known verdicts that a judge grades first. Gates ignore the scores of a judge that fails.

Compared with itself, a golden text is complete and precise. Another item's golden text is less complete, and an empty
text is not complete. Later runs compare their control scores: a difference shows that the judge itself has changed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from pytest_qbench.errors import ItemError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.base import Judge, SupportsUnreadable, Verdicts
from pytest_qbench.stats.agreement import golden_agreement

SIZE = 8  # items; each gives up to three texts
KINDS = ("itself", "another", "empty")
LEAST_ITSELF = 1.5  # minimum mean completeness and preciseness (of 2) of a golden text against itself
LEAST_GAP = 0.5  # minimum difference to the mean completeness of another item's golden text
MOST_EMPTY = 0.5  # maximum mean completeness of an empty text
MOST_UNREADABLE = 0.2  # maximum share of unreadable verdicts
QUOTED = 2  # unreadable verdicts in the message
MOVED, Z = 0.1, 2.576  # drift: a mean changes by more than MOVED and by more than Z standard errors (99 %)

# Kind -> name of a text -> mean verdict on each dimension.
ScoresByKind = Mapping[str, Mapping[str, Sequence[float | None]]]


def run_control_set(judge: Judge, items: Sequence[Item], rounds: int) -> dict[str, Any]:
    """Let the judge grade the control set of these items; return plain values for the fingerprint.

    ``scores`` is by kind and text. ``failed`` is the reason why the judge fails, None if it passes.
    """
    texts = control_texts(items)
    pairs = [text for kind in KINDS for text in texts[kind].values()]
    if not pairs:
        return {"scores": {}, "failed": "no item has a golden text"}
    verdicts = judge.judge([description for description, _ in pairs], [golden for _, golden in pairs], rounds)
    errors = [v for v in verdicts if isinstance(v, ItemError)]
    if errors:
        return {"scores": {}, "failed": f"{len(errors)} of {len(pairs)} texts could not be judged: {errors[0]}"}
    read = [v for v in verdicts if not isinstance(v, ItemError)]
    rows = iter([[_mean(v[d]) for d in DIMENSIONS] for v in read])
    scores = {kind: {name: next(rows) for name in texts[kind]} for kind in KINDS}
    failed = why_failed(scores, _unreadable(read))
    if failed:
        reasons = judge.unreadable if isinstance(judge, SupportsUnreadable) else []
        quoted = list(dict.fromkeys(filter(None, reasons)))[:QUOTED]
        failed = f"{failed}; {'; '.join(quoted) or 'take another judge'}"
    return {"scores": scores, "failed": failed}


def control_texts(items: Sequence[Item]) -> dict[str, dict[str, tuple[str, tuple[str, ...]]]]:
    """Return (description, golden texts) by kind and name. The choice depends on the items' ids alone."""
    pool = sorted((item for item in items if item.golden), key=lambda item: _hash(item.id))
    texts: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {kind: {} for kind in KINDS}
    for item in pool[:SIZE]:
        golden = item.golden[0]
        texts["itself"][item.id] = golden, (golden,)
        texts["empty"][item.id] = "", (golden,)
        others = [o for o in pool if o.golden[0] != golden]
        if others:
            # The least similar text: two equally dark and blurry photographs could have interchangeable texts.
            other = min(others, key=lambda o: golden_agreement((golden, o.golden[0])) or 0.0)
            texts["another"][f"{item.id} by {other.id}"] = other.golden[0], (golden,)
    return texts


def why_failed(scores: ScoresByKind, unreadable: float) -> str | None:
    """Return the reason why a judge with these control scores fails, or None. `unreadable` is a share in [0, 1]."""
    if unreadable > MOST_UNREADABLE:
        return f"{unreadable:.0%} of its verdicts are unreadable, more than {MOST_UNREADABLE:.0%}"
    mean = {kind: [_mean([row[i] for row in rows.values()]) for i in (0, 1)] for kind, rows in scores.items() if rows}
    itself, empty = mean["itself"], mean["empty"]
    for value, dimension in zip(itself, DIMENSIONS, strict=False):
        if value is None or value < LEAST_ITSELF:
            return f"a golden text against itself has {dimension} {_format(value)}, less than {LEAST_ITSELF}"
    assert itself[0] is not None
    if empty[0] is None or empty[0] > MOST_EMPTY:
        return f"an empty text has completeness {_format(empty[0])}, more than {MOST_EMPTY}"
    if "another" in mean:
        other = mean["another"][0]
        if other is None or other > itself[0] - LEAST_GAP:
            return (
                f"another item's text has completeness {_format(other)}, not lower by {LEAST_GAP} than the right one "
                f"({itself[0]:.2f})"
            )
    return None


def drift(old: ScoresByKind, new: ScoresByKind) -> str | None:
    """Describe the first change of the judge's control scores between two runs, or return None.

    It compares the texts that both runs graded. A mean has changed if its difference exceeds 0.1 and 2.576 standard
    errors of the paired differences.
    """
    for kind in KINDS:
        before, after = (each.get(kind, {}) for each in (old, new))
        for i, dimension in enumerate(DIMENSIONS):
            both = [(before[name][i], after[name][i]) for name in before.keys() & after.keys()]
            changes = [b - a for a, b in both if a is not None and b is not None]
            if len(changes) < 2:
                continue
            noise = Z * stdev(changes) / math.sqrt(len(changes))
            if abs(fmean(changes)) > max(MOVED, noise):
                a, b = (fmean(v for v in column if v is not None) for column in zip(*both, strict=True))
                return f"{dimension} of the control set ({kind}) {a:.2f} -> {b:.2f}"
    return None


def _mean(values: Sequence[float | None]) -> float | None:
    readable = [v for v in values if v is not None]
    return fmean(readable) if readable else None


def _unreadable(verdicts: Sequence[Verdicts]) -> float:
    entries = [entry for v in verdicts for d in DIMENSIONS for entry in v[d]]
    return sum(entry is None for entry in entries) / len(entries)


def _format(value: float | None) -> str:
    return "unreadable" if value is None else f"{value:.2f}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
