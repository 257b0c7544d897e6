"""A model behind an engine that the plugin started: an `OpenAIModel` that survives the engine's death."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.completion import Completion
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.key import KEY_VARIABLES, SHARED_KEY
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models.checkpoint_hash import hash_files, settings_hash, weights_hash
from pytest_qbench.models.engines import ENGINES, OFFLINE, QUIET, TIMEOUT
from pytest_qbench.models.model_args import ENGINE_ONLY, ENGINE_WEIGHTS
from pytest_qbench.models.openai import OpenAIModel
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.prompts import Prompt
from pytest_qbench.servers.server import Address, RunningServer, Server

WATCH = 0.1  # seconds between two looks at the engine's state
NOTICED = 1.0  # seconds within which the death of an engine is known
SHARED_DEATHS = 2  # deaths of the engine that a request may see in company; then it is sent alone


def start_engine(spec: ModelSpec, args: Mapping[str, str], address: Address) -> Server:
    """Start the engine of a model in the background, at `address`, whose folder gets its log.

    Raises `ModelError` if the engine is not installed.
    """
    engine = ENGINES[spec.kind]
    command = engine.command(spec, args, address.port, address.model)
    # The engine needs no key, and its log may show its environment.
    without_keys = {k: v for k, v in os.environ.items() if k not in (*KEY_VARIABLES.values(), SHARED_KEY)}
    return Server(
        engine.name, command, address, health=engine.health,
        environment={**without_keys, **QUIET, **(OFFLINE if spec.is_local else {})},
        timeout=float(args.get("engine_timeout", TIMEOUT)),
    )  # fmt: skip


def load_with_own_engine(
    spec: ModelSpec, args: Mapping[str, str], endpoints: Endpoints, tell: Callable[[str], None]
) -> EngineModel:
    """Return the model of an engine that lives as long as the model, with its log in a temporary folder."""
    folder = TemporaryDirectory(prefix="qbench-engine-")
    server = start_engine(spec, args, Address.new(Path(folder.name)))

    def close() -> None:
        server.stop()
        folder.cleanup()

    try:
        return EngineModel(spec, args, endpoints, server, tell, close)
    except BaseException:
        close()
        raise


class EngineModel(OpenAIModel):
    """Sends requests to a managed engine. While the engine is started again, they wait, and are sent once more.

    A request that saw the engine die twice is sent alone. If the engine dies at it again, that request ends in an
    error; all others are answered.
    """

    def __init__(
        self,
        spec: ModelSpec,
        args: Mapping[str, str],
        endpoints: Endpoints,
        server: RunningServer,
        tell: Callable[[str], None],
        on_close: Callable[[], None],
    ) -> None:
        """Wait for the engine. `tell` gets lines on its progress. Raises `ModelError` if it does not become ready.

        `on_close` is called when the model is closed.
        """
        self._server, self._on_close = server, on_close
        server.wait_until_ready(tell)
        address = f"{server.address.model}@{server.address.base_url}"
        # Without a revision, replies are not cached: an address is new in each run, so no cached reply would be found.
        known = {key: value for key, value in args.items() if key not in (*ENGINE_ONLY, *ENGINE_WEIGHTS)}
        super().__init__(replace(spec, kind="openai", target=address), known, endpoints)
        self._spec, self._given = spec, dict(args)
        engine = ENGINES[spec.kind]
        self._engine = {
            "version": engine.read_version(server.address.port), "arguments": shlex.join(engine.arguments(args)),
        }  # fmt: skip
        self._lane = _Lane()
        self._watches: dict[int, asyncio.Task[None]] = {}  # by generation, a task that ends when the engine dies

    def describe(self) -> dict[str, Any]:
        """Return the model's files, the engine's version and arguments, and what was sent."""
        found = super().describe()
        for key in ("base_url", "target"):  # the port and the model's name there are new in each run
            del found[key]
        target, path = self._spec.target, Path(self._spec.target)
        files: dict[str, Any] = {}
        if path.is_file():
            files["weights"] = hash_files([path])
        elif self._spec.is_local:
            files = {"weights": weights_hash(path), "settings": settings_hash(path)}
        elif "revision" in self._given:
            files["revision"] = self._given["revision"]
        name = self._spec.alias or (path.name if self._spec.is_local else target)
        return {**found, "backend": self._spec.kind, "target": name, **files, "engine": self._engine}

    async def _chat(self, prompt: Prompt, images: Sequence[str], prefix: str | None = None, **body: Any) -> Completion:
        """Send a request. If the engine dies, wait until it is ready again and repeat the request."""
        for deaths in range(SHARED_DEATHS + 1):
            async with self._lane.alone() if deaths == SHARED_DEATHS else self._lane.together():
                while (state := self._server.ready_state()) is None:
                    await asyncio.sleep(WATCH)
                request = asyncio.ensure_future(super()._chat(prompt, images, prefix, **body))
                try:
                    if await self._is_answered(request, state.generation):
                        return request.result()
                finally:
                    request.cancel()
        raise ItemError(
            f"{self._server.engine} died {SHARED_DEATHS + 1} times at this request, the last time alone: see its log"
        )

    async def _is_answered(self, request: asyncio.Future[Completion], generation: int) -> bool:
        """Wait for a reply and return True, or False if the engine of a generation died before."""
        watch = self._watches.get(generation)
        if watch is None:
            watch = self._watches[generation] = asyncio.create_task(self._watch(generation))
        await asyncio.wait((request, watch), return_when=asyncio.FIRST_COMPLETED)
        if not request.done():
            return False
        error = request.exception()
        if not isinstance(error, EndpointError) or error.status is not None:
            return True  # a reply, or an error that the engine itself reported
        await asyncio.wait((watch,), timeout=NOTICED)
        return not watch.done()

    async def _watch(self, generation: int) -> None:
        """Return when the engine of a generation is gone."""
        try:
            while (state := self._server.ready_state()) is not None and state.generation == generation:
                await asyncio.sleep(WATCH)
        except ModelError:
            return  # given up: the next request says why

    def close(self) -> None:
        """End the watch and, if this process started it, the engine."""
        self._endpoints.run(self._end_watch())
        self._on_close()

    async def _end_watch(self) -> None:
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)


class _Lane:
    """Lets requests through together, or one alone: then none other is in flight."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._together, self._alone = 0, False

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._together += 1
        try:
            yield
        finally:
            await asyncio.shield(self._leave())

    async def _leave(self) -> None:
        async with self._changed:
            self._together -= 1
            self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._alone = True  # no further request starts
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._together)
            yield
        finally:
            async with self._changed:
                self._alone = False
                self._changed.notify_all()
