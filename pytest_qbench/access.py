"""Where a pytest process keeps its `QBench`; imports nothing, since projects that do not use the plugin pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_qbench.session import QBench

KEY: pytest.StashKey[QBench] = pytest.StashKey()


def qbench(config: pytest.Config) -> QBench:
    """Return this process's `QBench`, made when a suite, a gate or an option first asks for it."""
    if KEY not in config.stash:
        from pytest_qbench.session import QBench

        config.stash[KEY] = QBench(config)
    return config.stash[KEY]


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
