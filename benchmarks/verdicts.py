"""How often the default run passes, fails and cannot tell: unchanged models, drops of one margin and of two points.

`python benchmarks/verdicts.py [RUNS] [TABLE ...]` (400 runs a scene; tables: default, margin, photos, points). Seeded.
The decisions are the project's own: its paired tests, `alarm_budget.spend` and `verdict.decide`. Option margins are
those of the embedded model's stored baseline, drawn anew in every run, with numerical noise on both sides that flips
the named fraction of the answers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from pytest_qbench.gates.alarm_budget import spend
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
from pytest_qbench.gates.verdict import decide
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.stats.multiplicity import holm
from pytest_qbench.stats.paired import Paired, mean_of_comparisons, paired_mean
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.paired_correlation import paired_correlation
from pytest_qbench.stats.smoothing import paired_smoothed

Rng = np.random.Generator
Floats = NDArray[np.float64]
BASELINE = Path(__file__).parents[1] / "baselines" / "tiny" / "perception.mini.jsonl"
ACCURACY, JUDGED, RANKED = DEFAULT_MARGINS.values()
LEVEL = ALPHA / len(DEFAULT_MARGINS)
DATABASES = (1169, 2982, 3000, 6000, 2500, 4000)


def stored_margins() -> Floats:
    """Log-probability of the right option less that of the best wrong one, of every question of the baseline."""
    found = []
    for line in BASELINE.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        wrong = [value for option, value in record["logprobs"].items() if option != record["target"]]
        found.append(record["logprobs"][record["target"]] - max(wrong))
    return np.array(found)


MARGINS = stored_margins()


def bisect(measure: Callable[[float], float], wanted: float, high: float) -> float:
    """The argument in [0, high] at which a rising `measure` reaches `wanted`."""
    low = 0.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if measure(middle) < wanted else (low, middle)
    return low


def noise_of(discordance: float) -> float:
    """Standard deviation of the noise on the margins of both runs that flips this fraction of the answers."""
    rng = np.random.default_rng(1)
    items, first, second = rng.choice(MARGINS, 60_000), rng.normal(size=60_000), rng.normal(size=60_000)
    return bisect(lambda s: float(((items + s * first > 0) != (items + s * second > 0)).mean()), discordance, 30)


def degraded(rng: Rng, kind: str, margins: Floats, size: float) -> Floats:
    """Margins that fall (shift), are scrambled, or of which some turn (broken)."""
    if kind == "shift":
        return margins - size
    if kind == "scrambled":
        return margins + size * rng.normal(size=margins.size)
    return np.where(rng.random(margins.size) < size, -np.abs(margins), margins)


def size_of(kind: str, noise: float, drop: float) -> float:
    """How strongly to degrade for a net drop of accuracy."""
    rng = np.random.default_rng(2)
    items, error = rng.choice(MARGINS, 200_000), rng.normal(size=200_000)
    right = (items + noise * error > 0).mean()

    def lost(size: float) -> float:
        return float(right - (degraded(rng, kind, items, size) + noise * error > 0).mean())

    return bisect(lost, drop, 1.0 if kind == "broken" else 20.0) if drop else 0.0


def answers(rng: Rng, n: int, noise: float, kind: str, size: float, likelihoods: bool = True) -> Paired:
    """Accuracy of two runs on `n` questions."""
    items = rng.choice(MARGINS, n)
    old = items + noise * rng.normal(size=n)
    new = degraded(rng, kind, items, size) + noise * rng.normal(size=n)
    smoothed = paired_smoothed(new, old, range(n), ALPHA) if likelihoods else None
    return smoothed or paired_binary(new > 0, old > 0, range(n), ALPHA)


def grouped_answers(rng: Rng, groups: int, n: int, discordance: float, drop: float, correlation: float) -> Paired:
    """Right/wrong answers of two runs about `groups` photos of log-normal size that change alike to a degree."""
    weights = rng.lognormal(0, 1, groups)
    sizes = np.maximum(1, np.round(weights / weights.sum() * n)).astype(int)
    shares = np.array([(discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance])
    own = rng.dirichlet(np.maximum(shares * (1 / correlation - 1), 1e-9), groups)
    codes = np.repeat(np.arange(groups), sizes)
    fate = rng.random(codes.size)
    lost = fate < own[codes, 0]
    gained = ~lost & (fate < own[codes, 0] + own[codes, 1])
    return paired_binary(gained, lost, codes.tolist(), ALPHA)


def sums(rng: Rng, n: int, deviation: float, drop: float) -> Paired:
    """Judged sums of two runs, rounded as means over five rounds are; ties are common."""
    old = np.round(5 * rng.uniform(2, 6, n)) / 5
    new = old + np.round(5 * (deviation * rng.normal(size=n) - drop)) / 5
    return paired_mean(new, old, range(n), ALPHA, 0.0, 6.0)


def broken_sums(rng: Rng, n: int, deviation: float, per_photo: int = 1) -> Paired:
    """Judged sums of two runs of which the texts of a few photos break: they fall to 0, which costs one margin."""
    old = np.round(5 * rng.uniform(2, 6, n)) / 5
    new = old + np.round(5 * deviation * rng.normal(size=n)) / 5
    photos = np.arange(n) // per_photo
    is_broken = (rng.random(n) < JUDGED / 4)[photos]
    return paired_mean(np.where(is_broken, 0, new), old, photos.tolist(), ALPHA, 0.0, 6.0)


def scores(rng: Rng, sizes: Sequence[int], noise: float, drop: float) -> list[Paired]:
    """Quality scores of two runs on several databases, on 24 levels; a drop of the population's SRCC in each."""
    found = []
    for n in sizes:
        mos = rng.normal(size=n)
        score = 0.8 * mos + 0.6 * rng.normal(size=n)
        spoilt = noise if not drop else np.sqrt(noise**2 + drop_noise(drop))
        new, old = (np.round(24 * (score + s * rng.normal(size=n))) / 24 for s in (spoilt, noise))
        found.append(paired_correlation(new, old, mos, range(n), "srcc", ALPHA))
    return found


