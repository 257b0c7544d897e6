"""Convert recorded log-probabilities to probabilities, always at temperature 1. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_qbench.records import Record
from pytest_qbench.scoring.quality import even_levels


def probabilities(logprobs: Mapping[str, float]) -> dict[str, float]:
    """Return the softmax over log-probabilities, which sums to 1. Raises `ValueError` for an empty mapping."""
    import numpy as np  # a run that only collects needs none

    if not logprobs:
        raise ValueError("no log-probabilities")
    values = np.array(list(logprobs.values()), dtype=np.float64)
    weights = np.exp(values - values.max())
    return dict(zip(logprobs, (weights / weights.sum()).tolist(), strict=True))


def confidence(record: Record) -> float | None:
    """Return the probability of the correct option, in [0, 1]. None without likelihoods or a known answer."""
    if record.logprobs is None or not isinstance(record.target, str) or record.target not in record.logprobs:
        return None
    return probabilities(record.logprobs)[record.target]


def option_margin(record: Record) -> float | None:
    """Return the log-probability of the correct option minus that of the likeliest wrong one. None if not recorded."""
    if record.logprobs is None or not isinstance(record.target, str) or record.target not in record.logprobs:
        return None
    wrong = [value for option, value in record.logprobs.items() if option != record.target]
    return record.logprobs[record.target] - max(wrong) if wrong else None


def _compared_probabilities(record: Record, words: Sequence[str]) -> dict[str, float] | None:
    """Return the probability of each option, or for an assessment the expected worth of the quality `words`.

    With two words that is the probability of the first. None if the log-probabilities were not recorded.
    """
    if record.logprobs is None or record.status == "error":
        return None
    if record.task == "perception":
        return probabilities(record.logprobs)
    if any(word not in record.logprobs for word in words):
        return None
    shares, worth = probabilities({word: record.logprobs[word] for word in words}), even_levels(words)
    return {words[0]: sum(worth[word] * shares[word] for word in words)}


def change(new: Record, old: Record, words: Sequence[str]) -> float | None:
    """Return the mean absolute change of the options' probabilities, or of the quality score, in [0, 1].

    `words` are the two quality words. None if the probabilities of either record are unknown.
    """
    a, b = _compared_probabilities(new, words), _compared_probabilities(old, words)
    if a is None or b is None or a.keys() != b.keys():
        return None
    return sum(abs(a[key] - b[key]) for key in a) / len(a)
