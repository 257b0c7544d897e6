"""Which xdist worker this process is; imports only pytest."""

from __future__ import annotations

import pytest


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process is an xdist worker."""
    return hasattr(config, "workerinput")


def worker_id(config: pytest.Config) -> str | None:
    """Name of this xdist worker (gw0, gw1, ...), None elsewhere."""
    return getattr(config, "workerinput", {}).get("workerid")


def worker_count(config: pytest.Config) -> int:
    """Number of the xdist workers that this one is of; 1 elsewhere."""
    return int(getattr(config, "workerinput", {}).get("workercount", 1))


def is_controller(config: pytest.Config) -> bool:
    """Tell whether this process only distributes tests."""
    return config.pluginmanager.hasplugin("dsession")