def drop_noise(drop: float) -> float:
    """Variance to add to the scores so that SRCC (about .8 of MOS) falls by `drop`: r = .8 / sqrt(1 + v)."""
    return (0.786 / (0.786 - drop)) ** 2 - 1


def verdict(parts: Sequence[Paired], margin: float, leftover: float = 0.0) -> tuple[str, float]:
    """The verdict of one gate, that of its comparison or of the mean of several, and the part of alpha it leaves."""
    judged = [*parts, mean_of_comparisons(parts, ALPHA)] if len(parts) > 1 else list(parts)
    level, is_shared, unspent = spend(LEVEL, leftover, [p.alarm_chance(margin) for p in judged])
    drops = [p.p_value for p in judged]
    drops, gains = holm(drops) if is_shared else drops, holm([p.p_gain for p in judged])
    found = [decide(p, margin, d < level, g < LEVEL) for p, d, g in zip(judged, drops, gains, strict=True)]
    return "regressed" if "regressed" in found else found[-1], unspent


def run(ranked: Sequence[Paired], judged: Paired, answered: Paired) -> list[str]:
    """The verdicts of the three gates in the order of the suites, each with what the earlier ones leave of alpha."""
    found, leftover = [], 0.0
    for parts, margin in ((ranked, RANKED), ([judged], JUDGED), ([answered], ACCURACY)):
        word, leftover = verdict(parts, margin, leftover)
        found.append(word)
    return found


@cache
def quiet_gates() -> list[tuple[list[Paired], Paired]]:
    """The other two gates of fifty unchanged runs, with the noise of the second row of the default run."""
    rng = np.random.default_rng(4)
    return [(scores(rng, DATABASES, 0.1, 0.0), sums(rng, 499, 0.4, 0.0)) for _ in range(50)]


def bounds(hits: int, n: int) -> tuple[float, float]:
    """Exact two-sided 95 % interval of a proportion (Clopper & Pearson 1934)."""
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0


def line(scene: str, runs: int, one: Callable[[Rng], Sequence[str]]) -> str:
    """A row of the table: how often the run passes, cannot tell, and is red, with the bounds of pass and red."""
    rng = np.random.default_rng([runs, len(scene)])
    passed = red = 0
    for _ in range(runs):
        found = one(rng)
        red += "regressed" in found
        passed += all(v in ("pass", "improved") for v in found)
    cells = [f"{hits / runs:.3f} [{bounds(hits, runs)[0]:.3f}, {bounds(hits, runs)[1]:.3f}]" for hits in (passed, red)]
    return f"| {scene} | {cells[0]} | {1 - (passed + red) / runs:.3f} | {cells[1]} |"


def default_run(discordance: float, judged: float, noise: float) -> Callable[[Rng], Sequence[str]]:
    """The three gates of the suites on an unchanged model."""
    numeric = noise_of(discordance)
    return lambda rng: run(
        scores(rng, DATABASES, noise, 0.0), sums(rng, 499, judged, 0.0), answers(rng, 1_495, numeric, "shift", 0.0)
    )


def dropped(n: int, discordance: float, kind: str, drop: float, likelihoods: bool) -> Callable[[Rng], Sequence[str]]:
    """The accuracy gate of a default run where the model lost `drop`, and nothing else."""
    noise = noise_of(discordance)
    size = size_of(kind, noise, drop)

    def one(rng: Rng) -> list[str]:
        others = quiet_gates()[rng.integers(50)]
        return run(*others, answers(rng, n, noise, kind, size, likelihoods))[-1:]

    return one


def by_photo(groups: int, n: int, discordance: float, drop: float) -> Callable[[Rng], Sequence[str]]:
    """The accuracy gate on items that share photos."""
    return lambda rng: [verdict([grouped_answers(rng, groups, n, discordance, drop, 0.2)], ACCURACY)[0]]


