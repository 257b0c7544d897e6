"""Settings and fixtures of all tests: no deadline for properties, no step summary, small models."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_qbench.models.transformers.model import TransformersModel

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests and their subprocesses run in parallel. Threads of several processes on the same cores would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = ("test_sensitivity.py", "test_tiny.py")

FOREIGN_PLUGINS = (
    "hypothesispytest", "allure_pytest", "anyio", "ctrf", "html", "html_fixtures", "metadata", "pytest_jsonreport",
    "pytest_reportlog",
)  # fmt: skip
# Some tests need them installed. Importing hypothesis and anyio takes longer than a run inside a test.
WITHOUT_FOREIGN_PLUGINS = " ".join(f"-p no:{name}" for name in FOREIGN_PLUGINS)


def pytest_configure() -> None:
    """Remove the deadline of properties. `make demo` does not install hypothesis, and `pytest --help` must still work."""
    if find_spec("hypothesis"):
        from hypothesis import settings

        settings.register_profile("qbench", deadline=None)  # a first example may import SciPy on a busy machine
        settings.load_profile("qbench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, so that the workers end at about the same time."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep runs inside tests from the step summary of the CI job and from loading foreign plugins."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", WITHOUT_FOREIGN_PLUGINS)


@pytest.fixture(scope="session")
def scipy_for_all_tests() -> None:
    """Import SciPy before pytester notes the modules. It drops later ones, and NumPy's cannot be imported again."""
    import scipy.optimize  # noqa: F401 # for its side effect


@pytest.fixture
def pytester(scipy_for_all_tests: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return pytest's fixture. It removes the options of `_environment`, so they are set again."""
    monkeypatch.setenv("PYTEST_ADDOPTS", WITHOUT_FOREIGN_PLUGINS)
    return pytester


@pytest.fixture(scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a name to the folder of a tiny checkpoint, built once per session."""
    from tests.models.checkpoints import build

    root = tmp_path_factory.mktemp("checkpoints")

    @cache
    def get(name: str) -> Path:
        return build(name, root / name)

    return get


@pytest.fixture(scope="session")
def loaded(checkpoint: Callable[[str], Path]) -> Callable[[str], TransformersModel]:
    """Return a function from a name to a loaded tiny model, loaded once per session."""
    from pytest_qbench.models import load_model, parse_spec
    from pytest_qbench.models.transformers.model import TransformersModel

    @cache
    def get(name: str) -> TransformersModel:
        model = load_model(parse_spec(str(checkpoint(name))), {})
        assert isinstance(model, TransformersModel)
        return model

    return get
