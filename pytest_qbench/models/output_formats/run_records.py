"""The records of an earlier run, finished or killed: the last record of an item counts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_qbench.errors import DataError, ModelError, UsageError
from pytest_qbench.models.output_formats.base import NoOutputsError, Output, OutputFile, RawFile, ReadingOptions
from pytest_qbench.prompts import TOKEN_LIMITS
from pytest_qbench.records import RECORDS, Record
from pytest_qbench.untrusted.files import LARGE, SMALL, error_text, open_regular, read_bytes, read_text
from pytest_qbench.untrusted.parsing import parse_json
from pytest_qbench.untrusted.shape import Maybe, Shape, check_shape

_CONDITIONS: Shape = {"prompts": (str, dict), "answer": str, "blind": bool}
_OPTIONAL: Shape = dict.fromkeys((*TOKEN_LIMITS.values(), "pixels"), Maybe(int)) | {"option_order": Maybe(str)}


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
            try:
                record = Record.from_dict(data, place)
            except UsageError as e:
                raise ModelError(str(e)) from e
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
        with os.fdopen(open_regular(path), "rb") as file:
            first = parse_json(file.readline(SMALL))
    except ValueError:
        return path.name == RECORDS
    except OSError as e:
        raise DataError(f"{path.name}: cannot be read: {error_text(e)}; check its permissions") from e
    return isinstance(first, dict) and {"schema", "item", "status"} <= first.keys()


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines with their numbers; a last line that was cut off when the run was killed is dropped."""
    try:
        lines = read_bytes(path, LARGE).split(b"\n")
    except OSError as e:
        raise DataError(f"{path.name}: cannot be read: {error_text(e)}; restore the file or run again") from e
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = parse_json(line)
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
            text = read_text(path, LARGE)
            found = parse_json(text if name.endswith(".json") else text.partition("\n")[0])[key]
            check_shape(found, _CONDITIONS | _OPTIONAL, key)
            optional = {name: found[name] for name in _OPTIONAL if name in found}
            return {condition: found[condition] for condition in _CONDITIONS} | optional
        except (UsageError, ValueError, KeyError, TypeError) as e:
            raise ModelError(f"{path}: cannot be read ({type(e).__name__}: {e}); remove or restore it") from e
    return {}
