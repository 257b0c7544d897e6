"""Find the datasets of a data folder, by the standard layout and by `datasets.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from pytest_qbench.data import published
from pytest_qbench.data.builder import Source, build
from pytest_qbench.data.image_paths import ImageFolder, expand_home, short_path
from pytest_qbench.data.manifest import NAME, Entry, read_manifest
from pytest_qbench.data.readers.csv import is_question_table
from pytest_qbench.data.readers.formats import FILLED, SUFFIXES, read_rows
from pytest_qbench.data.readers.parquet import dataset_of
from pytest_qbench.data.readers.text import is_table
from pytest_qbench.errors import DataError
from pytest_qbench.items import TASKS, Dataset, Task

#: Keys of datasets.yaml that change a property of a dataset of the same name.
_CHANGES = ("higher_is_better", "image_column", "target_column", "group_column", "group_pattern", "license", "clean")


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder, and its name in messages."""

    path: Path
    label: str

    def called(self, path: Path) -> str:
        """Return the name of a file or folder in messages, whether it lies in this folder or elsewhere."""
        try:
            return (Path(self.label) / path.relative_to(self.path)).as_posix()
        except ValueError:
            return short_path(path)


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset in a folder that is not read yet.

    Each of `choices` is a list of files to read it from; more than one choice is an error.
    """

    source: Source
    folder: DataFolder
    choices: tuple[tuple[Path, ...], ...]

    def read(self) -> Dataset:
        """Return the dataset with all records. Raises `DataError`."""
        if len(self.choices) > 1:
            paths = " and ".join(self.folder.called(files[0]) for files in self.choices)
            name = " ".join(filter(None, (self.source.name, self.source.split)))
            raise DataError(f"{name}: found in {paths}; keep one, or name it as file: in datasets.yaml")
        rows = (read_rows(path, self.folder.called(path)) for path in self.choices[0])
        return build(self.source, chain.from_iterable(rows))


def find(folder: DataFolder) -> list[Found]:
    """Return the datasets of a folder, ordered by task and name; `datasets.yaml` overrides the standard layout."""
    usual = [*_find_published(folder), *_find_databases(folder)]
    usual += _find_question_tables(folder, {path for one in usual for files in one.choices for path in files})
    entries = read_manifest(folder.path, folder.called(folder.path / "datasets.yaml"))
    stated = [one for entry in entries for one in _datasets_of_entry(folder, entry, usual)]
    # A file that has another dataset name in the manifest is not found again under its own name.
    taken = {path for one in stated for files in one.choices for path in files}
    found = {_key(one): one for one in usual if not any(path in taken for files in one.choices for path in files)}
    return sorted({**found, **{_key(one): one for one in stated}}.values(), key=_key)


def _key(found: Found) -> tuple[int, str, str]:
    return TASKS.index(found.source.task), found.source.name, found.source.split or ""


def _find_published(folder: DataFolder) -> Iterator[Found]:
    """Find the datasets whose files have fixed names, in folders of their own or at the root of the data folder."""
    for name, layout in published.LAYOUTS.items():
        for split in (*published.SPLITS, None):
            places = [*(folder.path / place for place in layout.folders), folder.path]
            choices = _distinct_files(choice for place in places for choice in _find_files(folder, name, place, split))
            if choices:
                place = next(place for place in places if choices[0][0].is_relative_to(place))
                usual = [place / images for images in layout.images]
                images = next((path for path in usual if path.exists()), usual[0])
                source = _source(folder, name, layout.task, split, choices[0], images)
                yield Found(source, folder, choices)


def _find_files(folder: DataFolder, name: str, place: Path, split: str | None) -> Iterator[tuple[Path, ...]]:
    """Yield the files of one split under `place`: named after the dataset, VLMEvalKit's tables, the hub's shards."""
    layout = published.LAYOUTS[name]
    stems = [stem.format(split=split) for stem in layout.stems if ("{split}" in stem) == (split is not None)]
    for stem in (*stems, *layout.tables.get(split or "", ())):
        for suffix in SUFFIXES:
            if (path := place / f"{stem}{suffix}").is_file():
                yield (path,)
    for shards in (place, place / "data"):
        paths = tuple(sorted(shards.glob(f"{split}-*.parquet"))) if split else ()
        if paths and (place != folder.path or _is_dataset(folder, name, paths[0])):
            yield paths


def _is_dataset(folder: DataFolder, name: str, path: Path) -> bool:
    """Whether shards at the root of the data folder, where no folder name identifies them, belong to a dataset."""
    return dataset_of(path, folder.called(path)) == name


def _distinct_files(choices: Iterator[tuple[Path, ...]]) -> tuple[tuple[Path, ...], ...]:
    """Return the choices without second names of the same file, as on a file system that ignores case."""
    distinct: dict[tuple[int, int], tuple[Path, ...]] = {}
    for files in choices:
        status = files[0].stat()
        distinct.setdefault((status.st_dev, status.st_ino), files)
    return tuple(distinct.values())


def _find_databases(folder: DataFolder) -> Iterator[Found]:
    """Find the quality databases: each file of records in `iqa/` and `mos/`, and the published ones at the root."""
    choices: dict[str, list[Path]] = {}
    for place in (*(folder.path / name for name in published.ASSESSMENT_FOLDERS), folder.path):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            name = published.canonical(path.stem)
            if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
                continue
            if path.suffix.lower() == ".txt" and not is_table(path):
                continue
            if place != folder.path or published.task_of(name) == "assessment":
                choices.setdefault(name, []).append(path)
    for name, paths in choices.items():
        if not NAME.fullmatch(name):
            label = folder.called(paths[0])
            raise DataError(f"{label}: {name!r} is not a valid dataset name; use letters, digits and . + - _")
        stems = dict.fromkeys((paths[0].stem, *published.file_names(name)))
        usual = [paths[0].parent / stem for stem in stems]
        images = next((path for path in usual if path.exists()), usual[0])
        source = _source(folder, name, "assessment", None, (paths[0],), images)
        yield Found(source, folder, tuple((path,) for path in paths))


def _find_question_tables(folder: DataFolder, taken: set[Path]) -> Iterator[Found]:
    """Find VLMEvalKit's multiple-choice tables at the root of the data folder, except for those in `taken`.

    The name of the file is the name of the dataset.
    """
    for path in sorted(folder.path.iterdir()):
        if path.suffix.lower() == ".tsv" and path not in taken and path.is_file() and is_question_table(path):
            if not NAME.fullmatch(path.stem):
                label = folder.called(path)
                raise DataError(f"{label}: {path.stem!r} is not a valid dataset name; use letters, digits and . + - _")
            source = _source(folder, path.stem, "perception", None, (path,), folder.path / "images")
            yield Found(source, folder, ((path,),))


def _source(
    folder: DataFolder, name: str, task: Task, split: str | None, files: tuple[Path, ...], images: Path
) -> Source:
    hidden = name in published.LAYOUTS and split == "test" and files[0].suffix.lower() in FILLED
    pictures = ImageFolder(images, folder.path, folder.called(images))
    return Source(name, task, split, folder.called(files[0]), pictures, hidden)


def _datasets_of_entry(folder: DataFolder, entry: Entry, standard: list[Found]) -> list[Found]:
    """Return the datasets of an entry: its own file, or the dataset in the standard place, with the entry's changes."""
    changes: dict[str, Any] = {key: value for key in _CHANGES if (value := getattr(entry, key)) is not None}
    if entry.images is not None:
        images = folder.path / expand_home(entry.images)
        # A user may keep images anywhere and states the folder here. The names in records must stay inside it.
        boundary = folder.path if images.resolve().is_relative_to(folder.path.resolve()) else images
        changes["images"] = ImageFolder(images, boundary, folder.called(images))
    found = _own_file(folder, entry, entry.file) if entry.file else _usual_place(folder, entry, standard)
    return [replace(one, source=replace(one.source, **changes)) for one in found]


