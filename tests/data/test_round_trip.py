"""Check that one benchmark has the same questions and items in every published encoding."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.data.identity import identity_of
from pytest_qbench.data.item_matching import match
from pytest_qbench.data.readers.json import read_objects
from pytest_qbench.items import Dataset
from tests.official import OFFICIAL

from .files import png, read_one, write

# Options that look like padding, in every position.
WORDS = ["None", "N/A", "NA", "nan", "null", "NaN", "none", "-"]
OWN = [
    {
        "type": 1, "concern": i % 4, "question": f"Which part is sharp ({i % 5})?", "img_path": f"{i}.jpg",
        "candidates": options, "correct_ans": options[i % len(options)],
    }
    for i, options in enumerate(
        [[word, "Left"] for word in WORDS] + [["Left", word, "Right"] for word in WORDS]
        + [["Left", "Right", "Both", word] for word in WORDS]
    )
]  # fmt: skip


def pictures(entries: list[dict[str, Any]], folder: Path) -> list[bytes]:
    """Write a different image for each image name, and return those of the entries."""
    found: dict[str, bytes] = {}
    for entry in entries:
        for name in names(entry):
            i = len(found)
            found.setdefault(name, png((i % 256, i // 256, 7), 2))
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(found[name])
    return [found[name] for entry in entries for name in names(entry)]


def names(entry: dict[str, Any]) -> list[str]:
    pair = entry["img_path"].removesuffix(".jpg").split("_cat_")
    return pair if len(pair) == 2 else [entry["img_path"]]


def letter(entry: dict[str, Any]) -> str:
    return "N/A" if "correct_ans" not in entry else "ABCD"[entry["candidates"].index(entry["correct_ans"])]


def hub(entries: list[dict[str, Any]], path: Path, seen: list[bytes], *, named: bool, text_ids: bool) -> None:
    """Write the hub's layout: one column for each option, padded with N/A, images embedded."""
    datasets = pytest.importorskip("datasets", reason="the extra pytest-qbench[hub] is not installed")
    width = len(seen) // len(entries)
    columns: dict[str, list[Any]] = {"id": [f"q{i}" if text_ids else i for i in range(len(entries))]}
    for part in range(width):
        columns["image" if width == 1 else f"image{part + 1}"] = [
            {"bytes": content, "path": names(entry)[part] if named else None}
            for entry, content in zip(entries, seen[part::width], strict=True)
        ]
    columns["question"] = [entry["question"] for entry in entries]
    for i in range(4):
        columns[f"option{i}"] = [[*entry["candidates"], *["N/A"] * 4][i] for entry in entries]
    for key in ("type", "concern", "category"):
        if key in entries[0]:
            columns[key if key == "category" else f"question_{key}"] = [entry[key] for entry in entries]
    columns["correct_choice"] = [letter(entry) for entry in entries]
    features = {
        key: datasets.Image()
        if key.startswith("image")
        else datasets.Value("int64" if isinstance(v[0], int) else "string")
        for key, v in columns.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(path)


def tsv(entries: list[dict[str, Any]], path: Path, seen: list[bytes]) -> None:
    """Write VLMEvalKit's layout: options A to D with blank cells after the last, images in base64."""
    codes = [key for key in ("type", "concern", "category") if key in entries[0]]
    lines = ["\t".join(["index", "question", *"ABCD", "answer", *codes, "image"])]
    width = len(seen) // len(entries)
    for i, entry in enumerate(entries):
        texts = [base64.b64encode(one).decode() for one in seen[i * width : (i + 1) * width]]
        picture = texts[0] if width == 1 else repr(texts)
        options = [*entry["candidates"], "", "", ""][:4]
        cells = [str(i), entry["question"], *options, "" if letter(entry) == "N/A" else letter(entry)]
        cells += [str(entry[key]) for key in codes] + [picture]
        quoted = [f'"{c.replace(chr(34), chr(34) * 2)}"' if '"' in c or "\n" in c or "\t" in c else c for c in cells]
        lines.append("\t".join(quoted))
    write(path, "\n".join(lines) + "\n")


def questions_of(dataset: Dataset) -> list[object]:
    return [(i.question, i.options, i.answer, dict(i.slices), i.digest()) for i in dataset.items]


def check(folder: Path, file: str, entries: list[dict[str, Any]], split: str, hub_name: str, table: str) -> None:
    """Write `entries` as JSON and in the other layouts, and compare the items that are read."""
    origin = folder / "json"
    write(origin / file, json.dumps(entries))
    seen = pictures(entries, (origin / file).parent / "images")
    first = read_one(origin, split=split)
    assert len(first.items) == len(entries)
    writers: dict[str, Callable[[Path], None]] = {
        f"hub-{named}-{text_ids}": (
            lambda to, named=named, text_ids=text_ids: hub(  # type: ignore[misc]
                entries, to / hub_name / "data" / f"{split}-00000-of-00001.parquet", seen, named=named, text_ids=text_ids
            )
        )
        for named in (True, False) for text_ids in (True, False)
    }  # fmt: skip
    writers["tsv"] = lambda to: tsv(entries, to / f"{table}.tsv", seen)
    for name, write_to in writers.items():
        write_to(folder / name)
        other = read_one(folder / name, split=split)
        assert questions_of(other) == questions_of(first), name
        found = match([identity_of(item) for item in other.items], [identity_of(item) for item in first.items])
        assert found.pairs == {i: i for i in range(len(entries))}, (name, list(map(str, found.ambiguous.values()))[:3])
        groups = {a.group: b.group for a, b in zip(first.items, other.items, strict=True)}
        assert len(groups) == len(set(groups.values())) == len({i.group for i in other.items}), name


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_official_questions(tmp_path: Path, split: str) -> None:
    path = OFFICIAL / "llvisionqa" / f"llvisionqa_{split}.json"
    if not path.is_file():
        pytest.skip(f"no official questions at {path}")
    entries = read_objects(path)
    assert len(entries) == 1495
    table = {"dev": "Q-Bench1_VAL", "test": "Q-Bench1_TEST"}[split]
    check(tmp_path, f"llvisionqa/llvisionqa_{split}.json", entries, split, "Q-Bench-HF", table)


def test_options_that_look_like_padding(tmp_path: Path) -> None:
    # In one entry the last option is the hub's padding; no reader can distinguish the two, so it is left out.
    entries = [entry for entry in OWN if entry["candidates"][-1] != "N/A"]  # type: ignore[index]
    check(tmp_path, "llvisionqa/llvisionqa_dev.json", entries, "dev", "Q-Bench-HF", "Q-Bench1_VAL")


def test_pairs_of_q_bench_2(tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [
        {**entry, "img_path": f"{i}.jpg_cat_{i // 2 + 100}.png.jpg"} for i, entry in enumerate(OWN)
        if entry["candidates"][-1] != "N/A"  # type: ignore[index]
    ]  # fmt: skip
    check(tmp_path, "qbench2/q-bench2-a1-dev.json", entries, "dev", "Q-Bench2-HF", "Q-Bench2_VAL")


def test_categories_of_a_bench(tmp_path: Path) -> None:
    entries = [
        {"img_path": f"{i}.png", "question": f"What is shown ({i % 3})?", "candidates": ["A cat", "None", "A dog"],
         "correct_ans": "None", "category": ["part1 -> basic -> major", "part2 -> technical", "other"][i % 3]}
        for i in range(9)
    ]  # fmt: skip
    check(tmp_path, "abench/abench_dev.json", entries, "dev", "A-Bench-HF", "A-Bench_VAL")
