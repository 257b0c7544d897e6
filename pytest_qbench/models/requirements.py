"""The packages that run a local model. Installing them is optional: recorded outputs and endpoints need none."""

from __future__ import annotations

import importlib.util

from pytest_qbench.errors import ModelError

PACKAGES = ("torch", "torchvision", "transformers")


def check_installed(asked: str) -> None:
    """Raise `ModelError` where a package that runs local models is missing; `asked` is what the user typed."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ModelError(f"{asked} needs {', '.join(missing)}: pip install 'pytest-qbench[local]'")
