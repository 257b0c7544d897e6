"""Find the slices that carry a drop: those that lost more than the other items, at a false discovery rate of 5 %."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.items import TASKS, ImageSource, Item
from pytest_qbench.metrics.specs import judged_mean
from pytest_qbench.prompts import LETTERS
from pytest_qbench.records import Key, Record
from pytest_qbench.runs.explanation import SliceLoss
from pytest_qbench.stats.correlation import mid_ranks
from pytest_qbench.stats.multiplicity import benjamini_hochberg
from pytest_qbench.stats.slices import compare_slices

RATE = 0.05
"""False discovery rate of the slices."""
LEAST, LARGEST_SHARE = 12, 0.9
"""Items that a slice has at least, and the share of a task's items that it has at most."""
WORDS = 40
"""Words of questions that are looked at, the most frequent ones."""
GROUPS = 60
"""Groups at which items about one photo count as one unit; with fewer, items that show one image do."""
_SAME = 0.95
"""Slices that share so much of their items are one slice under several names."""
_COMMON = frozenset({
    "and", "any", "are", "been", "can", "does", "for", "from", "has", "have", "how", "image", "into", "its",
    "more", "most", "not", "photo", "photograph", "picture", "some", "than", "that", "the", "there", "these",
    "this", "those", "what", "when", "where", "which", "who", "with",
})  # fmt: skip

Pair = tuple[Record, Record]
Properties = Callable[[ImageSource], Mapping[str, float]]


def find_slices(
    new: Mapping[Key, Record], old: Mapping[Key, Record], items: Mapping[Key, Item], properties: Properties | None,
    seed: int = 0,
) -> list[SliceLoss]:  # fmt: skip
    """Return the tested slices of all tasks, the most certain first. `found` marks those below the rate.

    `properties` measures an image; without it, slices by image are left out.
    """
    tested: list[SliceLoss] = []
    for task in TASKS:
        keys = [key for key in new if key[0] == task and key in old and key in items]
        changes = _changes(task, [(new[key], old[key]) for key in keys])
        keys = [key for key in keys if key in changes]
        if len(keys) >= 2 * LEAST:
            deltas = np.array([changes[key] for key in keys])
            tested += _tested(task, [items[key] for key in keys], deltas, properties, seed)
    rates = benjamini_hochberg([one.p_value for one in tested])
    judged = [
        SliceLoss(o.task, o.name, o.aliases, o.n, o.inside, o.outside, o.lost, o.gained, o.p_value, rate, o.score,
                  rate <= RATE and o.inside < 0)
        for o, rate in zip(tested, rates, strict=True)
    ]  # fmt: skip
    return sorted(judged, key=lambda one: (not one.found, -one.score))


def _changes(task: str, pairs: Sequence[Pair]) -> dict[Key, float]:
    """Return the change of each item, negative for a loss: right answers, judged means, agreement with the MOS."""
    found: dict[Key, float] = {}
    if task == "assessment":
        by_dataset: dict[str, list[Pair]] = {}
        for new, old in pairs:
            if None not in (new.score, old.score, new.target):
                by_dataset.setdefault(new.dataset, []).append((new, old))
        for own in by_dataset.values():
            mos = mid_ranks([float(new.target or 0) for new, _ in own])
            ranks = [mid_ranks([record.score or 0.0 for record in side]) for side in zip(*own, strict=True)]
            gains = (np.abs(ranks[1] - mos) - np.abs(ranks[0] - mos)) / len(own)
            found |= {("assessment", new.item): float(gain) for (new, _), gain in zip(own, gains, strict=True)}
        return found
    for new, old in pairs:
        if "error" in (new.status, old.status):
            continue
        if task == "perception":
            found[task, new.item] = float(new.status == "correct") - float(old.status == "correct")
        elif None not in (values := [judged_mean(record, "sum") for record in (new, old)]):
            found[task, new.item] = float(values[0] or 0) - float(values[1] or 0)
    return found


def _tested(
    task: str, items: Sequence[Item], deltas: NDArray[np.float64], properties: Properties | None, seed: int
) -> list[SliceLoss]:
    named = candidates(items, properties)
    if not named or not deltas.any():
        return []
    inside = np.array(list(named.values()))
    tests = compare_slices(deltas, _units(items), inside, seed)
    merged = _merged(list(named), inside, tests.scores)
    return [
        SliceLoss(
            task, names[0], tuple(names[1:]), int(own.sum()), float(deltas[own].mean()), float(deltas[~own].mean()),
            int((deltas[own] < 0).sum()), int((deltas[own] > 0).sum()), float(tests.p_values[row]), 1.0,
            float(tests.scores[row]),
        )
        for row, names in merged
        for own in [inside[row]]
    ]  # fmt: skip


def _units(items: Sequence[Item]) -> list[Hashable]:
    """Return what moves together with each item."""
    groups = [item.group for item in items]
    if len(set(groups)) >= GROUPS:
        return list(groups)
    return [item.images or item.id for item in items]


def candidates(items: Sequence[Item], properties: Properties | None) -> dict[str, NDArray[np.bool_]]:
    """Return the slices of a task's items by name, (n,) each, but none that is too small or nearly everything."""
    labels: list[set[str]] = [set() for _ in items]
    words = Counter(word for item in items for word in _words(item))
    common = {word for word, _ in words.most_common(WORDS)}
    for own, item in zip(labels, items, strict=True):
        own.update(f"{key}={value}" for key, value in item.slices.items())
        own.add(f"dataset={item.dataset}")
        own.update(f"word={word}" for word in _words(item) & common)
        if item.answer in item.options:
            own.add(f"position={LETTERS[item.options.index(item.answer)]}")
            own.add(f"answer={item.answer.casefold()}")
    if properties is not None:
        _add_properties(labels, items, properties)
    counts = Counter(label for own in labels for label in own)
    most = LARGEST_SHARE * len(items)
    kept = sorted(label for label, count in counts.items() if LEAST <= count <= most)
    return {label: np.array([label in own for own in labels]) for label in kept}


def _words(item: Item) -> set[str]:
    return {word for word in re.findall(r"[a-z]{3,}", (item.question or "").casefold()) if word not in _COMMON}


def _add_properties(labels: Sequence[set[str]], items: Sequence[Item], properties: Properties) -> None:
    """Label the lowest and the highest quarter of each measured property."""
    known_images: dict[ImageSource, Mapping[str, float]] = {}
    for item in items:
        for image in item.images[:1]:
            if image not in known_images:
                known_images[image] = properties(image)
    measured = [known_images[item.images[0]] if item.images else {} for item in items]
    for name in dict.fromkeys(key for each in measured for key in each):
        values = np.array([each.get(name, np.nan) for each in measured])
        known = values[~np.isnan(values)]
        if known.size < 4 * LEAST or np.ptp(known) == 0:
            continue
        low, high = np.quantile(known, [0.25, 0.75])
        for own, value in zip(labels, values, strict=True):
            if value <= low < high:
                own.add(f"{name} low")
            if value >= high > low:
                own.add(f"{name} high")


def _merged(
    names: Sequence[str], inside: NDArray[np.bool_], scores: NDArray[np.float64]
) -> list[tuple[int, list[str]]]:
    """Return one row for slices with nearly the same items, and their names, the best first."""
    kept: list[tuple[int, list[str]]] = []
    for row in np.argsort(-scores, kind="stable"):
        own = inside[row]
        for other, known in kept:
            both, either = (own & inside[other]).sum(), (own | inside[other]).sum()
            if both >= _SAME * either:
                known.append(names[row])
                break
        else:
            kept.append((int(row), [names[row]]))
    return kept
