from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytest_qbench.data.load import MINI, open_datasets
from pytest_qbench.errors import DataError

from .files import QUESTION, mos, read, read_one, refusal, write

MOS = [{"img_path": "1.jpg", "gt_score": 3}, {"img_path": "2.jpg", "gt_score": 4}]
HIDDEN = {key: value for key, value in QUESTION.items() if key != "correct_ans"}


def everything(root: Path) -> Path:
    write(root / "llvisionqa" / "llvisionqa_dev.json", [QUESTION])
    write(root / "llvisionqa" / "llvisionqa_test.json", [HIDDEN])
    write(root / "lldescribe" / "lldescribe.json", [{"img_path": "1.jpg", "golden": "Blurry."}])
    for name in ("spaq", "koniq", "mine"):
        mos(root, MOS, f"{name}.json")
    write(root / "iqa" / "README.md", "not a dataset")
    write(root / "iqa" / "._koniq.json", b"left behind by another system")
    return root


def yaml(root: Path, *entries: str) -> Path:
    write(root / "datasets.yaml", "datasets:\n" + "".join(f"  - {entry}\n" for entry in entries))
    return root


def test_the_standard_layout_by_task_and_name(tmp_path: Path) -> None:
    datasets = read(everything(tmp_path))
    assert [(one.task, one.name, one.split) for one in datasets] == [
        ("perception", "llvisionqa", "dev"),
        ("description", "lldescribe", None),
        ("assessment", "koniq", None),
        ("assessment", "mine", None),
        ("assessment", "spaq", None),
    ]
    assert [one.split for one in read(tmp_path, split="test")] == ["test", None, None, None, None]


def test_qbench_datasets_selects_by_name(tmp_path: Path) -> None:
    assert [one.name for one in read(everything(tmp_path), names=["spaq", "lldescribe", "spaq"])] == [
        "lldescribe",
        "spaq",
    ]


def test_datasets_that_are_not_selected_are_not_read(tmp_path: Path) -> None:
    mos(everything(tmp_path), "broken", "agi.json")
    assert len(read(tmp_path, names=["koniq"])) == 1
    assert "iqa/agi.json: broken" in refusal(tmp_path)


def test_the_error_for_an_unknown_name_suggests_the_nearest_one(tmp_path: Path) -> None:
    error = refusal(everything(tmp_path), names=["konik"])
    assert "--qbench-datasets=konik: not in " in error
    assert "; use koniq (of llvisionqa, lldescribe, koniq, mine, spaq)" in error
    assert "names none" in refusal(tmp_path, names=[])


def test_a_missing_split_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "llvisionqa" / "llvisionqa_test.json", [HIDDEN])
    for names in (None, ["llvisionqa"]):
        assert "llvisionqa: " in refusal(tmp_path, names)
        assert "has no split dev; use the other --qbench-split" in refusal(tmp_path, names)
    mos(tmp_path, MOS)
    assert [one.name for one in read(tmp_path)] == ["koniq"]
    assert "no such split; use dev or test" in refusal(tmp_path, split="val")


def test_the_folder_of_one_dataset_is_a_data_folder(tmp_path: Path) -> None:
    write(tmp_path / "llvisionqa_dev.json", [QUESTION])
    assert read_one(tmp_path).items[0].images[0].name.endswith(f"{tmp_path.name}/images/00653.jpg")


def test_an_empty_folder_a_file_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    assert "no dataset found; expected llvisionqa/llvisionqa_dev.json, " in refusal(tmp_path)
    assert "is a file; name its folder" in refusal(write(tmp_path / "x.json", []))
    assert "no such folder; name a folder, mini or hf" in refusal(tmp_path / "absent")
    for spec in ("", " ", "x" * 5000, "~nobody-here/x"):
        with pytest.raises(DataError, match="--qbench-data="):
            open_datasets(spec, rootdir=tmp_path, names=None, split="dev")


def test_a_folder_is_relative_to_rootdir_or_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mos(tmp_path / "project" / "data", MOS, "koniq.json")
    mos(tmp_path / "here" / "other", MOS, "spaq.json")
    (tmp_path / "project" / "tests").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for spec, name in (("data", "koniq"), ("other", "spaq"), ("./data", "koniq")):
        (dataset,) = open_datasets(spec, rootdir=tmp_path / "project", names=None, split="dev")
        assert dataset.name == name


def test_messages_name_paths_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mos(tmp_path / "data", MOS)
    monkeypatch.chdir(tmp_path)
    (dataset,) = open_datasets("data", rootdir=tmp_path, names=None, split="dev")
    assert dataset.source == "data/iqa/koniq.json"
    assert dataset.items[0].images[0].name == "data/iqa/koniq/1.jpg"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_without_permission_is_an_error(tmp_path: Path) -> None:
    everything(tmp_path)
    (tmp_path / "iqa").chmod(0)
    try:
        assert "cannot be read: Permission denied" in refusal(tmp_path)
    finally:
        (tmp_path / "iqa").chmod(0o700)


