"""Tiny randomly initialised checkpoints of many architectures, with their own tokenizers: no download.

`build(name, folder)` saves model and processor as a user would find them. Weights are large enough for a wrong
position, mask or image to move the logits by far more than the tolerances of the tests.
"""

from __future__ import annotations

from pathlib import Path

import torch

from pytest_qbench.models.errors import quiet
from tests.models.builders import BUILDERS

ARCHITECTURES = tuple(BUILDERS)


def build(name: str, folder: Path) -> Path:
    """Save the checkpoint `name` in `folder` and return it."""
    torch.manual_seed(0)
    with quiet():
        BUILDERS[name](folder)
    return folder
