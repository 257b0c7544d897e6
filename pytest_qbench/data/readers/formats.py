"""Which reader a file needs: records from JSON, CSV, TSV or parquet, one interface."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.data.readers.csv import read_table
from pytest_qbench.data.readers.json import read_objects
from pytest_qbench.data.readers.parquet import read_parquet
from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError

#: Suffixes of files that hold records.
SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet")
#: Formats in which the hidden answers of a test split are filled with something.
FILLED = (".tsv", ".parquet")


def read_rows(path: Path, label: str) -> list[Row]:
    """Return the records of a file in their order; `label` names it in errors."""
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl"):
        return [Row(label, number, fields) for number, fields in enumerate(read_objects(path, label), 1)]
    if suffix in (".csv", ".tsv"):
        return read_table(path, label)
    if suffix == ".parquet":
        return read_parquet(path, label)
    raise DataError(f"{label}: unknown format {path.suffix!r}; one of {', '.join(SUFFIXES)} is needed")