def test_mini_has_all_tasks() -> None:
    datasets = open_datasets(MINI, rootdir=Path(), names=None, split="test")
    assert [(one.task, one.name, one.split) for one in datasets] == [
        ("perception", "mini", None),
        ("description", "mini", None),
        ("assessment", "mini_a", None),
        ("assessment", "mini_b", None),
    ]
    items = [item for dataset in datasets for item in dataset.items]
    assert len({item.id for item in items}) == len(items)
    assert {item.id.split("/")[0] for item in items} == {"mini", "mini_a", "mini_b"}
    # one photo is one group in every task
    assert all(item.group.startswith("mini/") for item in items)
    assert {item.group for item in datasets[2].items} & {item.group for item in datasets[0].items}
    assert items[0].images[0].name.startswith("mini/images/")
    assert all(dataset.left_out == () for dataset in datasets)


@pytest.mark.parametrize("own_ids", [True, False])
def test_questions_about_one_photo_are_one_group_with_any_ids(tmp_path: Path, own_ids: bool) -> None:
    rows = [
        {
            **({"id": f"{photo}-{i}"} if own_ids else {}),
            "img_path": f"{photo}.jpg", "question": f"Question {i}?", "candidates": ["Yes", "No"],
            "correct_ans": "Yes", "type": 0, "concern": 0,
        }
        for photo in range(3) for i in range(4)
    ]  # fmt: skip
    (tmp_path / "llvisionqa").mkdir()
    (tmp_path / "llvisionqa" / "llvisionqa_dev.json").write_text(json.dumps(rows))
    (dataset,) = open_datasets(str(tmp_path), rootdir=tmp_path, names=None, split="dev")
    groups = [item.group for item in dataset.items]
    assert len(groups) == 12
    assert [groups.index(group) for group in groups] == [0] * 4 + [4] * 4 + [8] * 4


def test_a_manifest_names_other_files_columns_directions_and_groups(tmp_path: Path) -> None:
    write(tmp_path / "scores" / "live.csv", "pic,dmos,scene\nx/1.png,10,s1\nx/2.png,20,s1\n")
    write(tmp_path / "faces.json", [{"img_path": "p7_1.jpg", "mos": 1}, {"img_path": "p7_2.jpg", "mos": 2}])
    write(tmp_path / "q.jsonl", [QUESTION])
    yaml(
        tmp_path,
        "{name: live, task: assessment, file: scores/live.csv, image_column: pic, target_column: dmos, "
        "higher_is_better: false, group_column: scene, license: ask, images: pictures}",
        "{name: faces, task: assessment, file: faces.json, group_pattern: '^(p\\d+)_'}",
        "{name: mine, task: perception, split: dev, file: q.jsonl}",
    )
    mine, faces, live = read(tmp_path)
    assert [item.target for item in live.items] == [-10.0, -20.0]
    assert [item.group for item in live.items] == ["live/s1", "live/s1"]
    assert (live.items[0].id, live.license) == ("live/x/1.png", "ask")
    assert live.items[0].images[0].name.endswith("/pictures/x/1.png")
    assert [item.group for item in faces.items] == ["faces/p7", "faces/p7"]
    assert faces.items[0].images[0].name.endswith("/faces/p7_1.jpg")
    assert (mine.items[0].id, mine.split) == ("mine/dev/00653.jpg", "dev")
    assert mine.items[0].images[0].name.endswith("/images/00653.jpg")


def test_a_manifest_changes_a_dataset_in_its_usual_place(tmp_path: Path) -> None:
    yaml(everything(tmp_path), "{name: koniq, higher_is_better: false}", "{name: llvisionqa, images: /pictures}")
    datasets = {one.name: one for one in read(tmp_path)}
    assert [item.target for item in datasets["koniq"].items] == [-3.0, -4.0]
    assert datasets["llvisionqa"].items[0].images[0].name == "/pictures/00653.jpg"
    assert [one.items[0].images[0].name for one in read(tmp_path, ["llvisionqa"], "test")] == ["/pictures/00653.jpg"]
    assert len(datasets) == 5


def test_a_file_with_another_name_in_the_manifest_is_one_dataset(tmp_path: Path) -> None:
    yaml(everything(tmp_path), "{name: ours, task: assessment, file: iqa/mine.json}")
    assert [one.name for one in read(tmp_path) if one.task == "assessment"] == ["koniq", "ours", "spaq"]


def test_a_manifest_selects_one_of_two_files(tmp_path: Path) -> None:
    mos(mos(tmp_path, MOS, "cgi.json"), MOS[:1], "cgiqa.json")
    assert len(read_one(yaml(tmp_path, "{name: cgi, file: iqa/cgi.json}")).items) == 2


