"""Decoding and preprocessing in threads, some batches ahead of the forward pass."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.models.base import Model, Prepares, Sends
from pytest_qbench.models.images import Picture
from pytest_qbench.models.memory import give_memory_back, keep_memory
from pytest_qbench.prompts import Prompt

AHEAD = 2
"""Batches made ready while another is in its forward pass: what a run holds does not grow with its items."""


@dataclass(frozen=True)
class Work:
    """One batch: items of one task, their positions among those that were asked for, and what each is to be asked.

    `shared` tells whether the batches beside it show the same images.
    """

    positions: tuple[int, ...]
    items: tuple[Item, ...]
    prompts: tuple[Prompt, ...]
    pictures: tuple[tuple[Picture, ...], ...]
    shared: bool


@dataclass(frozen=True)
class Ready:
    """A batch to be asked: prompts of the items whose images can be read, and what is wrong with the others.

    `broken` is by position in `work.items`.
    """

    work: Work
    prompts: Sequence[Prompt]
    broken: dict[int, ItemError]


class Pipeline:
    """Hands out batches in the order in which they were added. All methods are for one thread."""

    def __init__(self, model: Model) -> None:
        self._model = model if isinstance(model, Prepares) and model.needs_images else None
        self._elsewhere = model if isinstance(model, Sends) else None
        self._waiting: deque[Iterator[Work]] = deque()
        self._begun: deque[tuple[Work, Future[Ready] | Ready]] = deque()
        self._looking: ThreadPoolExecutor | None = None
        self._preparing: ThreadPoolExecutor | None = None
        self._keeps_memory = False
        self._own_threads = 0  # of the thread that asks the model, while others prepare

    @property
    def ahead(self) -> int:
        """How many batches are begun while another is measured."""
        return self._elsewhere.ahead if self._elsewhere else AHEAD

    def add(self, batches: Iterable[Work]) -> None:
        """Put batches at the end of the line; the first of the line are begun at once."""
        self._waiting.append(iter(batches))
        self._begin()

    def next(self) -> Ready:
        """Return the first batch in the line, ready, while those behind it are being made ready."""
        work, begun = self._begun.popleft()
        self._begin()
        if isinstance(begun, Ready):
            return begun
        # What went wrong in a thread goes wrong again where the prompts are asked, and is told from there.
        return Ready(work, work.prompts, {}) if begun.exception() is not None else begun.result()

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
        for pool in (self._looking, self._preparing):
            if pool is not None:
                pool.shutdown(cancel_futures=True)
        if self._preparing is not None:
            import torch

            torch.set_num_threads(self._own_threads)  # also what threads get that are yet to come
        self._looking = self._preparing = None
        if self._keeps_memory:
            give_memory_back()
            self._keeps_memory = False

    def _begin(self) -> None:
        while self._waiting and len(self._begun) < self.ahead:
            work = next(self._waiting[0], None)
            if work is None:
                self._waiting.popleft()
            else:
                self._begun.append((work, self._start(work)))

    def _start(self, work: Work) -> Future[Ready] | Ready:
        if self._model is not None:
            return self._submit(self._model, work)
        sent = self._elsewhere.send(work.items, work.prompts, work.shared) if self._elsewhere else work.prompts
        return Ready(work, sent, {})

    def _submit(self, model: Prepares, work: Work) -> Future[Ready]:
        if self._looking is None or self._preparing is None:
            import torch

            threads = os.cpu_count() or 1
            self._keeps_memory = keep_memory(threads)
            self._own_threads = torch.get_num_threads()
            self._looking = ThreadPoolExecutor(threads, "qbench-look", _work_alone)
            self._preparing = ThreadPoolExecutor(1, "qbench-prepare", _work_alone)
        looks = [[self._looking.submit(model.look, picture) for picture in own] for own in work.pictures]
        return self._preparing.submit(_prepare, model, work, looks)


def _work_alone() -> None:
    """Let this thread compute without helpers: each would bring as many as there are cores, spinning beside the model.

    On two cores, what costs 3 ms a batch so took 15 ms from its forward pass.
    """
    import torch

    torch.set_num_threads(1)


def _prepare(model: Prepares, work: Work, looks: Sequence[Sequence[Future[None]]]) -> Ready:
    broken: dict[int, ItemError] = {}
    for i, own in enumerate(looks):
        for look in own:
            if isinstance(error := look.exception(), ItemError):
                broken.setdefault(i, error)
    prompts = [prompt for i, prompt in enumerate(work.prompts) if i not in broken]
    return Ready(work, model.prepare(prompts), broken)
