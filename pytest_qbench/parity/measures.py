"""The distances between two records of one item, and how large their mean may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pytest_qbench.items import Task
from pytest_qbench.metrics.probabilities import change
from pytest_qbench.metrics.specs import judged_mean
from pytest_qbench.records import Record

Distance = Callable[[Record, Record, Sequence[str]], float | None]
FACTOR = 2.0  # the margin in noise floors: two stacks in bfloat16 differ by up to sqrt(2) of what each differs by


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean distance over the items of a task.

    - `least` is the smallest margin: less is no change of practical weight.
    - `coarse` is the mean above which runs differ even if the noise floor is not known.
    - `is_rate`: the distance of an item is 0 or 1.
    - `distance` returns the distance of two records, given the quality words; None where it is not recorded.
    """

    name: str
    task: Task
    least: float
    coarse: float
    is_rate: bool
    distance: Distance


def _flipped(new: Record, old: Record, words: Sequence[str]) -> float:
    return float(_answer(new) != _answer(old))


def _answer(record: Record) -> tuple[str, str | None]:
    """Return the chosen option; of an unparsed reply its text."""
    if record.choice is not None:
        return "choice", record.choice
    return "text", (record.response or "").strip()


def _other_text(new: Record, old: Record, words: Sequence[str]) -> float | None:
    if new.response is None or old.response is None:
        return None
    return float(new.response.strip() != old.response.strip())


def _change_of_verdict(new: Record, old: Record, words: Sequence[str]) -> float | None:
    sums = judged_mean(new, "sum"), judged_mean(old, "sum")
    return None if sums[0] is None or sums[1] is None else abs(sums[0] - sums[1])


_TABLE = (
    Measure("perception.drift", "perception", 0.001, 0.05, False, change),
    Measure("perception.flips", "perception", 0.03, 0.1, True, _flipped),
    Measure("description.moves", "description", 0.18, 0.6, False, _change_of_verdict),
    Measure("description.texts", "description", 0.03, 0.5, True, _other_text),
    Measure("assessment.drift", "assessment", 0.001, 0.05, False, change),
)
MEASURES: Mapping[str, Measure] = MappingProxyType({measure.name: measure for measure in _TABLE})


def measures_of(task: Task, pairs: Sequence[tuple[Record, Record]], words: Sequence[str]) -> list[Measure]:
    """Return the measures that decide on the records of a task.

    A drift needs probabilities on both sides, so answers by text have flips alone. Texts are compared word for word
    only where no judge graded them: two texts that differ in a word may be equally good.
    """
    own = [measure for measure in _TABLE if measure.task == task]
    known = [m for m in own if any(m.distance(new, old, words) is not None for new, old in pairs)]
    names = {measure.name for measure in known}
    return [m for m in known if m.name != "description.texts" or "description.moves" not in names]
