"""Find, read and replace baselines as wholes.

``NAME/anchor`` is a whole baseline, an earlier one of this name. Readers and writers lock the folder of baselines; the
kernel releases the lock when the process ends. After a killed update, the next access completes or undoes the update.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pytest_qbench import packaged
from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.baseline.chain import ANCHOR, carry_on
from pytest_qbench.baseline.folder_files import FILE, REMEDY, read_files, read_head, seal, write_files
from pytest_qbench.baseline.lineage import Lineage, Note
from pytest_qbench.baseline.mirror import POINTER, copy_of_current, local_copy, push, read_pointer
from pytest_qbench.baseline.remote import RemoteStore
from pytest_qbench.errors import UsageError
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metric import METRIC
from pytest_qbench.metrics.noise_floor import NoiseFloor
from pytest_qbench.metrics.results import Results
from pytest_qbench.untrusted.files import error_text
from pytest_qbench.untrusted.locks import lock
from pytest_qbench.untrusted.shape import check_shape


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
        return read_files(path) if copy == path else replace(read_files(copy), path=path)


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
        raise UsageError(f"{path}: the anchor of {recorded} is not here; {REMEDY}")
    found = read_files(path)
    if found.digest != digest:
        raise UsageError(f"{path}: is not the anchor of {recorded}; {REMEDY}")
    return found


def read_fingerprint(path: Path) -> Fingerprint:
    """Return the conditions of a baseline from its head, without reading its records."""
    with _locked(path.parent, shared=True):
        head = read_head(path)
    try:
        return Fingerprint.from_json(head["fingerprint"])
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(f"{path}: not a whole baseline: {type(e).__name__}: {e}; {REMEDY}") from e


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
                write_files(work, name, results, noise, now or datetime.now(UTC), lineage)
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
        head = read_head(old)
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