def _own_file(folder: DataFolder, entry: Entry, file: str) -> list[Found]:
    if entry.task is None:
        raise DataError(f"{entry.place}: {entry.name} has no task; write task: and one of {', '.join(TASKS)}")
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise DataError(f"{entry.place}: file {file} leaves the data folder; copy or link it into {folder.label}")
    try:
        files = tuple(sorted(folder.path.glob(file))) if "*" in file else (folder.path / file,)
        there = bool(files) and all(path.is_file() for path in files)
    except (OSError, ValueError):  # the name is too long, or holds a pattern such as ** in its middle
        there = False
    if not there:
        raise DataError(f"{entry.place}: no file {file} under {folder.label}; correct file: or add it")
    images = files[0].parent / (files[0].stem if entry.task == "assessment" else "images")
    return [Found(_source(folder, entry.name, entry.task, entry.split, files, images), folder, (files,))]


def _usual_place(folder: DataFolder, entry: Entry, standard: list[Found]) -> list[Found]:
    same = [
        one
        for one in standard
        if one.source.name == entry.name
        and entry.task in (None, one.source.task)
        and entry.split in (None, one.source.split)
    ]
    if not same:
        raise DataError(f"{entry.place}: {entry.name} is not in its usual place under {folder.label}; name its file:")
    return same
