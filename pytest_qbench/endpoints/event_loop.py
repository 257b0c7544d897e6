"""What the endpoints of one session share: one event loop in a thread, the cache, timeout and number of requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pytest_qbench.endpoints.address import Address, Role, read_key
from pytest_qbench.endpoints.cache import Cache
from pytest_qbench.endpoints.client import Client
from pytest_qbench.errors import ItemError

S = TypeVar("S")
T = TypeVar("T")
TIMEOUT, CONCURRENCY = 60.0, 64


class Endpoints:
    """Makes clients, and runs what they are asked from ordinary code.

    `timeout` in seconds; `concurrency` is the number of requests in flight at each endpoint; `cache` is the folder of
    the response cache, None for none. Nothing starts before the first client is made.
    """

    def __init__(self, *, timeout: float = TIMEOUT, concurrency: int = CONCURRENCY, cache: Path | None = None) -> None:
        self.timeout, self.concurrency, self._folder = timeout, concurrency, cache
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
        """Return a client; nothing is sent yet. Raises `UsageError` for an unusable key or cache."""
        client = Client(
            address, read_key(role), timeout=self.timeout, concurrency=self.concurrency,
            cache=self._cache if cached else None, price=price, revision=revision,
        )  # fmt: skip
        self._clients.append(client)
        return client

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # an interrupt too must not leave requests running
            future.cancel()
            raise

    def each(self, inputs: Sequence[S], work: Callable[[S], Awaitable[T]]) -> list[T | ItemError]:
        """Run `work` on all inputs at once, as many at a time as the client has slots.

        An input that fails by itself gives its `ItemError`; anything else is raised, and the rest cancelled.
        """

        async def one(each: S) -> T | ItemError:
            try:
                return await work(each)
            except ItemError as e:
                return e

        async def together() -> list[T | ItemError]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(each)) for each in inputs]
            return [task.result() for task in tasks]

        try:
            return self.run(together())
        except BaseExceptionGroup as e:
            raise e.exceptions[0] from None

    def close(self) -> None:
        """Close connections, cache and loop; a second call does nothing."""
        if "_loop" not in self.__dict__:
            return
        for client in self._clients:
            self.run(client.close())
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
