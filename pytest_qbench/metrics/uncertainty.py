"""How uncertain a recorded answer is: the spread of right and wrong that another run would show."""

from __future__ import annotations

import math

from pytest_qbench.metrics.probabilities import confidence
from pytest_qbench.records import Record


def uncertainty(record: Record) -> float | None:
    """Return the standard deviation of right/wrong, sqrt(p (1 - p)), in [0, 0.5]; None if nothing tells it.

    p is the probability of the right answer: of an item that was asked several times (k + 1/2) / (K + 1) for k right
    answers of K, else that of the option likelihoods.
    """
    if record.status == "error":
        return None
    if record.repeats is not None:
        right = sum(one.status == "correct" for one in record.repeats)
        probability: float | None = (right + 0.5) / (len(record.repeats) + 1)
    else:
        probability = confidence(record)
    return None if probability is None else math.sqrt(probability * (1 - probability))
