"""Read dataset, split and model from the name of an output file."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from pytest_qbench.data import published

#: Names of Q-Bench's tasks in other tools, such as lmms-eval's `qbench_dev` and Q-Instruct's `qbench_a1_dev`.
_TASKS = (
    ("lldescribe", re.compile(r"q-?bench[_-]a2")),
    ("qbench2", re.compile(r"q-?bench2")),
    ("abench", re.compile(r"a-?bench")),
    ("llvisionqa", re.compile(r"llvisionqa|q-?bench1?")),
)
_SPLITS = {"dev": "dev", "val": "dev", "validation": "dev", "test": "test"}


@lru_cache(maxsize=256)
def dataset_of(file: str) -> tuple[str | None, str | None]:
    """Return dataset and split from a file's name, each None if the name does not contain it.

    `koniq.json` and `llvisionqa_dev.json` have the names of data files. `test_koniq.json` is from Q-Align and
    `qbench_a1_dev.jsonl` from Q-Instruct. `samples_qbench_dev.jsonl` has the name of lmms-eval's task, and
    `llava_Q-Bench1_VAL.xlsx` that of VLMEvalKit's table. Any other name is taken as the name of a dataset.
    """
    stem = stem_of(file)
    if found := _published(stem) or _task(stem.lower()):
        return found
    names = dict.fromkeys(published.canonical(word) for word in _words(stem))
    databases = [name for name in names if published.task_of(name) == "assessment"]
    return (databases[0] if len(databases) == 1 else published.canonical(stem)), None


def stem_of(file: str) -> str:
    """Return a file's name without a known suffix. Other parts stay, as a task name in a log may contain dots."""
    return re.sub(r"\.(?:jsonl?|csv|tsv|xlsx|eval)\Z", "", Path(file).name, flags=re.IGNORECASE)


def named_among(file: str, datasets: Collection[str]) -> str | None:
    """Return the one of `datasets` that a file's name contains, or None if it contains none or several."""
    dataset, _ = dataset_of(file)
    if dataset in datasets:
        return dataset
    if is_published(file):
        return None
    stem = stem_of(file).lower()
    found = [name for name in datasets if re.search(rf"(?<![a-z0-9]){re.escape(name.lower())}(?![a-z0-9])", stem)]
    return found[0] if len(found) == 1 else None


def is_published(file: str) -> bool:
    """Return whether a file's name contains a published dataset."""
    dataset, _ = dataset_of(file)
    return dataset is not None and published.task_of(dataset) is not None


def model_of(file: str) -> str | None:
    """Return the model in the name of a VLMEvalKit table, which begins with it; None for any other name."""
    stem = stem_of(file)
    for layout in published.LAYOUTS.values():
        for tables in layout.tables.values():
            for table in tables:
                model, found, _ = stem.lower().partition(f"_{table.lower()}")
                if found and model:
                    return stem[: len(model)]
    return None


def _published(stem: str) -> tuple[str, str | None] | None:
    """Return dataset and split of the data file or VLMEvalKit table in a name, or None."""
    lowered = stem.lower()
    for name, layout in published.LAYOUTS.items():
        for split in (*published.SPLITS, None):
            stems = [s.format(split=split) for s in layout.stems if ("{split}" in s) == (split is not None)]
            if lowered in [s.lower() for s in stems]:
                return name, split
            if any(table.lower() in lowered for table in layout.tables.get(split or "", ())):
                return name, split
    return None


def _task(stem: str) -> tuple[str, str | None] | None:
    for name, pattern in _TASKS:
        if re.search(rf"(?<![a-z0-9])(?:{pattern.pattern})(?![a-z0-9])", stem):
            return name, next((split for word in _words(stem) if (split := _SPLITS.get(word))), None)
    return None


def _words(stem: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", stem.lower()) if word]