def judged_drop(n: int, deviation: float) -> Callable[[Rng], Sequence[str]]:
    """The description gate where the model lost one margin."""
    return lambda rng: [verdict([sums(rng, n, deviation, JUDGED)], JUDGED)[0]]


def broken_texts(n: int, deviation: float, per_photo: int = 1) -> Callable[[Rng], Sequence[str]]:
    """The description gate where the texts of a few photos broke."""
    return lambda rng: [verdict([broken_sums(rng, n, deviation, per_photo)], JUDGED)[0]]


def ranked_drop(sizes: Sequence[int]) -> Callable[[Rng], Sequence[str]]:
    """The assessment gate where every database lost one margin."""
    return lambda rng: [verdict(scores(rng, sizes, 0.1, RANKED), RANKED)[0]]


def default(runs: int) -> None:
    """The default run of an unchanged model."""
    print("| the default run, model unchanged | passes | cannot tell | false alarm |\n|---|---|---|---|")
    for discordance, judged, noise in (
        (0.02, 0.2, 0.05),
        (0.02, 0.4, 0.1),
        (0.06, 0.4, 0.1),
        (0.2, 0.4, 0.1),
        (0.06, 0.7, 0.3),
        (0.2, 1.0, 0.6),
    ):
        scene = f"{100 * discordance:g} % discordant, judged sums {judged}, scores {noise}"
        print(line(scene, runs, default_run(discordance, judged, noise)), flush=True)


def margin(runs: int) -> None:
    """A drop of one margin: how often each gate passes it."""
    print("| a drop of one margin | false pass | cannot tell | red |\n|---|---|---|---|")
    for discordance in (0.02, 0.06, 0.2):
        for kind in ("shift", "scrambled", "broken"):
            one = dropped(1_495, discordance, kind, ACCURACY, True)
            print(line(f"accuracy, likelihoods, {100 * discordance:g} %, {kind}", runs, one), flush=True)
    for n in (60, 400, 1_495):
        one = dropped(n, 0.06, "shift", ACCURACY, False)
        print(line(f"accuracy, answers alone, 6 %, {n:,} items", runs, one), flush=True)
    for groups, n, discordance in ((25, 450, 0.06), (81, 1_458, 0.06), (300, 1_495, 0.02), (300, 1_495, 0.06)):
        one = by_photo(groups, n, discordance, ACCURACY)
        print(line(f"accuracy, {n:,} items of {groups} photos, {100 * discordance:g} %", runs, one), flush=True)
    for n, deviation in ((60, 0.2), (499, 0.2), (499, 0.4)):
        one = judged_drop(n, deviation)
        print(line(f"judged sums, {n} items, change {deviation}", runs, one), flush=True)
    for n, deviation in ((60, 0.2), (200, 0.0), (200, 0.2), (499, 0.2), (499, 0.4)):
        one = broken_texts(n, deviation)
        print(line(f"judged sums, {n} items, some broken, change {deviation}", runs, one), flush=True)
    for n, deviation in ((498, 0.0), (498, 0.2), (498, 0.4)):
        one = broken_texts(n, deviation, per_photo=3)
        print(
            line(f"judged sums, {n} items, three a photo, some photos broken, change {deviation}", runs, one),
            flush=True,
        )
    for sizes in ((400,), (1_169,), DATABASES):
        one = ranked_drop(sizes)
        print(line(f"SRCC, {len(sizes)} databases, {sum(sizes):,} images", runs, one), flush=True)


def photos(runs: int) -> None:
    """Right/wrong answers by photo, unchanged."""
    print("| unchanged, photos and sizes | passes | cannot tell | false alarm |\n|---|---|---|---|")
    for groups, n, discordance in ((12, 60, 0.2), (25, 450, 0.06), (81, 1_458, 0.06), (300, 1_495, 0.06)):
        one = by_photo(groups, n, discordance, 0.0)
        print(line(f"accuracy, {n:,} items of {groups} photos, {100 * discordance:g} %", runs, one), flush=True)


def points(runs: int) -> None:
    """A drop of two points."""
    print("| a drop of two points | passes | cannot tell | red |\n|---|---|---|---|")
    for discordance in (0.02, 0.06, 0.2):
        for kind in ("shift", "scrambled", "broken"):
            for likelihoods in (True, False):
                one = dropped(1_495, discordance, kind, 0.02, likelihoods)
                with_them = "likelihoods" if likelihoods else "answers alone"
                print(line(f"{with_them}, {100 * discordance:g} %, {kind}", runs, one), flush=True)


TABLES = {"default": default, "margin": margin, "photos": photos, "points": points}


if __name__ == "__main__":
    began = time.time()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print(f"{count:,} runs a row; 95 % Clopper-Pearson bounds")
    for name in sys.argv[2:] or TABLES:
        print()
        TABLES[name](count)
    print(f"{time.time() - began:.0f} s")
