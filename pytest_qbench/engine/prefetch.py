"""Decoding and preprocessing in threads, some batches ahead of the forward pass."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.models.base import Model, RemoteModel, SupportsPrefetch
from pytest_qbench.models.images import LazyImage
from pytest_qbench.models.memory import give_memory_back, keep_memory
from pytest_qbench.prompts import Prompt

AHEAD = 2
"""Batches made ready while another is in its forward pass: what a run holds does not grow with its items."""


@dataclass(frozen=True)
class Batch:
    """One batch: items of one task, their positions among those that were asked for, and what each is to be asked.

    `shared` tells whether the batches beside it show the same images.
    """

    positions: tuple[int, ...]
    items: tuple[Item, ...]
    prompts: tuple[Prompt, ...]
    images: tuple[tuple[LazyImage, ...], ...]
    shared: bool


@dataclass(frozen=True)
class PreparedBatch:
    """A batch to be asked: prompts of the items whose images can be read, and what is wrong with the others.

    `broken` is by position in `batch.items`.
    """

    batch: Batch
    prompts: Sequence[Prompt]
    broken: dict[int, ItemError]


class Prefetcher:
    """Hands out batches in the order in which they were added. All methods are for one thread."""

    def __init__(self, model: Model) -> None:
        self._model = model if isinstance(model, SupportsPrefetch) and model.needs_images else None
        self._remote = model if isinstance(model, RemoteModel) else None
        self._waiting: deque[Iterator[Batch]] = deque()
        self._begun: deque[tuple[Batch, Future[PreparedBatch] | PreparedBatch]] = deque()
        self._preprocessing: ThreadPoolExecutor | None = None
        self._preparing: ThreadPoolExecutor | None = None
        self._keeps_memory = False
        self._own_threads = 0  # of the thread that asks the model, while others prepare

    @property
    def ahead(self) -> int:
        """How many batches are begun while another is measured."""
        return self._remote.ahead if self._remote else AHEAD

    def add(self, batches: Iterable[Batch]) -> None:
        """Put batches at the end of the line; the first of the line are begun at once."""
        self._waiting.append(iter(batches))
        self._begin()

    def next(self) -> PreparedBatch:
        """Return the first batch in the line, ready, while those behind it are being made ready."""
        batch, begun = self._begun.popleft()
        self._begin()
        if isinstance(begun, PreparedBatch):
            return begun
        # What went wrong in a thread goes wrong again where the prompts are asked, and is told from there.
        return PreparedBatch(batch, batch.prompts, {}) if begun.exception() is not None else begun.result()

    def clear(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        for _, begun in self._begun:
            if isinstance(begun, Future):
                begun.cancel()
        self._begun.clear()

    def close(self) -> None:
        """Drop what waits and end the threads."""
        self.clear()
        for pool in (self._preprocessing, self._preparing):
            if pool is not None:
                pool.shutdown(cancel_futures=True)
        if self._preparing is not None:
            import torch

            torch.set_num_threads(self._own_threads)  # also what threads get that are yet to come
        self._preprocessing = self._preparing = None
        if self._keeps_memory:
            give_memory_back()
            self._keeps_memory = False

    def _begin(self) -> None:
        while self._waiting and len(self._begun) < self.ahead:
            batch = next(self._waiting[0], None)
            if batch is None:
                self._waiting.popleft()
            else:
                self._begun.append((batch, self._start(batch)))

    def _start(self, batch: Batch) -> Future[PreparedBatch] | PreparedBatch:
        if self._model is not None:
            return self._submit(self._model, batch)
        sent = self._remote.send(batch.items, batch.prompts, batch.shared) if self._remote else batch.prompts
        return PreparedBatch(batch, sent, {})

    def _submit(self, model: SupportsPrefetch, batch: Batch) -> Future[PreparedBatch]:
        if self._preprocessing is None or self._preparing is None:
            import torch

            threads = os.cpu_count() or 1
            self._keeps_memory = keep_memory(threads)
            self._own_threads = torch.get_num_threads()
            self._preprocessing = ThreadPoolExecutor(threads, "qbench-preprocess", _work_alone)
            self._preparing = ThreadPoolExecutor(1, "qbench-prepare", _work_alone)
        preprocessing = [[self._preprocessing.submit(model.preprocess, image) for image in own] for own in batch.images]
        return self._preparing.submit(_prepare, model, batch, preprocessing)


def _work_alone() -> None:
    """Let this thread compute without helpers: each would bring as many as there are cores, spinning beside the model.

    On two cores, what costs 3 ms a batch so took 15 ms from its forward pass.
    """
    import torch

    torch.set_num_threads(1)


def _prepare(model: SupportsPrefetch, batch: Batch, preprocessing: Sequence[Sequence[Future[None]]]) -> PreparedBatch:
    broken: dict[int, ItemError] = {}
    for i, own in enumerate(preprocessing):
        for future in own:
            if isinstance(error := future.exception(), ItemError):
                broken.setdefault(i, error)
    prompts = [prompt for i, prompt in enumerate(batch.prompts) if i not in broken]
    return PreparedBatch(batch, model.prepare(prompts), broken)
