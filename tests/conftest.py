"""Properties are not timed: a first example may import SciPy, and the machine may be busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("qbench", deadline=None)
settings.load_profile("qbench")
