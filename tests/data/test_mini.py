"""Check the sizes, balance, groups, licences and files of the embedded data."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import pytest_qbench
from pytest_qbench.data.load import open_datasets
from pytest_qbench.items import Dataset

ROOT = Path(pytest_qbench.__file__).parents[1]
MINI, TINY = ROOT / "pytest_qbench" / "mini", ROOT / "pytest_qbench" / "tiny"
SHA256 = "16517dc28c291ba8162ecbedf8ca40edcb8f3034315aac90ce0ff570ff97155a"


@pytest.fixture(scope="module")
def datasets() -> dict[tuple[str, str], Dataset]:
    return {(d.task, d.name): d for d in open_datasets("mini", rootdir=ROOT, names=None, split="dev")}


def test_the_embedded_data_has_the_documented_sizes(datasets: dict[tuple[str, str], Dataset]) -> None:
    assert {key: len(d.items) for key, d in datasets.items()} == {
        ("perception", "mini"): 450,
        ("description", "mini"): 60,
        ("assessment", "mini_a"): 150,
        ("assessment", "mini_b"): 150,
    }
    assert not any(d.left_out for d in datasets.values())
    groups = {item.group for d in datasets.values() for item in d.items}
    assert len(groups) == 122
    assert all(group.startswith("mini/") for group in groups)
    package_data = [f for folder in (MINI, TINY) for f in folder.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in package_data) <= 14e6


def test_every_photograph_counts_about_as_much_as_any_other(datasets: dict[tuple[str, str], Dataset]) -> None:
    questions = Counter(item.group for item in datasets["perception", "mini"].items)
    assert len(questions) == 122
    assert max(questions.values()) <= 5
    for key, least in (("description", "mini"), 50), (("assessment", "mini_a"), 100), (("assessment", "mini_b"), 100):
        photos = Counter(item.group for item in datasets[key].items)
        assert len(photos) >= least
        assert max(photos.values()) <= 3


def test_every_cell_has_items_and_answers_are_balanced(datasets: dict[tuple[str, str], Dataset]) -> None:
    items = datasets["perception", "mini"].items
    cells = Counter((i.slices["type"], i.slices["concern"]) for i in items)
    assert len(cells) == 12
    assert min(cells.values()) >= 26
    for concern in ("distortion", "other", "in_context_distortion", "in_context_other"):
        answers = Counter(i.answer for i in items if i.slices == {"type": "yes_or_no", "concern": concern})
        assert answers["Yes"] == answers["No"]
    for n in (2, 3, 4):
        keys = Counter(i.options.index(str(i.answer)) for i in items if len(i.options) == n)
        assert max(keys.values()) - min(keys.values()) <= 1
    assert len({(i.question, i.images) for i in items}) == len(items)


def test_groups_are_photographs(datasets: dict[tuple[str, str], Dataset]) -> None:
    for d in datasets.values():
        for item in d.items:
            assert item.images[0].name.rpartition("/")[2].rsplit("-", 1)[0] == item.group.removeprefix("mini/")


def test_images_are_the_stored_ones_and_decode() -> None:
    digest = hashlib.sha256()
    for path in sorted(MINI.glob("images/*")):
        image = Image.open(path).convert("RGB")
        assert image.size == (128, 128)
        digest.update(path.name.encode() + image.tobytes())
    assert digest.hexdigest() == SHA256


def test_every_photograph_has_a_credit_and_none_trained_the_model() -> None:
    listed = yaml.safe_load((ROOT / "tools" / "photos.yaml").read_text(encoding="utf-8"))
    used = {p.stem.rsplit("-", 1)[0] for p in MINI.glob("images/*")}
    credited = (MINI / "CREDITS.md").read_text(encoding="utf-8")
    for name in used:
        scene = listed["scenes"][name]
        assert f"| `{name}-*.webp` | {scene['author']} | {scene['license']} | {scene['origin']} |" in credited
        assert scene["license"].startswith(("CC0-", "CC-BY-", "public-domain"))
        assert "-NC" not in scene["license"]
        assert "-ND" not in scene["license"]
    assert not {s["source"] for s in listed["scenes"].values()} & set(listed["train"])
    assert len({s["source"] for s in listed["scenes"].values()}) == len(listed["scenes"])
    assert used == set(listed["scenes"]) == {p.stem for p in (ROOT / "tools" / "scenes").glob("*.jpg")}


@pytest.fixture(scope="module")
def tools() -> Any:
    sys.path.insert(0, str(ROOT / "tools"))
    yield lambda name: importlib.import_module(name)
    sys.path.remove(str(ROOT / "tools"))


def test_texts_follow_from_the_recipes(datasets: dict[tuple[str, str], Dataset], tools: Any) -> None:
    causes, questions = tools("causes"), tools("questions")
    recipes = {}
    for line in (MINI / "recipes.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        image = row.pop("image")
        recipes[image] = causes.Recipe(**row)

    def recipe(item: Any) -> Any:
        return recipes[item.images[0].name.rpartition("/")[2]]

    for item in datasets["description", "mini"].items:
        assert item.golden == (questions.golden(recipe(item)),)
    for name in ("mini_a", "mini_b"):
        for item in datasets["assessment", name].items:
            assert item.target == pytest.approx(recipe(item).quality, abs=1e-4)
    for item in datasets["perception", "mini"].items:
        r = recipe(item)
        assert item.slices["concern"].startswith("in_context") == bool(r.region)
        if item.question and item.question.startswith("Which part"):
            assert item.answer == f"{r.region.capitalize()} part"
        if item.answer == "No distortion":
            assert not r.severity
        if item.slices["type"] == "what" and item.answer in questions.NAME.values() and r.severity:
            assert item.answer in {questions.NAME[c] for c in r.severity}
