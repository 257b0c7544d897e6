"""The data of a run under xdist, which the controller reads once for its workers.

Reading a data folder takes four times as long as unpickling its items. The bytes come through the pipe by which xdist
sends a worker its code. Unpickling runs code, so bytes from a file would not do.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Sequence
from operator import attrgetter

from pytest_qbench.items import Dataset, FileImage, Item

DATASETS = "qbench_datasets"
"""Key of a worker's input: the pickled datasets, or None if the worker has to read them."""


_values = attrgetter(*Item.__slots__)
_image_values = attrgetter(*FileImage.__slots__)


class _Pickler(pickle.Pickler):
    """Pickles an item as a call with its values. `dataclasses` takes twice as long for classes with slots."""

    dispatch_table = copyreg.dispatch_table | {
        Item: lambda item: (Item, _values(item)),
        FileImage: lambda image: (FileImage, _image_values(image)),
    }


def dump_datasets(datasets: Sequence[Dataset]) -> bytes | None:
    """Return datasets for a worker of this machine; None if they hold images, which may not fit in memory twice."""
    images = (image for dataset in datasets for item in dataset.items for image in item.images)
    if not all(type(image) is FileImage for image in images):
        return None
    data = io.BytesIO()
    _Pickler(data, pickle.HIGHEST_PROTOCOL).dump(list(datasets))
    return data.getvalue()


def load_datasets(data: bytes) -> list[Dataset]:
    """Return the datasets that the controller has dumped."""
    datasets: list[Dataset] = pickle.loads(data)
    return datasets
