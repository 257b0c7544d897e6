"""The replicas that live: started, compared, watched, replaced. All methods are for one thread."""

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
from pytest_qbench.replicas.replica import CALLS, Hello, Replica
from pytest_qbench.replicas.serialization import carried

if TYPE_CHECKING:
    from pytest_qbench.engine.dispatch import Asking
    from pytest_qbench.items import Item
    from pytest_qbench.models.specs import ModelSpec
    from pytest_qbench.replicas.cluster import Size

LOST = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError)
"""A replica, its node or what it returned is gone; `OutOfMemoryError` is of Ray's watchdog, who killed the process."""
PLACING_SECONDS = 60
"""How long a run waits for the cluster to give a place to its first replica, or to the only one it has left."""
Answers = list[Response | ItemError] | Exception


@dataclass(eq=False, slots=True, weakref_slot=True)
class Job:
    """A batch that was sent; `answers` are there once it is settled, `lost` tells that they will not come."""

    items: Sequence[Item]
    member: Member
    reference: Any
    answers: Answers | None = None
    lost: bool = False


@dataclass(eq=False)
class Member:
    """A replica that has loaded the model. Jobs that nobody waits for any more leave by themselves."""

    actor: Any
    hello: Hello
    jobs: WeakSet[Job] = field(default_factory=WeakSet)


class Crew:
    """The replicas of one run."""

    def __init__(self, size: Size, spec: ModelSpec, args: Mapping[str, str], asking: Asking) -> None:
        """Start them and wait until all that have found a place have loaded the model.

        Raises `UsageError`: what loading raises, no place for any of them, replicas that differ.
        """
        self.size = size
        self._load = (spec, dict(args), asking, max(1, size.cpus))
        self._varied = False
        self._first: Hello | None = None
        self._members: list[Member] = []
        self._coming: dict[Any, tuple[Any, Any]] = {}  # by what loading returns: the actor, what placing returns
        self._died_early = ""
        self.deaths = 0
        for _ in range(size.replicas):
            self._start()
        self._wait(lambda: not self._coming)
        self.need_one()

    @property
    def hello(self) -> Hello:
        """What each replica is: they do not differ."""
        assert self._first is not None
        return self._first

    @property
    def nodes(self) -> int:
        """On how many nodes they are."""
        return len({member.hello.node_id for member in self._members})

    @property
    def members(self) -> list[Member]:
        """The replicas that can be sent work now."""
        self._greet(0)
        return list(self._members)

    def need_one(self) -> None:
        """Wait until there is a replica; raises `UsageError` where none is left and none can come."""
        self._wait(lambda: bool(self._members))

    def send(self, member: Member, items: Sequence[Item], shared: bool) -> Job:
        """Send a batch to a replica."""
        job = Job(items, member, member.actor.answers.remote(carried(items, sees=self.hello.needs_images), shared))
        member.jobs.add(job)
        return job

    def pending(self, member: Member) -> list[Job]:
        """Return the jobs of a replica that are not settled; finds out whether it died meanwhile."""
        jobs = {job.reference: job for job in member.jobs if job.answers is None and not job.lost}
        if not jobs:
            return []
        ready, _ = ray.wait(list(jobs), num_returns=len(jobs), timeout=0)
        for reference in ready:
            self.settle(jobs[reference])
        return [job for job in jobs.values() if job.answers is None and not job.lost]

    def settle(self, job: Job) -> None:
        """Wait for a job: it has answers then, or is lost, and with it all others of its replica."""
        if job.answers is not None or job.lost:
            return
        try:
            job.answers = ray.get(job.reference)
        except LOST:
            job.lost = True
            self._lose(job.member)

    def vary(self) -> str | None:
        """Have all replicas go over to another dtype, those to come as well (see `Varies`)."""
        self._varied = True
        found = [self._vary(member.actor) for member in self.members]
        return found[0] if found else None

    def close(self) -> None:
        """End all replicas."""
        for actor in [*(member.actor for member in self._members), *(actor for actor, _ in self._coming.values())]:
            ray.kill(actor)
        self._members.clear()
        self._coming.clear()

    def _start(self) -> None:
        remote = ray.remote(Replica).options(
            num_cpus=self.size.cpus, num_gpus=self.size.gpus, max_concurrency=CALLS, scheduling_strategy="SPREAD"
        )
        actor = remote.remote()
        self._coming[actor.load.remote(*self._load)] = actor, actor.place.remote()

    def _wait(self, met: Callable[[], bool]) -> None:
        """Wait for replicas to come; who has no place after a time is not waited for, unless there is no other."""
        end = time.monotonic() + PLACING_SECONDS
        while not met():
            if not self._coming:
                if self._members:
                    return
                raise UsageError(f"{OPTION}: no replica is left: {self._died_early or 'all died'}")
            self._greet(1.0)
            if time.monotonic() > end and not self._placed():
                if self._members:
                    return
                wanted = f"{self.size.cpus} CPUs" + (" and a GPU" if self.size.gpus else "")
                left = "no replica is left and " if self.deaths else ""
                raise UsageError(
                    f"{OPTION}: {left}no node of the cluster has had {wanted} free for {PLACING_SECONDS} seconds"
                )

    def _placed(self) -> bool:
        """Tell whether a replica to come has a place, and is loading."""
        places = [place for _, place in self._coming.values()]
        return bool(ray.wait(places, num_returns=1, timeout=0)[0]) if places else False

    def _greet(self, timeout: float) -> None:
        """Take in the replicas that have loaded; those that died at it are not started again."""
        if not self._coming:
            return
        coming = list(self._coming)
        ready, _ = ray.wait(coming, num_returns=1, timeout=timeout)
        if ready:
            ready, _ = ray.wait(coming, num_returns=len(coming), timeout=0)
        for loaded in ready:
            actor, _ = self._coming.pop(loaded)
            try:
                hello = ray.get(loaded)
            except RayError as e:
                self.deaths += 1
                self._died_early = f"a process died as it loaded the model ({_line(e)})"
                continue
            if isinstance(hello, UsageError):
                raise hello
            self._compare(hello)
            if self._varied:
                self._vary(actor)
            self._members.append(Member(actor, hello))

    def _compare(self, hello: Hello) -> None:
        first = self._first = self._first or hello
        if differs := _differences(first.identity, hello.identity):
            raise UsageError(
                f"{OPTION}: replicas differ ({'; '.join(differs)}; on {first.node} and {hello.node}): "
                "bring the nodes to the same versions, weights and devices"
            )

    def _lose(self, member: Member) -> None:
        """Take a replica out, with all that was sent to it, and start another."""
        if member not in self._members:
            return
        self._members.remove(member)
        ray.kill(member.actor)  # one that cannot be reached may still compute
        self.deaths += 1
        for job in list(member.jobs):
            if job.answers is None and not job.lost and not self._answered(job):
                job.lost = True
        self._start()

    @staticmethod
    def _answered(job: Job) -> bool:
        """Take the answers that arrived before the replica died."""
        if not ray.wait([job.reference], timeout=0)[0]:
            return False
        try:
            job.answers = ray.get(job.reference)
        except LOST:
            return False
        return True

    @staticmethod
    def _vary(actor: Any) -> str | None:
        found: str | RuntimeError | None = ray.get(actor.vary.remote())
        if isinstance(found, RuntimeError):
            raise found
        return found


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {old.get(key)} and {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)]


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:300]
