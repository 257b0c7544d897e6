"""Which items share a forward pass: a function of the items alone, never of timing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from pytest_qbench.items import Item

Batch = tuple[int, ...]


def plan_batches(items: Sequence[Item], size: int, length: Callable[[Item], int]) -> list[tuple[Batch, bool]]:
    """Cut `items` into batches of one task and at most `size`: their positions, and whether they share images.

    Batches of one block follow each other and show the same images in the same order, so that what was made of an image
    serves all of its prompts. A block needs at least half a batch of images that are asked alike (the same number of
    prompts of each task); all other items go by task and length of the text, so that little of a batch is padding.
    """
    batches: list[tuple[Batch, bool]] = []
    alone: list[int] = []

    def order(position: int) -> tuple[str, int, int]:
        return items[position].task, length(items[position]), position

    for block, shared in _blocks(items, size, order):
        if shared:
            # The k-th prompt on each image, task by task: `order` puts an image's prompts of one task by length.
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
    """Return groups of images, each as positions of its prompts in `order`, and whether their prompts go together."""
    by_images: dict[object, list[int]] = {}
    for position, item in enumerate(items):
        # Equal sources are the same image; an item without images shares none.
        by_images.setdefault(item.images or position, []).append(position)
    asked_alike: dict[tuple[str, ...], list[list[int]]] = {}
    for positions in by_images.values():
        positions.sort(key=order)
        asked_alike.setdefault(tuple(items[p].task for p in positions), []).append(positions)
    blocks = []
    for tasks, images in sorted(asked_alike.items()):
        images.sort(key=lambda positions: (max(order(p)[1] for p in positions), positions[0]))
        for start in range(0, len(images), size):
            block = images[start : start + size]
            blocks.append((block, len(tasks) > 1 and 2 * len(block) >= size))
    return blocks
