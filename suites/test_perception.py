"""A1: multiple-choice questions about what degrades an image, and where."""

import pytest


@pytest.mark.qbench(task="perception")
def test_perception(qbench_item, qbench_record): ...


def test_accuracy(qbench_gate):
    # More than one point of accuracy lost against the baseline, beyond noise, fails.
    qbench_gate("perception.accuracy", margin=0.01)
