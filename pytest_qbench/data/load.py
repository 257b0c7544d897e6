"""Load the datasets of a run: from the embedded `mini`, a data folder or the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_qbench import PACKAGE
from pytest_qbench.data import published
from pytest_qbench.data.folder import DataFolder, Found, find
from pytest_qbench.data.hub import REPOSITORIES, read_hub
from pytest_qbench.data.image_check import check_images
from pytest_qbench.data.image_paths import expand_home, missing_images, short_path
from pytest_qbench.data.manifest import nearest
from pytest_qbench.data.sampling import select
from pytest_qbench.data.twins import link_twins
from pytest_qbench.data.unread import unread_files
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset, LeftOut

__all__ = [
    "HUB",
    "MINI",
    "DataFolder",
    "check_images",
    "data_folder",
    "find",
    "missing_images",
    "open_datasets",
    "select",
]

MINI = "mini"
HUB = "hf"
# The files of a data folder that are found without a datasets.yaml.
EXPECTED = (
    "llvisionqa/llvisionqa_SPLIT.json, lldescribe/lldescribe.json, iqa/NAME.json, a NAME.tsv of VLMEvalKit "
    "or a datasets.yaml"
)


def open_datasets(spec: str, *, rootdir: Path, names: Sequence[str] | None, split: str) -> list[Dataset]:
    """Return the datasets that `--qbench-data=SPEC` names, by task and name.

    `spec` is `mini`, `hf` or a folder relative to `rootdir` or else to the working directory. `names` selects datasets;
    None selects all. `split`, dev or test, applies to the datasets with splits. Raises `DataError`.
    """
    if split not in published.SPLITS:
        raise DataError(f"--qbench-split={split}: no such split; use dev or test")
    wanted = None if names is None else list(dict.fromkeys(published.canonical(name.strip()) for name in names))
    if spec == HUB:
        _check_names(wanted, list(REPOSITORIES), "on the hub")
        return [read_hub(name, split) for name in REPOSITORIES if wanted is None or name in wanted]
    folder = data_folder(spec, rootdir)
    try:
        found = find(folder)
        _check_clean(found, folder.label)
        datasets = [one.read() for one in _select_datasets(found, folder.label, wanted, split)]
    except OSError as e:
        raise DataError(f"{folder.label}: {e.filename} cannot be read: {e.strerror}; check its permissions") from e
    _check_ids(datasets)
    return link_twins(datasets)


def unread(spec: str, rootdir: Path) -> list[LeftOut]:
    """Return the files of the data folder `spec` that no dataset uses, with the reasons; none for `mini` and `hf`."""
    if spec in (MINI, HUB):
        return []
    folder = data_folder(spec, rootdir)
    return unread_files(folder, find(folder))


def _select_datasets(found: list[Found], label: str, wanted: list[str] | None, split: str) -> list[Found]:
    """Return the datasets that a run selects, in the selected split."""
    here = [one for one in found if one.source.split in (None, split)]
    if not found:
        raise DataError(f"{label}: no dataset found; expected {EXPECTED.replace('SPLIT', split)}")
    for name in wanted if wanted is not None else [one.source.name for one in found if not here]:
        if not any(one.source.name == name for one in here) and any(one.source.name == name for one in found):
            raise DataError(f"{name}: {label} has no split {split}; use the other --qbench-split")
    _check_names(wanted, list(dict.fromkeys(one.source.name for one in here)), f"in {label}")
    return [one for one in here if wanted is None or one.source.name in wanted]


def _check_clean(found: list[Found], label: str) -> None:
    """Raise `DataError` if datasets.yaml names a dataset of clean twins that is not in the folder."""
    for one in found:
        names = [other.source.name for other in found if other.source.task == one.source.task]
        clean = one.source.clean
        if clean is not None and clean not in names:
            raise DataError(f"{one.source.name}: clean: {clean} is not in {label}; use {nearest(clean, names)}")


def _check_ids(datasets: list[Dataset]) -> None:
    """Raise `DataError` for an id that items of two tasks share: a record could belong to either."""
    seen: dict[str, set[str]] = {}
    for dataset in datasets:
        ids, earlier = {item.id for item in dataset.items}, seen.setdefault(dataset.name, set())
        shared = sorted(ids & earlier)
        if shared:
            place = f"{dataset.source}: {shared[0]} is also an item of another task"
            raise DataError(f"{place}; give the entries an id each, or the dataset another name")
        earlier |= ids


def _check_names(wanted: list[str] | None, present: list[str], where: str) -> None:
    if wanted == []:
        raise DataError(f"--qbench-datasets: names none; {where} are {', '.join(present)}")
    for name in wanted or []:
        if name not in present:
            raise DataError(f"--qbench-datasets={name}: not {where}; use {nearest(name, present)}")


def data_folder(spec: str, rootdir: Path, option: str = "--qbench-data") -> DataFolder:
    """Return the folder that `spec` names, `mini` or a path; raises a `DataError` with the option's name."""
    if spec == MINI:
        return DataFolder(PACKAGE / MINI, MINI)
    path = expand_home(spec)
    problem = "no such folder; name a folder, mini or hf"
    for candidate in (Path.cwd() / rootdir / path, Path.cwd() / path) if spec.strip() else ():
        try:
            if candidate.is_dir():
                return DataFolder(candidate, short_path(candidate))
            if candidate.is_file():
                problem = "is a file; name its folder"
        except OSError as e:
            problem = f"{e.strerror}; name a folder, mini or hf"
    raise DataError(f"{option}={spec}: {problem}")
