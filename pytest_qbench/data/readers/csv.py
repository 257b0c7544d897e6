"""Read CSV and TSV files record by record. Images in base64 cells stay on disk until they are read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pytest_qbench.data.readers.row import Row
from pytest_qbench.data.readers.text import headerless_columns
from pytest_qbench.errors import DataError, ItemError
from pytest_qbench.untrusted.files import MIB, error_text, open_regular

#: Length of the shortest image in base64; a shorter image cell of VLMEvalKit names another record, or a file.
_SHORTEST_PICTURE = 64
_LONGEST_RECORD = 256 * MIB


@dataclass(frozen=True, slots=True)
class Cell:
    """An image in base64 in one cell of a table; `offset` and `size` are the bytes of its record.

    `part` is the position of the image in a cell that lists several.
    """

    path: Path
    name: str
    delimiter: str
    column: int
    offset: int
    size: int
    part: int = 0

    def read(self) -> bytes:
        """Return the decoded cell."""
        import base64

        try:
            with os.fdopen(open_regular(self.path), "rb") as file:
                file.seek(self.offset)
                cells = _split(file.read(self.size).decode(), self.delimiter)
            text = _listed(cells[self.column])[self.part].rpartition("base64,")[2]
            return base64.b64decode("".join(text.split()), validate=True)
        except OSError as e:
            raise ItemError(f"{self.name}: cannot be read: {error_text(e)}") from e
        except (ValueError, IndexError) as e:  # bad base64; a table that was changed after the session began
            raise ItemError(f"{self.name}: no picture in base64 ({e})") from e

    def missing(self) -> bool:
        """Whether the table no longer exists."""
        return not self.path.is_file()


def read_table(path: Path, label: str) -> list[Row]:
    """Return the records of a `.csv` or `.tsv` file as rows of texts, keyed by the names of its header.

    In a multiple-choice table (VLMEvalKit's) the column `image` holds base64, which becomes the rows' images, and
    `index` is the record's id. Raises `DataError` for a file that is missing, empty, not UTF-8 or has broken records.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            first = file.readline(_LONGEST_RECORD).decode("utf-8-sig", "replace")
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ";" if "," not in first and ";" in first else ","
            file.seek(0)
            return _rows(
                path, label, delimiter, _records(iter(lambda: file.readline(_LONGEST_RECORD), b""), label, delimiter)
            )
    except FileNotFoundError as e:
        raise DataError(f"{label}: no such file; check the path or download it again") from e
    except OSError as e:
        raise DataError(f"{label}: cannot be read: {error_text(e)}; check the path and its permissions") from e


def is_question_table(path: Path) -> bool:
    """Whether a TSV file is a multiple-choice table in VLMEvalKit's layout, by its header alone.

    A table with a column of predictions holds the outputs of a model.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            line = file.readline(4096).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    header = {cell.strip().strip('"') for cell in line.split("\t")}
    has_images = not {"image", "image_path"}.isdisjoint(header)
    return {"question", "A", "B"} <= header and has_images and "prediction" not in header


@dataclass(slots=True)
class _Record:
    number: int
    line: int
    offset: int
    size: int
    cells: list[str]


def _rows(path: Path, label: str, delimiter: str, records: Iterator[_Record]) -> list[Row]:
    first = next(records, None)
    if first is None:
        raise DataError(f"{label}: is empty; download or export it again")
    # Some tables of quality databases have no header: their first line is a record.
    columns = headerless_columns([cell.strip() for cell in first.cells])
    header = columns or [name.strip() for name in first.cells]
    start = [first] if columns else []
    repeated = {name for name in header if name and header.count(name) > 1}
    if repeated:
        raise DataError(f"{label}: column {', '.join(sorted(repeated))} appears twice; rename one")
    has_questions = "question" in header and not {"image", "image_path"}.isdisjoint(header)
    rows: list[Row] = []
    embedded = _EmbeddedImages(path, label, delimiter, header)
    for record in chain(start, records):
        fields: dict[str, object] = {name: cell for name, cell in zip(header, record.cells, strict=False) if name}
        row = Row(label, record.number + len(start), fields, line=record.line)
        if len(record.cells) != len(header):
            raise row.error(
                f"{len(record.cells)} cells where the header has {len(header)}", "correct its quotes and separators"
            )
        rows.append(row)
        if has_questions:
            embedded.take_images(row, fields, record)
    embedded.resolve()
    if not rows:
        raise DataError(f"{label}: holds a header and no records; download or export it again")
    return rows


class _EmbeddedImages:
    """The images of a multiple-choice table. A short image cell names another record, or a file."""

    def __init__(self, path: Path, label: str, delimiter: str, header: list[str]) -> None:
        self.path, self.label, self.delimiter, self.header = path, label, delimiter, header
        self.pictures: dict[str, Row] = {}
        self.references: list[tuple[Row, dict[str, object], str]] = []

    def take_images(self, row: Row, fields: dict[str, object], record: _Record) -> None:
        """Move the id and the images of a record from its fields to the row."""
        index = fields.pop("index", None)
        if "id" not in fields:
            fields["id"] = index
        elif index:
            row.aliases = (str(index),)
        path = fields.get("image_path")
        if isinstance(path, str) and path.startswith("["):
            fields["image_path"] = _listed(path)
        text = str(fields.get("image", ""))
        if len(text) <= _SHORTEST_PICTURE:
            self.references.append((row, fields, text))
            return
        del fields["image"]
        name, column, count = f"{self.label}/{record.number}", self.header.index("image"), len(_listed(text))
        row.images = tuple(
            Cell(self.path, f"{name}.{part + 1}" if count > 1 else name, self.delimiter, column, record.offset,
                 record.size, part)
            for part in range(count)
        )  # fmt: skip
        row.content = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        self.pictures[str(index or fields["id"])] = row

    def resolve(self) -> None:
        """Give each record that names another record the images of that one."""
        for row, fields, text in self.references:
            if other := self.pictures.get(text):
                row.images, row.content = other.images, other.content
                del fields["image"]


def _listed(cell: str) -> list[str]:
    """Return the texts in a cell: the cell itself, or the elements of a list such as `['AAAA', 'BBBB']`."""
    if not cell.startswith("["):
        return [cell]
    return re.findall(r"""['"]([^'"]*)['"]""", cell) or [cell]


def _records(lines: Iterator[bytes], label: str, delimiter: str) -> Iterator[_Record]:
    """Yield the header (number 0) and the records; a quoted cell may run over several lines."""
    offset, number, line, pending = 0, 0, 1, b""
    for end, text in enumerate(lines, 1):
        pending += text
        place = f"{label}: entry {number} (line {line})"
        if len(pending) >= _LONGEST_RECORD:
            size = f"larger than {_LONGEST_RECORD // MIB} MiB"
            raise DataError(f"{place}: {size}; correct its quotes or download it again")
        if pending.count(b'"') % 2:
            continue
        if pending.strip():
            cells = _cells(pending, place, delimiter)
            if number == 0 or any(
                cell and not cell.isspace() for cell in cells
            ):  # spreadsheets end with rows of blanks
                yield _Record(number, line, offset, len(pending), cells)
                number += 1
        offset, line, pending = offset + len(pending), end + 1, b""
    if pending:
        raise DataError(f"{label}: entry {number} (line {line}): a quoted cell does not end; correct its quotes or "
                        "download it again")  # fmt: skip


def _cells(content: bytes, place: str, delimiter: str) -> list[str]:
    try:
        return _split(content.decode("utf-8-sig"), delimiter)
    except UnicodeDecodeError as e:
        raise DataError(f"{place}: not UTF-8; save the file as UTF-8") from e
    except ValueError as e:
        raise DataError(f"{place}: {e}; correct its quotes") from e


def _split(record: str, delimiter: str) -> list[str]:
    """Return the cells of one record. Python's csv module would refuse images (its limit is 128 KiB per cell)."""
    record = record.removesuffix("\n").removesuffix("\r")
    if '"' not in record:
        return record.split(delimiter)
    cells, position = [], 0
    while True:
        if record.startswith('"', position):
            cell, position = _quoted(record, position + 1)
            if position < len(record) and not record.startswith(delimiter, position):
                raise ValueError("text after a closing quote")
        else:
            end = record.find(delimiter, position)
            end = len(record) if end < 0 else end
            cell, position = record[position:end], end
        cells.append(cell)
        if position >= len(record):
            return cells
        position += len(delimiter)


def _quoted(record: str, position: int) -> tuple[str, int]:
    """Return the quoted cell that starts at `position` and where it ends; two quotes stand for one."""
    parts = []
    while True:
        end = record.find('"', position)
        if end < 0:
            raise ValueError("a quoted cell does not end")
        parts.append(record[position:end])
        if not record.startswith('"', end + 1):
            return "".join(parts), end + 1
        parts.append('"')
        position = end + 2
