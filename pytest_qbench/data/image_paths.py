"""Resolve the image names of records. No file outside the data folder is read, whatever a record or a link names."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset, FileImage, ImageSource
from pytest_qbench.untrusted.shape import short_repr

_NO_NAME = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.?\Z")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_REMEDY = "copy the image into the folder, or name the place of the images as images: in datasets.yaml"
_LONGEST = 255  # largest number of bytes of a file name on common file systems


class ImageFolder:
    """A folder of images; each name is checked to stay inside `boundary`, links included.

    `label` is the folder's name in messages. The folder need not exist: a backend without vision reads no image.
    """

    def __init__(self, path: Path, boundary: Path, label: str) -> None:
        self.path = path
        self.label = label
        self._boundary = boundary.resolve()
        self._links: dict[str, frozenset[str]] = {}

    def image(self, name: str, row: Row) -> FileImage:
        """Return the image that `row` names, relative to this folder. Raises `DataError`."""
        relative = name.replace("\\", "/")
        if _ABSOLUTE.match(relative):
            raise row.error(
                f"image {short_repr(name)} is an absolute path",
                f"write it relative to {self.label}, or name another folder as images: in datasets.yaml",
            )
        folder, _, base = relative.rpartition("/")
        if ".." in relative and ".." in relative.split("/"):
            raise row.error(f"image {short_repr(name)} leaves the folder {self.label}", _REMEDY)
        if _NO_NAME.search(relative) or (len(relative) * 4 > _LONGEST and _is_too_long(relative)):
            raise row.error(f"image {short_repr(name)} is not a file name", f"name a file under {self.label}")
        links = self._links.get(folder)
        if links is None:
            links = self._links[folder] = self._links_in(folder, row)
        if base in links and not self._inside(self.path / relative):
            raise row.error(f"image {short_repr(name)} is a link that leaves the data folder or leads nowhere", _REMEDY)
        return FileImage(self.path, self.label, relative)

    def _links_in(self, folder: str, row: Row) -> frozenset[str]:
        """Return the names in a subfolder that are links; the subfolder itself must not lead outside."""
        path = self.path / folder
        try:
            if not self._inside(path):
                label = f"{self.label}/{folder}".rstrip("/")
                raise row.error(f"the image folder {label} is a link that leaves the data folder", _REMEDY)
            with os.scandir(path) as entries:  # unlike Path.iterdir, it needs no system call per file to find links
                return frozenset(entry.name for entry in entries if entry.is_symlink())
        except OSError:  # absent or unreadable: reported where images are needed
            return frozenset()

    def _inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self._boundary)
        except (OSError, RuntimeError):  # links in a circle
            return False


def _is_too_long(name: str) -> bool:
    return any(len(part.encode()) > _LONGEST for part in name.split("/"))


def missing_images(datasets: Iterable[Dataset]) -> None:
    """Raise a `DataError` that names every dataset with missing images: their number, folder and first name."""
    problems = []
    for dataset in datasets:
        images = distinct_images(dataset)
        missing = [image for image in images if is_missing(image)]
        if missing:
            problems.append(f"{dataset.name}: {len(missing)} of {len(images)} images missing {whereabouts(missing)}")
    if problems:
        raise DataError("; ".join(problems))


def distinct_images(dataset: Dataset) -> list[ImageSource]:
    """Return the images of a dataset, each once, in the order of its items."""
    return list({image.name: image for item in dataset.items for image in item.images}.values())


def is_missing(image: ImageSource) -> bool:
    """Whether there is no file to read; a name that the file system refuses also counts as missing."""
    try:
        return image.missing()
    except OSError:
        return True


def whereabouts(images: list[ImageSource]) -> str:
    """Return the common folder of images and the first of them, for a message."""
    folder = posixpath.commonpath([posixpath.dirname(image.name) for image in images])
    return f"under {folder} (first: {posixpath.relpath(images[0].name, folder)})"


def short_path(path: Path) -> str:
    """Return a path for messages: relative to the working directory where it lies below it."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return path.as_posix()


def expand_home(path: str) -> Path:
    """Return a path with `~` replaced, or the path itself where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
