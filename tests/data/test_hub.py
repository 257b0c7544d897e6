"""Check the hub's layouts, written with the library that publishes them, and VLMEvalKit's tables."""

from __future__ import annotations

import base64
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.data.image_check import check_images
from pytest_qbench.data.image_paths import missing_images
from pytest_qbench.data.load import open_datasets
from pytest_qbench.errors import DataError, ItemError
from pytest_qbench.items import Dataset

from .files import QUESTION, png, read_one, refusal, write

RED, BLUE = png("red"), png("blue", 300)
ROWS: dict[str, list[Any]] = {
    "id": [0, 1],
    "question": ["How is the lighting of this building?", "Are the flowers in focus?"],
    "option0": ["High", "Yes"],
    "option1": ["Low", "No"],
    "option2": ["Medium", "N/A"],
    "option3": ["N/A", "N/A"],
    "correct_choice": ["B", "A"],
}
CODES = {"question_type": [2, 0], "question_concern": [3, 1]}


def table(pictures: dict[str, list[Any]], **columns: list[Any]) -> Any:
    datasets = pytest.importorskip("datasets", reason="the extra pytest-qbench[hub] is not installed")
    features = {key: datasets.Image() for key in pictures}
    for key, values in (ROWS | columns).items():
        features[key] = datasets.Value("int64" if isinstance(values[0], int) else "string")
    return datasets.Dataset.from_dict({**pictures, **ROWS, **columns}, features=datasets.Features(features))


