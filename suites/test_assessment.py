"""Task A3: a quality score per image, compared with human opinion scores (MOS) by rank correlation."""

import pytest


@pytest.mark.qbench(task="assessment")
def test_assessment(qbench_item, qbench_record): ...


def test_rank_correlation(qbench_gate):
    # The mean over the datasets decides a pass; each single dataset can turn the gate red.
    qbench_gate("assessment.srcc", margin=0.01)
