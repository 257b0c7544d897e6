"""`items.jsonl` of a run folder: what was asked, so that a finished run can be compared and shown without its data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.items import Item
from pytest_qbench.records import SCHEMA, encode

ITEMS = "items.jsonl"
_TEXTS = ("question", "answer", "target")


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image of which only the name is known."""

    name: str

    def read(self) -> bytes:
        """Raise `ItemError`: the image was left with the data."""
        raise ItemError(f"{self.name}: only its name was kept")

    def missing(self) -> bool:
        """True: there is nothing to read."""
        return True


def write_items(folder: Path, items: Iterable[Item]) -> None:
    """Write one line an item, in the order of the run; raises `OSError`."""
    with (folder / ITEMS).open("w", encoding="utf-8") as file:
        file.writelines(_line(item) + "\n" for item in items)


def read_items(folder: Path) -> list[Item]:
    """Read the items of a run folder; raises `UsageError` naming the file and the line."""
    path = folder / ITEMS
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: texts may hold other line ends
    except FileNotFoundError as e:
        raise UsageError(f"{folder}: has no {ITEMS}; name the folder of a finished run") from e
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: cannot be read: {e}") from e
    items = []
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line:
            break
        try:
            items.append(_item(json.loads(line)))
        except (ValueError, KeyError, TypeError) as e:
            raise UsageError(f"{path}:{number}: not an item: {type(e).__name__}: {e}") from e
    return items


def _line(item: Item) -> str:
    data: dict[str, Any] = {
        "schema": SCHEMA, "item": item.id, "task": item.task, "dataset": item.dataset, "split": item.split,
        "group": item.group, "images": [image.name for image in item.images], "slices": dict(item.slices),
    }  # fmt: skip
    data |= {key: value for key in _TEXTS if (value := getattr(item, key)) is not None}
    data |= {key: list(value) for key in ("options", "golden") if (value := getattr(item, key))}
    return encode(data)


def _item(data: dict[str, Any]) -> Item:
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']!r} is not {SCHEMA}")
    return Item(
        data["item"], data["task"], data["dataset"], data["split"], data["group"],
        tuple(NamedImage(name) for name in data["images"]),
        question=data.get("question"), options=tuple(data.get("options", ())), answer=data.get("answer"),
        slices=data["slices"], target=data.get("target"), golden=tuple(data.get("golden", ())),
    )  # fmt: skip
