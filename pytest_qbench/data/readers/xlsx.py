"""Read the first sheet of an Excel workbook as records."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError
from pytest_qbench.untrusted.archives import check_archive
from pytest_qbench.untrusted.files import error_text, open_regular


def read_workbook(path: Path, label: str) -> list[Row]:
    """Return the records of the first sheet; its first row is the header. Empty rows are skipped."""
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as e:
        raise DataError(f"{label}: needs openpyxl; pip install 'pytest-qbench[xlsx]', or save it as CSV") from e
    from zipfile import BadZipFile

    try:
        check_archive(path)
        with os.fdopen(open_regular(path), "rb") as file:
            book = load_workbook(file, read_only=True, data_only=True)
            cells = list(book.worksheets[0].iter_rows(values_only=True))
            book.close()
    except OSError as e:
        raise DataError(f"{label}: cannot be read: {error_text(e)}; check the path and its permissions") from e
    except (BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, TypeError, EOFError) as e:
        raise DataError(f"{label}: no readable workbook ({e}); export it again") from e
    header = ["" if name is None else str(name).strip() for name in cells[0]] if cells else []
    if repeated := sorted({name for name in header if name and header.count(name) > 1}):
        raise DataError(f"{label}: column {', '.join(repeated)} appears twice; rename one")
    rows = [
        Row(label, number, {name: value for name, value in zip(header, values, strict=False) if name}, line=number + 1)
        for number, values in enumerate(cells[1:], 1) if any(value is not None for value in values)
    ]  # fmt: skip
    if not rows:
        raise DataError(f"{label}: holds no records; export it again")
    return rows
