"""The engine of a session whose model the plugin serves: started by one process, used by all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.session.process_role import ProcessRole
from pytest_qbench.session.request import RunRequest

if TYPE_CHECKING:  # only a run with a managed engine loads these
    from pytest_qbench.servers.server import Address, RunningServer, Server


@dataclass
class ManagedEngine:
    """The engine that serves this run's model. Without workers this process starts it, with workers the controller.

    `on_close` registers a function that is called at the end of the session.
    """

    request: RunRequest
    role: ProcessRole
    on_close: Callable[[Callable[[], None]], None]

    def address_in(self, folder: Path) -> str | None:
        """Return the address that workers need, before the engine is started; None for other models."""
        if self.request.spec is None or not self.request.spec.is_managed:
            return None
        return json.dumps(asdict(self._address(folder)))

    def start(self, folder: Path) -> RunningServer:
        """Start the engine, or return that of the controller. Raises `ModelError` if it is not installed."""
        spec = self.request.spec
        assert spec is not None
        if self.role.engine is not None:
            from pytest_qbench.servers.server import Address, RunningServer

            return RunningServer(spec.kind, Address(**json.loads(self.role.engine)))
        self._folder = folder
        return self._server

    @cached_property
    def _server(self) -> Server:
        from pytest_qbench.models.engine_model import start_engine

        spec = self.request.spec
        assert spec is not None
        server = start_engine(spec, self.request.model_args, self._address(self._folder))
        self.on_close(server.stop)
        return server

    def _address(self, folder: Path) -> Address:
        if "_named" not in self.__dict__:
            from pytest_qbench.servers.server import Address

            self._named = Address.new(folder)
        return self._named

    def stop(self) -> None:
        """Stop the engine if this process started it."""
        if "_server" in self.__dict__:
            self._server.stop()
