"""The first sheet of a workbook as rows."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError, ModelError


def read_sheet(path: Path) -> list[Row]:
    """Return the rows of the first sheet, by the names of its header; raises `DataError` for a broken workbook."""
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
    return [
        # A sheet's rows may be shorter than its header, or trail off in empty cells.
        Row(path.name, number, dict(zip(header, values, strict=False)))
        for number, values in enumerate(cells[1:], 1)
        if any(value is not None for value in values)
    ]
