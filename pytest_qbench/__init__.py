"""Q-Bench as a pytest regression suite for vision-language models."""

from pathlib import Path

__version__ = "0.1.0"

PACKAGE = Path(__file__).parent
"""Folder of the installed package, with code and embedded data."""


def packaged(name: str) -> Path:
    """Return the folder `suites` or `baselines` that comes with the package.

    In a wheel, the folder is inside the package. In a source checkout it is beside the package, where users read and
    copy it.
    """
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
