"""Each kind of image gets the pixels of an independent decoder or of a calculation by hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_qbench.errors import ItemError
from pytest_qbench.items import FileImage
from pytest_qbench.models.images import LazyImage
from pytest_qbench.models.pixels import to_rgb


def saved_and_read(image: Image.Image, folder: Path, suffix: str, **options: object) -> np.ndarray:
    """Save an image, read it as a model does and return its pixels."""
    image.save(folder / f"one.{suffix}", **options)
    decoded = LazyImage(FileImage(folder, "images", f"one.{suffix}")).decode()
    assert decoded.mode == "RGB"
    return np.asarray(decoded)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_of_grey_are_scaled(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 128, 129, 257], [32768, 40000, 65278, 65535]], dtype=np.uint16)
    expected = np.rint(values / 257).astype(np.uint8)
    assert (saved_and_read(Image.fromarray(values), tmp_path, suffix) == expected[..., None]).all()


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20))
def test_sixteen_bit_copies_of_eight_bit_images_look_the_same(values: list[int]) -> None:
    eight = np.array([values], dtype=np.uint8)
    assert (np.asarray(to_rgb(Image.fromarray(eight.astype(np.uint16) * 257))) == eight[..., None]).all()


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_to_the_next_white_level(tmp_path: Path, white: float) -> None:
    values = (np.array([[0.0, 0.25, 0.5, 1.0]]) * white).astype(np.float32)
    assert saved_and_read(Image.fromarray(values), tmp_path, "tiff")[0, :, 0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("value", [-1.0, 70000.0, np.nan, np.inf])
def test_floats_of_another_range_are_an_error(tmp_path: Path, value: float) -> None:
    with pytest.raises(ItemError, match=r"images/one.tiff: not a readable image: pixel values .* 8 or 16 bits"):
        saved_and_read(Image.fromarray(np.array([[0.5, value]], dtype=np.float32)), tmp_path, "tiff")


def test_integers_beyond_sixteen_bits_are_an_error(tmp_path: Path) -> None:
    values = np.array([[0, 65535]], dtype=np.int32)
    assert saved_and_read(Image.fromarray(values), tmp_path, "tiff")[0, :, 0].tolist() == [0, 255]
    with pytest.raises(ItemError, match="no known white"):
        saved_and_read(Image.fromarray(values * 2), tmp_path, "tiff")


@pytest.mark.parametrize(
    ("tag", "turns", "mirrored"), [(1, 0, False), (2, 0, True), (3, 2, False), (6, 3, False), (8, 1, False)]
)
def test_the_orientation_tag_is_applied(tmp_path: Path, tag: int, turns: int, mirrored: bool) -> None:
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[:2, :3] = 255
    exif = Image.Exif()
    exif[0x0112] = tag
    expected = np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)
    assert (saved_and_read(Image.fromarray(pixels), tmp_path, "png", exif=exif) == expected).all()


def test_a_grey_image_of_a_blind_run_has_the_size_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "one.png", exif=exif)
    assert LazyImage(FileImage(tmp_path, "images", "one.png"), blind=True).decode().size == (4, 6)


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    assert saved_and_read(Image.fromarray(pixels, "RGBA"), tmp_path, "png").tolist() == [
        [[10, 20, 30], [255, 255, 255], [127, 127, 127]]
    ]
    grey = Image.fromarray(np.array([[[10, 255], [10, 0]]], dtype=np.uint8), "LA")
    assert saved_and_read(grey, tmp_path, "png")[0, :, 0].tolist() == [10, 255]


def test_palettes_show_their_colours_and_transparent_entries_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert saved_and_read(image, tmp_path, "png").tolist() == [[[1, 2, 3], [200, 100, 50]]]
    assert saved_and_read(image, tmp_path, "png", transparency=0).tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_cmyk_is_converted(tmp_path: Path) -> None:
    assert saved_and_read(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), tmp_path, "tiff").tolist() == [[[255, 0, 0]]]


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    assert saved_and_read(frames[0], tmp_path, "gif", save_all=True, append_images=frames[1:])[0, 0].tolist() == [
        255,
        0,
        0,
    ]


def test_a_colour_profile_is_not_applied(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = io.BytesIO(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()).getvalue()
    assert saved_and_read(Image.new("RGB", (1, 1), (9, 8, 7)), tmp_path, "png", icc_profile=profile).tolist() == [
        [[9, 8, 7]]
    ]
