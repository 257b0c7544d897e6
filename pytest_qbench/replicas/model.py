"""Present the replicas to the engine as one model that is sent batches ahead and answers them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pytest_qbench.engine.crash_isolation import next_batch_size
from pytest_qbench.engine.dispatch import PromptSettings
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import Item
from pytest_qbench.models.base import ItemModel, Prompts
from pytest_qbench.models.errors import WorkerDied
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Key, Response
from pytest_qbench.replicas.check import OPTION
from pytest_qbench.replicas.cluster import Cluster
from pytest_qbench.replicas.pool import PendingBatch, ReplicaHandle, ReplicaPool

AHEAD = 3  # batches per replica: one in the forward pass, one in preparation, one finished that waits for its turn


class SentPrompts(Prompts):
    """The prompts of a sent batch. A slice of them is another batch, not yet sent."""

    def __init__(self, prompts: Sequence[Prompt], batch: PendingBatch) -> None:
        super().__init__(prompts)
        self.batch = batch


class ReplicatedModel(ItemModel):
    """Replicas of one local model on a Ray cluster; a `models.base.RemoteModel`.

    If a replica dies, its batch is repeated unchanged and alone on another replica. If that one dies too, the batch is
    halved. An item that kills its process alone becomes an error. The rules are `crash_isolation.next_batch_size`, as
    for the processes of pytest-xdist.
    """

    def __init__(self, address: str, spec: ModelSpec, args: Mapping[str, str], settings: PromptSettings) -> None:
        """Join the cluster and load the replicas. Raises `UsageError` in one line if that fails."""
        if spec.is_local:
            spec = replace(spec, target=str(Path(spec.target).absolute()))  # a node has another working directory
        self._cluster = Cluster(address)
        try:
            self._pool = ReplicaPool(self._cluster.size(args.get("device", "auto")), spec, args, settings)
        except BaseException:  # an interrupt must not leave a cluster running either
            self._cluster.close()
            raise
        handshake = self._pool.handshake
        self.name, self.needs_images, self.machine = handshake.name, handshake.needs_images, handshake.machine
        self.largest_batch = handshake.largest_batch
        self._died: dict[Key, list[int]] = {}
        self._last: ReplicaHandle | None = None
        self.report: dict[str, Any] = {
            "replicas": self._pool.size.replicas,
            "nodes": self._pool.nodes,
            "started": self._cluster.started,
            "deaths": self._pool.deaths,
        }

    @property
    def ahead(self) -> int:
        """Number of batches to send ahead of the one that is awaited."""
        return AHEAD * max(1, len(self._pool.replicas))

    def describe(self) -> dict[str, Any]:
        """Return the description of the model, which is the same on all replicas."""
        return dict(self._pool.handshake.description)

    def send(self, items: Sequence[Item], prompts: Sequence[Prompt], shared: bool) -> Sequence[Prompt]:
        """Send a batch to the replica with the fewest pending batches; batches with shared images go to one replica."""
        replicas = {replica: len(self._pool.pending(replica)) for replica in self._pool.replicas}
        replicas = {replica: pending for replica, pending in replicas.items() if replica in self._pool.replicas}
        if not replicas or self._limit(items) is not None:
            return prompts  # `receive` sends it
        replica = self._last if shared and self._last in replicas else min(replicas, key=replicas.__getitem__)
        self._last = replica if shared else None
        return SentPrompts(prompts, self._pool.send(replica, items, shared))

    def receive(self, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Wait for the responses of a batch and return them. Errors of the model propagate.

        Raises `WorkerDied` if replicas repeatedly died while they measured the batch. The engine then halves the batch
        or, if it has a single item, records an error.
        """
        batch = prompts.batch if isinstance(prompts, SentPrompts) else None
        while True:
            self._check_retry(items)
            batch = batch or self._send_alone(items)
            self._pool.resolve(batch)
            if batch.answers is not None:
                if isinstance(batch.answers, Exception):
                    raise batch.answers
                return batch.answers
            for item in items:
                self._died.setdefault((item.task, item.id), []).append(len(items))
            batch = None

    def switch_dtype(self) -> str | None:
        """Switch all replicas to another dtype and return its name; None if they cannot."""
        return self._pool.switch_dtype()

    def close(self) -> None:
        """Stop the replicas and leave the cluster. A cluster that this run started stops."""
        self.report["deaths"] = self._pool.deaths
        self._pool.close()
        self._cluster.close()

    def _send_alone(self, items: Sequence[Item]) -> PendingBatch:
        """Send a batch to an idle replica. If that replica dies, the batch or the node is the cause."""
        while True:
            self._pool.require_one()
            replicas = {replica: self._pool.pending(replica) for replica in self._pool.replicas}
            replica = min(replicas, key=lambda replica: len(replicas[replica]))
            for batch in replicas[replica]:
                self._pool.resolve(batch)
            if replica in self._pool.replicas:
                return self._pool.send(replica, items, False)

    def _limit(self, items: Sequence[Item]) -> int | None:
        """Return the largest batch in which these items may be retried; None: any size."""
        sizes = [next_batch_size(self._died.get((item.task, item.id), [])) for item in items]
        return min((size for size in sizes if size is not None), default=None)

    def _check_retry(self, items: Sequence[Item]) -> None:
        """Raise `WorkerDied` if the items may not be retried in one batch."""
        limit = self._limit(items)
        if limit is None or limit >= len(items):
            return
        times = max(len(self._died.get((item.task, item.id), [])) for item in items)
        subject = items[0].id if len(items) == 1 else f"a batch of {len(items)} from {items[0].id}"
        raise WorkerDied(
            f"the process died {times} times while it measured {subject}"
            + (", the last time alone" if limit == 0 else "")
        )

    def _refuse(self) -> NoReturn:
        raise ModelError(f"{OPTION}: a wrapper around the replicas would run the model in this process; drop {OPTION}")