def test_a_pattern_names_several_files(tmp_path: Path) -> None:
    write(tmp_path / "parts" / "1.json", MOS[:1])
    write(tmp_path / "parts" / "2.json", MOS)
    dataset = read_one(yaml(tmp_path, "{name: m, task: assessment, file: 'parts/*.json'}"))
    assert [item.id for item in dataset.items] == ["m/1.jpg", "m/2.jpg"]
    assert [left.entry for left in dataset.left_out] == ["m/1.jpg"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{}", "name is None"),
        ("7", "dataset 1: is 7; write {name"),
        ("{name: 'a,b'}", "name is 'a,b'; letters, digits"),
        ("{name: 7}", "name is 7; write a text"),
        ("{name: m, file: m.json}", "m has no task; write task: and one of perception, description, assessment"),
        ("{name: m, task: rating, file: m.json}", "task 'rating' is unknown; use one of perception"),
        ("{name: m, task: assessment, file: m.json}", "no file m.json under "),
        ("{name: m, task: assessment, file: '**x'}", "no file **x under "),
        ("{name: m, task: assessment, file: " + "x" * 5000 + "}", "no file xxx"),
        ("{name: m, task: assessment, file: ../m.json}", "file ../m.json leaves the data folder"),
        ("{name: m, task: assessment, file: /m.json}", "file /m.json leaves the data folder"),
        ("{name: koniq}", "koniq is not in its usual place under "),
        ("{name: m, imges: x}", "unknown key 'imges'; use images (of name, task"),
        ("{name: m, 3: x}", "unknown key 3"),
        ("{name: m, higher_is_better: 'no way'}", "higher_is_better is 'no way'; write true or false"),
        ("{name: m, group_pattern: '('}", "group_pattern '(': missing )"),
        ("{name: m, split: train}", "split 'train' is unknown"),
        ('{name: m, images: "a\\0b"}', "cannot be printed"),
        ("{name: a, task: assessment}\n  - {name: a, task: assessment}", "dataset 2: a is already listed"),
    ],
)
def test_an_invalid_entry_of_a_manifest_is_an_error(tmp_path: Path, entry: str, message: str) -> None:
    error = refusal(yaml(tmp_path, entry))
    assert message in error
    assert "datasets.yaml: dataset " in error


@pytest.mark.parametrize(
    "text", ["datasets: 7", "- x", "sets: []", "datasets: [", "a: !!bool 7", "2020-13-45", "? {}\n: x"]
)
def test_an_invalid_manifest_is_an_error(tmp_path: Path, text: str) -> None:
    assert "datasets.yaml: " in refusal(write(tmp_path / "datasets.yaml", text).parent)


def test_an_empty_manifest_is_named(tmp_path: Path) -> None:
    assert "datasets.yaml: is empty" in refusal(write(tmp_path / "datasets.yaml", "").parent)
    assert "no dataset found" in refusal(write(tmp_path / "datasets.yaml", "datasets: []").parent)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("group_column: scene", "no scene; add it or correct group_column"),
        ("group_pattern: '^p'", "image '1.jpg' does not match group_pattern"),
        ("target_column: mos", "no column 'mos' (columns: img_path, gt_score); correct target_column"),
        ("image_column: pic", "no column 'pic' (columns: img_path, gt_score); correct image_column"),
    ],
)
def test_a_manifest_that_contradicts_its_file_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    mos(tmp_path, MOS)
    assert f"iqa/koniq.json: entry 1: {message}" in refusal(yaml(tmp_path, f"{{name: koniq, {line}}}"))


def test_two_tasks_may_not_share_an_id(tmp_path: Path) -> None:
    write(tmp_path / "q.json", [QUESTION])
    write(tmp_path / "d.json", [{"img_path": "00653.jpg", "golden": "x"}])
    yaml(tmp_path, "{name: m, task: perception, file: q.json}", "{name: m, task: description, file: d.json}")
    assert "d.json: m/00653.jpg is also an item of another task; give the entries an id each" in refusal(tmp_path)


def test_a_file_name_with_a_comma_is_an_error(tmp_path: Path) -> None:
    assert "'a,b' is not a valid dataset name" in refusal(mos(tmp_path, MOS, "a,b.json"))


def test_a_dataset_of_ones_own_may_have_other_types_and_concerns(tmp_path: Path) -> None:
    questions = [{**QUESTION, "type": "Which", "concern": concern} for concern in ("glare", "distortion", 1)]
    rows = [{**one, "img_path": f"{i}.jpg"} for i, one in enumerate(questions)]
    write(tmp_path / "q.json", rows)
    (own,) = read(yaml(tmp_path, "{name: mine, task: perception, file: q.json}"))
    assert [item.slices["concern"] for item in own.items] == ["glare", "distortion", "other"]
    assert {item.slices["type"] for item in own.items} == {"Which"}
    assert "concern 'glare' is not a code" in refusal(
        write(tmp_path / "p" / "llvisionqa" / "llvisionqa_dev.json", [{**rows[0], "type": 0}]).parents[1]
    )
