"""Read Q-Bench from the Hugging Face hub, or from the offline cache of the `datasets` library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_qbench.data.builder import Source, build
from pytest_qbench.data.image_paths import ImageFolder
from pytest_qbench.data.readers.parquet import INSTALL, content_hash, one_line, rows_with_pictures
from pytest_qbench.errors import DataError, ItemError
from pytest_qbench.items import Dataset

# Imports in functions: datasets and pyarrow are optional dependencies.

REPOSITORIES = {
    "llvisionqa": "q-future/Q-Bench-HF",
    "qbench2": "q-future/Q-Bench2-HF",
    "abench": "q-future/A-Bench-HF",
}


@dataclass(frozen=True, slots=True)
class HubPicture:
    """An image of a loaded hub dataset."""

    table: Any = field(repr=False)
    name: str
    column: str
    row: int
    absent: bool

    def read(self) -> bytes:
        """Return the encoded image."""
        value = self.table[self.row][self.column]
        if not value or not value["bytes"]:
            raise ItemError(f"{self.name}: the dataset holds no picture in this row; download it again")
        return bytes(value["bytes"])

    def missing(self) -> bool:
        """Whether the row holds no image."""
        return self.absent


def read_hub(name: str, split: str) -> Dataset:
    """Return one split of a published dataset, downloaded or from the cache.

    The answers of the test splits are not published, whatever the answer column contains. Raises `DataError` without
    the library, without network and cache, or for a download of another shape.
    """
    repository = REPOSITORIES[name]
    place = f"{repository} {split}"
    table = _load(repository, split)
    import datasets

    columns = [column for column, feature in table.features.items() if isinstance(feature, datasets.Image)]
    if not columns:
        raise DataError(f"{place}: no column of images among {', '.join(table.features)}; is it another dataset?")
    for column in columns:
        table = table.cast_column(column, datasets.Image(decode=False))
    fields = [dict(one) for one in table.remove_columns(columns)]
    names, absent = zip(*(_names_and_gaps(table, column) for column in columns), strict=True)
    images = [
        tuple(
            HubPicture(table, f"{place}/{row + 1}.{column}", column, row, gaps[row])
            for column, gaps in zip(columns, absent, strict=True)
        )
        for row in range(len(fields))
    ]
    nowhere = ImageFolder(Path(), Path(), place)
    source = Source(name, "perception", split, place, nowhere, hidden=split == "test")
    return build(source, rows_with_pictures(place, fields, images, names, lambda: _contents(table, columns)))


def _contents(table: Any, columns: list[str]) -> Iterator[str]:
    """Yield for each row a hash of its images' bytes."""
    for row in table.select_columns(columns):
        yield "-".join(content_hash(row[column] and row[column]["bytes"]) for column in columns)


def _names_and_gaps(table: Any, column: str) -> tuple[list[str | None], list[bool]]:
    """Return the file names beside the images of a column, and the rows without an image; reads no images."""
    from pyarrow.compute import is_null, struct_field

    values = table.select_columns([column]).with_format("arrow")[:].column(column)
    return struct_field(values, "path").to_pylist(), is_null(struct_field(values, "bytes")).to_pylist()


def _load(repository: str, split: str) -> Any:
    try:
        import datasets
    except ImportError as e:
        raise DataError(f"--qbench-data=hf: needs the datasets library; {INSTALL}") from e
    try:
        return datasets.load_dataset(repository, split=split)
    except (OSError, ValueError, RuntimeError) as e:
        folder = repository.rpartition("/")[2]
        raise DataError(
            f"--qbench-data=hf: {repository} is neither reachable nor in the cache ({one_line(e)}); "
            f"run once with network, or download its data/*.parquet to DIR/{folder}/data and use --qbench-data=DIR"
        ) from e
