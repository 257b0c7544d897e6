"""`RunFolder`, the folder to which a run writes records and journal, with a lock against a second run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.records import RECORDS, Key, Record, read_records
from pytest_qbench.runs.append_log import AppendLog
from pytest_qbench.runs.journal import JOURNAL, Journal
from pytest_qbench.untrusted import locks
from pytest_qbench.untrusted.files import error_text, open_regular, write_text
from pytest_qbench.untrusted.parsing import parse_json

LOCK = "lock"


class RunFolder:
    """A run folder in use. One process begins it, and its workers join it.

    All of them hold a lock, which the kernel releases when they end. `has_earlier_records` says whether the folder
    contained records when this process opened it.
    """

    def __init__(self, path: Path, lock: int, *, keeps_records: bool) -> None:
        self.path = path
        self._lock = lock
        self._keeps_records = keeps_records
        self._own: list[Record] = []
        try:
            self.has_earlier_records = (path / RECORDS).exists() and (path / RECORDS).stat().st_size > 0
            self._records = AppendLog(path / RECORDS)
            self.journal = Journal(path)
        except OSError as e:
            os.close(lock)
            raise _unwritable(path, e) from e
        self._where: dict[Key, int] = {}
        self._made_under: dict[tuple[str, str | None], str] = {}  # the first item with each task and conditions hash
        self._lines = 0

    @classmethod
    def begin(cls, path: Path, conditions: Mapping[str, Any], *, resume: bool) -> RunFolder:
        """Begin a run in `path`, or resume the run in it. Raises `UsageError`.

        Records with errors and incomplete lines are removed, so that their items are measured again.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as e:
            raise UsageError(f"--qbench-run-dir={path}: is not a folder; name a new folder") from e
        except OSError as e:
            raise _unwritable(path, e) from e
        new = not (path / RECORDS).exists() and not (path / JOURNAL).exists()
        if not new and not resume:
            raise UsageError(
                f"--qbench-run-dir={path}: holds {RECORDS} already; name a new folder, or add --qbench-resume"
            )
        lock = _locked(path, shared=False)
        try:
            if not new:
                _keep_measured(path)
            folder = cls(path, lock, keeps_records=True)
        except OSError as e:
            raise _unwritable(path, e) from e
        conditions = json.loads(json.dumps(conditions))
        folder.journal.refresh()
        try:
            if new or (folder.journal.conditions is None and not (path / RECORDS).stat().st_size):
                folder.write(lambda: folder.journal.write_conditions(conditions))
            else:
                folder._check(folder.journal.conditions, conditions)
            folder.share_lock()
        except UsageError:
            folder.close()
            raise
        return folder

    @classmethod
    def join(cls, path: Path) -> RunFolder:
        """Open the folder of a worker's run. Raises `UsageError` if that run has ended."""
        folder = cls(path, _locked(path, shared=True), keeps_records=False)
        folder.journal.refresh()
        folder.index()
        return folder

    def share_lock(self) -> None:
        """Let workers join. Other runs stay locked out until this process and all workers have ended."""
        try:
            locks.lock(self._lock, shared=True, wait=False)
        except BlockingIOError as e:
            raise _occupied(self.path) from e
        except OSError as e:
            raise _unlockable(self.path, e) from e

    def check_made_with(self, made_with: Mapping[str, Any]) -> None:
        """Write entries of `MadeWith`, or compare them with those of the earlier records. Raises `UsageError`."""
        found = json.loads(json.dumps(made_with))
        self.journal.refresh()
        before = self.journal.made_with
        self._check({k: v for k, v in before.items() if k in found}, {k: v for k, v in found.items() if k in before})
        if new := {key: value for key, value in found.items() if key not in before}:
            self.write(lambda: self.journal.write_made_with(new))

    def check_conditions(self, expected: Mapping[str, str | None]) -> None:
        """Compare the conditions hashes of the records with `expected`, by task. Raises `UsageError` if they differ.

        None stands for conditions that are not known yet. Records of earlier versions have no hash.
        """
        for (task, found), item in self._made_under.items():
            if None not in (found, expected.get(task)) and found != expected[task]:
                raise UsageError(
                    f"{self.path / RECORDS}: {item} was not made under the conditions of this run; the folder mixes "
                    "two runs: name another folder"
                )

    def note_made_with(self, made_with: Mapping[str, Any]) -> None:
        """Write entries of `MadeWith` without a comparison. Raises `UsageError`."""
        self.write(lambda: self.journal.write_made_with(made_with))

    def _check(self, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
        if old is None:
            raise UsageError(f"{self.path}: has records but no {JOURNAL} to resume; name a new folder")
        if changed := [f"{key}: {a} -> {b}" for key, a, b in _differences(old, new)]:
            raise UsageError(f"{self.path}: was run with other settings: ({'; '.join(changed)}); name another folder")

    def append(self, records: Iterable[Record]) -> None:
        """Write records atomically, so that a later crash loses none of them. Raises `UsageError`."""
        records = list(records)
        lines = "".join(record.to_json() + "\n" for record in records)

        def step() -> None:
            if self._records.append(lines, known=self._keeps_records):
                self._own += records

        self.write(step)

    def write(self, step: Callable[[], None]) -> None:
        """Call `step`, which writes to the folder. Raises `UsageError` if it raises `OSError`."""
        try:
            step()
        except OSError as e:
            raise UsageError(
                f"{e.filename or self.path}: cannot be written: {error_text(e)}; records so far are kept: make room, "
                f"then resume with --qbench-resume --qbench-run-dir={self.path}"
            ) from e

    def read_new(self) -> list[Record]:
        """Return the records that any process has written since the last call."""
        found, self._own = self._own, []  # their lines come before the unread ones
        found += [
            _record(line, f"{self._records.path}: byte {position}") for position, line in self._records.read_new()
        ]
        self._lines += len(found)
        for record in found:
            self._made_under.setdefault((record.task, record.conditions), record.item)
        return found

    def index(self) -> None:
        """Note the positions of new records without keeping the records, of which a worker needs few."""
        for position, line in self._records.read_new():
            record = _record(line, f"{self._records.path}: byte {position}")
            self._where[record.task, record.item] = position
            self._made_under.setdefault((record.task, record.conditions), record.item)

    def find(self, key: Key) -> Record | None:
        """Return the record of an item, or None if `index` has not found it."""
        if (position := self._where.get(key)) is None:
            return None
        return _record(self._records.line_at(position), f"{self._records.path}: byte {position}")

    def remove_duplicates(self, records: Collection[Record]) -> None:
        """Rewrite the file with one line per item, if an item has several. `records` are the last ones of the items."""
        if len(records) < self._lines:
            self.write(lambda: _rewrite(self.path, records))

    def discard(self) -> None:
        """Remove the files of a run without records, and the folder if it is empty. Raises `UsageError`."""
        self.close()
        self.write(self._remove_files)

    def _remove_files(self) -> None:
        for name in (RECORDS, JOURNAL, LOCK):
            (self.path / name).unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def close(self) -> None:
        """Close the files and release the lock."""
        self._records.close()
        self.journal.close()
        os.close(self._lock)


def _record(line: bytes, place: str) -> Record:
    try:
        data = parse_json(line)
    except ValueError as e:
        raise UsageError(f"{place}: not JSON: {e}") from e
    return Record.from_dict(data, place)


def _locked(path: Path, *, shared: bool) -> int:
    """Open and lock the lock file, and return its descriptor. Raises `UsageError` at once if it is locked."""
    try:
        lock = open_regular(path / LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as e:
        raise _unwritable(path, e) from e
    try:
        locks.lock(lock, shared=shared, wait=False)
    except BlockingIOError as e:
        os.close(lock)
        raise _occupied(path) from e
    except OSError as e:
        os.close(lock)
        raise _unlockable(path, e) from e
    return lock


def _occupied(path: Path) -> UsageError:
    return UsageError(
        f"{path}: another run is using it (or a worker of a killed run, which ends after its batch); "
        "wait, or name another folder"
    )


def _unlockable(path: Path, error: OSError) -> UsageError:
    """Return the error of a file system that cannot lock, or of a faulty disk."""
    return UsageError(f"--qbench-run-dir={path}: {LOCK}: cannot be locked: {error_text(error)}; name another folder")


def _unwritable(path: Path, error: OSError) -> UsageError:
    file = Path(error.filename).name if error.filename and error.filename != str(path) else None
    what = f"{file}: cannot be written" if file else "cannot be written"
    return UsageError(f"--qbench-run-dir={path}: {what}: {error_text(error)}; name another folder")


def _keep_measured(path: Path) -> None:
    """Rewrite the records with one line per item, without errors and incomplete lines."""
    records = path / RECORDS
    if not records.exists():
        return
    found = read_records(records)
    kept = {(r.task, r.item): r for r in found}
    measured = [r for r in kept.values() if r.status != "error"]
    if len(measured) == len(found) and _ends_whole(records):
        return
    _rewrite(path, measured)


def _ends_whole(path: Path) -> bool:
    """Return whether the last line of a file has a line end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in (b"", b"\n")


def _rewrite(path: Path, records: Iterable[Record]) -> None:
    """Replace the records of a folder atomically."""
    write_text(path / RECORDS, (record.to_json() + "\n" for record in records))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any, Any]]:
    """Yield the dotted name and both values of each entry that differs, at any depth."""
    for key in dict.fromkeys((*old, *new)):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", a, b
