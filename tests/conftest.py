"""What all tests share: properties are not timed, and runs inside tests leave the job that runs them alone."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests and what they start run side by side; threads of several processes on the same cores wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A first example may import SciPy, and the machine may be busy.
settings.register_profile("qbench", deadline=None)
settings.load_profile("qbench")

LONGEST = ("test_trials.py", "test_tiny.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that the workers end together."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True)
def _no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs inside our own tests must not write to the step summary of the job that runs them."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
