from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.files import mos, read, read_one, refusal, write

KONIQ = [{"img_path": "10004473376.jpg", "gt_score": "3.83"}, {"img_path": "2.jpg", "gt_score": 2}]


def test_a_score_may_be_a_number_or_a_text_with_blanks(tmp_path: Path) -> None:
    records = [{"img_path": f"{i}.jpg", "gt_score": score} for i, score in enumerate(["2.82 ", " 3", 4, 63.96, "1e1"])]
    dataset = read_one(mos(tmp_path, records))
    assert [item.target for item in dataset.items] == [2.82, 3.0, 4.0, 63.96, 10.0]


def test_an_entry_becomes_an_item_of_assessment(tmp_path: Path) -> None:
    dataset = read_one(mos(tmp_path, KONIQ))
    item = dataset.items[0]
    assert (dataset.name, dataset.task, dataset.split) == ("koniq", "assessment", None)
    assert item.id == item.group == "koniq/10004473376.jpg"
    assert (item.target, item.slices, item.options) == (3.83, {}, ())
    assert item.images[0].name.endswith("iqa/koniq/10004473376.jpg")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_databases_have_no_splits(tmp_path: Path, split: str) -> None:
    assert read_one(mos(tmp_path, KONIQ), split=split).split is None


@pytest.mark.parametrize(
    ("file", "name"), [("cgi", "cgiqa"), ("cgiqa", "cgiqa"), ("flive", "livefb"), ("agi", "agiqa"), ("mine", "mine")]
)
@pytest.mark.parametrize("by_file_name", [True, False])
def test_databases_have_several_file_names(tmp_path: Path, file: str, name: str, by_file_name: bool) -> None:
    mos(tmp_path, KONIQ, f"{file}.json")
    (tmp_path / "iqa" / name).mkdir()
    dataset = read_one(tmp_path, names=[file] if by_file_name else None)
    assert dataset.name == name
    assert dataset.items[0].id == f"{name}/10004473376.jpg"
    assert f"/iqa/{name}/" in dataset.items[0].images[0].name


def test_the_official_folder_is_read_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "mos" / "cgi.json", [{"img_path": "game_0000.jpg", "gt_score": "2.82 "}])
    assert read_one(tmp_path).items[0].id == "cgiqa/game_0000.jpg"


def test_published_databases_may_lie_at_the_root(tmp_path: Path) -> None:
    write(tmp_path / "agi.json", [{"img_path": "1.jpg", "gt_score": 2}])
    write(tmp_path / "mine.json", [{"img_path": "1.jpg", "gt_score": 2}])
    (dataset,) = read(tmp_path)
    assert dataset.name == "agiqa"
    assert dataset.items[0].images[0].name.endswith(f"{tmp_path.name}/agi/1.jpg")


def test_cgiqa_has_two_halves(tmp_path: Path) -> None:
    records = [{"img_path": name, "gt_score": 1} for name in ("game_0000.jpg", "movie_0000.jpg", "other.jpg")]
    dataset = read_one(mos(tmp_path, records, "cgi.json"))
    assert [item.slices for item in dataset.items] == [{"half": "game"}, {"half": "movie"}, {}]
    assert read(mos(tmp_path, records), names=["koniq"])[0].items[0].slices == {}


def test_kadid_is_grouped_by_reference_image(tmp_path: Path) -> None:
    records = [
        {"img_path": name, "gt_score": 1} for name in ("I01_01_01.png", "I01_25_05.png", "I81_01_01.png", "x.png")
    ]
    dataset = read_one(mos(tmp_path, records, "kadid.json"))
    assert [item.group for item in dataset.items] == ["kadid/I01", "kadid/I01", "kadid/I81", "kadid/x.png"]


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        ("good", "'good'"),
        ("3,83", "'3,83'"),
        ("1_0", "'1_0'"),
        ("inf", "'inf'"),
        (1e999, "inf"),
        (True, "True"),
        ([3], "[3]"),
        (int("9" * 400), "'9999" and "99999"),
    ],
)
def test_a_score_that_is_not_a_number_is_an_error(tmp_path: Path, score: object, shown: str) -> None:
    error = refusal(mos(tmp_path, [*KONIQ, {"img_path": "3.jpg", "gt_score": score}]))
    assert "iqa/koniq.json: entry 3: gt_score " in error
    assert shown in error
    assert "is not a finite number; " in error


@pytest.mark.parametrize("record", [{}, {"gt_score": None}, {"gt_score": " "}, {"gt_score": float("nan")}])
def test_an_entry_without_a_score_is_an_error(tmp_path: Path, record: dict[str, object]) -> None:
    error = refusal(mos(tmp_path, [*KONIQ, {"img_path": "3.jpg", **record}]))
    assert "entry 3: no gt_score; add the score or remove the entry" in error


def test_the_error_for_wrong_columns_lists_them_with_the_remedy(tmp_path: Path) -> None:
    error = refusal(mos(tmp_path, [{"img_path": "1.jpg", "quality": 1}]))
    assert "no column with the MOS (columns: img_path, quality); name it as target_column: in datasets.yaml" in error
    error = refusal(mos(tmp_path, [{"picture": "1.jpg", "mos": 1}]))
    assert "no column with the image's name (columns: picture, mos); name it as image_column:" in error


