"""Paired scores of records: the comparison of their lists, and what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_qbench.metrics.paired_scores import paired_scores
from pytest_qbench.stats.paired_correlation import paired_correlation
from pytest_qbench.stats.resampling import Undefined
from tests.builders import picture, scored

RNG = np.random.default_rng(0)
MOS, NEW, OLD = RNG.normal(size=(3, 60)) + RNG.normal(size=60)
ITEMS = [replace(picture(i, float(m)), group=f"p{i // 2}") for i, m in enumerate(MOS)]
PAIRS = [(scored(i, float(a)), scored(i, float(b))) for i, a, b in zip(ITEMS, NEW, OLD, strict=True)]


def test_records_are_compared_as_their_scores_and_groups() -> None:
    expected = paired_correlation(NEW, OLD, MOS, [i.group for i in ITEMS], "plcc", 0.025, seed=3)
    assert paired_scores(PAIRS, "plcc", 0.025, 3) == expected


@pytest.mark.parametrize("side", [0, 1])
def test_a_record_without_score_or_mos_is_named(side: int) -> None:
    pair = [*PAIRS[7]]
    pair[side] = replace(pair[side], score=None)
    with pytest.raises(Undefined, match="^mini_a/7: no score$"):
        paired_scores([*PAIRS[:7], (pair[0], pair[1]), *PAIRS[8:]], "srcc", 0.05, 0)
    with pytest.raises(Undefined, match="^mini_a/7: no MOS$"):
        paired_scores([*PAIRS[:7], tuple(replace(r, target=None) for r in PAIRS[7]), *PAIRS[8:]], "srcc", 0.05, 0)  # type: ignore[list-item]
