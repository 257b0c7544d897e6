"""Compute the items that a run must measure to be comparable with a baseline."""

from __future__ import annotations

from pytest_qbench.baseline.baseline import Baseline, as_results
from pytest_qbench.data import published
from pytest_qbench.data.sampling import select
from pytest_qbench.data.sharding import take_shard
from pytest_qbench.items import Dataset, Item
from pytest_qbench.metrics.fingerprint import Selection
from pytest_qbench.records import Key


def expected_keys(baseline: Baseline, selection: Selection | None) -> set[Key]:
    """Return task and id of each item of the baseline that a run with this selection must measure.

    `selection` is the selection in the run's fingerprint. Its datasets, split, limit, seed and shard select items from
    the baseline by the same rules as from the data. So an item that has disappeared from the data is still expected.

    A sample by uncertainty may have been drawn by another baseline, so nothing is expected of this one. All its
    items, and all of that baseline, were compared before they were drawn.
    """
    selection = selection or Selection()
    if selection.limit_by:
        return set()
    names = {published.canonical(name) for name in selection.datasets or ()}
    chosen: dict[tuple[str, str, str | None], list[Item]] = {}
    for item in as_results(baseline).expected.values():
        if (names and item.dataset not in names) or (selection.tasks and item.task not in selection.tasks):
            continue
        if item.split is not None and selection.split and item.split != selection.split:
            continue
        chosen.setdefault((item.task, item.dataset, item.split), []).append(item)
    datasets = [
        Dataset(name, items[0].task, split, tuple(items), baseline.name) for (_, name, split), items in chosen.items()
    ]
    datasets = select(datasets, limit=selection.limit, seed=selection.seed or 0)
    if selection.shard:
        datasets = take_shard(datasets, *selection.shard)
    return {(item.task, item.id) for dataset in datasets for item in dataset.items}