def test_repeats_are_reported_and_contradictions_refused(tmp_path: Path) -> None:
    # as in the published outputs of instructblip_vicuna, which repeat their first record
    dataset = read_one(mos(tmp_path, [KONIQ[0], *KONIQ, {"img_path": "2.jpg", "gt_score": "2.0"}]))
    assert [item.id for item in dataset.items] == ["koniq/10004473376.jpg", "koniq/2.jpg"]
    assert [(left.entry, left.reason) for left in dataset.left_out] == [
        ("koniq/10004473376.jpg", "entry 2 repeats entry 1"),
        ("koniq/2.jpg", "entry 4 repeats entry 3"),
    ]
    error = refusal(mos(tmp_path, [*KONIQ, {"img_path": "2.jpg", "gt_score": 3}]))
    assert "entry 3: koniq/2.jpg is entry 2 too, with other content (score 2.0 there, 3.0 here); keep one" in error


@pytest.mark.parametrize(
    "text",
    [
        "img_path,gt_score\na.jpg,1.5\nb.jpg, 2 \n",
        "image_name,c1,MOS,SD\na.jpg,0,1.5,0\nb.jpg,1,2,0\n",
        '\ufeff"Image name";"MOS"\r\n"a.jpg";1.5\r\n"b.jpg";2\r\n',
        "name,mos\n\na.jpg,1.5\n\nb.jpg,2",
        ",name,mos\n0,a.jpg,1.5\n1,b.jpg,2",
    ],
)
def test_csv_tables_are_read(tmp_path: Path, text: str) -> None:
    dataset = read_one(mos(tmp_path, text, "mine.csv"))
    assert [(item.id, item.target) for item in dataset.items] == [("mine/a.jpg", 1.5), ("mine/b.jpg", 2.0)]


def test_tsv_with_quotes_and_line_breaks(tmp_path: Path) -> None:
    dataset = read_one(
        mos(tmp_path, 'name\tmos\tnote\na.jpg\t1\t"say ""a""\tor\nb"\nb.jpg\t2\t5" wide "\n', "mine.tsv")
    )
    assert [(item.id, item.target) for item in dataset.items] == [("mine/a.jpg", 1.0), ("mine/b.jpg", 2.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("name,mos\n", "holds a header and no records"),
        ("name,mos\na.jpg\n", "entry 1 (line 2): 1 cells where the header has 2"),
        ("name,mos\na.jpg,1,2\n", "entry 1 (line 2): 3 cells where the header has 2"),
        ("name,mos,mos\na.jpg,1,2\n", "column mos appears twice"),
        ('name,mos\n"a.jpg,1\n', "entry 1 (line 2): a quoted cell does not end"),
        ('name,mos\n"a"x,"1"\n', "entry 1 (line 2): text after a closing quote"),
        (b"name,mos\n\xff,1\n", "entry 1 (line 2): not UTF-8"),
        ("name,mos\na.jpg,\n", "entry 1 (line 2): no mos"),
        ("name,mos\na.jpg,x\n", "entry 1 (line 2): mos 'x' is not a finite number"),
        ("name;mos\na.jpg;4,5\n", "mos '4,5' is not a finite number; write a point instead of the comma"),
        ("name,mos\na.jpg,1\n,\n\n , \nb.jpg,\n", "entry 2 (line 6): no mos"),
        ("name,mos\n,1\n", "entry 1 (line 2): no image"),
        ("name,dmos\na.jpg,1\n", "no column with the MOS"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    error = refusal(mos(tmp_path, content, "mine.csv"))
    assert message in error
    assert "iqa/mine.csv: " in error


def test_only_kadids_dmos_needs_no_direction(tmp_path: Path) -> None:
    assert (
        read_one(mos(tmp_path, "dist_img,ref_img,dmos\nI01_01_01.png,I01.png,4.57\n", "kadid.csv")).items[0].target
        == 4.57
    )


def test_two_files_for_one_dataset_are_an_error(tmp_path: Path) -> None:
    mos(mos(tmp_path, KONIQ, "cgi.json"), KONIQ, "cgiqa.json")
    error = refusal(tmp_path)
    assert error.startswith("cgiqa: found in ")
    assert "keep one, or name it as file: in datasets.yaml" in error


def test_descriptions_may_have_several_golden_texts(tmp_path: Path) -> None:
    records = [
        {"img_path": "1.jpg", "golden": "Blurry."},
        {"img_path": "2.jpg", "golden": ["Dark.", " Dim. ", "Dark."]},
        {"img_path": "3.jpg", "description": "Noisy."},
    ]
    write(tmp_path / "lldescribe" / "lldescribe.json", records)
    dataset = read_one(tmp_path)
    assert (dataset.name, dataset.task) == ("lldescribe", "description")
    assert [item.golden for item in dataset.items] == [("Blurry.",), ("Dark.", "Dim."), ("Noisy.",)]
    assert dataset.items[0].id == "lldescribe/1.jpg"


@pytest.mark.parametrize("golden", [{}, {"golden": []}, {"golden": " "}, {"golden": ["", " "]}, {"golden": None}])
def test_descriptions_without_any_golden_text_are_read_and_said_to_be_unjudged(
    tmp_path: Path, golden: dict[str, object]
) -> None:
    write(tmp_path / "lldescribe" / "lldescribe.json", [{"img_path": "1.jpg", **golden}])
    dataset = read_one(tmp_path)
    assert [item.golden for item in dataset.items] == [()]
    assert dataset.meaning is not None
    assert dataset.meaning.startswith("lldescribe: no golden texts (in golden, description,")


def test_golden_texts_for_a_part_of_the_images_are_refused(tmp_path: Path) -> None:
    records = [{"img_path": "1.jpg", "golden": "Blurry."}, {"img_path": "2.jpg"}]
    write(tmp_path / "lldescribe" / "lldescribe.json", records)
    assert "entry 2: no golden description, though other entries have one; add one or several" in refusal(tmp_path)
