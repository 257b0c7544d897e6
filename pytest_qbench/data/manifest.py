"""Read `datasets.yaml`, in which a user describes the datasets of a data folder."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pytest_qbench.data import published
from pytest_qbench.errors import DataError
from pytest_qbench.items import TASKS, Task
from pytest_qbench.untrusted.parsing import read_yaml
from pytest_qbench.untrusted.shape import short_repr

FILE = "datasets.yaml"
_KEYS: dict[str, type] = {
    "name": str,
    "task": str,
    "split": str,
    "file": str,
    "images": str,
    "higher_is_better": bool,
    "image_column": str,
    "target_column": str,
    "group_column": str,
    "group_pattern": str,
    "license": str,
    "clean": str,
}
#: A dataset's name is a part of item ids and of comma-separated options.
NAME = re.compile(r"[\w.+-]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset of the file; an absent key is None, and its value comes from the standard layout."""

    place: str
    name: str
    task: Task | None = None
    split: str | None = None
    file: str | None = None
    images: str | None = None
    higher_is_better: bool | None = None
    image_column: str | None = None
    target_column: str | None = None
    group_column: str | None = None
    group_pattern: re.Pattern[str] | None = None
    license: str | None = None
    clean: str | None = None


def read_manifest(folder: Path, label: str) -> list[Entry]:
    """Return the entries of the folder's `datasets.yaml`, none where there is no such file; `label` names it."""
    path = folder / FILE
    if not path.exists():
        return []
    content = read_yaml(path, label=label, error=DataError)
    if not isinstance(content, dict) or list(content) != ["datasets"] or not isinstance(content["datasets"], list):
        raise DataError(f"{label}: no list under datasets:; write datasets: [{{name: ..., task: ..., file: ...}}]")
    entries = [_entry(one, f"{label}: dataset {number}") for number, one in enumerate(content["datasets"], 1)]
    seen: dict[tuple[object, ...], str] = {}
    for entry in entries:
        first = seen.setdefault((entry.name, entry.task, entry.split), entry.place)
        if first != entry.place:
            raise DataError(f"{entry.place}: {entry.name} is already listed; keep one or rename it")
    return entries


def _entry(one: object, place: str) -> Entry:
    if not isinstance(one, dict):
        raise DataError(f"{place}: is {short_repr(one)}; write {{name: ..., task: ..., file: ...}}")
    values = {key: _value(key, value, place) for key, value in one.items() if value is not None}
    name, task, split = values.get("name"), values.get("task"), values.get("split")
    if name is None or not NAME.fullmatch(name):
        raise DataError(f"{place}: name is {short_repr(name)}; letters, digits and . + - _ make a name")
    if task is not None and task not in TASKS:
        raise DataError(f"{place}: task {short_repr(task)} is unknown; use one of {', '.join(TASKS)}")
    if split is not None and split not in published.SPLITS:
        raise DataError(f"{place}: split {short_repr(split)} is unknown; use dev or test, or leave it out")
    if task is None:
        task = published.task_of(published.canonical(name))
    if (clean := values.get("clean")) is not None:
        values["clean"] = published.canonical(clean)
    values["name"], values["task"] = published.canonical(name), cast("Task | None", task)
    return Entry(place, **values)


def _value(key: object, value: object, place: str) -> Any:
    wanted = _KEYS.get(key) if isinstance(key, str) else None
    if wanted is None:
        raise DataError(f"{place}: unknown key {short_repr(key)}; use {nearest(str(key), _KEYS)}")
    if not isinstance(value, wanted):
        kind = "true or false" if wanted is bool else "a text"
        raise DataError(f"{place}: {key} is {short_repr(value)}; write {kind}")
    if isinstance(value, str) and not value.isprintable():
        raise DataError(f"{place}: {key} {short_repr(value)} cannot be printed; write plain text")
    if key == "group_pattern":
        try:
            return re.compile(str(value))
        except (re.error, RecursionError, OverflowError) as e:
            raise DataError(f"{place}: group_pattern {short_repr(value)}: {e}; correct the regular expression") from e
    return value


def nearest(name: str, present: Mapping[str, object] | list[str]) -> str:
    """Return the names present for a message, starting with the one most similar to `name` if there is one."""
    close = difflib.get_close_matches(name, list(present), n=1)
    names = ", ".join(present)
    return f"{close[0]} (of {names})" if close else f"one of {names}"
