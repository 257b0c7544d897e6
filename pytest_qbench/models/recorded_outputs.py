"""Outputs that a model gave elsewhere, as they lie on disk: which file is of which dataset, and what each entry says.

Read are the records of an earlier run, Q-Bench's output files (named as their data files), lmms-eval's sample logs and
VLMEvalKit's result tables.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_qbench.data import published as known
from pytest_qbench.data.readers.formats import read_rows
from pytest_qbench.data.readers.row import Row, shown
from pytest_qbench.errors import DataError, ModelError
from pytest_qbench.items import LeftOut
from pytest_qbench.records import RECORDS

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".xlsx")
_LOGIT = "logit_"
_IMAGES = ("img_path", "image_path", "image")
_RESPONSES = ("response", "prediction")
# lmms-eval's names of the tasks; the longer first, for one begins with the other.
_LMMS = {"qbench2": "qbench2", "abench": "abench", "qbench": "llvisionqa"}


@dataclass(frozen=True, slots=True)
class Output:
    """One recorded output: a text, or a logit per word or option; `error` says why it is neither.

    `place` is file and entry, for messages; `question` tells entries about one image apart.
    """

    place: str
    text: str | None = None
    logprobs: Mapping[str, float] | None = None
    question: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Outputs:
    """All outputs found at one place.

    `by_key` holds them by dataset (None where no name tells), split (likewise) and image or id; `by_item` those of an
    earlier run by task and item id. `conditions` are what that run's fingerprint says of how they were asked.
    """

    by_key: dict[tuple[str | None, str | None, str], list[Output]] = field(default_factory=dict)
    by_item: dict[tuple[str, str], Output] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    conditions: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def add(self, dataset: str | None, split: str | None, key: str, output: Output) -> None:
        """Keep an output; one that repeats an earlier one of the same image and question is left out and reported."""
        earlier = self.by_key.setdefault((dataset, split, key), [])
        for other in earlier:
            if other.question == output.question:
                entry = "/".join(part for part in (dataset, split, key) if part)
                self.left_out.append(LeftOut(dataset or "", entry, f"{output.place} repeats {other.place}"))
                return
        earlier.append(output)


def read_outputs(path: Path) -> Outputs:
    """Read a file or the files of a folder; raises `ModelError` or `DataError` where nothing can be read."""
    outputs = Outputs()
    if path.is_dir():
        if (path / RECORDS).is_file():
            _read_file(path / RECORDS, outputs)
            return outputs
        for file in sorted(path.iterdir()):
            if file.is_file() and file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
                try:
                    _read_file(file, outputs)
                except _NoOutputsError as e:
                    outputs.left_out.append(LeftOut("", file.name, str(e)))
        if not outputs.by_key:
            raise ModelError(
                f"replay:{path}: no recorded outputs; expected {RECORDS}, files named as the data files (koniq.json, "
                "llvisionqa_dev.json), samples_*.jsonl or result tables"
            )
        return outputs
    try:
        _read_file(path, outputs)
    except _NoOutputsError as e:
        raise ModelError(f"replay:{path}: {e}") from e
    return outputs


class _NoOutputsError(Exception):
    """A file holds something else than outputs."""


def _read_file(path: Path, outputs: Outputs) -> None:
    rows = list(_rows(path))
    outputs.files.append(path.name)
    first = rows[0].fields
    if {"schema", "item", "status"} <= first.keys():
        _run_records(path, rows, outputs)
        return
    dataset, split = dataset_of(path.name)
    sampled = "doc" in first and ("resps" in first or "filtered_resps" in first)
    for row in rows:
        key, output = _sample(row) if sampled else _entry(row)
        outputs.add(dataset, split, key, output)


def _rows(path: Path) -> Iterable[Row]:
    if path.suffix.lower() == ".xlsx":
        return _sheet(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ModelError(f"replay:{path}: unknown format {path.suffix!r}; one of {', '.join(SUFFIXES)} is needed")
    return read_rows(path, path.name)


def dataset_of(file: str) -> tuple[str | None, str | None]:
    """Return dataset and split that a file's name tells; None for what it does not.

    `koniq.json`, `cgi.json` and `llvisionqa_dev.json` are named as the data files; `samples_qbench_dev.jsonl` after
    lmms-eval's task, `llava_Q-Bench1_VAL.xlsx` after VLMEvalKit's dataset. Any other name is a database of its own.
    """
    stem = file.partition(".")[0] if file.endswith(".jsonl") else Path(file).stem
    if sample := re.search(r"samples_(\w+?)(?:_(dev|test))?(?:_\w+)?\Z", stem):
        for task, dataset in _LMMS.items():
            if sample[1].startswith(task):
                return dataset, sample[2]
    for name, layout in known.LAYOUTS.items():
        for split in (*known.SPLITS, None):
            stems = [s.format(split=split) for s in layout.stems if ("{split}" in s) == (split is not None)]
            if stem.lower() in [s.lower() for s in stems]:
                return name, split
            if any(table.lower() in stem.lower() for table in layout.tables.get(split or "", ())):
                return name, split
    return known.canonical(stem), None


def _entry(row: Row) -> tuple[str, Output]:
    """Read an entry of an output file or of a result table."""
    fields = row.fields
    names = next((found for name in (*_IMAGES, "id", "index") if name in fields and (found := row.texts(name))), None)
    key = "_cat_".join(names) if names else None  # two images make one item, by both names
    logits = {name.removeprefix(_LOGIT): name for name in fields if str(name).startswith(_LOGIT)}
    answer = next((name for name in _RESPONSES if name in fields), None)
    if key is None or not (logits or answer):
        raise _NoOutputsError(f"entry {row.number} of {row.file} has no image or id with a response or logit_WORD")
    place = f"{row.file}: entry {row.number}"
    if answer is not None:
        return key, _text(place, fields[answer], row.text("question") if "question" in fields else None)
    try:
        numbers = {word: row.number_at(name) for word, name in logits.items()}
    except DataError as e:
        return key, Output(place, error=str(e))
    missing = [word for word, number in numbers.items() if number is None]
    if missing:
        return key, Output(place, error=f"{place}: no {_LOGIT}{missing[0]}")
    return key, Output(place, logprobs={word: number for word, number in numbers.items() if number is not None})


def _text(place: str, value: object, question: str | None) -> Output:
    if isinstance(value, str):
        return Output(place, text=value, question=question)
    if value is None or (isinstance(value, float) and math.isnan(value)):  # an empty cell is an empty reply
        return Output(place, text="", question=question)
    if isinstance(value, int | float) and not isinstance(value, bool):  # a sheet turns a reply "3" into a number
        return Output(place, text=str(value), question=question)
    return Output(place, question=question, error=f"{place}: the response {shown(value)} is no text")


def _sample(row: Row) -> tuple[str, Output]:
    """Read a line of lmms-eval's sample log; what its filters left of the reply counts."""
    document = row.fields["doc"] if isinstance(row.fields.get("doc"), Mapping) else {}
    assert isinstance(document, Mapping)
    names = (*_IMAGES, "id", "index")
    found = next((str(v) for n in names if isinstance(v := document.get(n), str | int) and str(v)), None)
    value: object = row.fields.get("filtered_resps", row.fields.get("resps"))
    while isinstance(value, list) and value:
        value = value[0]
    if found is None:
        raise _NoOutputsError(f"entry {row.number} of {row.file}: its doc names no image or id")
    question = document.get("question")
    return found, _text(f"{row.file}: entry {row.number}", value, question if isinstance(question, str) else None)


