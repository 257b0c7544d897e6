"""The role of this process under xdist. It imports only pytest, because every start of pytest loads it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class ProcessRole:
    """The role of one pytest process: alone, an xdist worker, or the controller that distributes tests.

    `worker_id` is gw0, gw1, ... on a worker. `run_folder` is the run folder that a worker gets from its controller,
    `engine` the address of the engine that the controller started.
    """

    worker_id: str | None = None
    worker_count: int = 1
    is_controller: bool = False
    run_folder: str | None = None
    engine: str | None = None

    @property
    def is_worker(self) -> bool:
        """Whether this process is an xdist worker."""
        return self.worker_id is not None

    @property
    def is_first(self) -> bool:
        """Whether this process is no worker, or is the first one. It does the work that only one process must do."""
        return self.worker_id in (None, "gw0")


def role_of(config: pytest.Config) -> ProcessRole:
    """Return the role of the process of `config`."""
    given = getattr(config, "workerinput", {})
    return ProcessRole(
        worker_id=given.get("workerid"),
        worker_count=int(given.get("workercount", 1)),
        is_controller=is_controller(config),
        run_folder=given.get("qbench_folder"),
        engine=given.get("qbench_engine"),
    )


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process is an xdist worker."""
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """Return whether this process only distributes tests."""
    return config.pluginmanager.hasplugin("dsession")
