"""A replica: a process on a node of the cluster, with the model and the threads that prepare its batches."""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_qbench import __version__
from pytest_qbench.engine.dispatch import ITEM_FAILURES, BatchBuilder, PromptSettings
from pytest_qbench.engine.prefetch import Prefetcher
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.models.base import SupportsDtypeSwitch, SupportsPrefetch
from pytest_qbench.records import Response

if TYPE_CHECKING:
    from pytest_qbench.items import Item
    from pytest_qbench.models.specs import ModelSpec

CONCURRENT_CALLS = 2  # one batch in preparation while another is in the forward pass


@dataclass(frozen=True)
class Handshake:
    """Description of a replica. The replicas of one run must have equal `identity`."""

    node: str
    node_id: str
    name: str
    needs_images: bool
    largest_batch: int | None
    description: dict[str, Any]
    machine: str
    pytest_qbench: str

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that affects answers."""
        return {"machine": self.machine, "pytest_qbench": self.pytest_qbench, **self.description}


class Replica:
    """A model in its own process. Methods return errors instead of raising them, as Ray would change type and text."""

    def __init__(self) -> None:
        self._preparing, self._computing = threading.Lock(), threading.Lock()

    def place(self) -> str:
        """Return the name of this node. A result shows that the replica has been placed on a node."""
        return platform.node()

    def load(
        self, spec: ModelSpec, args: Mapping[str, str], settings: PromptSettings, threads: int
    ) -> Handshake | UsageError:
        """Load the model and return the description of the replica. `threads`: number of torch threads."""
        import ray
        import torch

        from pytest_qbench.models.load import load_model

        torch.set_num_threads(threads)  # with one thread per core, rounding would depend on the node
        try:
            self._model = load_model(spec, args)
        except UsageError as e:
            return e
        self._settings = settings
        self._build_batch = BatchBuilder(settings, vision=self._model.needs_images)
        self._prefetcher = Prefetcher(self._model)
        return Handshake(
            node=platform.node(),
            node_id=ray.get_runtime_context().get_node_id(),
            name=self._model.name,
            needs_images=self._model.needs_images,
            largest_batch=self._model.largest_batch if isinstance(self._model, SupportsPrefetch) else None,
            description=self._model.describe(),
            machine=platform.machine(),
            pytest_qbench=__version__,
        )

    def respond(self, items: Sequence[Item], shared: bool) -> list[Response | ItemError] | Exception:
        """Return the response of each item of one batch, or the error of the model."""
        try:
            with self._preparing:
                self._prefetcher.add([self._build_batch(range(len(items)), items, shared)])
                ready = self._prefetcher.next()
            readable = [item for i, item in enumerate(items) if i not in ready.broken]
            with self._computing:
                found = iter(self._settings.query(self._model, readable, ready.prompts) if readable else ())
            return [ready.broken[i] if i in ready.broken else next(found) for i in range(len(items))]
        except (*ITEM_FAILURES, UsageError) as e:
            return e

    def switch_dtype(self) -> str | RuntimeError | None:
        """Switch the model's dtype (`SupportsDtypeSwitch.switch_dtype`); None if it cannot."""
        try:
            return self._model.switch_dtype() if isinstance(self._model, SupportsDtypeSwitch) else None
        except RuntimeError as e:
            return e
