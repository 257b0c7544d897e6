"""Draw a stratified sample of each dataset, a smaller benchmark that represents the whole."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Dataset, Item

_BINS = 10


def select(datasets: Sequence[Dataset], *, limit: int | None, seed: int) -> list[Dataset]:
    """Return the datasets with at most `limit` items each (per task, dataset and split), in their original order.

    Strata are the slices, for assessment also ten equal bins of the MOS; each gets its share by largest remainder.
    Which items are drawn depends on the seed and the items' ids alone.
    """
    if limit is None:
        return list(datasets)
    if limit < 1:
        raise UsageError(f"--qbench-limit={limit}: a sample has at least one item; leave the option out for all items")
    return [_sample(dataset, limit, seed) for dataset in datasets]


def _sample(dataset: Dataset, limit: int, seed: int) -> Dataset:
    if len(dataset.items) <= limit:
        return dataset
    chosen: set[str] = set()
    strata = _strata(dataset, min(_BINS, limit))
    for key, share in _allocate({key: len(items) for key, items in strata.items()}, limit, seed).items():
        drawn = sorted(strata[key], key=lambda item: _draw(seed, item.id))
        chosen.update(item.id for item in drawn[:share])
    return replace(dataset, items=tuple(item for item in dataset.items if item.id in chosen))


def _strata(dataset: Dataset, bins: int) -> dict[tuple[str, ...], list[Item]]:
    by_slice: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in dataset.items:
        by_slice[tuple(f"{key}={value}" for key, value in sorted(item.slices.items()))].append(item)
    if dataset.task != "assessment":
        return by_slice
    strata: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for key, items in by_slice.items():
        ranked = sorted(items, key=lambda item: (item.target or 0.0, item.id))
        for rank, item in enumerate(ranked):
            strata[*key, f"bin={rank * bins // len(ranked)}"].append(item)
    return strata


def _allocate(sizes: dict[tuple[str, ...], int], limit: int, seed: int) -> dict[tuple[str, ...], int]:
    """Return the number of items per stratum: `limit` in proportion to the sizes, by largest remainder.

    Equal remainders are drawn by lot.
    """
    total = sum(sizes.values())
    shares = {key: limit * size // total for key, size in sizes.items()}
    rest = sorted(sizes, key=lambda key: (-(limit * sizes[key] % total), _draw(seed, "\n".join(key))))
    for key in rest[: limit - sum(shares.values())]:
        shares[key] += 1
    return shares


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{name}".encode()).digest()
