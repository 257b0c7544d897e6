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

    Its name is ``MODEL@DATA``, so that a model has one baseline per data. A baseline with the name of the model alone,
    as earlier versions recorded it, serves if it shares an item with the data. A name that the user gives stands for
    itself or, where there is no such baseline, for ``NAME@DATA``.
    """
    data = data_name(settings.data)
    if settings.baseline:
        exact, of_data = (_read(settings, name) for name in (settings.baseline, f"{settings.baseline}@{data}"))
        return of_data if _exists(of_data) and not _exists(exact) else exact
    own = _read(settings, f"{model}@{data}")
    if _exists(own):
        return own
    plain = _read(settings, model)
    if isinstance(plain.baseline, Baseline) and _is_of_other_data(plain.baseline, settings.data, items):
        return own
    return plain if _exists(plain) else own


def _exists(named: NamedBaseline) -> bool:
    """Return whether there is a folder of this name, even if it is damaged."""
    return isinstance(named.baseline, Baseline) or named.baseline.is_broken


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
