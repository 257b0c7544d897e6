"""Start, compare and replace replicas. The pool is not thread-safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    WorkerCrashedError,
)

from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.records import Response
from pytest_qbench.replicas.check import OPTION
from pytest_qbench.replicas.replica import CONCURRENT_CALLS, Handshake, Replica
from pytest_qbench.replicas.serialization import portable_items

if TYPE_CHECKING:
    from pytest_qbench.engine.dispatch import PromptSettings
    from pytest_qbench.items import Item
    from pytest_qbench.models.specs import ModelSpec
    from pytest_qbench.replicas.cluster import PoolSize

REPLICA_LOST = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError)
"""Errors that mean a replica is lost. Ray's memory monitor raises `OutOfMemoryError` when it kills one."""
PLACING_SECONDS = 60
"""Time limit for the cluster to place a replica while no other replica is available."""
Answers = list[Response | ItemError] | Exception


@dataclass(eq=False, slots=True, weakref_slot=True)
class PendingBatch:
    """A sent batch. `resolve` sets `answers`, or `lost` if its replica died."""

    items: Sequence[Item]
    replica: ReplicaHandle
    reference: Any
    answers: Answers | None = None
    lost: bool = False


@dataclass(eq=False)
class ReplicaHandle:
    """A replica that has loaded the model. `batches` holds weak references to the batches sent to it."""

    actor: Any
    handshake: Handshake
    batches: WeakSet[PendingBatch] = field(default_factory=WeakSet)


