"""Stash keys for data that item nodes and gates keep for their reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_qbench.plugin.alpha_allocation import GateCalls
    from pytest_qbench.records import Record

RECORD: pytest.StashKey[Record] = pytest.StashKey()


STATUS = pytest.StashKey[str]()


VERDICT = pytest.StashKey[str]()


FAILED_BY_VERDICT = pytest.StashKey[bool]()


GATE_CALLS: pytest.StashKey[list[GateCalls]] = pytest.StashKey()


#: Why items run like any test instead of taking the fast path: a plugin, a conftest or a fixture, one sentence each.
FULL_RUNS: pytest.StashKey[dict[str, None]] = pytest.StashKey()
