"""Read parquet files of the hub: questions and images in one table, in shards."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError, ItemError
from pytest_qbench.items import ImageSource
from pytest_qbench.untrusted.files import LARGE, MIB

# Imports in functions: pyarrow is an optional dependency.

_LARGEST_GROUP = 4 * LARGE
#: Command that installs the dependencies of this module and of the hub.
INSTALL = "pip install 'pytest-qbench[hub]'"


class Shard:
    """One parquet file; keeps the last row group in memory, because images are read one after the other."""

    def __init__(self, path: Path, label: str) -> None:
        try:
            import pyarrow.parquet
        except ImportError as e:
            raise DataError(f"{label}: parquet files need pyarrow; {INSTALL}") from e
        self.label = label
        if not path.is_file():
            raise DataError(f"{label}: no such file; check the path or download it again")
        with self._report_damage():
            self._file = pyarrow.parquet.ParquetFile(path)
            schema, metadata = self._file.schema_arrow, self._file.metadata
            self.columns: list[str] = list(schema.names)
            self.pictures = {one.name: _subfields(one.type) for one in schema if "bytes" in _subfields(one.type)}
            groups = range(metadata.num_row_groups)
            self._check_sizes(metadata)
            self._ends = list(accumulate(metadata.row_group(group).num_rows for group in groups))
        self._lock = threading.Lock()
        self._last: tuple[int, str, Any] = (-1, "", None)
        self._absent: dict[str, frozenset[int]] = {}

    def _check_sizes(self, metadata: Any) -> None:
        """Raise `ValueError` where a row group unpacks to more than `_LARGEST_GROUP` bytes."""
        for group in range(metadata.num_row_groups):
            if (size := metadata.row_group(group).total_byte_size) > _LARGEST_GROUP:
                raise ValueError(f"a row group unpacks to {size // MIB} MiB, more than {_LARGEST_GROUP // MIB} MiB")

    def fields(self) -> list[dict[str, object]]:
        """Return all records without their images."""
        with self._report_damage():
            return list(self._file.read([name for name in self.columns if name not in self.pictures]).to_pylist())

    def names(self, column: str) -> list[str | None]:
        """Return the file names beside the images of a column, None for a row without one."""
        if "path" not in self.pictures[column]:
            return [None] * (self._ends[-1] if self._ends else 0)
        with self._report_damage():
            values = self._file.read([f"{column}.path"]).column(column).to_pylist()
            return [value and value["path"] for value in values]

    def picture(self, column: str, row: int) -> bytes | None:
        """Return one encoded image, None where there is none."""
        group = bisect_right(self._ends, row)
        with self._report_damage(), self._lock:
            if self._last[:2] != (group, column):
                content = self._file.read_row_group(group, [f"{column}.bytes"])
                self._last = (group, column, content.column(column))
            value = self._last[2][row - (self._ends[group - 1] if group else 0)].as_py()
            return bytes(value["bytes"]) if value and value["bytes"] else None

    def contents(self, rows: int) -> Iterator[str]:
        """Yield for each row a hash of its images' bytes; reads all of them, column by column."""
        columns = [[content_hash(self.picture(column, row)) for row in range(rows)] for column in self.pictures]
        return map("-".join, zip(*columns, strict=True))

    def absent(self, column: str) -> frozenset[int]:
        """Return the rows without an image; reads no image where the file's statistics show that none is missing."""
        if column not in self._absent:
            self._absent[column] = frozenset(self._find_absent(column))
        return self._absent[column]

    def _find_absent(self, column: str) -> Iterator[int]:
        start = 0
        for group, end in enumerate(self._ends):
            if self._gaps(column, group) != 0:
                yield from (row for row in range(start, end) if not self.picture(column, row))
            start = end

    def _gaps(self, column: str, group: int) -> int | None:
        """Return the number of images that a row group lacks by its statistics, None without statistics."""
        with self._report_damage():
            content = self._file.metadata.row_group(group)
            for chunk in (content.column(i) for i in range(content.num_columns)):
                if chunk.path_in_schema == f"{column}.bytes" and chunk.is_stats_set and chunk.statistics.has_null_count:
                    return int(chunk.statistics.null_count)
            return None

    @contextmanager
    def _report_damage(self) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (
            pyarrow.ArrowException,
            OSError,
            ValueError,
            LookupError,
            TypeError,
        ) as e:  # as damaged bytes may have it
            raise DataError(f"{self.label}: broken or truncated parquet ({one_line(e)}); download it again") from e


@dataclass(frozen=True, slots=True)
class Picture:
    """An image inside a parquet file."""

    shard: Shard = field(repr=False)
    name: str
    column: str
    row: int

    def read(self) -> bytes:
        """Return the encoded image."""
        try:
            content = self.shard.picture(self.column, self.row)
        except DataError as e:
            raise ItemError(str(e)) from e
        if not content:
            raise ItemError(f"{self.name}: the file holds no picture in this row; download it again")
        return content

    def missing(self) -> bool:
        """Whether the row holds no image."""
        return self.row in self.shard.absent(self.column)


def read_parquet(path: Path, label: str) -> list[Row]:
    """Return the records of a file; struct columns with `bytes` become the rows' images, in the columns' order."""
    shard = Shard(path, label)
    fields = shard.fields() if len(shard.pictures) < len(shard.columns) else []
    images = [
        tuple(Picture(shard, f"{label}/{row + 1}.{column}", column, row) for column in shard.pictures)
        for row in range(len(fields))
    ]
    names = [shard.names(column) for column in shard.pictures]
    return rows_with_pictures(label, fields, images, names, lambda: shard.contents(len(fields)))


def rows_with_pictures(
    label: str,
    fields: Sequence[dict[str, object]],
    images: Sequence[tuple[ImageSource, ...]],
    names: Sequence[Sequence[str | None]],
    contents: Callable[[], Iterable[str | None]],
) -> list[Row]:
    """Return rows with embedded images; `names` has a list of file names for each column of images.

    Where each row has file names of its own, the ids are these names, as in the official JSON; the running number `id`
    becomes an alias. So a benchmark has the same ids in both layouts. Where names are missing, `contents` returns for
    each row a hash of its images' bytes.
    """
    rows = [Row(label, number, one, own) for number, (one, own) in enumerate(zip(fields, images, strict=True), 1)]
    named = list(zip(*names, strict=True))
    whole = bool(named) and all(all(row) for row in named)
    # Names that all rows share, such as image.png, do not identify an image.
    if whole and (len(rows) == 1 or len(set(named)) > 1):
        unique = len(set(named)) == len(named)
        for row, one, texts in zip(rows, fields, named, strict=True):
            if unique and (own := row.text("id")) is not None:
                row.aliases = (own,)
            if unique:
                one.pop("id", None)
            one["img_path"] = list(texts)
        return rows
    for row, content in zip(rows, contents(), strict=True) if named else ():
        row.content = content
    return rows


def content_hash(picture: bytes | None) -> str:
    """Return a hash of an encoded image, 16 hex digits."""
    return hashlib.blake2b(picture or b"", digest_size=8).hexdigest()


def dataset_of(path: Path, label: str) -> str | None:
    """Return the published dataset that a parquet file belongs to by its columns, None for other files."""
    columns = set(Shard(path, label).columns)
    if "question" not in columns:
        return None
    if {"image1", "image2"} <= columns:
        return "qbench2"
    return "abench" if "category" in columns else "llvisionqa"


def _subfields(kind: Any) -> list[str]:
    import pyarrow.types

    return [one.name for one in kind] if pyarrow.types.is_struct(kind) else []


def one_line(error: Exception) -> str:
    """Return the first line of an error of another library."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
