from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.transformers import TransformersModel
from tests.models.checkpoints import build


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a tiny checkpoint by name, built once a session."""
    root = tmp_path_factory.mktemp("checkpoints")

    @cache
    def get(name: str) -> Path:
        return build(name, root / name)

    return get


@pytest.fixture(scope="session")
def loaded(checkpoint: Callable[[str], Path]) -> Callable[[str], TransformersModel]:
    """Return a loaded tiny model by name, once a session."""

    @cache
    def get(name: str) -> TransformersModel:
        model = load_model(parse_spec(str(checkpoint(name))), {})
        assert isinstance(model, TransformersModel)
        return model

    return get
