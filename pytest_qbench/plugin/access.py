"""Where a pytest process keeps its run; imports only pytest, since projects without Q-Bench pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_qbench.session.run import QBench

KEY: pytest.StashKey[QBench] = pytest.StashKey()


def qbench(config: pytest.Config) -> QBench:
    """Return this process's `QBench`, made when a suite, a gate or an option first asks for it."""
    if KEY not in config.stash:
        from pytest_qbench.session.run import QBench

        config.stash[KEY] = QBench(config)
    return config.stash[KEY]
