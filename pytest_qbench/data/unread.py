"""List the files of a data folder that no dataset uses, each with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_qbench.data import published
from pytest_qbench.data.columns import is_image_name
from pytest_qbench.data.folder import DataFolder, Found
from pytest_qbench.data.manifest import FILE
from pytest_qbench.data.readers.formats import SUFFIXES
from pytest_qbench.items import LeftOut

_READ = f"a dataset is a file of {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
_MOST = 1_000  # number of files up to which those of a folder without datasets are counted


def unread_files(folder: DataFolder, found: Iterable[Found]) -> list[LeftOut]:
    """Return the unread files of a data folder, ordered by name, each with the reason; hidden files are ignored.

    `found` are the datasets of the folder. Their files and the images beside them are read. A folder that is not
    searched for datasets is one entry.
    """
    found = list(found)
    used = {path.resolve() for one in found for files in one.choices for path in files}
    images = {one.source.images.path.resolve() for one in found}
    places = {folder.path.resolve(), *(path.parent for path in used)}
    named = {name for layout in published.LAYOUTS.values() for name in layout.folders}
    for name in (*named, *published.ASSESSMENT_FOLDERS):
        places |= {(folder.path / name).resolve(), (folder.path / name / "data").resolve()}
    entries = _entries(folder.path, used, images, places)
    return [LeftOut("file", path.relative_to(folder.path).as_posix(), reason) for path, reason in entries]


def _entries(path: Path, used: set[Path], images: set[Path], places: set[Path]) -> Iterator[tuple[Path, str]]:
    pictures = []
    for child in sorted(path.iterdir()):
        real = child.resolve()
        if child.name.startswith((".", "__")) or real in used or child.name == FILE:
            continue
        if child.is_dir():
            if real in images:
                continue
            inside = any(place.is_relative_to(real) for place in (places | images) - {real})
            if real in places or inside:
                yield from _entries(child, used, images, places)
            else:
                yield child, f"a folder of {_count(child)} that is not searched for datasets"
        elif is_image_name(child.name):
            pictures.append(child)
        elif child.suffix.lower() == ".txt":
            yield (
                child,
                "not a table: its first line has no image name and number, and no columns of images and scores",
            )
        elif child.suffix.lower() in SUFFIXES:
            yield child, f"no dataset has this name here; state it as file: in {FILE}"
        else:
            yield child, f"not read: {_READ}"
    if pictures and path.resolve() not in images:
        others = f" and {len(pictures) - 1} more images" if len(pictures) > 1 else ""
        yield pictures[0], f"no dataset has its images here{others and f' ({others.strip()})'}"


def _count(folder: Path) -> str:
    count = 0
    for _, _, files in os.walk(folder):
        count += len(files)
        if count > _MOST:
            return f"more than {_MOST} files"
    return f"{count} file{'s' * (count != 1)}"
