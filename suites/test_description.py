"""Task A2: free descriptions of low-level image quality, graded by a judge against golden texts."""

import pytest


@pytest.mark.qbench(task="description")
def test_description(qbench_item, qbench_record): ...


def test_judged_sum(qbench_gate):
    # The sum of completeness, preciseness and relevance, from 0 to 6.
    qbench_gate("description.sum", margin=0.06)
