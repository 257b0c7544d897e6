"""Select the reader of a file by its suffix."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.data.readers.csv import read_table
from pytest_qbench.data.readers.json import read_objects
from pytest_qbench.data.readers.parquet import read_parquet
from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError

#: Suffixes of files that hold records.
SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".xlsx", ".txt")
#: Formats in which a test split has a filler in place of each hidden answer.
FILLED = (".tsv", ".parquet")


def read_rows(path: Path, label: str) -> list[Row]:
    """Return the records of a file in their order; `label` names it in errors. Raises `DataError`."""
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl"):
        return [Row(label, number, fields) for number, fields in enumerate(read_objects(path, label), 1)]
    if suffix in (".csv", ".tsv"):
        return read_table(path, label)
    if suffix == ".parquet":
        return read_parquet(path, label)
    if suffix == ".xlsx":
        from pytest_qbench.data.readers.xlsx import read_workbook

        return read_workbook(path, label)
    if suffix == ".txt":
        from pytest_qbench.data.readers.text import read_text_table

        return read_text_table(path, label)
    raise DataError(f"{label}: unknown format {path.suffix!r}; one of {', '.join(SUFFIXES)} is needed")
