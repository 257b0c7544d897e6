"""Check the baseline before the first item is measured: its name, seal, conditions and items."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_qbench.baseline.align import align
from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.expectation import expected_keys
from pytest_qbench.baseline.store import find_baseline, names_of_baselines, read_fingerprint
from pytest_qbench.errors import UsageError
from pytest_qbench.items import TASKS, Item
from pytest_qbench.metrics.fingerprint import COMPARABLE, Fingerprint, differences
from pytest_qbench.metrics.prompt_fingerprint import are_changed_by_project
from pytest_qbench.records import Key
from pytest_qbench.session.baseline_lookup import data_name
from pytest_qbench.session.fingerprint import run_fingerprint

if TYPE_CHECKING:
    from pytest_qbench.session.run import Run

_JUDGE_CONDITIONS = frozenset({"judge", "judge_rounds", "unparsed", "marking"})
_REMEDIES = "name another baseline with --qbench-baseline, add --qbench-no-gates, or record the baseline again"


class Conditions(NamedTuple):
    """The name of a baseline and its fingerprint."""

    name: str
    fingerprint: Fingerprint


def check_stored(run: Run) -> None:
    """Raise `UsageError` if the baseline that the user names does not exist, or if the baseline is damaged.

    Nothing is checked in a run that records a baseline, which replaces the old one. In a run without gates, a damaged
    baseline is allowed.
    """
    settings = run.request.settings
    if settings.update_baseline or not run.knows_baseline_name:
        return
    if isinstance(stored := run.stored_baseline, Baseline):
        anchor = run.stored_anchor
        if isinstance(anchor, MissingBaseline) and not run.gating.not_gated:
            raise UsageError(anchor.reason)
        return
    if stored.is_broken and not run.gating.not_gated:
        raise UsageError(stored.reason)
    if settings.baseline and not stored.is_broken:
        known = ", ".join(names_of_baselines(settings.baseline_dir, settings.baseline_store)) or "none"
        raise UsageError(
            f"--qbench-baseline={settings.baseline}: not in {settings.baseline_dir.name}/ (baselines: {known}); "
            "correct the name, or record it with --qbench-update-baseline"
        )


def check_conditions(run: Run, tasks: Iterable[str]) -> None:
    """Raise `UsageError` if a known condition differs from the baseline, so that gates of these tasks cannot compare.

    Before the model is loaded, some conditions are unknown: those of recorded outputs, and the scoring of an endpoint.
    """
    made_with, spec = run.recorder.made_with, run.request.spec
    is_loaded, is_worker = made_with.model is not None, run.recorder.role.is_worker
    if not is_loaded and spec is not None and spec.kind == "replay":
        return
    baseline: Conditions | Baseline | None = (
        _deciding_baseline(run) if is_loaded or not is_worker else _conditions_of_worker(run)
    )
    if baseline is None:
        return
    unknown = set(_JUDGE_CONDITIONS) if made_with.judge is None else set()
    if not is_loaded and (spec is None or spec.is_served):
        unknown.add("scoring")
    if run.request.has_project_model or are_changed_by_project(baseline.fingerprint.prompts):
        unknown.add("prompts")  # how the project changes them is known when they were asked
    without: dict[str, Any] = dict.fromkeys(unknown)
    old, new = (replace(each, **without) for each in (baseline.fingerprint, run_fingerprint(run.request, made_with)))
    in_data = {dataset.task for dataset in run.request.datasets}  # gates of other tasks have nothing to compare
    for task in (task for task in TASKS if task in set(tasks) & COMPARABLE.keys() & in_data):
        if differ := differences(task, old, new):
            raise UsageError(
                f"baseline {baseline.name}: {task} could not be judged, this run differs from it in: "
                f"{'; '.join(differ)}; {_with_options(differ, baseline.fingerprint)}{_REMEDIES}"
            )


def _with_options(differ: Sequence[str], old: Fingerprint) -> str:
    """Return the advice to measure as the baseline did, with its answer mode where that differs."""
    if old.answer and any(each.startswith("answer: ") for each in differ):
        return f"measure with --qbench-answer={old.answer} and the other options of the baseline, "
    return "measure with the options of the baseline, "


def _conditions_of_worker(run: Run) -> Conditions | None:
    """Return the conditions of the baseline from its head, so that not every worker reads all records."""
    settings, spec = run.request.settings, run.request.spec
    name = settings.baseline or (spec.name if spec else None)
    if name is None or run.gating.not_gated or settings.update_baseline:
        return None
    own = f"{name}@{data_name(settings.data)}"
    names = (name, own) if settings.baseline else (own, name)
    found = (find_baseline(settings.baseline_dir, each, settings.baseline_store) for each in names)
    path = next((each for each in found if each is not None), None)
    fingerprint = read_fingerprint(path) if path is not None else None
    if fingerprint is None or (fingerprint.data != settings.data and not settings.baseline):
        return None  # the data may differ: the controller decides, which reads all records
    return Conditions(name, fingerprint)


def foreign_items(run: Run, whole: Collection[str]) -> str | None:
    """Return a message about items that differ between the data and the baseline, or None.

    `whole` are the tasks with a gate over all datasets. Each of their items must be in the baseline.
    """
    if (stored := _deciding_baseline(run)) is None:
        return None
    data = run.request.settings.data
    expected = run.request.all_items
    # Only a process that collects tests knows the tasks of the suites. A controller compares all items of the data.
    knows_tasks = set(run.request.tasks) == {task for task, _ in expected}
    aligned = run.baseline if knows_tasks else None
    baseline = aligned if isinstance(aligned, Baseline) else align(stored, expected)
    wanted = expected_keys(baseline, run.request.selection)
    for task in TASKS:
        own = {key: item for key, item in expected.items() if key[0] == task}
        if gone := sorted(id_ for t, id_ in wanted if t == task and (t, id_) not in own):
            return (
                f"{len(gone)} {task} items of baseline {baseline.name} are not in --qbench-data={data} "
                f"(first: {gone[0]}); {_REMEDIES}"
            )
        is_same = baseline.matched == {"id": len(expected)}  # the usual case: same ids and texts
        if task in whole and not is_same and (reason := _describe_differences(baseline, own)):
            return f"{reason}; {_REMEDIES}"
    return None


def _describe_differences(baseline: Baseline, items: Mapping[Key, Item]) -> str | None:
    """Return a message about items that the baseline lacks or contains with another content, or None."""
    if all(item.task == "perception" and item.answer is None for item in items.values()):
        return None  # hidden answers cannot be compared
    if unclear := [key for key in items if key in baseline.ambiguous]:
        return (
            f"{len(unclear)} items cannot be told apart in baseline {baseline.name} "
            f"(first: {baseline.ambiguous[unclear[0]]})"
        )
    unknown = [item for key, item in items.items() if key not in baseline.records]
    changed = [
        item for key, item in items.items() if key in baseline.digests and baseline.digests[key] != item.digest()
    ]
    for found, what in ((unknown, "are not in"), (changed, "have another text, key or reference in")):
        if found:
            first = f"(first: {found[0].id})"
            return f"{len(found)} of {len(items)} {found[0].task} items {what} baseline {baseline.name} {first}"
    return None


def _deciding_baseline(run: Run) -> Baseline | None:
    """Return the baseline, or None if no gate of this run decides by it."""
    if run.gating.not_gated or run.request.settings.update_baseline or not run.knows_baseline_name:
        return None
    return None if isinstance(run.stored_baseline, MissingBaseline) else run.stored_baseline
