"""Task A1: multiple-choice questions about the distortions and other low-level properties of an image."""

import pytest


@pytest.mark.qbench(task="perception")
def test_perception(qbench_item, qbench_record): ...


def test_accuracy(qbench_gate):
    # The gate fails if accuracy falls by more than one point against the baseline, beyond noise.
    qbench_gate("perception.accuracy", margin=0.01)
