"""`journal.jsonl` of a run folder: the settings, model and judge of the run, and the current batch of each process.

Records show finished items, the journal shows begun batches. An item of a begun batch without a record was being
measured when its process died. If this happens once, the machine may be the cause. If it repeats, the item is.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.records import SCHEMA, Key, encode
from pytest_qbench.runs.append_log import AppendLog
from pytest_qbench.runs.made_with import MadeWith
from pytest_qbench.untrusted.parsing import parse_json
from pytest_qbench.untrusted.shape import Shape, check_shape

JOURNAL = "journal.jsonl"
_LINE: Shape = (
    {"process": str, "batch": [[str]]},
    {"made_with": dict},
    {"schema": int, "conditions": dict},
)


class Journal:
    """The journal of a run, opened by one process. `conditions` and `made_with` are None and empty before `refresh`."""

    def __init__(self, folder: Path) -> None:
        self._lines = AppendLog(folder / JOURNAL)
        self._process = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._at: dict[str, list[Key]] = {}
        self.conditions: dict[str, Any] | None = None
        self.made_with: dict[str, Any] = {}

    def write_conditions(self, conditions: Mapping[str, Any]) -> None:
        """Write the settings of the run. Raises `OSError`."""
        self._write({"schema": SCHEMA, "conditions": conditions})

    def write_made_with(self, made_with: Mapping[str, Any]) -> None:
        """Write entries of `MadeWith`: model, judge, machine. Raises `OSError`."""
        self._write({"made_with": made_with})

    def begin(self, items: Sequence[Item]) -> None:
        """Write a batch before it is measured. Raises `OSError`."""
        self._write_batch([(item.task, item.id) for item in items])

    def end(self) -> None:
        """Write that this process has no current batch. Raises `OSError`."""
        self._write_batch([])

    def _write_batch(self, batch: list[Key]) -> None:
        self._write({"process": self._process, "batch": batch}, known=True)
        self._at[self._process] = batch

    def _write(self, entry: Mapping[str, Any], *, known: bool = False) -> None:
        self._lines.append(encode(entry) + "\n", known=known)

    def refresh(self) -> None:
        """Read the new lines. Raises `UsageError` if the file is not a journal of this version."""
        for position, line in self._lines.read_new():
            try:
                entry = parse_json(line)
                check_shape(entry, _LINE)
                if "batch" in entry:
                    self._at[entry["process"]] = [(task, id_) for task, id_ in entry["batch"]]
                elif "made_with" in entry:
                    self.made_with.update(MadeWith.from_json(entry["made_with"]).to_json())
                elif entry["schema"] == SCHEMA:
                    self.conditions = entry["conditions"]
                else:
                    raise ValueError(f"schema {entry['schema']!r} is not {SCHEMA}")
            except (ValueError, TypeError) as e:
                raise UsageError(f"{self._lines.path}: byte {position}: not a line of a journal: {e}") from e

    def in_flight_elsewhere(self, keys: Iterable[Key]) -> dict[Key, list[int]]:
        """Return, for each of `keys` in the last batch of other processes, the sizes of these batches.

        Only one process at a time measures a chunk. So these processes have died, or the items have records by now.
        """
        found: dict[Key, list[int]] = {}
        wanted = set(keys)
        for process, batch in self._at.items():
            if process != self._process:
                for key in wanted.intersection(batch):
                    found.setdefault(key, []).append(len(batch))
        return found

    def in_flight(self) -> set[Key]:
        """Return the items in the last batch of any process."""
        return {key for batch in self._at.values() for key in batch}

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
