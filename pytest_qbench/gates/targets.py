"""The datasets and slices that a gate judges, and the check that their items were measured completely."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline, StoredItem
from pytest_qbench.baseline.expectation import expected_keys
from pytest_qbench.metrics.compute import unscored_records
from pytest_qbench.metrics.results import Results, has_status, share
from pytest_qbench.metrics.specs import CORRELATIONS, task_of
from pytest_qbench.prompts import token_option
from pytest_qbench.scoring.score import explain_unparsed


class InvalidError(Exception):
    """A gate that cannot be judged; the message gives the reason."""


class NothingError(InvalidError):
    """A gate without anything to judge."""


class IncomparableError(InvalidError):
    """A gate without a baseline of the same questions under the same conditions."""


class Target(NamedTuple):
    """A target of a gate: one dataset, or one slice of it."""

    dataset: str
    slice: str | None

    def __str__(self) -> str:
        return f"{self.dataset} {self.slice}" if self.slice else self.dataset


def find_targets(
    name: str, dataset: str | None, slice_: str | None, results: Results, baseline: Baseline | MissingBaseline
) -> list[Target]:
    """Return the datasets and slices of a gate, in the order of the data; `dataset` and `slice_` may be patterns.

    Raises `InvalidError` where nothing matches and `NothingError` where there is nothing to judge at all.
    """
    task = task_of(name)
    present = results.datasets(task)
    if not present:
        if task not in results.absent:
            raise InvalidError(f"{task} was not measured: no suite asked for it")
        wanted = (
            set() if isinstance(baseline, MissingBaseline) else expected_keys(baseline, results.fingerprint.selection)
        )
        if dataset is None and not any(t == task for t, _ in wanted):
            raise NothingError(f"{task} was not measured: no such items were selected")
        raise InvalidError(f"{task} was not measured: the baseline has it, but the data has no such items")
    chosen = present if dataset is None else _matching(dataset, present)
    if not chosen:
        raise InvalidError(f"{dataset} was not measured; {task} has {', '.join(present)}")
    items = [item for (t, _), item in results.expected.items() if t == task and item.dataset in chosen]
    if name in ("perception.accuracy", "perception.confidence") and all(item.answer is None for item in items):
        raise NothingError("the answers of this split are hidden: nothing can be gated")
    if task == "description" and not any(item.golden or isinstance(item, StoredItem) for item in items):
        stored = set() if isinstance(baseline, MissingBaseline) else {r.dataset for r in baseline.records.values()}
        if stored.intersection(chosen):
            raise InvalidError("this data has no golden texts, but the baseline was judged; bring them, or record anew")
        raise NothingError("this data has no golden texts: nothing can be gated")
    if slice_ is None:
        return [Target(each, None) for each in chosen]
    # The mean of the halves and the correlation over both are rows of the summary, not slices of items.
    if name in CORRELATIONS and slice_ in ("half=mean", "half=together"):
        raise InvalidError(f"{slice_} is no slice of items: gate the dataset, or one half")
    found = []
    for each in chosen:
        slices = dict.fromkeys(f"{k}={v}" for item in items if item.dataset == each for k, v in item.slices.items())
        found += [Target(each, one) for one in _matching(slice_, sorted(slices))]
    if not found:
        known = dict.fromkeys(f"{k}={v}" for item in items for k, v in item.slices.items())
        raise InvalidError(f"no item in slice {slice_}; {', '.join(chosen)} has {', '.join(sorted(known)) or 'none'}")
    return found


def gated_tasks(results: Results) -> set[str]:
    """Return the tasks of a run that a gate can judge: those with items; for perception with public answers."""
    return {t for (t, _), item in results.expected.items() if t != "perception" or item.answer is not None}


def check_complete(
    name: str, dataset: str, results: Results, max_errors: float, max_unparsed: float, max_cut: float
) -> None:
    """Raise `InvalidError` for missing items, too many errors, unparsed or cut replies, and items without a value."""
    task = task_of(name)
    total = sum(1 for (t, _), item in results.expected.items() if t == task and item.dataset == dataset)
    if missing := results.missing(task, dataset):
        raise InvalidError(f"{dataset}: {len(missing)} of {total} items were not measured (first: {missing[0]})")
    records = results.of(name, dataset)
    for status, limit in (("error", max_errors), ("unparsed", max_unparsed), ("cut", max_cut)):
        found = [one for r in records for one in r.outcomes if has_status(one, status)]
        if share(records, status) > limit:
            first = f"{found[0].item}: {found[0].error or repr((found[0].response or '')[:60])}"
            asked = sum(len(r.outcomes) for r in records)
            counted = f"{total} items" if asked == len(records) else f"{asked} answers"
            text = f"{dataset}: {len(found)} of {counted} {status}, above {limit:.1%} (first: {first})"
            if status == "cut":
                text += f"; raise {token_option(task)}"
            if status == "unparsed":
                text += f"; {explain_unparsed(found[0])}"
            raise InvalidError(text)
    control = results.fingerprint.judge_control
    if task == "description" and control and control.failed:
        raise InvalidError(f"the judge failed its control set: {control.failed}")
    if empty := unscored_records(records):
        first = f"{empty[0].item}: {empty[0].error}" if empty[0].error else empty[0].item
        raise InvalidError(
            f"{dataset}: {len(empty)} of {total} items have no readable verdict or score (first: {first})"
        )


def matches(name: str, pattern: str | None) -> bool:
    """Whether a dataset or slice has this name or matches this pattern; None matches every one."""
    return pattern is None or name == pattern or fnmatchcase(name, pattern)


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that match; a name that equals the pattern is the only match, so brackets in it are literal."""
    found = list(names)
    return [name for name in found if matches(name, pattern)] if pattern not in found else [pattern]
