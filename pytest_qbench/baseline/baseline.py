"""`Baseline`, the records, metrics and fingerprint of an accepted model, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_qbench.baseline.lineage import Lineage
from pytest_qbench.data.identity import Identity, identity_of, picture
from pytest_qbench.items import TASKS, Item
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.noise_floor import NoiseFloor
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record


@dataclass(frozen=True, slots=True)
class MissingBaseline:
    """A missing baseline. `reason` explains why it is missing and how to record one.

    `is_broken` says that a folder of this name exists, but is damaged.
    """

    reason: str
    is_broken: bool = False


@dataclass(frozen=True)
class Baseline:
    """A stored baseline. Records, item digests and item identities are stored by (task, item id).

    `noise` is the noise floor of drift (see `drift.py`), None if it could not be measured. `align` fills `matched`,
    the number of matched items of a run by rule, and `ambiguous`, the reason for each item without a unique match.
    `digest` is the SHA-256 of `baseline.yaml`, None for a run that serves as a baseline. `lineage` is the chain of
    baselines that this one has replaced.
    """

    name: str
    path: Path
    recorded: str
    fingerprint: Fingerprint
    metrics: tuple[Metric, ...]
    records: Mapping[tuple[str, str], Record]
    digests: Mapping[tuple[str, str], str]
    noise: NoiseFloor | None = None
    identities: Mapping[tuple[str, str], Identity] = field(default_factory=dict)
    matched: Mapping[str, int] = field(default_factory=dict)
    ambiguous: Mapping[tuple[str, str], str] = field(default_factory=dict)
    digest: str | None = None
    lineage: Lineage = field(default_factory=Lineage)

    def value(self, name: str, dataset: str | None, slice_: str | None) -> float | None:
        """Return the value of a stored metric, or None."""
        for m in self.metrics:
            if (m.name, m.dataset, m.slice) == (name, dataset, slice_):
                return m.value
        return None


def shows_another_picture(record: Record, baseline: Baseline) -> bool:
    """Return whether a record and the baseline's record of the same item have different images, as far as known."""
    if record.picture is None:
        return False
    key = record.task, record.item
    old = baseline.records[key].picture or picture(baseline.identities[key]) if key in baseline.identities else None
    return old is not None and record.picture != old


def changes(old: Baseline | MissingBaseline, new: Results) -> list[str]:
    """Return the lines about a new baseline: each metric that differs from `old`, and the number of changed items."""
    if isinstance(old, MissingBaseline):
        return []
    lines = []
    for m in new.metrics:
        before = old.value(m.name, m.dataset, m.slice)
        if m.slice is None and before != m.value:
            values = [("none" if v is None else f"{v:.4f}") for v in (before, m.value)]
            lines.append(f"{m.name} {m.dataset or 'mean of datasets'}: {values[0]} -> {values[1]}")
    for m in old.metrics:
        if m.slice is None and not any((n.name, n.dataset, n.slice) == (m.name, m.dataset, None) for n in new.metrics):
            lines.append(f"{m.name} {m.dataset or 'mean of datasets'}: no longer measured")
    same = sum(
        (o := old.records.get((r.task, r.item))) is not None
        and (o.status, o.choice, o.score) == (r.status, r.choice, r.score)
        for r in new.records
    )
    lines.append(f"{len(new.records) - same} of {len(new.records)} items changed or are new")
    return lines


@dataclass(frozen=True, slots=True)
class StoredItem(Item):
    """An item of a baseline, which stores its digest and identity instead of its texts."""

    stored: str = ""
    identity: Identity | None = None

    def digest(self) -> str:
        """Return the stored digest."""
        return self.stored


def as_results(baseline: Baseline) -> Results:
    """Return a baseline as the results of a run, to compare it with another baseline."""
    records = list(baseline.records.values())
    items: dict[tuple[str, str], Item] = {
        (r.task, r.item): StoredItem(
            r.item, r.task, r.dataset, r.split, r.group, (), slices=r.slices,
            answer=r.target if isinstance(r.target, str) else None,
            target=r.target if isinstance(r.target, float) else None, stored=baseline.digests[r.task, r.item],
            identity=baseline.identities.get((r.task, r.item)),
        )
        for r in records
    }  # fmt: skip
    absent = frozenset(TASKS) - {task for task, _ in items}
    return Results(records, items, baseline.fingerprint, absent=absent, is_narrowed=baseline.fingerprint.is_narrowed)


def as_baseline(path: Path, results: Results) -> Baseline:
    """Return a finished run as a baseline, to compare another run with it."""
    records: dict[tuple[str, str], Record] = {(r.task, r.item): r for r in results.records}
    identities = {key: identity_of(item) for key, item in results.expected.items()}
    metrics, digests = tuple(results.metrics), results.digests
    return Baseline(path.name, path, "", results.fingerprint, metrics, records, digests, identities=identities)
