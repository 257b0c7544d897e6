from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _models_compute_alone(one_thread: None) -> None: ...
