"""What all tests share: properties are not timed, and runs inside tests leave the job that runs them alone."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A first example may import SciPy, and the machine may be busy.
settings.register_profile("qbench", deadline=None)
settings.load_profile("qbench")


@pytest.fixture(autouse=True)
def _no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs inside our own tests must not write to the step summary of the job that runs them."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
