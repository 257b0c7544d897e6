"""Decode and preprocess images in threads, a few batches ahead of the forward pass."""

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

# Imports in functions: torch loads with the model that needs it.

AHEAD = 2
"""Number of batches prepared ahead. With this limit, memory does not grow with the number of items of a run."""


@dataclass(frozen=True)
class Batch:
    """One batch: items of one task, their positions among all items of the call, their prompts and images.

    `shared`: whether neighbouring batches show the same images.
    """

    positions: tuple[int, ...]
    items: tuple[Item, ...]
    prompts: tuple[Prompt, ...]
    images: tuple[tuple[LazyImage, ...], ...]
    shared: bool


@dataclass(frozen=True)
class PreparedBatch:
    """A batch ready for the model: the prompts of items with readable images, and the errors of the others.

    `broken` maps positions in `batch.items` to errors.
    """

    batch: Batch
    prompts: Sequence[Prompt]
    broken: dict[int, ItemError]


class Prefetcher:
    """A queue of batches that are prepared in threads. Not thread-safe."""

    def __init__(self, model: Model) -> None:
        self._model = model if isinstance(model, SupportsPrefetch) and model.needs_images else None
        self._remote = model if isinstance(model, RemoteModel) else None
        self._waiting: deque[Iterator[Batch]] = deque()
        self._started: deque[tuple[Batch, Future[PreparedBatch] | PreparedBatch]] = deque()
        self._preprocessing: ThreadPoolExecutor | None = None
        self._preparing: ThreadPoolExecutor | None = None
        self._keeps_memory = False
        self._own_threads = 0  # torch threads of the calling thread, restored by `close`

    @property
    def ahead(self) -> int:
        """Number of batches in preparation while another is measured."""
        return self._remote.ahead if self._remote else AHEAD

    def add(self, batches: Iterable[Batch]) -> None:
        """Append batches to the queue. Preparation of the first ones starts at once."""
        self._waiting.append(iter(batches))
        self._fill()

    def next(self) -> PreparedBatch:
        """Return the first batch of the queue once it is prepared; the threads continue with the next ones."""
        batch, started = self._started.popleft()
        self._fill()
        if isinstance(started, PreparedBatch):
            return started
        # The model repeats the failed preparation itself, and the engine reports that error.
        return PreparedBatch(batch, batch.prompts, {}) if started.exception() is not None else started.result()

    def clear(self) -> None:
        """Empty the queue."""
        self._waiting.clear()
        for _, started in self._started:
            if isinstance(started, Future):
                started.cancel()
        self._started.clear()

    def close(self) -> None:
        """Empty the queue and stop the threads."""
        self.clear()
        for pool in (self._preprocessing, self._preparing):
            if pool is not None:
                pool.shutdown(cancel_futures=True)
        if self._preparing is not None:
            import torch

            torch.set_num_threads(self._own_threads)  # later threads inherit this value too
        self._preprocessing = self._preparing = None
        if self._keeps_memory:
            give_memory_back()
            self._keeps_memory = False

    def _fill(self) -> None:
        while self._waiting and len(self._started) < self.ahead:
            batch = next(self._waiting[0], None)
            if batch is None:
                self._waiting.popleft()
            else:
                self._started.append((batch, self._start(batch)))

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
            self._preprocessing = ThreadPoolExecutor(threads, "qbench-preprocess", _use_one_thread)
            self._preparing = ThreadPoolExecutor(1, "qbench-prepare", _use_one_thread)
        preprocessing = [[self._preprocessing.submit(model.preprocess, image) for image in own] for own in batch.images]
        return self._preparing.submit(_prepare, model, batch, preprocessing)


def _use_one_thread() -> None:
    """Limit this thread to one torch thread, so that it does not compete with the forward pass for cores.

    By default, each thread starts one torch thread per core. On two cores, preprocessing that takes 3 ms a batch then
    slows the forward pass by 15 ms.
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
