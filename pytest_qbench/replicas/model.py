"""The replicas as one model, to the engine: batches are sent ahead, answers come back in the order of the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pytest_qbench.engine.crash_isolation import next_size
from pytest_qbench.engine.dispatch import Asking
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import Item
from pytest_qbench.models.base import AskedAboutItems, Prompts
from pytest_qbench.models.errors import WorkerDied
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Key, Response
from pytest_qbench.replicas.check import OPTION
from pytest_qbench.replicas.cluster import Cluster
from pytest_qbench.replicas.pool import Crew, Job, Member

AHEAD = 3  # batches a replica: one is computed, one made ready, one may be done and wait for its turn


class Sent(Prompts):
    """The prompts of a batch that was sent. A part of them makes another batch, and that was not."""

    def __init__(self, prompts: Sequence[Prompt], job: Job) -> None:
        super().__init__(prompts)
        self.job = job


class Fleet(AskedAboutItems):
    """Replicas of one local model over a Ray cluster; see `models.base.Sends`.

    A batch whose replica died is repeated as it was, alone on another one; what dies again goes on in halves, and an
    item that kills its process alone is an error by name: the rules of `journal.next_size`, as with pytest's processes.
    """

    def __init__(self, address: str, spec: ModelSpec, args: Mapping[str, str], asking: Asking) -> None:
        """Join the cluster and load the replicas. Raises `UsageError`, in one line, for all that can go wrong."""
        if spec.is_local:
            spec = replace(spec, target=str(Path(spec.target).absolute()))  # a node's own working directory is another
        self._cluster = Cluster(address)
        try:
            self._crew = Crew(self._cluster.size(args.get("device", "auto")), spec, args, asking)
        except BaseException:  # an interrupt too must not leave a cluster running
            self._cluster.close()
            raise
        hello = self._crew.hello
        self.name, self.needs_images, self.machine = hello.name, hello.needs_images, hello.machine
        self.largest_batch = hello.largest_batch
        self._died: dict[Key, list[int]] = {}
        self._last: Member | None = None
        self.report: dict[str, Any] = {
            "replicas": self._crew.size.replicas,
            "nodes": self._crew.nodes,
            "started": self._cluster.started,
            "deaths": self._crew.deaths,
        }

    @property
    def ahead(self) -> int:
        """Batches to be sent while another is waited for."""
        return AHEAD * max(1, len(self._crew.members))

    def describe(self) -> dict[str, Any]:
        """Return what each replica says of itself: they say the same."""
        return dict(self._crew.hello.description)

    def send(self, items: Sequence[Item], prompts: Sequence[Prompt], shared: bool) -> Sequence[Prompt]:
        """Send a batch to the replica with least to do; batches that share images to the same one."""
        members = {member: len(self._crew.pending(member)) for member in self._crew.members}
        members = {member: pending for member, pending in members.items() if member in self._crew.members}
        if not members or self._limit(items) is not None:
            return prompts  # when it is waited for
        member = self._last if shared and self._last in members else min(members, key=members.__getitem__)
        self._last = member if shared else None
        return Sent(prompts, self._crew.send(member, items, shared))

    def answers(self, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Return the responses of a batch as soon as they are there; raises what the model raised over it.

        Raises `WorkerDied` for a batch over which replicas died, to be tried in halves, and for an item that kills.
        """
        job = prompts.job if isinstance(prompts, Sent) else None
        while True:
            self._check(items)
            job = job or self._send_alone(items)
            self._crew.settle(job)
            if job.answers is not None:
                if isinstance(job.answers, Exception):
                    raise job.answers
                return job.answers
            for item in items:
                self._died.setdefault((item.task, item.id), []).append(len(items))
            job = None

    def vary(self) -> str | None:
        """Have all replicas compute in another dtype; None where they cannot."""
        return self._crew.vary()

    def close(self) -> None:
        """End the replicas and leave the cluster; one that was started for this run is stopped."""
        self.report["deaths"] = self._crew.deaths
        self._crew.close()
        self._cluster.close()

    def _send_alone(self, items: Sequence[Item]) -> Job:
        """Send a batch to a replica that has nothing else to do: if it dies, this batch did it, or its node."""
        while True:
            self._crew.need_one()
            members = {member: self._crew.pending(member) for member in self._crew.members}
            member = min(members, key=lambda member: len(members[member]))
            for job in members[member]:
                self._crew.settle(job)
            if member in self._crew.members:
                return self._crew.send(member, items, False)

    def _limit(self, items: Sequence[Item]) -> int | None:
        """In a batch of how many these items may be measured, after what died over them; None: any."""
        sizes = [next_size(self._died.get((item.task, item.id), [])) for item in items]
        return min((size for size in sizes if size is not None), default=None)

    def _check(self, items: Sequence[Item]) -> None:
        limit = self._limit(items)
        if limit is None or limit >= len(items):
            return
        times = max(len(self._died.get((item.task, item.id), [])) for item in items)
        about = items[0].id if len(items) == 1 else f"a batch of {len(items)} from {items[0].id}"
        raise WorkerDied(
            f"the process died {times} times while it measured {about}" + (", at last alone" if limit == 0 else "")
        )

    def _refuse(self) -> NoReturn:
        raise ModelError(f"{OPTION}: a model wrapped around the replicas would stay in this process; drop {OPTION}")
