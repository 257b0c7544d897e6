"""Find items whose quality score and MOS have very different ranks. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pytest_qbench.records import Record
from pytest_qbench.stats.correlation import mid_ranks

MOST = 20  # outliers per dataset


def outliers(records: Iterable[Record], most: int = MOST) -> dict[str, list[tuple[Record, float]]]:
    """Return, by dataset, the `most` items with the largest differences of ranks, score minus MOS.

    A difference is divided by the number of items and lies in (-1, 1). Above 0, the model ranks the image higher than
    people do. Its contribution to a low SRCC is proportional to its square.
    """
    by_dataset: dict[str, list[Record]] = {}
    for record in records:
        if record.task == "assessment" and record.score is not None and record.target is not None:
            by_dataset.setdefault(record.dataset, []).append(record)
    found = {}
    for dataset, group in by_dataset.items():
        scores, mos = (mid_ranks(column) for column in zip(*((r.score, float(r.target)) for r in group), strict=True))  # type: ignore[arg-type]
        moved = (scores - mos) / len(group)
        order = np.argsort(-np.abs(moved), kind="stable")[:most]
        found[dataset] = [(group[i], float(moved[i])) for i in order if moved[i] != 0]
    return found
