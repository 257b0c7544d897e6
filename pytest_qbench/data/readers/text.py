"""Read tables of quality databases in text files: columns separated by blanks or tabs, with or without a header.

Without a header, a record is an image name and its MOS in either order, or an image name, its MOS and the standard
deviation. Columns of other files are called 1, 2, 3, ..., also in datasets.yaml.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from pytest_qbench.data.columns import is_image_name, names_image, names_mos
from pytest_qbench.data.readers.json import read_text
from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError
from pytest_qbench.untrusted.files import open_regular

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
#: The names of the columns of a file without a header.
IMAGE, TARGET = "image", "MOS"


def is_table(path: Path) -> bool:
    """Whether the first line of a text file holds an image name and a number, or the names of such columns."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            line = file.readline(4096).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    cells = split(line)
    return headerless_columns(cells) is not None or (any(map(names_image, cells)) and any(map(names_mos, cells)))


def read_text_table(path: Path, label: str) -> list[Row]:
    """Return the records of a text file; raises `DataError` for a line with another number of columns."""
    lines = [(number, line) for number, line in enumerate(read_text(path, label).splitlines(), 1) if line.strip()]
    first = split(lines[0][1])
    columns = headerless_columns(first)
    header, body = (columns, lines) if columns is not None else (first, lines[1:])
    rows: list[Row] = []
    for number, line in body:
        cells = split(line)
        row = Row(label, len(rows) + 1, dict(zip(header, cells, strict=False)), line=number)
        if len(cells) != len(header):
            raise row.error(
                f"{len(cells)} columns, {len(header)} in the first line",
                "save it as CSV where names hold blanks",
            )
        rows.append(row)
    if not rows:
        raise DataError(f"{label}: holds a header and no records; download or export it again")
    return rows


def split(line: str) -> list[str]:
    """Return the cells of a line, separated by tabs, semicolons or commas if it has any, else by blanks."""
    line = line.strip("\r\n")
    for separator in ("\t", ";"):
        if separator in line:
            return [cell.strip() for cell in line.split(separator)]
    cells = line.split()
    if "," in line and (len(cells) < 2 or any(cell.endswith(",") for cell in cells)):
        return [cell.strip() for cell in line.split(",")]
    return cells


def headerless_columns(cells: list[str]) -> list[str] | None:
    """Return column names for a file whose first line is a record; None where that line is something else."""
    images = [i for i, cell in enumerate(cells) if is_image_name(cell)]
    numbers = [i for i, cell in enumerate(cells) if _NUMBER.match(cell)]
    if len(images) != 1 or len(numbers) != len(cells) - 1 or not numbers:
        return None
    named = [str(i + 1) for i in range(len(cells))]
    if len(cells) == 2 or (len(cells) == 3 and images == [0]):
        named[images[0]], named[numbers[0]] = IMAGE, TARGET
    return named
