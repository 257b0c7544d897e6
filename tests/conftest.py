"""What all tests share: properties are not timed, and runs inside tests leave the job that runs them alone."""

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
    # Tests and what they start run side by side; threads of several processes on the same cores wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = ("test_sensitivity.py", "test_tiny.py")


def pytest_configure() -> None:
    """Give properties no deadline. `make demo` installs no hypothesis, and `pytest --help` must work beside it."""
    if find_spec("hypothesis"):
        from hypothesis import settings

        settings.register_profile("qbench", deadline=None)  # a first example may import SciPy on a busy machine
        settings.load_profile("qbench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that the workers end together."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True)
def _no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs inside our own tests must not write to the step summary of the job that runs them."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture(scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a tiny checkpoint by name, built once a session."""
    from tests.models.checkpoints import build

    root = tmp_path_factory.mktemp("checkpoints")

    @cache
    def get(name: str) -> Path:
        return build(name, root / name)

    return get


@pytest.fixture(scope="session")
def loaded(checkpoint: Callable[[str], Path]) -> Callable[[str], TransformersModel]:
    """Return a loaded tiny model by name, once a session."""
    from pytest_qbench.models import load_model, parse_spec
    from pytest_qbench.models.transformers.model import TransformersModel

    @cache
    def get(name: str) -> TransformersModel:
        model = load_model(parse_spec(str(checkpoint(name))), {})
        assert isinstance(model, TransformersModel)
        return model

    return get