class ReplicaPool:
    """The replicas of one run."""

    def __init__(self, size: PoolSize, spec: ModelSpec, args: Mapping[str, str], settings: PromptSettings) -> None:
        """Start the replicas and wait until each replica with a node has loaded the model.

        Raises `UsageError` if loading fails, if no replica gets a node, or if replicas differ.
        """
        self.size = size
        self._load = (spec, dict(args), settings, max(1, size.cpus))
        self._switched = False
        self._first: Handshake | None = None
        self._replicas: list[ReplicaHandle] = []
        self._starting: dict[Any, tuple[Any, Any]] = {}  # future of `load` -> actor, future of `place`
        self._died_early = ""
        self.deaths = 0
        for _ in range(size.replicas):
            self._start()
        self._wait(lambda: not self._starting)
        self.require_one()

    @property
    def handshake(self) -> Handshake:
        """Description of the replicas; equal for all."""
        assert self._first is not None
        return self._first

    @property
    def nodes(self) -> int:
        """Number of nodes that run a replica."""
        return len({replica.handshake.node_id for replica in self._replicas})

    @property
    def replicas(self) -> list[ReplicaHandle]:
        """The replicas that accept batches now."""
        self._admit(0)
        return list(self._replicas)

    def require_one(self) -> None:
        """Wait for a replica. Raises `UsageError` if none is left and none can start."""
        self._wait(lambda: bool(self._replicas))

    def send(self, replica: ReplicaHandle, items: Sequence[Item], shared: bool) -> PendingBatch:
        """Send a batch to a replica."""
        batch = PendingBatch(
            items,
            replica,
            replica.actor.respond.remote(portable_items(items, vision=self.handshake.needs_images), shared),
        )
        replica.batches.add(batch)
        return batch

    def pending(self, replica: ReplicaHandle) -> list[PendingBatch]:
        """Return the pending batches of a replica, after a check whether it has died."""
        batches = {batch.reference: batch for batch in replica.batches if batch.answers is None and not batch.lost}
        if not batches:
            return []
        ready, _ = ray.wait(list(batches), num_returns=len(batches), timeout=0)
        for reference in ready:
            self.resolve(batches[reference])
        return [batch for batch in batches.values() if batch.answers is None and not batch.lost]

    def resolve(self, batch: PendingBatch) -> None:
        """Wait until a batch has answers or is lost. Remove the replica of a lost batch, with its other batches."""
        if batch.answers is not None or batch.lost:
            return
        try:
            batch.answers = ray.get(batch.reference)
        except REPLICA_LOST:
            batch.lost = True
            self._lose(batch.replica)

    def switch_dtype(self) -> str | None:
        """Switch all present and future replicas to another dtype and return its name; None if they cannot."""
        self._switched = True
        found = [self._switch_dtype(replica.actor) for replica in self.replicas]
        return found[0] if found else None

    def close(self) -> None:
        """Stop all replicas."""
        for actor in [*(replica.actor for replica in self._replicas), *(actor for actor, _ in self._starting.values())]:
            ray.kill(actor)
        self._replicas.clear()
        self._starting.clear()

    def _start(self) -> None:
        remote = ray.remote(Replica).options(
            num_cpus=self.size.cpus,
            num_gpus=self.size.gpus,
            max_concurrency=CONCURRENT_CALLS,
            scheduling_strategy="SPREAD",
        )
        actor = remote.remote()
        self._starting[actor.load.remote(*self._load)] = actor, actor.place.remote()

    def _wait(self, is_met: Callable[[], bool]) -> None:
        """Wait until `is_met()`. After the time limit, do not wait for replicas without a node if others have loaded.

        Raises `UsageError` if no replica is left or no node has room for one.
        """
        end = time.monotonic() + PLACING_SECONDS
        while not is_met():
            if not self._starting:
                if self._replicas:
                    return
                raise UsageError(f"{OPTION}: no replica is left: {self._died_early or 'all died'}")
            self._admit(1.0)
            if time.monotonic() > end and not self._placed():
                if self._replicas:
                    return
                wanted = f"{self.size.cpus} CPUs" + (" and a GPU" if self.size.gpus else "")
                left = "no replica is left and " if self.deaths else ""
                raise UsageError(
                    f"{OPTION}: {left}no node of the cluster has had {wanted} free for {PLACING_SECONDS} seconds"
                )

    def _placed(self) -> bool:
        """Return whether a starting replica has a node and is loading."""
        places = [place for _, place in self._starting.values()]
        return bool(ray.wait(places, num_returns=1, timeout=0)[0]) if places else False

    def _admit(self, timeout: float) -> None:
        """Add the replicas that have loaded. A replica that died while loading is not replaced."""
        if not self._starting:
            return
        coming = list(self._starting)
        ready, _ = ray.wait(coming, num_returns=1, timeout=timeout)
        if ready:
            ready, _ = ray.wait(coming, num_returns=len(coming), timeout=0)
        for loaded in ready:
            actor, _ = self._starting.pop(loaded)
            try:
                handshake = ray.get(loaded)
            except RayError as e:
                self.deaths += 1
                self._died_early = f"a process died while it loaded the model ({_line(e)})"
                continue
            if isinstance(handshake, UsageError):
                raise handshake
            self._compare(handshake)
            if self._switched:
                self._switch_dtype(actor)
            self._replicas.append(ReplicaHandle(actor, handshake))

    def _compare(self, handshake: Handshake) -> None:
        first = self._first = self._first or handshake
        if differs := _differences(first.identity, handshake.identity):
            raise UsageError(
                f"{OPTION}: replicas differ ({'; '.join(differs)}; on {first.node} and {handshake.node}): "
                "bring the nodes to the same versions, weights and devices"
            )

    def _lose(self, replica: ReplicaHandle) -> None:
        """Remove a replica with all batches sent to it, and start another."""
        if replica not in self._replicas:
            return
        self._replicas.remove(replica)
        ray.kill(replica.actor)  # a replica that cannot be reached may still run
        self.deaths += 1
        for batch in list(replica.batches):
            if batch.answers is None and not batch.lost and not self._answered(batch):
                batch.lost = True
        self._start()

    @staticmethod
    def _answered(batch: PendingBatch) -> bool:
        """Store the answers if they arrived before the replica died; return whether they did."""
        if not ray.wait([batch.reference], timeout=0)[0]:
            return False
        try:
            batch.answers = ray.get(batch.reference)
        except REPLICA_LOST:
            return False
        return True

    @staticmethod
    def _switch_dtype(actor: Any) -> str | None:
        found: str | RuntimeError | None = ray.get(actor.switch_dtype.remote())
        if isinstance(found, RuntimeError):
            raise found
        return found


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {old.get(key)} and {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)]


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:300]
