"""Link items with degraded images to their clean twins: the same questions about the undegraded images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset, Item
from pytest_qbench.untrusted.shape import short_repr

Asked = tuple[str, str | None]  # the name of an image, and the question about it


def link_twins(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Return the datasets with `Item.clean` as the id of the clean twin. Twins share the group of the clean item.

    The data names a twin by its id or by its image; of several questions about that image, the same question counts.
    Where the clean items are another dataset (`Dataset.clean`), a twin has the same id or image unless the data names
    another. If that dataset is not among `datasets`, its pairs do not exist in this run. Raises `DataError` for an item
    without a twin and for twins that differ in question, options or answer.
    """
    linked = []
    for dataset in datasets:
        partners = [
            one
            for one in datasets
            if (one.task, one.name) == (dataset.task, dataset.clean or dataset.name)
            and one.split in (dataset.split, None)
        ]
        if dataset.clean is None and all(item.clean is None for item in dataset.items):
            linked.append(dataset)
        elif not partners:
            linked.append(replace(dataset, items=tuple(replace(item, clean=None) for item in dataset.items)))
        else:
            linked.append(_linked(dataset, partners[0]))
    return linked


def _linked(dataset: Dataset, home: Dataset) -> Dataset:
    by_id = {_local(item.id, home): item for item in home.items}
    by_image: dict[Asked, Item] = {}
    for item in home.items:
        by_image.setdefault(("_cat_".join(item.image_names), item.question), item)
    items, alone = [], []
    for item in dataset.items:
        named = item.clean
        if named is None and home is dataset:
            items.append(item)
            continue
        names = [named] if named is not None else [_local(item.id, dataset), "_cat_".join(item.image_names)]
        twin = _find(names, item, by_id, by_image)
        if twin is None:
            alone.append(item)
        elif twin.id == item.id:  # the clean item itself
            items.append(replace(item, clean=None))
        else:
            _check_same(item, twin, dataset)
            items.append(replace(item, clean=twin.id, group=twin.group))
    if alone:
        first = alone[0]
        named = f" (clean is {short_repr(first.clean)})" if first.clean is not None else ""
        raise DataError(
            f"{dataset.source}: {len(alone)} of {len(dataset.items)} items have no clean twin in {home.name}, first "
            f"{first.id}{named}; name the id or the image of each twin in the field clean"
        )
    return replace(dataset, items=tuple(items))


def _find(names: Iterable[str], item: Item, by_id: Mapping[str, Item], by_image: Mapping[Asked, Item]) -> Item | None:
    """Return the first twin of a name: the same question about an image of this name, else the item with this id."""
    for name in names:
        if (found := by_image.get((name, item.question)) or by_id.get(name)) is not None:
            return found
    return None


def _local(ident: str, dataset: Dataset) -> str:
    """Return an id without the names of dataset and split."""
    return ident.removeprefix(f"{dataset.name}/").removeprefix(f"{dataset.split}/" if dataset.split else "")


def _check_same(item: Item, twin: Item, dataset: Dataset) -> None:
    for name in ("question", "options", "answer"):
        if (here := getattr(item, name)) != (there := getattr(twin, name)):
            raise DataError(
                f"{dataset.source}: {item.id} has {name} {short_repr(here)}, its clean twin {twin.id} "
                f"{short_repr(there)}; twins differ in the image alone"
            )
