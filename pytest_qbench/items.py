"""Benchmark items and datasets. Independent of models, records and pytest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pytest_qbench.errors import ItemError
from pytest_qbench.untrusted.files import error_text, read_bytes
from pytest_qbench.untrusted.images import LARGEST

Task = Literal["perception", "description", "assessment"]
TASKS: tuple[Task, ...] = ("perception", "description", "assessment")


class ImageSource(Protocol):
    """Source of one image, which is read when a model needs it. Equal sources are the same image."""

    @property
    def name(self) -> str:
        """Name for messages and reports, such as ``images/koala-03.png``."""
        ...

    def read(self) -> bytes:
        """Return the encoded image (PNG, JPEG, ...). Raises `ItemError` if it cannot be read."""
        ...

    def missing(self) -> bool:
        """Return whether the image is missing. Cheap, because nothing is decoded."""
        ...


@dataclass(frozen=True, slots=True)
class FileImage:
    """The image file `file` in `folder`. Messages call the folder `label`."""

    folder: Path
    label: str
    file: str

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.folder / self.file

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{self.label}/{self.file}"

    def read(self) -> bytes:
        """Return the file's bytes."""
        try:
            return read_bytes(self.path, LARGEST)
        except OSError as e:
            raise ItemError(f"{self.name}: cannot be read: {error_text(e)}") from e

    def missing(self) -> bool:
        """Return whether the file is absent."""
        return not self.path.is_file()


@dataclass(frozen=True, slots=True)
class Item:
    """One benchmark item.

    - `slices` maps dimensions to slices, such as ``{"type": "yes_or_no", "concern": "distortion"}``.
    - `answer` is the text of the correct option, None for hidden answers. `answers` are the correct options of a
      question that asks for all of them; `answer` is then their joined text (`joined_options`).
    - `target` is the MOS or reference score; greater is better.
    - `golden` holds the reference descriptions.
    - Items with the same `group` share a source photo.
    - `image_names` are the images' file names as stated in the data, empty if it states none.
    - `aliases` are further ids of the item in the data.
    - `context` is a text about the image that a prompt may add.
    - `probability` is that with which the item was drawn into a sample by --qbench-limit-by, None for other selections.
    - `clean` is the id of the clean twin: the item with the same question about the undegraded image. Until
      `data.twins.link_twins`, it is the name of the twin in the data.
    """

    id: str
    task: Task
    dataset: str
    split: str | None
    group: str
    images: tuple[ImageSource, ...]
    question: str | None = None
    options: tuple[str, ...] = ()
    answer: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    target: float | None = None
    golden: tuple[str, ...] = ()
    image_names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    context: str | None = None
    clean: str | None = None
    answers: tuple[str, ...] = ()
    probability: float | None = None

    def __repr__(self) -> str:
        """Return the id. Report plugins print the parameters of a test, which must not contain folders of a machine."""
        return self.id

    @property
    def right_options(self) -> tuple[str, ...]:
        """The correct options: one, several, or none where they are hidden."""
        return self.answers or (() if self.answer is None else (self.answer,))

    def digest(self) -> str:
        """Return a hash of question, options, answer, MOS, golden texts and context: 16 hex digits."""
        content = [self.question, list(self.options), self.answer, self.target, list(self.golden)]
        if self.context is not None:  # the digests of items without one stay as they were
            content.append(self.context)
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


SEPARATOR = "; "
"""Stands between the options of a joined answer. No option of such a question contains it."""


def joined_options(chosen: Iterable[str]) -> str:
    """Return several options as one text, which records compare: in alphabetical order, for options may be shuffled."""
    return SEPARATOR.join(sorted(chosen))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of a benchmark file that does not become an item, with the reason."""

    dataset: str
    entry: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """The items of one task, dataset and split from one source. `license` is a note, None if unknown.

    `meaning` is a sentence about how the columns of a quality database are interpreted. `direction_stated` says whether
    the user has stated if higher scores are better. `clean` is the dataset of the clean twins, None for this dataset.
    """

    name: str
    task: Task
    split: str | None
    items: tuple[Item, ...]
    source: str
    left_out: tuple[LeftOut, ...] = ()
    license: str | None = None
    meaning: str | None = None
    direction_stated: bool = False
    clean: str | None = None


DIMENSIONS = ("completeness", "preciseness", "relevance")
"""Dimensions on which Q-Bench grades a description."""
