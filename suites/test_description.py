"""A2: free descriptions of the low-level appearance, scored by a judge against golden texts."""

import pytest


@pytest.mark.qbench(task="description")
def test_description(qbench_item, qbench_record): ...


def test_judged_sum(qbench_gate):
    # Completeness + preciseness + relevance, 0 to 6.
    qbench_gate("description.sum", margin=0.06)
