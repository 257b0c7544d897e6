"""List the available datasets, for `qbench datasets`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pytest_qbench.data import published
from pytest_qbench.data.folder import DataFolder, find
from pytest_qbench.data.hub import REPOSITORIES, read_hub
from pytest_qbench.data.image_check import image_faults
from pytest_qbench.data.load import HUB, MINI, data_folder
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset


class Listed(NamedTuple):
    """A dataset in the list: the cells of `HEADER`, and the dataset itself where it can be read."""

    cells: tuple[str, ...]
    readable: bool = True
    dataset: Dataset | None = None

    @property
    def meaning(self) -> str | None:
        """Scale and direction of a quality database."""
        return self.dataset.meaning if self.dataset else None

    def image_faults(self) -> list[str]:
        """Return a line for each image that is missing or cannot be decoded."""
        return image_faults(self.dataset) if self.dataset else []


HEADER = ("dataset", "task", "items", "hash", "left out", "found in", "licence")


def listing(spec: str | None) -> Iterator[Listed]:
    """Yield an entry per dataset and split of `spec`: a data folder, hf, or None for the embedded datasets.

    For a dataset that cannot be read, the entry holds the reason instead of items. Raises `DataError` for a `spec` that
    is neither.
    """
    if spec == HUB:
        yield from _hub()
    else:
        yield from _folder(data_folder(spec or MINI, Path(), "--data"))


def content_hash(dataset: Dataset) -> str:
    """Return a hash of the ids and contents of all items, independent of their order and format; 12 hex digits."""
    lines = sorted(f"{item.id}\t{item.digest()}" for item in dataset.items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _folder(folder: DataFolder) -> Iterator[Listed]:
    for found in find(folder):
        source = found.source
        name = f"{source.name} {source.split}" if source.split else source.name
        try:
            yield _row(name, found.read())
        except DataError as e:
            yield Listed((name, source.task, "-", "-", "-", str(e), ""), readable=False)


def _hub() -> Iterator[Listed]:
    for name in REPOSITORIES:
        for split in published.SPLITS:
            try:
                yield _row(f"{name} {split}", read_hub(name, split))
            except DataError as e:
                yield Listed((f"{name} {split}", "perception", "-", "-", "-", str(e), ""), readable=False)


def _row(name: str, dataset: Dataset) -> Listed:
    left_out, items = str(len(dataset.left_out)), str(len(dataset.items))
    licence = dataset.license or "not stated"
    cells = (name, dataset.task, items, content_hash(dataset), left_out, dataset.source, licence)
    return Listed(cells, dataset=dataset)
