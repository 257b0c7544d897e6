"""A photograph reaches a server with the pixels that a local model sees, as its own bytes wherever these show them."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from pytest_qbench.errors import ItemError
from pytest_qbench.models.images import LazyImage
from pytest_qbench.models.openai import FILES

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@dataclass(frozen=True)
class Stored:
    """An image source in memory."""

    content: bytes
    name: str = "images/one"

    def read(self) -> bytes:
        return self.content

    def missing(self) -> bool:
        return False


def photo(seed: int, size: tuple[int, int] = (23, 17), mode: str = "RGB") -> Image.Image:
    channels = {"L": (), "LA": (2,), "RGBA": (4,), "CMYK": (4,)}.get(mode, (3,))
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    return Image.fromarray(noise, mode) if mode not in ("P", "I;16") else Image.fromarray(noise).convert("P")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sent(content: bytes, accepted: frozenset[str] = FILES, max_pixels: int | None = None) -> tuple[str, bytes]:
    """Return the media type and the bytes that a server gets."""
    head, _, text = LazyImage(Stored(content)).url(accepted, max_pixels).partition(",")
    return head.removeprefix("data:").removesuffix(";base64"), base64.b64decode(text)


def seen_by_a_server(content: bytes) -> Image.Image:
    """Decode as servers do: the first frame, converted to RGB, without orientation and alpha."""
    return Image.open(io.BytesIO(content)).convert("RGB")


def exif(orientation: int | None) -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = "a photograph"
    if orientation is not None:
        found[0x0112] = orientation
    return found


MODES = {
    "JPEG": ["RGB", "L", "CMYK"],
    "PNG": ["RGB", "RGBA", "L", "LA", "P"],
    "WEBP": ["RGB", "RGBA"],
    "BMP": ["RGB", "L"],
    "TIFF": ["RGB", "RGBA", "CMYK"],
    "GIF": ["P"],
}


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Draw an image file, and whether nothing in it asks for other pixels than the stored ones."""
    kind = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[kind]))
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    image = photo(draw(st.integers(0, 99)), size, mode)
    options: dict[str, Any] = {}
    turn = draw(st.sampled_from([None, 0, 1, 3, 6]))
    if kind in ("JPEG", "PNG", "WEBP", "TIFF") and draw(st.booleans()):
        options["exif"] = exif(turn)
    else:
        turn = None
    if kind in ("JPEG", "PNG", "WEBP", "TIFF") and mode == "RGB" and draw(st.booleans()):
        options["icc_profile"] = PROFILE
    if kind == "JPEG":
        options |= {"quality": draw(st.sampled_from([30, 75, 95])), "progressive": draw(st.booleans()),
                    "subsampling": draw(st.sampled_from([0, 1, 2]))}  # fmt: skip
    if kind == "WEBP":
        options["lossless"] = draw(st.booleans())
        if draw(st.booleans()):
            options |= {"save_all": True, "append_images": [photo(100, size, mode)]}
    if kind == "PNG" and mode in ("RGB", "P", "L") and draw(st.booleans()):
        options["transparency"] = {"RGB": (1, 2, 3), "P": 0, "L": 7}[mode]
    plain = (
        kind in ("JPEG", "PNG", "WEBP")
        and mode == "RGB"
        and turn in (None, 1)
        and not options.keys() & {"transparency", "save_all"}
        and not (kind == "PNG" and "exif" in options)
        and not (kind == "WEBP" and "icc_profile" in options)
    )
    return saved(image, kind, **options), plain


