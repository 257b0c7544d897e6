"""`journal.jsonl` of a run folder: the settings of the run, what made the records, the batch each process is at.

Records say what is done; the journal says what was begun. An item that was begun and has no record was in flight when
its process died: innocent when the machine went down, guilty when it happens again and again.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.records import SCHEMA, Key
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
    """The journal, as one process of the run writes and reads it."""

    def __init__(self, folder: Path) -> None:
        self._lines = AppendLog(folder / JOURNAL)
        self._process = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._at: dict[str, list[Key]] = {}
        self.conditions: dict[str, Any] | None = None
        self.made_with: dict[str, Any] = {}

    def write_conditions(self, conditions: Mapping[str, Any]) -> None:
        """Note how the run was asked; raises `OSError`."""
        self._write({"schema": SCHEMA, "conditions": conditions})

    def write_made_with(self, made_with: Mapping[str, Any]) -> None:
        """Note what makes the records; raises `OSError`."""
        self._write({"made_with": made_with})

    def begin(self, items: Sequence[Item]) -> None:
        """Note a batch before it is measured; raises `OSError`."""
        self._write({"process": self._process, "batch": [(item.task, item.id) for item in items]})

    def end(self) -> None:
        """Note that this process is at no batch; raises `OSError`."""
        self._write({"process": self._process, "batch": []})

    def _write(self, entry: Mapping[str, Any]) -> None:
        self._lines.append(json.dumps(entry, ensure_ascii=False) + "\n")

    def refresh(self) -> None:
        """Read what is new; raises `UsageError` for a file that is no journal of this version."""
        for position, line in self._lines.news():
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
        """Sizes of the last batches of other processes, for each of `keys` that is in one.

        A chunk is measured by one process at a time, so those processes are dead, or the items have records by now.
        """
        found: dict[Key, list[int]] = {}
        wanted = set(keys)
        for process, batch in self._at.items():
            if process != self._process:
                for key in wanted.intersection(batch):
                    found.setdefault(key, []).append(len(batch))
        return found

    def in_flight(self) -> set[Key]:
        """The items of every process's last batch."""
        return {key for batch in self._at.values() for key in batch}

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
