"""How often drift warns: runs of an unchanged model, and of models that move more than noise does.

`python benchmarks/drift.py [RUNS]` (200 runs a row). Seeded. Changes are imitated by what was seen between float32 and
bfloat16 of the embedded model: the sensitivity of an item is log-normal, with a deviation of the logarithm of 2.9 for
questions and 0.75 for scores, and datasets differ in theirs by e^N(0, 0.5). The floor is stored item by item, and the
decisions are the project's own.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from pytest_qbench.items import Item
from pytest_qbench.metrics.drift import compare_with_floor, drift, judge_drifts
from pytest_qbench.metrics.noise_floor import NOISE_ITEMS, SecondMeasurement, noise_floor
from pytest_qbench.records import Record

Rng = np.random.Generator
Floats = NDArray[np.float64]
WORDS = ("good", "poor")
SCENES = {
    "questions": ((2.9,), 1),
    "six databases": ((0.75,) * 6, 1),
    "questions and six databases": ((2.9, *(0.75,) * 6), 1),
    "the same, four items a photo": ((2.9, *(0.75,) * 6), 4),
    "the same, 16 items each": ((2.9, *(0.75,) * 6), 1),
}
RATIOS = (1.0, 1.5, 2.0, 4.0)


def measured(dataset: str, moves: Floats, per_photo: int) -> list[Record]:
    """Records whose log-odds lie at `moves`."""
    found = []
    for i, move in enumerate(moves):
        item = Item(f"{dataset}/{i}", "assessment", dataset, None, f"{dataset}/{i // per_photo}", (), target=1.0)
        found.append(Record.of(item, "measured", score=0.5, logprobs={"good": float(move), "poor": 0.0}))
    return found


def warns(rng: Rng, deviations: tuple[float, ...], items: int, per_photo: int, ratio: float) -> bool:
    """Whether one run warns of any dataset."""
    found = []
    for k, deviation in enumerate(deviations):
        own = rng.normal(0, deviation, items) + rng.normal(-4, 0.5)
        # Items of one photo react alike in size, and their noise has the same sign and size to a degree.
        sensitivity = np.exp(own[np.arange(items) // per_photo * per_photo])

        def moved(times: float, sensitivity: Floats = sensitivity) -> Floats:
            shared = rng.normal(size=items)[np.arange(items) // per_photo * per_photo]
            noise = shared if per_photo > 1 else rng.normal(size=items)
            return times * sensitivity * (0.8 * noise + 0.6 * rng.normal(size=items))

        name = f"d{k}"
        old = measured(name, np.zeros(items), per_photo)
        records = {(r.task, r.item): r for r in old}
        second = SecondMeasurement("again", measured(name, moved(1.0), per_photo))
        floor = noise_floor(second, records, WORDS)
        pairs = list(zip(measured(name, moved(ratio), per_photo), old, strict=True))
        row = drift("assessment.drift", name, pairs, WORDS)
        found.append(compare_with_floor(row, pairs, WORDS, floor.of("assessment.drift", name) if floor else {}))
    return any(moved for _, moved in judge_drifts(found))


def main(runs: int) -> None:
    """Print the table."""
    print(f"| {runs} runs a cell | " + " | ".join(f"noise x {ratio:g}" for ratio in RATIOS) + " |")
    print("|---|" + "---|" * len(RATIOS))
    for scene, (deviations, per_photo) in SCENES.items():
        items = 16 if "16 items" in scene else NOISE_ITEMS
        cells = []
        for ratio in RATIOS:
            rng = np.random.default_rng([7, len(scene), int(10 * ratio)])
            hits = sum(warns(rng, deviations, items, per_photo, ratio) for _ in range(runs))
            low = float(beta.ppf(0.025, hits, runs - hits + 1)) if hits else 0.0
            high = float(beta.ppf(0.975, hits + 1, runs - hits)) if hits < runs else 1.0
            cells.append(f"{hits / runs:.3f} [{low:.3f}, {high:.3f}]")
        print(f"| {scene} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
