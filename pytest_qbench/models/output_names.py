"""Which dataset, split and model the name of an output file tells."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from pytest_qbench.data import published

#: Names of Q-Bench's tasks elsewhere: lmms-eval's `qbench_dev`, Q-Instruct's `qbench_a1_dev`.
_TASKS = (
    ("lldescribe", re.compile(r"q-?bench[_-]a2")),
    ("qbench2", re.compile(r"q-?bench2")),
    ("abench", re.compile(r"a-?bench")),
    ("llvisionqa", re.compile(r"llvisionqa|q-?bench1?")),
)
_SPLITS = {"dev": "dev", "val": "dev", "validation": "dev", "test": "test"}


@lru_cache(maxsize=256)
def dataset_of(file: str) -> tuple[str | None, str | None]:
    """Return dataset and split that a file's name tells; None for what it does not.

    `koniq.json` and `llvisionqa_dev.json` are named as the data files, `test_koniq.json` by Q-Align,
    `qbench_a1_dev.jsonl` by Q-Instruct, `samples_qbench_dev.jsonl` after lmms-eval's task and `llava_Q-Bench1_VAL.xlsx`
    after VLMEvalKit's table. A name that tells no published dataset is a dataset of its own.
    """
    stem = stem_of(file)
    if found := _published(stem) or _task(stem.lower()):
        return found
    names = dict.fromkeys(published.canonical(word) for word in _words(stem))
    databases = [name for name in names if published.task_of(name) == "assessment"]
    return (databases[0] if len(databases) == 1 else published.canonical(stem)), None


def stem_of(file: str) -> str:
    """Return a file's name without its suffix; what a log calls its task has none, but may hold dots."""
    return re.sub(r"\.(?:jsonl?|csv|tsv|xlsx|eval)\Z", "", Path(file).name, flags=re.IGNORECASE)


def named_among(file: str, datasets: Collection[str]) -> str | None:
    """Return the one of `datasets` that a file's name tells; None for none or several."""
    dataset, _ = dataset_of(file)
    if dataset in datasets:
        return dataset
    if is_published(file):
        return None
    stem = stem_of(file).lower()
    found = [name for name in datasets if re.search(rf"(?<![a-z0-9]){re.escape(name.lower())}(?![a-z0-9])", stem)]
    return found[0] if len(found) == 1 else None


def is_published(file: str) -> bool:
    """Whether a file's name tells a published dataset."""
    dataset, _ = dataset_of(file)
    return dataset is not None and published.task_of(dataset) is not None


def model_of(file: str) -> str | None:
    """Return the model that VLMEvalKit puts before the name of its table; None for any other name."""
    stem = stem_of(file)
    for layout in published.LAYOUTS.values():
        for tables in layout.tables.values():
            for table in tables:
                model, found, _ = stem.lower().partition(f"_{table.lower()}")
                if found and model:
                    return stem[: len(model)]
    return None


def _published(stem: str) -> tuple[str, str | None] | None:
    """Return the dataset whose data file or VLMEvalKit table a name holds."""
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
