"""A3: a quality score per image, compared with opinion scores by rank correlation."""

import pytest


@pytest.mark.qbench(task="assessment")
def test_assessment(qbench_item, qbench_record): ...


def test_rank_correlation(qbench_gate):
    # The mean over the datasets decides that it holds; each dataset alone can turn it red.
    qbench_gate("assessment.srcc", margin=0.01)
