"""Read files and hub tables as items."""

from pytest_qbench.data.image_check import check_images
from pytest_qbench.data.load import open_datasets
from pytest_qbench.data.sampling import select

__all__ = ["check_images", "open_datasets", "select"]
