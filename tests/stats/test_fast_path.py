"""The fast path against the bootstrap on every pair of published models; in full: benchmarks/agreement.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.official import OFFICIAL, needs_official

PATH = Path(__file__).parents[2] / "benchmarks" / "agreement.py"


@needs_official
@pytest.mark.campaign
def test_verdicts_of_both_paths_agree_except_near_a_threshold() -> None:
    spec = importlib.util.spec_from_file_location("agreement_benchmark", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["agreement_benchmark"] = module
    spec.loader.exec_module(module)
    compared = [one for database in module.databases(OFFICIAL) for one in module.compare(database, 1_000)]
    assert len(compared) == 6 * 30
    assert [one for one in compared if not one.near and one.verdicts[0] != one.verdicts[1]] == []
    assert sum(one.near for one in compared) < 40
    assert {one.verdicts[0] for one in compared} >= {"regressed", "improved", "inconclusive"}
