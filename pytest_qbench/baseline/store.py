"""Read and write baseline folders, whose files are readable as a diff.

``NAME/baseline.yaml`` holds metrics, fingerprint and date. ``TASK.DATASET[.SPLIT].jsonl`` has one line per item, sorted
by id, so that a diff of two baselines shows the flipped items. A seal (a hash over the whole content) reveals a folder
that was edited by hand or mixed from two. ``NAME/anchor`` is a whole baseline, an earlier one of this name. Readers and
writers lock the folder of baselines; the kernel releases the lock when the process ends. After a killed update, the
next access completes or undoes the update.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_qbench import packaged
from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.baseline.chain import ANCHOR, carry_on
from pytest_qbench.baseline.lineage import Lineage, Note
from pytest_qbench.baseline.mirror import POINTER, copy_of_current, local_copy, push, read_pointer
from pytest_qbench.baseline.remote import HEAD, RemoteStore
from pytest_qbench.data.identity import Identity, identity_from, stored_form
from pytest_qbench.errors import UsageError
from pytest_qbench.items import TASKS, Item
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metrics import METRIC, Metric
from pytest_qbench.metrics.noise_floor import NoiseFloor
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import SCHEMA, Record
from pytest_qbench.untrusted.files import LARGE, error_text, read_bytes, read_text, write_text
from pytest_qbench.untrusted.locks import lock
from pytest_qbench.untrusted.parsing import parse_json, read_yaml
from pytest_qbench.untrusted.shape import check_shape

FILE = HEAD

_REMEDY = "restore it from version control, or record it again with --qbench-update-baseline"


def find_baseline(folder: Path, name: str, store: RemoteStore | None = None) -> Path | None:
    """Return the folder of a baseline: the user's, a copy of that in the store, the packaged one, else None.

    The folder comes first, because what is in git was reviewed. Raises `UsageError` if an interrupted update cannot be
    undone.
    """
    if (folder / _aside(name)).is_dir():
        with _locked(folder):
            _recover(folder, name)
    if (folder / name).is_dir():
        return folder / name
    if store is not None and (copy := copy_of_current(store, name, folder)) is not None:
        return copy
    found = packaged("baselines") / name
    return found if found.is_dir() else None


def names_of_baselines(folder: Path, store: RemoteStore | None = None) -> list[str]:
    """Return the names of the baselines in a folder, in the store and of the packaged ones, sorted."""
    places = (folder, packaged("baselines"))
    names = {path.parent.name for place in places for path in place.glob(f"*/{FILE}") if path.parent.name[0] != "."}
    return sorted(names.union(store.names() if store else ()))


def read_baseline(path: Path) -> Baseline:
    """Read a baseline folder. Raises `UsageError`, which names file and line, if any part of it is damaged."""
    if not path.is_dir():
        raise UsageError(f"{path}: no such baseline")
    with _locked(path.parent, shared=True):
        copy = local_copy(path)
        return _read(path) if copy == path else replace(_read(copy), path=path)


def read_anchor(baseline: Baseline) -> Baseline:
    """Return the anchor of a baseline, which may be the baseline itself. Raises `UsageError` if it is not the one."""
    with _locked(baseline.path.parent, shared=True):
        return _read_anchor(baseline)


def _read_anchor(baseline: Baseline) -> Baseline:
    if baseline.lineage.anchor is None:
        return baseline
    recorded, digest = baseline.lineage.anchor
    path = local_copy(baseline.path) / ANCHOR
    if not (path / FILE).is_file():
        raise UsageError(f"{path}: the anchor of {recorded} is not here; {_REMEDY}")
    found = _read(path)
    if found.digest != digest:
        raise UsageError(f"{path}: is not the anchor of {recorded}; {_REMEDY}")
    return found


def read_fingerprint(path: Path) -> Fingerprint:
    """Return the conditions of a baseline from its head, without reading its records."""
    with _locked(path.parent, shared=True):
        head = _read_head(path)
    try:
        return Fingerprint.from_json(head["fingerprint"])
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(f"{path}: not a whole baseline: {type(e).__name__}: {e}; {_REMEDY}") from e


def head_digest(path: Path) -> str:
    """Return the SHA-256 of `baseline.yaml`, which contains a hash of every other file of the baseline."""
    return hashlib.sha256(read_bytes(path / FILE, LARGE)).hexdigest()


def _read_head(path: Path) -> dict[str, Any]:
    if not (path / FILE).exists():
        raise UsageError(f"{path}: has no {FILE}: not a baseline")
    head: Any = read_yaml(path / FILE, LARGE, remedy=_REMEDY)
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        schema = head.get("schema") if isinstance(head, dict) else None
        raise UsageError(f"{path / FILE}: schema {schema!r} is not {SCHEMA}; record the baseline again")
    return head


def _read(path: Path) -> Baseline:
    head = _read_head(path)
    records: dict[tuple[str, str], Record] = {}
    digests: dict[tuple[str, str], str] = {}
    identities: dict[tuple[str, str], Identity] = {}
    try:
        check_shape(head["metrics"], [METRIC], "metrics")
        metrics = tuple(Metric.from_json(m) for m in head["metrics"])
        for entry in head["files"]:
            text = read_text(path / entry["file"], LARGE, remedy=_REMEDY)
            lines = text.removesuffix("\n").split("\n")
            if len(lines) != entry["items"]:
                raise UsageError(f"{path / entry['file']}: {len(lines)} of {entry['items']} items; restore the file")
            if _hash(text) != entry["sha256"]:
                raise UsageError(f"{path / entry['file']}: was changed since it was recorded; {_REMEDY}")
            for number, line in enumerate(lines, 1):
                data = parse_json(line)
                digest, identity = data.pop("digest"), data.pop("identity", {})
                if "picture" in data:
                    identity = {**identity, "picture": data["picture"]}
                record = Record.from_dict({"schema": SCHEMA, **data}, f"{path / entry['file']}:{number}")
                records[record.task, record.item] = record
                digests[record.task, record.item] = digest
                identities[record.task, record.item] = identity_from(
                    identity, record.item, record.task, record.dataset, record.split
                )
        if seal(head) != head["seal"]:
            raise UsageError(f"{path / FILE}: was changed since it was recorded; {_REMEDY}")
        datetime.fromisoformat(head["recorded"])  # raises ValueError for other text
        noise = NoiseFloor.from_json(head["noise"]) if head["noise"] else None
        made = Fingerprint.from_json(head["fingerprint"])
        return Baseline(
            path.name, path, head["recorded"], made, metrics, records, digests, noise, identities,
            digest=head_digest(path), lineage=Lineage.from_head(head),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(f"{path}: not a whole baseline: {type(e).__name__}: {e}; {_REMEDY}") from e


def write_baseline(
    folder: Path,
    name: str,
    results: Results,
    noise: NoiseFloor | None = None,
    now: datetime | None = None,
    note: Note | None = None,
    store: RemoteStore | None = None,
) -> Path:
    """Write or replace a baseline atomically and return its folder. A reader sees the old folder or the new one.

    The old baseline becomes an ancestor of the new one. The first one of the chain stays as the anchor. With a `store`,
    or where the old folder points to one, the records go there.
    """
    target, work, old = folder / name, folder / f".{name}.new", folder / _aside(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _recover(folder, name)
            if target.is_symlink():
                raise OSError(errno.ELOOP, "is a link; put a folder in its place")
            if target.exists() and not target.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "is not a folder")
            shutil.rmtree(work, ignore_errors=True)  # left by a killed update
            work.mkdir()
            try:
                place = store or read_pointer(target)
                lineage = _lineage(_old_files(target, place), work, note or Note())
                _write_files(work, name, results, noise, now or datetime.now(UTC), lineage)
                if place is not None:
                    push(place, work, name)
                _keep_other_files(target, work)
                if target.exists():
                    target.rename(old)
                work.replace(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as e:
        raise UsageError(f"--qbench-baseline-dir={folder}: {name} cannot be written: {error_text(e)}") from e
    return target


def _old_files(target: Path, store: RemoteStore | None) -> Path:
    """Return a folder with all files of the baseline that an update replaces; `target` itself if there is none."""
    if not target.is_dir() and store is not None:
        return copy_of_current(store, target.name, target.parent) or target
    return local_copy(target)


def _lineage(old: Path, new: Path, note: Note) -> Lineage:
    """Return the lineage of the baseline that replaces `old`. A missing or damaged one begins a new chain."""
    try:
        head = _read_head(old)
        check_shape(head["metrics"], [METRIC], "metrics")
        Lineage.from_head(head)
    except (UsageError, ValueError, KeyError):
        return Lineage(note)
    if seal(head) != head.get("seal"):
        return Lineage(note)
    return carry_on(head, old, new, note, FILE)


def _keep_other_files(old: Path, new: Path) -> None:
    """Copy what people have added to the old folder (notes, a licence, a folder) into the new one."""
    for path in old.iterdir() if old.is_dir() else ():
        if _is_part(path.name) or (new / path.name).exists():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, new / path.name, symlinks=True)
        else:
            shutil.copy2(path, new / path.name, follow_symlinks=False)


def _is_part(name: str) -> bool:
    """Return whether a file of a baseline folder is one that this module writes."""
    return name in (FILE, ANCHOR, POINTER) or (name.endswith(".jsonl") and name.partition(".")[0] in TASKS)


def _aside(name: str) -> str:
    """Return the name of the folder to which an update moves the old baseline."""
    return f".{name}.old"


def _recover(folder: Path, name: str) -> None:
    """Undo an update that was killed between its two renames. Finish one that was killed after them."""
    old, target = folder / _aside(name), folder / name
    if not old.is_dir():
        return
    try:
        if target.exists():
            shutil.rmtree(old)
        else:
            old.rename(target)
    except OSError as e:
        raise UsageError(
            f"{old}: an interrupted update left the baseline here; rename it to {name} ({e.strerror})"
        ) from e


@contextmanager
def _locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Lock a folder inside this block. The kernel releases the lock when the process ends."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as e:
        raise UsageError(f"{folder}: cannot be opened: {e.strerror}") from e
    try:
        try:
            lock(handle, shared=shared)
        except OSError as e:
            raise UsageError(f"{folder}: cannot be locked: {e.strerror}; keep baselines on a local disk") from e
        yield
    finally:
        os.close(handle)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def seal(head: Mapping[str, Any]) -> str:
    """Return a hash of everything in `baseline.yaml` except the seal itself."""
    return _hash(json.dumps({k: v for k, v in head.items() if k != "seal"}, sort_keys=True, ensure_ascii=False))


def _write_files(
    work: Path, name: str, results: Results, noise: NoiseFloor | None, now: datetime, lineage: Lineage
) -> None:
    import yaml

    files = []
    by_file: dict[str, list[Record]] = {}
    for record in results.records:
        parts = (record.task, record.dataset, record.split)
        by_file.setdefault(".".join(p for p in parts if p) + ".jsonl", []).append(record)
    for file, records in sorted(by_file.items()):
        words = results.fingerprint.words
        lines = [_line(r, results.expected[r.task, r.item], words) for r in sorted(records, key=lambda r: r.item)]
        text = "\n".join(lines) + "\n"
        write_text(work / file, text, durable=True)
        files.append({"file": file, "items": len(lines), "sha256": _hash(text)})
    head = {
        "schema": SCHEMA,
        "name": name,
        "recorded": now.isoformat(timespec="seconds"),
        "files": files,
        "metrics": [_metric_line(m) for m in results.metrics],
        "noise": noise.to_json() if noise else None,
        "fingerprint": results.fingerprint.to_json(),
        **lineage.to_json(),
    }
    head = json.loads(json.dumps(head, allow_nan=False))  # the seal is a hash of the values as they are read back
    head["seal"] = seal(head)
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    write_text(work / FILE, text, durable=True)


def _line(record: Record, item: Item, words: Sequence[str]) -> str:
    """Return one line of a baseline, without the conditions hash: `baseline.yaml` contains the conditions.

    Of an assessment only the score's `words` are kept: comparisons need no others.
    """
    if record.task == "assessment" and record.logprobs:
        record = replace(
            _with_words(record, words),
            repeats=record.repeats and tuple(_with_words(one, words) for one in record.repeats),
        )
    data = {k: v for k, v in record.to_dict().items() if (v is not None or k == "split") and k != "conditions"}
    data["digest"] = item.digest()
    if identity := stored_form(item, has_picture=record.picture is not None):
        data["identity"] = identity
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _with_words(record: Record, words: Sequence[str]) -> Record:
    return replace(record, logprobs={word: v for word, v in (record.logprobs or {}).items() if word in words})


def _metric_line(m: Metric) -> dict[str, Any]:
    kept = {"name": m.name, "dataset": m.dataset, "split": m.split, "slice": m.slice, "value": m.value, "n": m.n}
    return {k: v for k, v in kept.items() if v is not None or k in ("dataset", "split", "slice", "value")}
