"""Build the items of a dataset from its records, with ids, groups and images, and list the records left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pytest_qbench.data import published
from pytest_qbench.data.image_paths import ImageFolder
from pytest_qbench.data.parsers import assessment, description, perception
from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset, FileImage, ImageSource, Item, LeftOut, Task
from pytest_qbench.untrusted.shape import short_repr


@dataclass(frozen=True, slots=True)
class Source:
    """The properties of a dataset that are known before its records are read.

    `hidden` means that the answers are not published, whatever the answer fields contain. `higher_is_better`, the
    columns, `group_pattern` and `clean` (the dataset of the clean twins) come from datasets.yaml and are None where it
    does not state them.
    """

    name: str
    task: Task
    split: str | None
    place: str
    images: ImageFolder
    hidden: bool = False
    higher_is_better: bool | None = None
    image_column: str | None = None
    target_column: str | None = None
    group_column: str | None = None
    group_pattern: re.Pattern[str] | None = None
    license: str | None = None
    clean: str | None = None


def build(source: Source, rows: Iterable[Row]) -> Dataset:
    """Return the dataset of `rows`; every record becomes an item or is listed as left out. Raises `DataError`."""
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
        self.asked: dict[tuple[str, str | None], str] = {}  # the item that asks a question about the same images
        self.numbers_used: dict[str, int] = {}
        self.left_out: list[LeftOut] = []
        self.columns: assessment.Columns | None = None
        self.slices: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self.groups: dict[str, str] = {}
        self.unanswered: Row | None = None

    def dataset(self) -> Dataset:
        """Return the dataset of all records added so far.

        Raises `DataError` for a file with answers in only some records, or a dev split without any.
        """
        source, items = self.source, tuple(self.items.values())
        if not items:
            raise DataError(f"{source.place}: holds no records; download or export it again")
        if self.unanswered is not None and source.task == "description":
            if any(item.golden for item in items):
                raise self.unanswered.error(
                    "no golden description, though other entries have one", 'add one or several as "golden": ["..."]'
                )
        elif self.unanswered is not None:
            if any(item.answer is not None for item in items):
                raise self.unanswered.error("no answer, though other entries have one", "add correct_ans")
            if source.split == "dev":
                raise self.unanswered.error(
                    "no answer, and no other entry has one", "take the dev file, or --qbench-split=test"
                )
        license_note = source.license or published.LICENSES.get(source.name)
        return Dataset(
            source.name, source.task, source.split, items, source.place, tuple(self.left_out), license_note,
            self._meaning(items), source.higher_is_better is not None, source.clean,
        )  # fmt: skip

    def _meaning(self, items: tuple[Item, ...]) -> str | None:
        """Return a sentence on how the columns of a dataset are understood; None where they explain themselves."""
        source, columns = self.source, self.columns
        if source.task == "description" and self.unanswered is not None:
            fields = ", ".join(description.GOLDEN)
            return f"{source.name}: no golden texts (in {fields}): nothing is judged"
        if columns is None:
            return None
        better = "lower" if source.higher_is_better is False else "higher"
        targets = [item.target if better == "higher" else -item.target for item in items if item.target is not None]
        stated = "as datasets.yaml states" if source.higher_is_better is not None else "by default"
        scale = f"{columns.target} from {min(targets):g} to {max(targets):g}"
        text = f"{source.name}: {scale}, {better} is better ({stated})"
        groups = source.group_column or (None if source.group_pattern else columns.reference)
        if groups is None:
            return text
        return f"{text}; {len({item.group for item in items})} groups of images by column {groups}"

    def add(self, row: Row) -> None:
        """Add one record as an item."""
        source = self.source
        column = self._assessment_columns(row).image if source.task == "assessment" else self._image_column(row)
        names, images = self._images(row, column)
        item = self._of_task(row, self._ident(row, names), names, images)
        if context := _context(row):
            item = replace(item, context=context)
        if source.task == "perception" and (clean := row.label("clean")) is not None:
            item = replace(item, clean=clean)
        self._keep(item, row, tuple(names))

    def _of_task(self, row: Row, ident: str, names: list[str], images: tuple[ImageSource, ...]) -> Item:
        """Return the item of a record, without its final id, group and names."""
        source = self.source
        start = (ident, source.task, source.name, source.split, "", images)
        if source.task == "description":
            golden = description.golden(row)
            if not golden and self.unanswered is None:
                self.unanswered = row
            return Item(*start, golden=golden)
        if source.task == "assessment":
            half = published.half_of(source.name, "_cat_".join(names))
            column = self._assessment_columns(row).target
            target = assessment.target(row, column, source.higher_is_better is not False)
            return Item(*start, slices=self._shared({"half": half} if half else {}), target=target)
        parsed = perception.question(row, pair=source.name == "qbench2", hidden=source.hidden,
                                     own=published.task_of(source.name) is None)  # fmt: skip
        if parsed.answer is None and self.unanswered is None and not source.hidden:
            self.unanswered = row
        return Item(*start, parsed.question, parsed.options, parsed.answer, self._shared(parsed.slices),
                    answers=parsed.answers)  # fmt: skip

    def _assessment_columns(self, row: Row) -> assessment.Columns:
        if self.columns is None:
            source = self.source
            self.columns = assessment.columns(row, source.name, source.image_column, source.target_column)
        return self.columns

    def _image_column(self, row: Row) -> str:
        if self.source.image_column is not None:
            return self.source.image_column
        return next((key for key in ("img_path", "image_path", "image") if key in row.fields), "img_path")

    def _images(self, row: Row, column: str) -> tuple[list[str], tuple[ImageSource, ...]]:
        """Return the image names of a record and its images: those embedded in it, or the files with these names."""
        names = row.texts(column) or []
        if self.source.name == "qbench2" and len(names) == 1:
            names = _pair(names[0])
        if not row.images and not names:
            raise row.error(f"no image ({column} is absent or blank)", f"add {column}")
        images = row.images or tuple(self.source.images.image(name, row) for name in names)
        if self.source.name == "qbench2" and len(images) != 2:
            raise row.error(f"{len(images)} image instead of a pair", "name both images")
        return names, images

    def _ident(self, row: Row, names: list[str]) -> str:
        own = row.text("id")
        if not own and not names:
            raise row.error("neither an id nor an image name", "add an id")
        if own and not own.isprintable():
            raise row.error(f"id {short_repr(own)} cannot be printed", "use an id of letters, digits and punctuation")
        return self.prefix + (own or "_cat_".join(names))

    def _group(self, row: Row, ident: str, image: str) -> str:
        """Return the group that the data states, else the id of the first item with the same images."""
        source = self.source
        group = row.text(source.group_column or "group")
        if source.group_column is not None and group is None:
            raise row.error(f"no {source.group_column}", "add it or correct group_column in datasets.yaml")
        if group is None and source.group_pattern is not None:
            match = source.group_pattern.search(image)
            if match is None:
                raise row.error(
                    f"image {short_repr(image)} does not match group_pattern", "correct it in datasets.yaml"
                )
            group = match[1] if match.re.groups else match[0]
        group = group or self._reference(row, image) or published.group_of(source.name, image)
        if group is None:
            return self.groups.setdefault(image or row.content or ident, ident)
        return group if "/" in group else f"{source.name}/{group}"

    def _reference(self, row: Row, image: str) -> str | None:
        """Return the reference image that an entry of a quality database names; a reference image names itself."""
        if self.source.task != "assessment":
            return None
        column = self._assessment_columns(row).reference
        if column is None:
            return None
        return f"{self.source.name}/{row.text(column) or image}"

    def _shared(self, slices: dict[str, str]) -> dict[str, str]:
        # Thousands of items share a dozen combinations: one dictionary each instead of one an item.
        return self.slices.setdefault(tuple(slices.items()), slices)

    def _keep(self, item: Item, row: Row, names: tuple[str, ...]) -> None:
        """Keep an item unless it repeats an earlier one; an id with two different contents is an error.

        Further questions about an image, where records have no id of their own, become `image#2`, `image#3`, ...
        """
        ident, several = item.id, item.task == "perception" and row.value("id") is None
        if ident in self.items:
            same = self.asked.get((ident, item.question)) if several else ident
            if same is not None:
                self._leave_out_repeat(item, row, same)
                return
            number = self.numbers_used.get(ident, 1) + 1
            while (numbered := f"{ident}#{number}") in self.items:
                number += 1
            self.numbers_used[ident], ident = number, numbered
        group = self._group(row, ident, "_cat_".join(names))
        if item.task == "perception":
            self.asked[item.id, item.question] = ident
        self.items[ident] = replace(item, id=ident, group=group, image_names=names, aliases=row.aliases)
        self.numbers[ident] = row.number

    def _leave_out_repeat(self, item: Item, row: Row, same: str) -> None:
        """Leave out an entry that repeats the item `same`; raises `DataError` where their contents differ."""
        earlier, first = self.items[same], self.numbers[same]
        if _content(earlier) != _content(item):
            raise row.error(
                f"{same} is entry {first} too, with other content ({_difference(earlier, item)})",
                "keep one, or give each an id",
            )
        self.left_out.append(LeftOut(item.dataset, same, f"entry {row.number} repeats entry {first}"))


def _context(row: Row) -> str | None:
    """Return the context of an entry: the field of this name, or `hint`, as VLMEvalKit's tables call it."""
    context, hint = row.text("context"), row.text("hint")
    hint = None if hint == "nan" else hint  # an empty cell in a table that pandas wrote
    if None not in (context, hint) and context != hint:
        raise row.error(f"context {short_repr(context)} and hint {short_repr(hint)} differ", "keep one of them")
    return context or hint


def _content(item: Item) -> dict[str, object]:
    """Return the fields in which two entries of one id must agree; embedded images are not compared."""
    files = [image.name for image in item.images if isinstance(image, FileImage)]
    return {
        "question": item.question,
        "options": item.options,
        "answer": item.answer,
        "score": item.target,
        "golden texts": item.golden,
        "context": item.context,
        "slices": item.slices,
        "images": files,
    }


def _difference(first: Item, second: Item) -> str:
    """Return the first field in which two entries differ, with both values."""
    one, other = _content(first), _content(second)
    key = next(key for key in one if one[key] != other[key])
    return f"{key} {short_repr(one[key])} there, {short_repr(other[key])} here"


def _pair(name: str) -> list[str]:
    """Return the two image names in Q-Bench2's `folder\\\\first.jpg_cat_second.jpg.jpg`, or the name itself."""
    base = name.replace("\\", "/").rpartition("/")[2]
    first, cat, second = base.rpartition(".")[0].partition("_cat_")
    return [first, second] if cat and first and second else [name]
