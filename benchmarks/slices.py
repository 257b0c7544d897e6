"""How often the slice that carries a drop is found: `python benchmarks/slices.py [RUNS]`.

Answers of the embedded questions are simulated: 80 % are right before, and each item flips either way with a small
probability. A fault makes right answers of one slice wrong. Every candidate slice is as likely to carry it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from pytest_qbench.data.load import MINI, open_datasets
from pytest_qbench.items import Item
from pytest_qbench.records import Key, Record
from pytest_qbench.why.image_properties import properties as measure
from pytest_qbench.why.slices import candidates, find_slices

properties = cache(measure)
RIGHT, CHURN, FAULT = 0.8, 0.02, 0.6
"""Share of right answers, of flips of any item, and of a slice's right answers that a fault loses."""


def questions() -> dict[Key, Item]:
    """Return the embedded questions."""
    datasets = open_datasets(MINI, rootdir=Path(), names=None, split="dev")
    return {(i.task, i.id): i for d in datasets if d.task == "perception" for i in d.items}


def simulated(
    items: Mapping[Key, Item], broken: np.ndarray | None, rng: np.random.Generator
) -> tuple[dict[Key, Record], dict[Key, Record]]:
    """Return records before and after; `broken` are the items of the faulty slice."""
    old = rng.random(len(items)) < RIGHT
    new = np.where(rng.random(len(items)) < CHURN, ~old, old)
    if broken is not None:
        new = new & ~(broken & (rng.random(len(items)) < FAULT))
    sides = []
    for right in (new, old):
        records = {}
        for (key, item), is_right in zip(items.items(), right, strict=True):
            wrong = next(option for option in item.options if option != item.answer)
            record = Record.of(item, "correct", choice=item.answer)
            records[key] = record if is_right else replace(record, status="wrong", choice=wrong)
        sides.append(records)
    return sides[0], sides[1]


def study(runs: int) -> tuple[int, int, int]:
    """Return the numbers of faults whose slice comes first, of faults with any discovery, and of null runs with one."""
    items = questions()
    named = candidates(list(items.values()), properties)
    names = sorted(named)
    first = found = false = 0
    for run in range(runs):
        rng = np.random.default_rng([20231004, run])
        name = names[run % len(names)]
        new, old = simulated(items, named[name], rng)
        result = find_slices(new, old, items, properties, seed=run)
        hits = [one for one in result if one.found]
        first += bool(hits) and name in (hits[0].name, *hits[0].aliases)
        found += bool(hits)
        new, old = simulated(items, None, rng)
        false += any(one.found for one in find_slices(new, old, items, properties, seed=run))
    return first, found, false


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    began = time.process_time()
    first, found, false = study(count)
    print(f"faults: {count}, some slice found: {found}, the right slice first: {first} ({first / count:.1%})")
    print(f"runs without a fault: {count}, with a false discovery: {false} ({false / count:.1%})")
    print(f"{time.process_time() - began:.0f} s of CPU")
