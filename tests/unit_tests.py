"""Plugin of `make check`: collect the tests that need no model, no other process and no simulation.

A file that matches `NOT_A_UNIT` is left out before it is imported, because importing torch alone takes seconds.
If a collected test still starts a process or imports a model library, it fails with a line that says so.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

LIBRARIES = ("torch", "transformers", "ray", "playwright")
PROCESSES = ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec")
NOT_A_UNIT = re.compile(
    rf"^ *(?:import|from) (?:{'|'.join(LIBRARIES)}|subprocess)\b"
    r"|^from tests\.(?:endpoints|engine\.test_engine|plugin|replicas|servers|report\.browser|report import hostile|why\.faults)\b"
    r"|^from benchmarks\.(?:gpu|peers|throughput)\b"
    r'|"baseline",'  # `qbench baseline` asks git for the commit
    r"|\b(?:pytester|loaded|checkpoint|browser)\b|\brun: Path",
    re.M,
)
"""Libraries, helpers and fixtures of tests that start processes or servers: see the conftests."""
SIMULATION = re.compile(
    "mostly_passes|rarely_warns|seldom_|false_alarms?|covers|missed_too_often|bootstrap|swap_test|sandwich|statsmodels"
    "|mean_wealth|smaller_error|sum_over_all_outcomes|tables_of_the_page|less_than_a_kilobyte|official|every_database|81_references"
)
"""Words in the names of simulations, of tests that enumerate, and of tests on the whole official data."""

EXAMPLES = 5
"""Maximum number of examples of a property."""


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Try few examples of each property. `make test` tries all."""
    settings.register_profile("unit", deadline=None, max_examples=EXAMPLES)
    sys.meta_path.insert(0, _Refusing())


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a test file that matches `NOT_A_UNIT`."""
    if not collection_path.name.startswith("test_"):
        return None
    return bool(NOT_A_UNIT.search(collection_path.read_text(encoding="utf-8"))) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the simulations and the campaign."""
    settings.load_profile("unit")  # after tests/conftest.py has loaded its own
    left_out = [item for item in items if SIMULATION.search(item.name) or item.get_closest_marker("campaign")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        # hypothesis has no public way to bound the examples of a test that states their number.
        if (own := getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", None)) is not None:
            item.obj._hypothesis_internal_use_settings = settings(own, max_examples=min(EXAMPLES, own.max_examples))


def pytest_collection_finish() -> None:
    """Refuse processes from now on. xdist has already started its workers."""
    sys.addaudithook(_refuse_processes)


class _Refusing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name in LIBRARIES else None
        if spec is not None:
            spec.loader = self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        pytest.fail(f"a test that imports {spec.name} is no unit test: see tests/unit_tests.py")

    def exec_module(self, module: ModuleType) -> None: ...


def _refuse_processes(event: str, args: object) -> None:
    if event in PROCESSES:
        pytest.fail(f"a test that starts a process ({event}) is no unit test: see tests/unit_tests.py")
