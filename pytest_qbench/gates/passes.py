"""Compare items that were asked several times: their outcomes by pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.metrics.specs import SPECS
from pytest_qbench.records import Record
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.paired_repeats import paired_repeats

Pairs = Sequence[tuple[Record, Record]]


def have_repeats(pairs: Pairs) -> bool:
    """Return whether an item of either run was asked several times."""
    return any(record.repeats is not None for pair in pairs for record in pair)


def paired_passes(name: str, pairs: Pairs, alpha: float, whole_groups_break: bool) -> Paired:
    """Run the paired test of a metric that is a mean over items, on the outcomes of all passes.

    Every item counts for `name`. Raises `InvalidError` where items of one run have different numbers of outcomes.
    """
    spec = SPECS[name]
    sides: tuple[list[list[float]], list[list[float]]] = ([], [])
    for pair in pairs:
        for record, side in zip(pair, sides, strict=True):
            values = spec.outcome_values(record)
            assert values is not None, "the caller checks it"
            side.append([1 - v for v in values] if spec.lower_is_better else values)
    for side in sides:
        _equal_count([len(values) for values in side], pairs)
    groups = [new.group for new, _ in pairs]
    return paired_repeats(*sides, groups, alpha, spec.least, spec.greatest, whole_groups_break)


def equal_passes(pairs: Pairs) -> list[tuple[Record, Record]]:
    """Return the pairs with the mean scores of equally many passes, the first ones of the longer run.

    The mean of more scores has less noise, and less noise alone gives a higher correlation.
    """
    fewest = min(_equal_count([len(record.outcomes) for record in side], pairs) for side in zip(*pairs, strict=True))
    return [(_first_passes(new, fewest), _first_passes(old, fewest)) for new, old in pairs]


def _equal_count(counts: Sequence[int], pairs: Pairs) -> int:
    """Return the number of passes of all items; raises `InvalidError` where they differ."""
    if len(set(counts)) > 1:
        raise InvalidError(
            f"{pairs[0][0].dataset}: items were asked {min(counts)} to {max(counts)} times in one run; ask every item "
            "equally often, or record the baseline again"
        )
    return counts[0]


def _first_passes(record: Record, count: int) -> Record:
    first = record.outcomes[:count]
    scores = [one.score for one in first if one.score is not None]
    return replace(record, score=fmean(scores) if len(scores) == count else None, repeats=first if count > 1 else None)


def are_identical(name: str, pairs: Pairs) -> bool:
    """Return whether each item has one and the same value and answer in all passes of both runs."""
    value_of = SPECS[name].item_value if SPECS[name].value_of else lambda record: record.score
    return all(len({(value_of(one), one.choice) for record in pair for one in record.outcomes}) == 1 for pair in pairs)


def discordance(name: str, pairs: Pairs) -> float:
    """Return the probability that one outcome of the candidate differs from one of the baseline, mean over items."""
    value_of = SPECS[name].item_value
    changed = [fmean(value_of(a) != value_of(b) for a in new.outcomes for b in old.outcomes) for new, old in pairs]
    return fmean(changed, [new.weight for new, _ in pairs])
