"""The fast paired comparison of correlations against the bootstrap, on every pair of published models.

`python benchmarks/agreement.py OFFICIAL [DRAWS]`: OFFICIAL is a folder with the published opinion scores (`mos/`) and
outputs (`iqa_outputs/MODEL/`). Each ordered pair of models is compared on each database, SRCC with margin 0.01, by
`paired_correlation(method="fast")` and by DRAWS (10,000) paired resamples of whole groups with ranks anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.data.load import open_datasets
from pytest_qbench.engine.engine import Engine
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
from pytest_qbench.gates.verdict import decide
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.specs import paper_words
from pytest_qbench.scoring.score import PAPER_TEMPERATURE, Scoring
from pytest_qbench.stats.influence import level_codes, sampled_correlation, weighted_ranks
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.paired_correlation import paired_correlation
from pytest_qbench.stats.resampling import group_codes, resamples

Floats = NDArray[np.float64]
MARGIN = DEFAULT_MARGINS["assessment.srcc"]


@dataclass(frozen=True)
class Database:
    """The scores of every model on one database, and what they are compared with; all (n,)."""

    name: str
    mos: Floats
    groups: list[str]
    scores: dict[str, Floats]


@dataclass(frozen=True)
class Comparison:
    """One ordered pair of models on one database, by both ways."""

    database: str
    candidate: str
    baseline: str
    fast: Paired
    slow: Paired

    @property
    def near(self) -> bool:
        """Whether a p-value, of a drop or of a rise, lies within a factor 2 of alpha: there chance decides."""
        tails = [tail for one in (self.fast, self.slow) for tail in (one.p_value, 1 - one.p_value)]
        return any(ALPHA / 2 <= p <= 2 * ALPHA for p in tails)

    @property
    def verdicts(self) -> tuple[str, str]:
        """The verdict by the fast path and by the bootstrap."""
        fast, slow = (decide(one, MARGIN, one.p_value < ALPHA, one.p_gain < ALPHA) for one in (self.fast, self.slow))
        return fast, slow


def databases(official: Path) -> list[Database]:
    """Read the opinion scores and every model's outputs."""
    found = open_datasets(str(official), rootdir=official, names=None, split="dev")
    chosen = [dataset for dataset in found if dataset.task == "assessment"]
    items = [item for dataset in chosen for item in dataset.items]
    by_model = {}
    for folder in sorted((official / "iqa_outputs").iterdir()):
        spec = parse_spec(f"replay:{folder}")
        engine = Engine(
            load_model(spec, {}), answer="generate", batch_size=512, blind=False, judge_rounds=1, judge=_no_judge,
            scoring=Scoring(paper_words(spec), PAPER_TEMPERATURE),
        )  # fmt: skip
        by_model[folder.name] = {record.item: record.score for record in engine.measure(items)}
    return [
        Database(
            dataset.name,
            np.array([item.target for item in dataset.items], dtype=float),
            [item.group for item in dataset.items],
            {model: np.array([own[i.id] for i in dataset.items], dtype=float) for model, own in by_model.items()},
        )
        for dataset in chosen
    ]


def compare(database: Database, draws: int) -> Iterator[Comparison]:
    """Compare every ordered pair of models; the resamples are shared by all of them."""
    slow = bootstrap(database, draws)
    for candidate, baseline in permutations(database.scores, 2):
        fast = paired_correlation(
            database.scores[candidate], database.scores[baseline], database.mos, database.groups, "srcc", ALPHA,
            method="fast",
        )  # fmt: skip
        samples = slow[candidate] - slow[baseline]
        lower, upper = np.quantile(samples, [ALPHA, 1 - ALPHA])
        p_value = float((1 + (samples >= 0).sum()) / (1 + samples.size))
        yield Comparison(
            database.name, candidate, baseline, fast,
            Paired(fast.delta, float(lower), float(upper), p_value, 1 - p_value, fast.error, fast.n),
        )  # fmt: skip


def bootstrap(database: Database, draws: int) -> dict[str, Floats]:
    """SRCC of each model in `draws` resamples of whole groups, (draws,)."""
    codes = group_codes(database.groups, database.mos.size)
    lists = {name: level_codes(values) for name, values in {"": database.mos, **database.scores}.items()}
    found: dict[str, list[Floats]] = {name: [] for name in database.scores}
    for counts in resamples(int(codes.max()) + 1, 0, draws, width=max(1, database.mos.size // 5)):
        weights = counts[:, codes]
        ranks = {name: weighted_ranks(levels, weights) for name, levels in lists.items()}
        for name, values in found.items():
            values.append(sampled_correlation(ranks[name], ranks[""], weights))
    return {name: np.concatenate(values) for name, values in found.items()}


def _no_judge() -> NoReturn:
    raise AssertionError("nothing to judge")


def main(official: Path, draws: int) -> None:
    print("| database | images | pairs | agree | p near alpha, differ | differ elsewhere | ms a comparison, fast |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for database in databases(official):
        compared = list(compare(database, draws))
        differ = [one for one in compared if one.verdicts[0] != one.verdicts[1]]
        far = [one for one in differ if not one.near]
        a, b = list(database.scores.values())[:2]
        began = time.perf_counter()
        for _ in range(5):
            paired_correlation(a, b, database.mos, database.groups, "srcc", ALPHA, method="fast")
        each = (time.perf_counter() - began) / 5 * 1000
        row = (database.name, database.mos.size, len(compared), len(compared) - len(differ), len(differ) - len(far))
        print("| " + " | ".join(map(str, (*row, len(far), f"{each:.0f}"))) + " |", flush=True)
        for one in far:
            print(f"<!-- {one.candidate} against {one.baseline}: {one.verdicts} {one.fast} {one.slow} -->")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