@given(files())
@settings(max_examples=200, deadline=None)
def test_a_server_sees_the_pixels_of_a_local_model(drawn: tuple[bytes, bool]) -> None:
    content, plain = drawn
    local = LazyImage(Stored(content)).decode()
    kind, bytes_ = sent(content)
    assert np.array_equal(seen_by_a_server(bytes_), local)
    assert np.array_equal(seen_by_a_server(sent(content, frozenset())[1]), local)
    assert "icc_profile" not in Image.open(io.BytesIO(bytes_)).info
    if plain:
        assert kind == f"image/{Image.open(io.BytesIO(content)).format}".lower()
        assert len(bytes_) <= len(content)
    else:
        assert kind == "image/png"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_plain_photograph_is_sent_byte_for_byte(kind: str) -> None:
    content = saved(photo(1), kind)
    assert sent(content) == (f"image/{kind.lower()}", content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_colour_profile_is_cut_out_and_nothing_else(kind: str) -> None:
    assert sent(saved(photo(1), kind, icc_profile=PROFILE)) == (f"image/{kind.lower()}", saved(photo(1), kind))


def test_a_format_that_the_server_refuses_is_sent_as_png() -> None:
    content = saved(photo(1), "WEBP", lossless=True)
    kind, bytes_ = sent(content, frozenset({"image/jpeg"}))
    assert kind == "image/png"
    assert np.array_equal(seen_by_a_server(bytes_), photo(1))


def test_an_image_with_more_than_the_allowed_pixels_is_scaled_down() -> None:
    content = saved(photo(1, (20, 10)), "JPEG")
    assert sent(content, max_pixels=200) == ("image/jpeg", content)
    kind, bytes_ = sent(content, max_pixels=50)
    assert (kind, seen_by_a_server(bytes_).size) == ("image/png", (10, 5))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_is_applied_before_the_image_is_sent(kind: str) -> None:
    content = saved(photo(1), kind, exif=exif(6))
    media_type, bytes_ = sent(content)
    assert media_type == "image/png"
    assert seen_by_a_server(bytes_).size == (17, 23)
    assert np.array_equal(seen_by_a_server(bytes_), LazyImage(Stored(content)).decode())


def test_an_orientation_in_a_text_of_a_png_is_applied() -> None:
    for add in (
        lambda info: info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>'),
        lambda info: info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>', zip=True),
    ):
        info = PngImagePlugin.PngInfo()
        add(info)
        content = saved(photo(1), "PNG", pnginfo=info)
        kind, bytes_ = sent(content)
        assert kind == "image/png"
        assert np.array_equal(seen_by_a_server(bytes_), np.rot90(np.asarray(photo(1)), 2))


def test_sixteen_bits_a_channel_are_reduced_as_for_a_local_model() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip
    _, bytes_ = sent(content)
    assert bytes_ != content
    assert np.array_equal(seen_by_a_server(bytes_), LazyImage(Stored(content)).decode())


@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_a_truncated_file_is_never_sent(kind: str, share: float) -> None:
    content = saved(photo(1), kind)
    cut = content[: int(share * len(content))]
    try:
        local = np.asarray(LazyImage(Stored(cut)).decode())
    except ItemError:
        with pytest.raises(ItemError, match="images/one: not a readable image"):
            sent(cut)
    else:  # only the end of the last chunk is missing
        assert sent(cut)[0] == "image/png"
        assert sent(cut)[1] != cut
        assert np.array_equal(seen_by_a_server(sent(cut)[1]), local)


@pytest.mark.parametrize("place", range(8, 60))
def test_a_png_with_a_wrong_byte_is_decoded_first(place: int) -> None:
    content = bytearray(saved(photo(1), "PNG"))
    content[place] ^= 0xFF
    try:
        local = np.asarray(LazyImage(Stored(bytes(content))).decode())
    except ItemError:
        with pytest.raises(ItemError):
            sent(bytes(content))
    else:
        assert np.array_equal(seen_by_a_server(sent(bytes(content))[1]), local)


def test_a_blind_run_sends_grey() -> None:
    url = LazyImage(Stored(saved(photo(1), "JPEG")), blind=True).url(FILES)
    grey = seen_by_a_server(base64.b64decode(url.partition(",")[2]))
    assert (np.asarray(grey) == 128).all()
    assert grey.size == (23, 17)
