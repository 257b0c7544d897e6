"""Build tiny checkpoints of many architectures with random weights and their own tokenizers, without a download.

`build(name, folder)` saves model and processor as a user would find them. The weights are large, so that a wrong
position, mask or image changes the logits by far more than the tolerances of the tests.
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
