"""The data of a study, from its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.data import open_datasets
from pytest_qbench.items import Dataset


def datasets_of(arguments: argparse.Namespace) -> list[Dataset]:
    """Return the datasets that --data, --datasets and --split name. Raises `DataError`."""
    names = tuple(arguments.datasets.split(",")) if arguments.datasets else None
    return open_datasets(arguments.data, rootdir=Path.cwd(), names=names, split=arguments.split)
