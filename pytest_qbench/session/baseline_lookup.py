"""Find the baseline of a run: the one that the user names, else that of the model and the data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pytest_qbench.baseline.align import align
from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.store import find_baseline, read_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.records import Key
from pytest_qbench.session.settings import Settings


class NamedBaseline(NamedTuple):
    """The name of a run's baseline, and the baseline with this name or the reason why it is missing."""

    name: str
    baseline: Baseline | MissingBaseline


def look_up(settings: Settings, model: str, items: Callable[[], Mapping[Key, Item]]) -> NamedBaseline:
    """Return the baseline of a run. `items` returns all selected items of its data.

    The default name is that of the model. If that baseline has other data, without a common item, the name is
    ``MODEL@DATA``, so that a model has one baseline per data.
    """
    if settings.baseline:
        return _read(settings, settings.baseline)
    own = _read(settings, f"{model}@{data_name(settings.data)}")
    if not (isinstance(own.baseline, MissingBaseline) and not own.baseline.is_broken):
        return own
    plain = _read(settings, model)
    if isinstance(plain.baseline, Baseline) and _is_of_other_data(plain.baseline, settings.data, items):
        return own
    return plain


def data_name(data: str) -> str:
    """Return the name of the data as a part of a file name."""
    return re.sub(r"[^\w.-]+", "-", Path(data).resolve().name if Path(data).is_dir() else data).strip("-.") or "data"


def _is_of_other_data(baseline: Baseline, data: str, items: Callable[[], Mapping[Key, Item]]) -> bool:
    return baseline.fingerprint.data != data and not align(baseline, items()).matched


def _read(settings: Settings, name: str) -> NamedBaseline:
    try:
        path = find_baseline(settings.baseline_dir, name, settings.baseline_store)
        found: Baseline | MissingBaseline = (
            read_baseline(path)
            if path is not None
            else MissingBaseline(f"no baseline {name!r} in {settings.baseline_dir.name}/")
        )
    except UsageError as e:
        found = MissingBaseline(str(e), is_broken=True)
    return NamedBaseline(name, found)
