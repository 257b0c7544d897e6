"""Plan which items share a forward pass. The plan depends only on the items, never on timing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from pytest_qbench.items import Item

Positions = tuple[int, ...]


def plan_batches(items: Sequence[Item], size: int, length: Callable[[Item], int]) -> list[tuple[Positions, bool]]:
    """Split `items` into batches of one task and at most `size` items.

    Returns for each batch the positions of its items, and whether neighbouring batches show the same images.

    A block is a group of images with the same number of prompts of each task. Its batches follow one another and show
    the block's images in the same order. The model then preprocesses and encodes each image once for all its prompts.
    A block needs at least half a batch of images. All other items are sorted by task and text length, which keeps
    padding short.
    """
    batches: list[tuple[Positions, bool]] = []
    alone: list[int] = []

    def order(position: int) -> tuple[str, int, int]:
        return items[position].task, length(items[position]), position

    for block, shared in _blocks(items, size, order):
        if shared:
            # A layer is the k-th prompt of each image. `order` sorts the prompts of an image by task, then by length.
            batches += [(tuple(layer), True) for layer in zip(*block, strict=True)]
        else:
            alone += [position for prompts in block for position in prompts]
    alone.sort(key=order)
    for _, run in groupby(alone, key=lambda position: items[position].task):
        positions = list(run)
        batches += [(tuple(positions[i : i + size]), False) for i in range(0, len(positions), size)]
    return batches


def _blocks(
    items: Sequence[Item], size: int, order: Callable[[int], tuple[str, int, int]]
) -> list[tuple[list[list[int]], bool]]:
    """Return blocks of images and whether the prompts of a block share batches.

    An image is a list: the positions of its prompts, sorted by `order`.
    """
    by_images: dict[object, list[int]] = {}
    for position, item in enumerate(items):
        # Equal sources are the same image; an item without images shares none.
        by_images.setdefault(item.images or position, []).append(position)
    by_tasks: dict[tuple[str, ...], list[list[int]]] = {}
    for positions in by_images.values():
        positions.sort(key=order)
        by_tasks.setdefault(tuple(items[p].task for p in positions), []).append(positions)
    blocks = []
    for tasks, images in sorted(by_tasks.items()):
        images.sort(key=lambda positions: (max(order(p)[1] for p in positions), positions[0]))
        for start in range(0, len(images), size):
            block = images[start : start + size]
            blocks.append((block, len(tasks) > 1 and 2 * len(block) >= size))
    return blocks
