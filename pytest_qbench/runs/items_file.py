"""Read and write `items.jsonl`, the items of a run. With it, a finished run can be compared and shown without data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.items import TASKS, Item
from pytest_qbench.records import SCHEMA, encode
from pytest_qbench.untrusted.files import LARGE, read_text, write_text
from pytest_qbench.untrusted.parsing import parse_json
from pytest_qbench.untrusted.shape import MappingOf, Shape, check_shape
from pytest_qbench.untrusted.sharing import share_mapping, share_texts

ITEMS = "items.jsonl"
_TEXTS = ("question", "answer", "target", "context", "clean")
_LISTS = ("options", "golden", "image_names", "aliases", "answers")
_SHAPE: Shape = {
    "schema": int, "item": str, "task": str, "dataset": str, "split": (str, None), "group": str, "images": [str],
    "slices": MappingOf(str),
}  # fmt: skip
_OPTIONAL: Shape = {
    "question": str, "answer": str, "target": float, "options": [str], "golden": [str], "image_names": [str],
    "aliases": [str], "context": str, "clean": str, "answers": [str], "probability": float,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image whose content is not available, only its name."""

    name: str

    def read(self) -> bytes:
        """Raise `ItemError`, because the run folder does not contain images."""
        raise ItemError(f"{self.name}: only its name was kept")

    def missing(self) -> bool:
        """Return True."""
        return True


def write_items(folder: Path, items: Iterable[Item]) -> None:
    """Write one line per item, in the order of the run. Raises `OSError`."""
    write_text(folder / ITEMS, (_line(item) + "\n" for item in items))


def read_items(folder: Path) -> list[Item]:
    """Return the items of a run folder. Raises `UsageError`, which names the file and the line."""
    path = folder / ITEMS
    if not path.exists():
        raise UsageError(f"{folder}: has no {ITEMS}; name the folder of a finished run")
    lines = read_text(path, LARGE, remedy="run again").split("\n")  # no splitlines: texts may contain other line ends
    items = []
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line:
            break
        try:
            items.append(_item(parse_json(line)))
        except ValueError as e:
            raise UsageError(f"{path}:{number}: not an item: {e}; run again") from e
    return items


def _line(item: Item) -> str:
    data: dict[str, Any] = {
        "schema": SCHEMA, "item": item.id, "task": item.task, "dataset": item.dataset, "split": item.split,
        "group": item.group, "images": [image.name for image in item.images], "slices": dict(item.slices),
    }  # fmt: skip
    data |= {key: value for key in (*_TEXTS, "probability") if (value := getattr(item, key)) is not None}
    data |= {key: list(value) for key in _LISTS if (value := getattr(item, key))}
    return encode(data)


def _item(data: Any) -> Item:
    check_shape(data, _SHAPE)
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']!r} is not {SCHEMA}")
    if data["task"] not in TASKS:
        raise ValueError(f"task {data['task']!r} is unknown")
    for key, shape in _OPTIONAL.items():
        if key in data:
            check_shape(data[key], shape, key)
    share_texts(data, ("item", "task", "dataset", "split", "group", "images", *_TEXTS, *_LISTS))
    share_mapping(data, "slices")
    return Item(
        data["item"], data["task"], data["dataset"], data["split"], data["group"],
        tuple(NamedImage(name) for name in data["images"]),
        question=data.get("question"), options=tuple(data.get("options", ())), answer=data.get("answer"),
        slices=data["slices"], target=data.get("target"), golden=tuple(data.get("golden", ())),
        image_names=tuple(data.get("image_names", ())), aliases=tuple(data.get("aliases", ())),
        context=data.get("context"), clean=data.get("clean"),
        answers=tuple(data.get("answers", ())), probability=data.get("probability"),
    )  # fmt: skip
