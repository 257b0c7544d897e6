"""The stored records and metrics of an accepted model: a folder that a reviewer reads as a diff.

``NAME/baseline.yaml`` holds metrics, fingerprint and date; beside it ``TASK.DATASET[.SPLIT].jsonl`` has one line an
item, sorted by id, so that a diff of two baselines shows which items flipped.
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.metrics import Metric
from pytest_qbench.records import SCHEMA, Record
from pytest_qbench.results import Results

FILE = "baseline.yaml"


@dataclass(frozen=True)
class Baseline:
    """A baseline as read: records and item digests by (task, item id)."""

    name: str
    path: Path
    recorded: str
    fingerprint: Mapping[str, Any]
    metrics: tuple[Metric, ...]
    records: Mapping[tuple[str, str], Record]
    digests: Mapping[tuple[str, str], str]

    def value(self, name: str, dataset: str | None, slice_: str | None) -> float | None:
        """Return a stored metric, or None."""
        for m in self.metrics:
            if (m.name, m.dataset, m.slice) == (name, dataset, slice_):
                return m.value
        return None


def packaged_dir() -> Path:
    """Folder of the baselines that come with the package (in a source checkout: of the repository)."""
    package = Path(__file__).parent
    inside = package / "baselines"
    return inside if inside.is_dir() else package.parent / "baselines"


def find_baseline(folder: Path, name: str) -> Path | None:
    """Return the folder of a baseline: the user's, else the packaged one; None when there is none."""
    for place in (folder / name, packaged_dir() / name):
        if place.is_dir():
            return place
    return None


def read_baseline(path: Path) -> Baseline:
    """Read a baseline folder; raises `UsageError` naming file and line when anything in it is not whole."""
    import yaml

    try:
        head = yaml.safe_load((path / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise UsageError(f"{path}: has no {FILE}: not a baseline") from e
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise UsageError(f"{path / FILE}: cannot be read: {str(e).splitlines()[0]}") from e
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        schema = head.get("schema") if isinstance(head, dict) else None
        raise UsageError(f"{path / FILE}: schema {schema!r} is not {SCHEMA}; record the baseline anew")
    records: dict[tuple[str, str], Record] = {}
    digests: dict[tuple[str, str], str] = {}
    try:
        metrics = tuple(Metric(**m) for m in head["metrics"])
        for entry in head["files"]:
            lines = (path / entry["file"]).read_text(encoding="utf-8").splitlines()
            if len(lines) != entry["items"]:
                raise UsageError(f"{path / entry['file']}: {len(lines)} of {entry['items']} items; restore the file")
            for number, line in enumerate(lines, 1):
                data = json.loads(line)
                digest = data.pop("digest")
                record = Record.from_dict({"schema": SCHEMA, **data}, f"{path / entry['file']}:{number}")
                records[record.task, record.item] = record
                digests[record.task, record.item] = digest
        return Baseline(path.name, path, head["recorded"], head["fingerprint"], metrics, records, digests)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(f"{path}: not a whole baseline: {type(e).__name__}: {e}; restore or record it anew") from e


def changes(old: Baseline | str, new: Results) -> list[str]:
    """Say what recording `new` over `old` changes: metrics that differ, and how many items came out otherwise."""
    if isinstance(old, str):
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
    lines.append(f"{len(new.records) - same} of {len(new.records)} items came out otherwise or are new")
    return lines


def write_baseline(folder: Path, name: str, results: Results, now: datetime | None = None) -> Path:
    """Write (or replace) a baseline in one step: a reader sees the old folder or the new one, never a mixture."""
    target = folder / name
    work: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder))
        _write_files(work, name, results, now or datetime.now(UTC))
        if target.exists() and not target.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is not a folder")
        old = work.with_name(work.name + ".old")
        if target.exists():
            target.rename(old)
        work.replace(target)
        if old.is_dir():
            shutil.rmtree(old)
    except OSError as e:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        raise UsageError(f"--qbench-baseline-dir={folder}: {name} cannot be written: {e.strerror}") from e
    return target


def _write_files(work: Path, name: str, results: Results, now: datetime) -> None:
    import yaml

    work.chmod(0o755)
    files = []
    by_file: dict[str, list[Record]] = {}
    for record in results.records:
        parts = (record.task, record.dataset, record.split)
        by_file.setdefault(".".join(p for p in parts if p) + ".jsonl", []).append(record)
    for file, records in sorted(by_file.items()):
        lines = [_line(r, results.expected[r.task, r.item].digest()) for r in sorted(records, key=lambda r: r.item)]
        (work / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        files.append({"file": file, "items": len(lines)})
    head = {
        "schema": SCHEMA,
        "name": name,
        "recorded": now.isoformat(timespec="seconds"),
        "files": files,
        "metrics": [_metric_line(m) for m in results.metrics],
        "fingerprint": dict(results.fingerprint),
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    (work / FILE).write_text(text, encoding="utf-8")


def _line(record: Record, digest: str) -> str:
    data = {k: v for k, v in asdict(record).items() if v is not None or k == "split"}
    return json.dumps({**data, "digest": digest}, ensure_ascii=False, allow_nan=False)


def _metric_line(m: Metric) -> dict[str, Any]:
    kept = {"name": m.name, "dataset": m.dataset, "split": m.split, "slice": m.slice, "value": m.value, "n": m.n}
    return {k: v for k, v in kept.items() if v is not None or k in ("dataset", "split", "slice", "value")}
