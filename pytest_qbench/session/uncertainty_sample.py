"""--qbench-limit-by=uncertainty: draw the questions by how uncertain the baseline's answers to them are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_qbench.baseline.align import align
from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.expectation import expected_keys
from pytest_qbench.data.unequal_sampling import draw
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Dataset, Item
from pytest_qbench.metrics.fingerprint import Selection
from pytest_qbench.metrics.uncertainty import uncertainty
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.records import Key
from pytest_qbench.session.baseline_lookup import look_up
from pytest_qbench.session.settings import Settings

OPTION = "--qbench-limit-by=uncertainty"


def sample_by_uncertainty(datasets: Sequence[Dataset], settings: Settings, spec: ModelSpec | None) -> list[Dataset]:
    """Return the datasets with at most --qbench-limit items each, drawn by the uncertainty of the baseline's answers.

    Raises `UsageError` without a baseline that tells the uncertainty of each of their items, and for other tasks.
    """
    assert settings.limit is not None, "the settings have checked it"
    if other := sorted({dataset.task for dataset in datasets} - {"perception"}):
        raise UsageError(f"{OPTION} draws questions, not {' or '.join(other)}: add --qbench-tasks=perception")
    items: dict[Key, Item] = {(item.task, item.id): item for dataset in datasets for item in dataset.items}
    baseline = _baseline(settings, spec, items)
    whole = Selection(settings.datasets, ("perception",), settings.split)
    if missing := sorted(item for _, item in expected_keys(baseline, whole) - items.keys()):
        raise UsageError(
            f"{OPTION}: {len(missing)} questions of baseline {baseline.name} are not in the data "
            f"(first: {missing[0]}): "
            "restore them, or record the baseline again"
        )
    sizes: dict[str, float] = {}
    for key, item in items.items():
        record = baseline.records.get(key)
        if record is None or baseline.digests[key] != item.digest():
            raise UsageError(
                f"{OPTION}: {item.id} is not in baseline {baseline.name}, or has another text there: record the "
                "baseline again with all items"
            )
        size = uncertainty(record)
        if size is None:
            raise UsageError(
                f"{OPTION}: baseline {baseline.name} does not tell how uncertain the answer to {item.id} is: record it "
                "again with --qbench-answer=likelihood or --qbench-repeats=5"
            )
        sizes[item.id] = size
    return [draw(dataset, sizes, settings.limit, settings.seed) if dataset.items else dataset for dataset in datasets]


def _baseline(settings: Settings, spec: ModelSpec | None, items: Mapping[Key, Item]) -> Baseline:
    if spec is None and not settings.baseline:
        raise UsageError(f"{OPTION}: with a project's own model, name the baseline with --qbench-baseline=NAME")
    found = look_up(settings, spec.name if spec else "", lambda: items).baseline
    if isinstance(found, MissingBaseline):
        raise UsageError(f"{OPTION} draws by a baseline: {found.reason}; record one without it, with all items")
    return align(found, items)
