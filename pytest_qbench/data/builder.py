"""From records to items: ids, groups, images, and what is left out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pytest_qbench.data import published as known
from pytest_qbench.data.image_paths import ImageFolder
from pytest_qbench.data.parsers import assessment, description, perception
from pytest_qbench.data.readers.row import Row, shown
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset, FileImage, ImageSource, Item, LeftOut, Task


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a dataset before its records are read; the columns and patterns come from datasets.yaml.

    `hidden` says that the answers are not published, whatever stands in their place.
    """

    name: str
    task: Task
    split: str | None
    place: str
    images: ImageFolder
    hidden: bool = False
    higher_is_better: bool = True
    image_column: str | None = None
    target_column: str | None = None
    group_column: str | None = None
    group_pattern: re.Pattern[str] | None = None
    license: str | None = None


def build(source: Source, rows: Iterable[Row]) -> Dataset:
    """Return the dataset of `rows`: every record becomes an item, is reported as left out, or is a `DataError`."""
    builder = _Builder(source)
    for row in rows:
        builder.add(row)
    return builder.dataset()


class _Builder:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.prefix = f"{source.name}/{source.split}/" if source.split else f"{source.name}/"
        self.items: dict[str, Item] = {}
        self.numbers: dict[str, int] = {}
        self.left_out: list[LeftOut] = []
        self.columns: assessment.Columns | None = None
        self.slices: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self.unanswered: Row | None = None

    def dataset(self) -> Dataset:
        """Return what was added; a file whose answers are half hidden, or a dev split without any, is an error."""
        source, items = self.source, tuple(self.items.values())
        if not items:
            raise DataError(f"{source.place}: holds no records; download or export it again")
        if self.unanswered is not None:
            if any(item.answer is not None for item in items):
                raise self.unanswered.error("no answer, though other entries have one", "add correct_ans")
            if source.split == "dev":
                raise self.unanswered.error(
                    "no answer, and no other entry has one", "take the dev file, or --qbench-split=test"
                )
        license_note = source.license or known.LICENSES.get(source.name)
        return Dataset(source.name, source.task, source.split, items, source.place, tuple(self.left_out), license_note)

    def add(self, row: Row) -> None:
        """Turn one record into an item."""
        if self.source.task == "assessment":
            item = self._assessment(row)
        elif self.source.task == "description":
            name, images = self._images(row, self._image_column(row))
            ident, group = self._identity(row, name)
            item = Item(ident, "description", self.source.name, self.source.split, group, images,
                        golden=description.golden(row))  # fmt: skip
        else:
            item = self._perception(row)
        self._keep(item, row)

    def _assessment(self, row: Row) -> Item:
        source = self.source
        if self.columns is None:
            self.columns = assessment.columns(row, source.name, source.image_column, source.target_column)
        name, images = self._images(row, self.columns.image)
        ident, group = self._identity(row, name)
        half = known.half_of(source.name, name)
        return Item(ident, "assessment", source.name, source.split, group, images,
                    slices=self._shared({"half": half} if half else {}),
                    target=assessment.target(row, self.columns.target, source.higher_is_better))  # fmt: skip

    def _perception(self, row: Row) -> Item:
        source = self.source
        name, images = self._images(row, self._image_column(row))
        ident, group = self._identity(row, name)
        asked = perception.question(row, pair=source.name == "qbench2", hidden=source.hidden)
        if asked.answer is None and self.unanswered is None and not source.hidden:
            self.unanswered = row
        return Item(ident, "perception", source.name, source.split, group, images, asked.question, asked.options,
                    asked.answer, self._shared(asked.slices))  # fmt: skip

    def _image_column(self, row: Row) -> str:
        if self.source.image_column is not None:
            return self.source.image_column
        return next((key for key in ("img_path", "image_path", "image") if key in row.fields), "img_path")

    def _images(self, row: Row, column: str) -> tuple[str, tuple[ImageSource, ...]]:
        """Return the name that ids are made of and the images: those inside the record, or the files it names."""
        names = row.texts(column) or []
        if self.source.name == "qbench2" and len(names) == 1:
            names = _pair(names[0])
        if not row.images and not names:
            raise row.error(f"no image ({column} is absent or blank)", f"add {column}")
        images = row.images or tuple(self.source.images.image(name, row) for name in names)
        if self.source.name == "qbench2" and len(images) != 2:
            raise row.error(f"{len(images)} image instead of a pair", "name both images")
        return "_cat_".join(names), images

    def _identity(self, row: Row, image: str) -> tuple[str, str]:
        """Return id and group."""
        own = row.text("id")
        if not own and not image:
            raise row.error("neither an id nor an image name", "add an id")
        if own and not own.isprintable():
            raise row.error(f"id {shown(own)} cannot be printed", "use an id of letters, digits and punctuation")
        ident = self.prefix + (own or image)
        return ident, self._group(row, image) or ident

    def _group(self, row: Row, image: str) -> str | None:
        source = self.source
        group = row.text(source.group_column or "group")
        if source.group_column is not None and group is None:
            raise row.error(f"no {source.group_column}", "add it or correct group_column in datasets.yaml")
        if group is None and source.group_pattern is not None:
            match = source.group_pattern.search(image)
            if match is None:
                raise row.error(f"image {shown(image)} does not match group_pattern", "correct it in datasets.yaml")
            group = match[1] if match.re.groups else match[0]
        group = group or known.group_of(source.name, image)
        if group is None or "/" in group:
            return group
        return f"{source.name}/{group}"

    def _shared(self, slices: dict[str, str]) -> dict[str, str]:
        # Thousands of items share a dozen combinations: one dictionary each instead of one an item.
        return self.slices.setdefault(tuple(slices.items()), slices)

    def _keep(self, item: Item, row: Row) -> None:
        """Keep an item unless it repeats an earlier one; the same id with other content is an error.

        Further questions about an image, where records have no id of their own, become `image#2`, `image#3`, ...
        """
        ident, several = item.id, item.task == "perception" and row.value("id") is None
        for count in itertools.count(2):
            earlier = self.items.get(ident)
            if earlier is None:
                self.items[ident] = item if ident == item.id else replace(item, id=ident)
                self.numbers[ident] = row.number
                return
            first = self.numbers[ident]
            if _content(earlier) == _content(item):
                self.left_out.append(LeftOut(item.dataset, ident, f"entry {row.number} repeats entry {first}"))
                return
            if not several or earlier.question == item.question:
                raise row.error(
                    f"{ident} is entry {first} too, with other content ({_difference(earlier, item)})",
                    "keep one, or give each an id",
                )
            ident = f"{item.id}#{count}"


def _content(item: Item) -> dict[str, object]:
    """Return what two entries of one id must have in common; pictures inside the records are not compared."""
    files = [image.name for image in item.images if isinstance(image, FileImage)]
    return {
        "question": item.question,
        "options": item.options,
        "answer": item.answer,
        "score": item.target,
        "golden texts": item.golden,
        "slices": item.slices,
        "images": files,
    }


def _difference(first: Item, second: Item) -> str:
    """Return the first thing in which two entries differ, with both values."""
    one, other = _content(first), _content(second)
    key = next(key for key in one if one[key] != other[key])
    return f"{key} {shown(one[key])} there, {shown(other[key])} here"


def _pair(name: str) -> list[str]:
    """Return the two images of Q-Bench2's `folder\\\\first.jpg_cat_second.jpg.jpg`, or the name as it is."""
    base = name.replace("\\", "/").rpartition("/")[2]
    first, cat, second = base.rpartition(".")[0].partition("_cat_")
    return [first, second] if cat and first and second else [name]
