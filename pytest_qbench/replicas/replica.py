"""What runs on a node of the cluster: the model, and the threads that decode and preprocess for it."""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_qbench import __version__
from pytest_qbench.engine.dispatch import FAILURES, Asking, Works
from pytest_qbench.engine.prefetch import Pipeline
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.models.base import Prepares, Varies
from pytest_qbench.records import Response

if TYPE_CHECKING:
    from pytest_qbench.items import Item
    from pytest_qbench.models.specs import ModelSpec

CALLS = 2  # at once: one batch is decoded and preprocessed while another is in its forward pass


@dataclass(frozen=True)
class Hello:
    """What a replica is. Those of one run must not differ in `identity`."""

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
        """All that answers may depend on."""
        return {"machine": self.machine, "pytest_qbench": self.pytest_qbench, **self.description}


class Replica:
    """A model in a process of its own. What goes wrong is returned, not raised: so its type and text arrive as here."""

    def __init__(self) -> None:
        self._making, self._asking = threading.Lock(), threading.Lock()

    def place(self) -> str:
        """Return the name of this node: the replica has found a place."""
        return platform.node()

    def load(self, spec: ModelSpec, args: Mapping[str, str], asking: Asking, threads: int) -> Hello | UsageError:
        """Load the model, to compute with so many threads."""
        import ray
        import torch

        from pytest_qbench.models.load import load_model

        torch.set_num_threads(threads)  # or sums are cut, and rounded, as the node has cores
        try:
            self._model = load_model(spec, args)
        except UsageError as e:
            return e
        self._how = asking
        self._works = Works(asking, sees=self._model.needs_images)
        self._pipeline = Pipeline(self._model)
        return Hello(
            node=platform.node(),
            node_id=ray.get_runtime_context().get_node_id(),
            name=self._model.name,
            needs_images=self._model.needs_images,
            largest_batch=self._model.largest_batch if isinstance(self._model, Prepares) else None,
            description=self._model.describe(),
            machine=platform.machine(),
            pytest_qbench=__version__,
        )

    def answers(self, items: Sequence[Item], shared: bool) -> list[Response | ItemError] | Exception:
        """Return the response of each item of one batch, or what the model raised over it."""
        try:
            with self._making:
                self._pipeline.add([self._works(range(len(items)), items, shared)])
                ready = self._pipeline.next()
            whole = [item for i, item in enumerate(items) if i not in ready.broken]
            with self._asking:
                found = iter(self._how.ask(self._model, whole, ready.prompts) if whole else ())
            return [ready.broken[i] if i in ready.broken else next(found) for i in range(len(items))]
        except (*FAILURES, UsageError) as e:
            return e

    def vary(self) -> str | RuntimeError | None:
        """As `Varies.vary`; None also for a model that cannot."""
        try:
            return self._model.vary() if isinstance(self._model, Varies) else None
        except RuntimeError as e:
            return e
