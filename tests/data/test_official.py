"""Check the real files beside the project; their licence keeps them out of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pytest_qbench.data.image_paths import missing_images
from pytest_qbench.data.load import open_datasets
from pytest_qbench.data.readers.json import read_objects
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset
from tests.official import OFFICIAL, needs_official

pytestmark = needs_official
# Sizes from the papers of the databases and from Q-Bench, table 1.
SIZES = {"agiqa": 2982, "cgiqa": 6000, "kadid": 10125, "koniq": 10073, "livec": 1169, "spaq": 11125}


@pytest.fixture(scope="module")
def dev() -> dict[str, Dataset]:
    return {one.name: one for one in open_datasets(str(OFFICIAL), rootdir=OFFICIAL, names=None, split="dev")}


def test_every_database_is_complete(dev: dict[str, Dataset]) -> None:
    assert {name: len(one.items) for name, one in dev.items() if one.task == "assessment"} == SIZES
    assert all(one.left_out == () for one in dev.values())
    assert dev["livec"].items[0].target == 63.963406174124174


def test_kadid_has_81_references_and_cgiqa_two_halves(dev: dict[str, Dataset]) -> None:
    groups = Counter(item.group for item in dev["kadid"].items)
    assert len(groups) == 81
    assert set(groups.values()) == {125}
    assert Counter(item.slices["half"] for item in dev["cgiqa"].items) == {"game": 3000, "movie": 3000}


@pytest.mark.parametrize("split", ["dev", "test"])
def test_llvisionqa(split: str) -> None:
    (dataset,) = open_datasets(str(OFFICIAL), rootdir=OFFICIAL, names=["llvisionqa"], split=split)
    assert len(dataset.items) == len({item.id for item in dataset.items}) == 1495
    assert all((item.answer in item.options) == (split == "dev") for item in dataset.items)
    guess = {
        key: sum(1 / len(item.options) for item in chosen) / len(chosen) for key, chosen in _slices(dataset).items()
    }
    # The closed form of the published row a1_random_guess.csv.
    published = dict(zip(*_random_guess_row(split), strict=True))
    assert {key: round(value, 4) for key, value in guess.items()} == pytest.approx(published, abs=2e-4)


def _slices(dataset: Dataset) -> dict[str, list]:  # type: ignore[type-arg]
    slices: dict[str, list] = {"overall": list(dataset.items)}  # type: ignore[type-arg]
    for item in dataset.items:
        for value in item.slices.values():
            slices.setdefault(value, []).append(item)
    return slices


def _random_guess_row(split: str) -> tuple[list[str], list[float]]:
    header, *rows = (OFFICIAL / "leaderboards" / "a1_random_guess.csv").read_text().splitlines()
    row = next(row for row in rows if row.startswith(split)).split(",")[1:]
    return header.split(",")[1:], [float(value) for value in row]


def test_images_are_read_only_when_needed(dev: dict[str, Dataset]) -> None:
    with pytest.raises(
        DataError, match=r"koniq: 10073 of 10073 images missing under .*koniq \(first: 10004473376.jpg\)"
    ):
        missing_images([dev["koniq"]])


MODELS = ["idefics", "instructblip_t5", "instructblip_vicuna", "llava_v1.5", "qwen-vl", "shikra"]


@pytest.mark.parametrize("model", MODELS)
def test_recorded_outputs_name_the_same_images(dev: dict[str, Dataset], model: str) -> None:
    for file, name in {"agi": "agiqa", "cgi": "cgiqa", "koniq": "koniq", "livec": "livec"}.items():
        records = read_objects(OFFICIAL / "iqa_outputs" / model / f"{file}.json")
        assert len(records) == SIZES[name] + (model == "instructblip_vicuna")
        assert {f"{name}/{one['img_path']}" for one in records} == {item.id for item in dev[name].items}


def test_an_output_file_is_a_database_whose_repeated_record_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "iqa").mkdir()
    (tmp_path / "iqa" / "livec.json").symlink_to(OFFICIAL / "iqa_outputs" / "instructblip_vicuna" / "livec.json")
    (dataset,) = open_datasets(str(tmp_path), rootdir=tmp_path, names=None, split="dev")
    assert len(dataset.items) == SIZES["livec"]
    assert [left.entry for left in dataset.left_out] == ["livec/t1.bmp"]
