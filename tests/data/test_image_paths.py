from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qbench.data.image_check import check_images
from pytest_qbench.data.image_paths import missing_images
from pytest_qbench.data.load import open_datasets
from pytest_qbench.errors import DataError, ItemError
from pytest_qbench.items import Dataset

from .files import mos, png, read, read_one, refusal, write


def named(root: Path, *names: str) -> Path:
    return mos(root, [{"img_path": name, "gt_score": i} for i, name in enumerate(names)])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../1.jpg", "leaves the folder"),
        ("a/../../1.jpg", "leaves the folder"),
        ("a\\..\\..\\1.jpg", "leaves the folder"),
        ("..", "leaves the folder"),
        ("/etc/passwd", "is an absolute path"),
        ("\\etc\\passwd", "is an absolute path"),
        ("C:\\x.jpg", "is an absolute path"),
        ("c:x.jpg", "is an absolute path"),
        ("a/", "is not a file name"),
        (".", "is not a file name"),
        ("a/.", "is not a file name"),
        ("a\0b", "is not a file name"),
        ("a\nb", "is not a file name"),
        ("x" * 300, "is not a file name"),
        ("ä" * 200 + "/1.jpg", "is not a file name"),
    ],
)
def test_a_path_outside_the_image_folder_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    error = refusal(named(tmp_path, "1.jpg", name))
    assert "iqa/koniq.json: entry 2: image " in error
    assert message in error
    assert "; " in error


def test_subfolders_and_windows_paths(tmp_path: Path) -> None:
    items = read_one(named(tmp_path, "a/b/1.jpg", "a\\2.jpg", "a..b.jpg", "..c.jpg")).items
    assert [item.images[0].name.partition("koniq/")[2] for item in items] == [
        "a/b/1.jpg",
        "a/2.jpg",
        "a..b.jpg",
        "..c.jpg",
    ]


def test_links_may_not_leave_the_data_folder(tmp_path: Path) -> None:
    secret, data = write(tmp_path / "secret.jpg", png()), tmp_path / "data"
    inside = write(data / "iqa" / "spaq" / "1.jpg", png())
    pictures = data / "iqa" / "koniq"
    pictures.mkdir()
    (pictures / "in.jpg").symlink_to(inside)
    (pictures / "out.jpg").symlink_to(secret)
    (pictures / "up").symlink_to(tmp_path)
    (pictures / "loop.jpg").symlink_to(pictures / "loop.jpg")
    assert read_one(named(data, "in.jpg")).items[0].images[0].read() == png()
    for name in ("out.jpg", "up/secret.jpg"):
        error = refusal(named(data, "in.jpg", name))
        assert "entry 2: " in error
        assert "leaves the data folder" in error
        assert "name the place of the images as images: in datasets.yaml" in error
    assert "leads nowhere" in refusal(named(data, "loop.jpg"))


def test_a_linked_image_folder_must_be_named_by_the_user(tmp_path: Path) -> None:
    pictures = write(tmp_path / "elsewhere" / "1.jpg", png()).parent
    data = named(tmp_path / "data", "1.jpg")
    (data / "iqa" / "koniq").symlink_to(pictures)
    assert "iqa/koniq is a link that leaves the data folder" in refusal(data)
    write(data / "datasets.yaml", f"datasets: [{{name: koniq, images: {pictures}}}]")
    assert read_one(data).items[0].images[0].read() == png()
    write(data / "datasets.yaml", "datasets: [{name: koniq, images: ../elsewhere}]")
    assert read_one(data).items[0].images[0].read() == png()
    write(tmp_path / "secret.jpg", png())
    (pictures / "1.jpg").unlink()
    (pictures / "1.jpg").symlink_to(tmp_path / "secret.jpg")
    assert "leaves the data folder" in refusal(data)


def test_reading_a_folder_opens_no_image(tmp_path: Path) -> None:
    assert len(read_one(named(tmp_path, "1.jpg", "2.jpg")).items) == 2


def test_missing_images_are_counted_per_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = named(tmp_path / "data", "1.jpg", "a/2.jpg", "a/3.jpg")
    mos(data, [{"img_path": "x.jpg", "gt_score": 1}], "spaq.json")
    write(data / "iqa" / "koniq" / "1.jpg", b"")
    datasets = open_datasets("data", rootdir=tmp_path, names=None, split="dev")
    with pytest.raises(DataError) as caught:
        missing_images(datasets)
    assert str(caught.value) == (
        "koniq: 2 of 3 images missing under data/iqa/koniq/a (first: 2.jpg); "
        "spaq: 1 of 1 images missing under data/iqa/spaq (first: x.jpg)"
    )
    for name in ("koniq/a/2.jpg", "koniq/a/3.jpg", "spaq/x.jpg"):
        write(data / "iqa" / name, b"")
    missing_images(datasets)


def test_an_image_of_several_items_is_counted_once(tmp_path: Path) -> None:
    records = [{"img_path": "1.jpg", "golden": "x", "id": str(i)} for i in range(3)]
    write(tmp_path / "lldescribe" / "lldescribe.json", records)
    with pytest.raises(DataError, match=r"lldescribe: 1 of 1 images missing under .*/images \(first: 1.jpg\)"):
        missing_images(read(tmp_path))


def pictures(root: Path, **contents: bytes) -> Dataset:
    for name, content in contents.items():
        write(root / "iqa" / "koniq" / name, content)
    return read_one(named(root, *contents))


def encoded(kind: str) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    noise = Image.effect_noise((64, 64), 90).convert("RGB")
    noise.save(buffer, kind)
    return buffer.getvalue()


KINDS = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]


@pytest.mark.parametrize("kind", KINDS)
def test_complete_images_pass_and_truncated_ones_do_not(tmp_path: Path, kind: str) -> None:
    whole = encoded(kind)
    check_images([pictures(tmp_path, a=whole)])
    for end in (0, 3, len(whole) // 2):
        dataset = pictures(tmp_path, a=whole, b=whole[:end])
        with pytest.raises(
            DataError, match=r"koniq: 1 of 2 images cannot be decoded under .*/koniq \(first: b: .+\); "
        ):
            check_images([dataset])


def test_bytes_after_the_end_of_a_jpeg_are_accepted(tmp_path: Path) -> None:
    check_images([pictures(tmp_path, a=encoded("JPEG") + b"\0\0trailing", b=encoded("JPEG") + b"\0\0")])


def test_a_web_page_saved_as_an_image_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="first: a: no image"):
        check_images([pictures(tmp_path, a=b"<html>404</html>")])


def test_missing_images_are_reported_before_damaged_ones(tmp_path: Path) -> None:
    dataset = pictures(tmp_path, a=b"x", b=b"x")
    (tmp_path / "iqa" / "koniq" / "b").unlink()
    with pytest.raises(DataError, match="koniq: 1 of 2 images missing"):
        check_images([dataset])


def test_an_image_that_was_deleted_is_an_error_of_its_item(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match=r"koniq/1.jpg: cannot be read: No such file"):
        read_one(named(tmp_path, "1.jpg")).items[0].images[0].read()