def _run_records(path: Path, rows: list[Row], outputs: Outputs) -> None:
    """Take over the records of an earlier run, and under which conditions they were made."""
    from pytest_qbench.records import Record

    for row in rows:
        place = f"{row.file}: entry {row.number}"
        record = Record.from_dict(row.fields, place)
        if not _is_record(record):
            raise ModelError(f"{place}: not a record: item, task, response or logprobs have another type")
        if (record.task, record.item) in outputs.by_item:
            outputs.left_out.append(LeftOut(record.dataset, record.item, f"{place} repeats an earlier one"))
            continue
        error = f"recorded as an error: {record.error}" if record.status == "error" else None
        output = Output(place, record.response, record.logprobs, error=error)
        outputs.by_item[record.task, record.item] = output
    summary = path.with_name("summary.json")
    if summary.is_file():
        try:
            made = json.loads(summary.read_text(encoding="utf-8"))["fingerprint"]
            outputs.conditions = {key: made[key] for key in ("prompts", "answer", "blind")}
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise ModelError(f"{summary}: cannot be read ({type(e).__name__}: {e}); remove or restore it") from e


def _is_record(record: Any) -> bool:
    logprobs = {} if record.logprobs is None else record.logprobs
    return (
        isinstance(record.item, str)
        and isinstance(record.task, str)
        and isinstance(record.response, str | None)
        and isinstance(logprobs, Mapping)
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in logprobs.values())
    )


def _sheet(path: Path) -> Iterator[Row]:
    """Yield the rows of the first sheet of a workbook."""
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as e:
        raise ModelError(f"{path.name}: needs openpyxl; pip install 'pytest-qbench[xlsx]', or save it as csv") from e
    from zipfile import BadZipFile

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        cells = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except (OSError, BadZipFile, InvalidFileException, KeyError, ValueError, IndexError) as e:
        raise DataError(f"{path.name}: no workbook that can be read ({e}); export it again") from e
    if len(cells) < 2:
        raise DataError(f"{path.name}: holds no records; export it again")
    header = ["" if name is None else str(name).strip() for name in cells[0]]
    for number, values in enumerate(cells[1:], 1):
        if any(value is not None for value in values):
            # A sheet's rows may be shorter than its header, or trail off in empty cells.
            yield Row(path.name, number, dict(zip(header, values, strict=False)))
