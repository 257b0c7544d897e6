"""The records of an earlier run, finished or killed: the last record of an item counts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_qbench.errors import DataError, ModelError
from pytest_qbench.models.output_formats.base import NoOutputsError, Output, OutputFile, RawFile, ReadingOptions
from pytest_qbench.prompts import TOKEN_LIMITS
from pytest_qbench.records import Record

_CONDITIONS = ("prompts", "answer", "blind")


class RunRecords:
    """Reads `records.jsonl`."""

    suffixes = (".jsonl",)

    def read(self, file: RawFile, options: ReadingOptions) -> OutputFile | None:
        """Return the records as outputs, and the conditions that the run folder states; None for other lines."""
        path = file.path
        if not _holds_records(path):
            return None
        last: dict[tuple[str, str], Output] = {}
        for number, data in _lines(path):
            place = f"{path.name}: line {number}"
            record = Record.from_dict(data, place)
            if not _is_record(record):
                raise ModelError(f"{place}: not a record: item, task, response or logprobs have another type")
            error = f"recorded as an error: {record.error}" if record.status == "error" else None
            key = (record.task, record.item)
            last.pop(key, None)
            last[key] = Output(
                number,
                (record.item,),
                text=record.response,
                logprobs=record.logprobs,
                error=error,
                finish=record.finish,
                task=record.task,
            )
        if not last:
            raise NoOutputsError("holds no records: the run ended before its first item")
        return OutputFile(path, list(last.values()), conditions=_conditions(path.parent))


def _holds_records(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline())
    except ValueError:
        return path.name == "records.jsonl"
    except OSError as e:
        raise DataError(f"{path.name}: cannot be read: {e.strerror}; check its permissions") from e
    return isinstance(first, dict) and {"schema", "item", "status"} <= first.keys()


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines with their numbers; a last line that was cut off when the run was killed is dropped."""
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except ValueError as e:
            if number == len(lines):
                return
            raise DataError(f"{path.name}: line {number}: not JSON ({e}); restore the file or run again") from e
        if not isinstance(data, dict):
            raise DataError(f"{path.name}: line {number}: no record; restore the file or run again")
        yield number, data


def _conditions(folder: Path) -> dict[str, Any]:
    """Return how the run asked, from its summary or, where it was killed before that, from its journal."""
    for name, key in (("summary.json", "fingerprint"), ("journal.jsonl", "conditions")):
        path = folder / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
            found = json.loads(text if name.endswith(".json") else text.partition("\n")[0])[key]
            optional = {key: found[key] for key in (*TOKEN_LIMITS.values(), "pixels") if key in found}
            return {condition: found[condition] for condition in _CONDITIONS} | optional
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise ModelError(f"{path}: cannot be read ({type(e).__name__}: {e}); remove or restore it") from e
    return {}


def _is_record(record: Any) -> bool:
    logprobs = {} if record.logprobs is None else record.logprobs
    return (
        isinstance(record.item, str)
        and isinstance(record.task, str)
        and isinstance(record.response, str | None)
        and isinstance(logprobs, Mapping)
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in logprobs.values())
    )
