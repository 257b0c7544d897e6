from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from benchmarks.slices import properties as cached
from benchmarks.slices import questions, simulated, study
from pytest_qbench.why.image_properties import PROPERTIES, jpeg_quality, properties
from pytest_qbench.why.slices import candidates, find_slices


@dataclass(frozen=True)
class Bytes:
    content: bytes
    name: str = "image"

    def read(self) -> bytes:
        return self.content

    def missing(self) -> bool:
        return False


def measured(pixels: np.ndarray, kind: str = "PNG", **how: object) -> dict[str, float]:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, kind, **how)
    return properties(Bytes(buffer.getvalue()))


def test_the_properties_of_simple_images() -> None:
    grey = measured(np.full((60, 90, 3), 100))
    assert grey == pytest.approx(
        {"brightness": 100, "contrast": 0, "saturation": 0, "size": 5400, "aspect": 1.5, "sharpness": 0, "noise": 0},
        abs=1e-6,
    )
    red = measured(np.full((8, 8, 3), (255, 0, 0)))
    assert (red["saturation"], red["brightness"]) == pytest.approx((1.0, 76.245))
    rng = np.random.default_rng(0)
    noisy = measured(np.clip(128 + 10 * rng.standard_normal((256, 256, 1)) * np.ones(3), 0, 255))
    assert noisy["noise"] == pytest.approx(10, rel=0.05)
    assert noisy["sharpness"] == pytest.approx(10 * np.sqrt(20), rel=0.05)  # 4**2 + 4 * 1
    assert properties(Bytes(b"no image")) == {}


@pytest.mark.parametrize("quality", [10, 35, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg_file(quality: int) -> None:
    rng = np.random.default_rng(0)
    assert measured(rng.integers(0, 256, (32, 32, 3)), "JPEG", quality=quality)["JPEG quality"] == pytest.approx(
        quality, abs=1.5
    )
    assert jpeg_quality([1] * 64) > 97


def test_the_candidates_are_of_all_kinds() -> None:
    items = list(questions().values())
    found = candidates(items, cached)
    kinds = {name.partition("=")[0].rpartition(" ")[0] or name.partition("=")[0] for name in found}
    assert {
        "type",
        "concern",
        "word",
        "position",
        "answer",
        "brightness",
        "contrast",
        "sharpness",
        "noise",
        "saturation",
    } <= kinds
    assert set(PROPERTIES) >= {k for k in kinds if k in PROPERTIES}
    dark = found["brightness low"]
    values = [cached(item.images[0])["brightness"] for item in items]
    assert max(np.array(values)[dark]) < min(np.array(values)[~dark])


def test_a_fault_of_dark_images_is_found_and_a_uniform_one_has_no_slice() -> None:
    items = questions()
    broken = candidates(list(items.values()), cached)["brightness low"]
    new, old = simulated(items, broken, np.random.default_rng(1))
    first = find_slices(new, old, items, cached)[0]
    assert (first.name, first.found, first.task) == ("brightness low", True, "perception")
    assert first.inside < -0.2 < first.outside
    uniform, old = simulated(items, np.ones(len(items), dtype=bool), np.random.default_rng(2))
    assert not any(one.found for one in find_slices(uniform, old, items, cached))
    assert find_slices(old, old, items, cached) == []


@pytest.mark.campaign
def test_faults_are_found_and_false_discoveries_are_rare() -> None:
    first, _, false = study(200)
    assert first >= 180
    assert false <= 10
