"""The location of the real benchmark files. Their licence keeps them out of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

OFFICIAL = Path(os.environ.get("QBENCH_OFFICIAL") or Path(__file__).parents[2] / "shared" / "official")
needs_official = pytest.mark.skipif(
    not OFFICIAL.is_dir(),
    reason=f"no official Q-Bench files at {OFFICIAL} (non-commercial licence, not distributed; QBENCH_OFFICIAL names "
    "another place)",
)