def embedded(*contents: bytes | None, names: tuple[str | None, ...] = (None, None)) -> list[Any]:
    return [content and {"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)]


def published(root: Path, name: str = "Q-Bench-HF", split: str = "dev", **changes: Any) -> Path:
    """Write one of the three hub repositories as it lies on disk."""
    two = "Q-Bench2" in name
    pictures = {"image1": embedded(RED, BLUE), "image2": embedded(BLUE, RED)} if two else {"image": embedded(RED, BLUE)}
    columns = {"category": ["part1 -> bag_of_words -> attribute", "technical"]} if name == "A-Bench-HF" else CODES
    pictures = changes.pop("pictures", pictures)
    path = root / name / "data" / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table(pictures, **(columns | changes)).to_parquet(path)
    return root / name


@pytest.mark.parametrize("inside", [True, False])
def test_q_bench_hf_is_read_from_disk(tmp_path: Path, inside: bool) -> None:
    root = published(tmp_path)
    dataset = read_one(root if inside else tmp_path)
    first, second = dataset.items
    assert (dataset.name, dataset.split, dataset.task) == ("llvisionqa", "dev", "perception")
    assert (first.id, first.options, first.answer) == ("llvisionqa/dev/0", ("High", "Low", "Medium"), "Low")
    assert first.slices == {"type": "how", "concern": "in_context_other"}
    assert (second.options, second.answer) == (("Yes", "No"), "Yes")
    assert [image.read() for item in dataset.items for image in item.images] == [RED, BLUE]
    assert first.images[0].name.endswith("Q-Bench-HF/data/dev-00000-of-00001.parquet/1.image")
    check_images([dataset])


def test_shards_in_the_data_folder_and_file_names_beside_the_pictures(tmp_path: Path) -> None:
    pictures = {"image": embedded(RED, BLUE, names=("00653.jpg", "757.JPG"))}
    folder = published(tmp_path, "llvisionqa", pictures=pictures) / "data"
    (folder / "dev-00000-of-00001.parquet").rename(folder / "dev-00000-of-00002.parquet")
    table({"image": embedded(BLUE, RED, names=("1.jpg", "2.jpg"))}, **CODES, question=["What?", "Why?"]).to_parquet(
        folder / "dev-00001-of-00002.parquet"
    )
    dataset = read_one(tmp_path)
    # the same ids as from the official JSON
    assert [item.id for item in dataset.items] == [
        f"llvisionqa/dev/{n}" for n in ("00653.jpg", "757.JPG", "1.jpg", "2.jpg")
    ]
    assert [item.images[0].read() for item in dataset.items] == [RED, BLUE, BLUE, RED]


@pytest.mark.parametrize("inside", [True, False])
def test_q_bench_2_hf_has_pairs(tmp_path: Path, inside: bool) -> None:
    root = published(tmp_path, "Q-Bench2-HF")
    dataset = read_one(root if inside else tmp_path)
    assert dataset.name == "qbench2"
    assert [[image.read() for image in item.images] for item in dataset.items] == [[RED, BLUE], [BLUE, RED]]
    assert [item.slices for item in dataset.items] == [
        {"type": "how", "concern": "other", "pair": "joint"},
        {"type": "yes_or_no", "concern": "other", "pair": "compare"},
    ]
    assert dataset.items[0].id == "qbench2/dev/0"


@pytest.mark.parametrize("inside", [True, False])
def test_a_bench_hf_has_categories(tmp_path: Path, inside: bool) -> None:
    root = published(tmp_path, "A-Bench-HF")
    dataset = read_one(root if inside else tmp_path)
    assert (dataset.name, dataset.items[0].answer) == ("abench", "Low")
    assert [item.slices for item in dataset.items] == [
        {"part": "part1", "category": "bag_of_words/attribute"},
        {"category": "technical"},
    ]


@pytest.mark.parametrize("filler", [["N/A", "N/A"], ["A", "A"], ["X", ""]])
def test_fillers_of_the_hubs_test_split_are_no_answers(tmp_path: Path, filler: list[str]) -> None:
    dataset = read_one(published(tmp_path, split="test", correct_choice=filler), split="test")
    assert [item.answer for item in dataset.items] == [None, None]
    assert dataset.items[0].id == "llvisionqa/test/0"


def test_a_row_without_a_picture_is_missing(tmp_path: Path) -> None:
    dataset = read_one(published(tmp_path, pictures={"image": embedded(RED, None)}))
    with pytest.raises(DataError, match=r"llvisionqa: 1 of 2 images missing under .*parquet \(first: 2.image\)"):
        missing_images([dataset])
    with pytest.raises(ItemError, match="holds no picture in this row"):
        dataset.items[1].images[0].read()


def test_a_row_with_half_an_image_cannot_be_decoded(tmp_path: Path) -> None:
    dataset = read_one(published(tmp_path, pictures={"image": embedded(RED, BLUE[: len(BLUE) // 2])}))
    with pytest.raises(DataError, match=r"llvisionqa: 1 of 2 images cannot be decoded under .* \(first: 2.image: "):
        check_images([dataset])


def test_pictures_of_many_row_groups(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = published(tmp_path) / "data" / "dev-00000-of-00001.parquet"
    content = parquet.read_table(path)
    parquet.write_table(content, path, row_group_size=1)
    dataset = read_one(tmp_path)
    pictures = [item.images[0] for item in dataset.items]
    assert [pictures[i].read() for i in (1, 0, 0, 1)] == [BLUE, RED, RED, BLUE]
    parquet.write_table(content, path, write_statistics=False)
    missing_images([read_one(tmp_path)])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 not really PAR1", b"<html>"])
def test_a_broken_parquet_file_is_named(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("pyarrow", reason="the extra pytest-qbench[hub] is not installed")
    write(tmp_path / "Q-Bench-HF" / "data" / "dev-00000-of-00001.parquet", content)
    assert "dev-00000-of-00001.parquet: broken or truncated parquet (" in refusal(tmp_path)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    path = published(tmp_path) / "data" / "dev-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    assert "broken or truncated parquet" in refusal(tmp_path)


def test_the_error_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "Q-Bench-HF" / "data" / "dev-00000-of-00001.parquet", b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "parquet files need pyarrow; pip install 'pytest-qbench[hub]'" in refusal(tmp_path)


def test_a_quality_database_may_be_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.table({"image_name": ["a.jpg"], "MOS": [3.5]}), write(tmp_path / "iqa" / "mine.parquet", b"")
    )
    assert (read_one(tmp_path).items[0].id, read_one(tmp_path).items[0].target) == ("mine/a.jpg", 3.5)


def vlmevalkit(
    root: Path, *rows: list[str], name: str = "Q-Bench1_VAL", header: str = "index image question A B C D answer"
) -> Path:
    lines = ["\t".join(header.split()), *("\t".join(row) for row in rows)]
    write(root / f"{name}.tsv", "\n".join(lines) + "\n")
    return root


RED64, BLUE64 = (base64.b64encode(content).decode() for content in (RED, BLUE))
FIRST = ["0", RED64, "How is the lighting?", "High", "Low", "Medium", "", "B"]


def test_vlmevalkit_keeps_pictures_in_the_table(tmp_path: Path) -> None:
    second = ["1", BLUE64, '"Is ""it""\nin focus?"', "Yes", "No", "", "", "A"]
    dataset = read_one(vlmevalkit(tmp_path, FIRST, second, ["2", "0", "Dark?", "Yes", "No", "", "", "B"]))
    assert (dataset.name, dataset.split) == ("llvisionqa", "dev")
    assert [item.id for item in dataset.items] == ["llvisionqa/dev/0", "llvisionqa/dev/1", "llvisionqa/dev/2"]
    assert [item.question for item in dataset.items] == ["How is the lighting?", 'Is "it"\nin focus?', "Dark?"]
    assert [item.answer for item in dataset.items] == ["Low", "Yes", "No"]
    assert [item.images[0].read() for item in dataset.items] == [RED, BLUE, RED]
    missing_images([dataset])
    check_images([dataset])


@pytest.mark.parametrize("name", ["A-Bench_VAL", "A-bench_VAL"])
def test_a_bench_in_vlmevalkit(tmp_path: Path, name: str) -> None:
    row = [*FIRST, "part2 -> technical"]
    header = "index image question A B C D answer category"
    dataset = read_one(vlmevalkit(tmp_path / "abench", row, name=name, header=header).parent)
    assert (dataset.name, dataset.items[0].slices) == ("abench", {"part": "part2", "category": "technical"})


def test_the_tables_test_split_has_no_answers(tmp_path: Path) -> None:
    dataset = read_one(vlmevalkit(tmp_path, FIRST, name="Q-Bench1_TEST"), split="test")
    assert dataset.items[0].answer is None


def test_a_table_may_name_files(tmp_path: Path) -> None:
    dataset = read_one(vlmevalkit(tmp_path, ["0", "a/1.jpg", *FIRST[2:]]))
    assert dataset.items[0].images[0].name.endswith("/images/a/1.jpg")
    assert "leaves the folder" in refusal(vlmevalkit(tmp_path, ["0", "../1.jpg", *FIRST[2:]]))


def test_a_cell_without_an_image_is_an_error(tmp_path: Path) -> None:
    dataset = read_one(vlmevalkit(tmp_path, ["0", "!" * 100, *FIRST[2:]]))
    with pytest.raises(ItemError, match=r"Q-Bench1_VAL.tsv/1: no picture in base64"):
        dataset.items[0].images[0].read()
    with pytest.raises(DataError, match=r"cannot be decoded under .*Q-Bench1_VAL.tsv \(first: 1: no picture in base64"):
        check_images([dataset])
    assert "entry 1 (line 2): no image (image is absent or blank)" in refusal(
        vlmevalkit(tmp_path, ["0", "", *FIRST[2:]])
    )


def test_json_and_table_of_one_split_are_an_error(tmp_path: Path) -> None:
    write(vlmevalkit(tmp_path) / "llvisionqa" / "llvisionqa_dev.json", [QUESTION])
    assert refusal(tmp_path).startswith("llvisionqa dev: found in ")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run offline, with an empty cache."""
    datasets = pytest.importorskip("datasets", reason="the extra pytest-qbench[hub] is not installed")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def from_hub(names: list[str] | None = None, split: str = "dev") -> list[Dataset]:
    return open_datasets("hf", rootdir=Path(), names=names, split=split)


def cached(root: Path, repository: str) -> None:
    """Fill the cache of `datasets` as a download does: prepare the files, then name them after the repository."""
    import datasets

    source = published(root / "download", repository)
    published(root / "download", repository, split="test", correct_choice=["A", "A"])
    datasets.load_dataset(str(source), cache_dir=str(root / "cache"))
    name = repository.lower()
    shutil.move(str(root / "cache" / name), str(root / "cache" / f"q-future___{name}"))


def test_the_hub_from_the_offline_cache(hub: Path) -> None:
    for repository in ("Q-Bench-HF", "Q-Bench2-HF", "A-Bench-HF"):
        cached(hub, repository)
    llvisionqa, qbench2, abench = from_hub()
    assert [one.name for one in (llvisionqa, qbench2, abench)] == ["llvisionqa", "qbench2", "abench"]
    assert llvisionqa.source == "q-future/Q-Bench-HF dev"
    assert [item.answer for item in llvisionqa.items] == ["Low", "Yes"]
    assert [item.images[0].read() for item in llvisionqa.items] == [RED, BLUE]
    assert [image.read() for image in qbench2.items[0].images] == [RED, BLUE]
    assert abench.items[0].slices["part"] == "part1"
    check_images([llvisionqa, qbench2, abench])
    (test,) = from_hub(["llvisionqa"], "test")
    assert [(item.id, item.answer) for item in test.items] == [("llvisionqa/test/0", None), ("llvisionqa/test/1", None)]


def test_the_hub_and_the_files_on_disk_give_the_same_items(hub: Path) -> None:
    cached(hub, "Q-Bench-HF")
    (loaded,), on_disk = from_hub(["llvisionqa"]), read_one(hub / "download")
    assert [(item.id, item.digest()) for item in loaded.items] == [(item.id, item.digest()) for item in on_disk.items]


def test_the_error_without_network_and_cache_names_the_download(hub: Path) -> None:
    with pytest.raises(DataError) as caught:
        from_hub(["abench"])
    message = str(caught.value)
    assert message.startswith("--qbench-data=hf: q-future/A-Bench-HF is neither reachable nor in the cache (")
    assert message.endswith(
        "; run once with network, or download its data/*.parquet to DIR/A-Bench-HF/data and use --qbench-data=DIR"
    )
    assert "\n" not in message


def test_a_dataset_that_is_not_on_the_hub_is_an_error(hub: Path) -> None:
    with pytest.raises(
        DataError, match="--qbench-datasets=koniq: not on the hub; use one of llvisionqa, qbench2, abench"
    ):
        from_hub(["koniq"])


def test_the_error_without_the_datasets_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs the datasets library; pip install 'pytest-qbench\[hub\]'"):
        from_hub()
