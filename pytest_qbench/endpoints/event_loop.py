"""The endpoints of one session. They share an event loop in a thread, the cache, the timeout and the request limit."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pytest_qbench.endpoints.address import Address
from pytest_qbench.endpoints.cache import Cache
from pytest_qbench.endpoints.client import Client
from pytest_qbench.endpoints.key import Role, read_key
from pytest_qbench.endpoints.slots import Slots
from pytest_qbench.errors import ItemError, UsageError

S = TypeVar("S")
T = TypeVar("T")
TIMEOUT, CONCURRENCY = 60.0, 64
ITEMS_PER_SLOT = 2  # while some items wait for a slot, their images are read and the judge grades others


class Endpoints:
    """Creates clients and runs their coroutines from synchronous code.

    `timeout` is in seconds. `concurrency` is the maximum number of requests in flight at each endpoint. `cache` is the
    folder of the response cache, None for no cache. `processes` processes share the `concurrency`; if they are more
    than that, they coordinate through the file `shared`. The loop starts when it is first used.
    """

    def __init__(
        self,
        *,
        timeout: float = TIMEOUT,
        concurrency: int = CONCURRENCY,
        cache: Path | None = None,
        processes: int = 1,
        shared: Path | None = None,
    ) -> None:
        self.timeout, self.concurrency, self._folder = timeout, concurrency, cache
        self._processes, self._shared = processes, shared
        self._slots: dict[str, Slots] = {}
        self._clients: list[Client] = []

    def connect(
        self,
        address: Address,
        role: Role,
        *,
        cached: bool = True,
        price: tuple[float, float] | None = None,
        revision: str | None = None,
    ) -> Client:
        """Return a new client without sending anything. Raises `UsageError` for an unusable key, address or cache."""
        key = read_key(role)
        if key.scrub_reply(address.base_url) != address.base_url:
            raise UsageError(
                f"openai:{address.model}: the BASE_URL contains the API key, and run folders store that URL; "
                f"remove the key from it: it is sent as a header"
            )
        client = Client(
            address, key, timeout=self.timeout, slots=self._slots_of(address),
            cache=self._cache if cached else None, price=price, revision=revision,
        )  # fmt: skip
        self._clients.append(client)
        return client

    def _slots_of(self, address: Address) -> Slots:
        """Return the slots of an endpoint. A model and a judge at the same endpoint share them."""
        if address.base_url not in self._slots:
            shared = self._shared
            if shared is not None:
                digest = hashlib.sha256(address.base_url.encode()).hexdigest()[:8]
                shared = shared.with_name(f"{shared.name}-{digest}")
            self._slots[address.base_url] = Slots(self.concurrency, self._processes, shared)
        return self._slots[address.base_url]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, wait for it and return its result."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # an interrupt must not leave requests running either
            future.cancel()
            raise

    def each(self, inputs: Sequence[S], work: Callable[[S], Awaitable[T]]) -> list[T | ItemError]:
        """Return the results of `work` on all inputs, in their order. The client's slots limit the concurrency.

        The result of an input that raises `ItemError` is that error. Any other error propagates and cancels the rest.
        """

        async def one(each: S) -> T | ItemError:
            try:
                return await work(each)
            except ItemError as e:
                return e

        async def run_all() -> list[T | ItemError]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(each)) for each in inputs]
            return [task.result() for task in tasks]

        try:
            return self.run(run_all())
        except BaseExceptionGroup as e:
            raise e.exceptions[0] from None

    def close(self) -> None:
        """Close connections, cache and loop; a second call does nothing."""
        if "_loop" not in self.__dict__:
            return
        self.run(_cancel_others())
        for client in self._clients:
            self.run(client.close())
        for slots in self._slots.values():
            slots.close()
        loop = self._loop
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
        if "_cache" in self.__dict__ and self._cache is not None:
            self._cache.close()
        self.__dict__.pop("_loop")

    @cached_property
    def _cache(self) -> Cache | None:
        return Cache(self._folder) if self._folder is not None else None

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="qbench-endpoints", daemon=True)
        self._thread.start()
        return loop


async def _cancel_others() -> None:
    """Cancel what still runs on this loop, such as the requests of an interrupted run, and wait for its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
