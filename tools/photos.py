"""Collect the source photographs named in ``photos.yaml``.

    apt-get download gcompris-qt-data lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 libjxl-testdata \\
        lxqt-themes mate-backgrounds plasma-workspace-wallpapers plasma-workspace-data
    apt-get download budgie-backgrounds=4.2-1    # from Debian unstable; its photographs are JPEG XL files
    pip download --no-deps scikit-image scikit-learn
    pip install pillow-jxl-plugin
    python tools/photos.py DOWNLOADS OUT

writes ``OUT/train/*.png`` (training photographs, downscaled, never shipped) and ``OUT/scenes/*.jpg`` (the scenes of `mini`;
the copies committed under ``tools/scenes`` came from here).
"""

from __future__ import annotations

import importlib
import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import yaml
from PIL import Image

Image.MAX_IMAGE_PIXELS = None
HERE = Path(__file__).parent
RESOURCE = ".rcc!"


def resource_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of a Qt resource file; format: qtbase/src/tools/rcc."""
    version, tree, payload, names = struct.unpack(">4i", data[4:20])
    size = 22 if version >= 2 else 14

    def name(at: int) -> str:
        (n,) = struct.unpack(">H", data[names + at : names + at + 2])
        return data[names + at + 6 : names + at + 6 + 2 * n].decode("utf-16-be")

    def node(i: int, parent: str) -> Iterator[tuple[str, bytes]]:
        at = tree + i * size
        name_at, flags = struct.unpack(">IH", data[at : at + 6])
        path = f"{parent}/{name(name_at)}" if i else ""
        if flags & 2:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from node(child, path)
            return
        (start,) = struct.unpack(">I", data[at + 10 : at + 14])
        (n,) = struct.unpack(">I", data[payload + start : payload + start + 4])
        content = data[payload + start + 4 : payload + start + 4 + n]
        yield path, zlib.decompress(content[4:]) if flags & 1 else content

    return node(0, "")


def read(root: Path, source: str, cache: dict[Path, dict[str, bytes]]) -> Image.Image:
    """Open ``package/path`` or ``package/file.rcc!path/inside``."""
    if RESOURCE in source:
        archive, inside = source.split("!", 1)
        path = root / archive
        if path not in cache:
            cache[path] = dict(resource_files(path.read_bytes()))
        return Image.open(io.BytesIO(cache[path]["/" + inside])).convert("RGB")
    return Image.open(root / source).convert("RGB")


def downscale(image: Image.Image, short: int) -> Image.Image:
    """Shrink an image to the short side `short`. This removes softness and JPEG artifacts of the original."""
    k = short / min(image.size)
    return image.resize((round(image.width * k), round(image.height * k)), Image.Resampling.LANCZOS)


def train_side(size: tuple[int, int]) -> int:
    m = min(size)
    return max(180, min(512, int(m / 2) if m >= 640 else int(m / 1.5)))


def scene_side(size: tuple[int, int]) -> int:
    """Return the short side of a scene. Photographs below 384 pixels are shrunk as in training, never enlarged."""
    return train_side(size) if min(size) < 384 else max(384, min(512, int(min(size) / 1.5)))


def unpack(downloads: Path, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for deb in sorted(downloads.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(deb), str(root / deb.name.split("_")[0])], check=True)
    for wheel in sorted(downloads.glob("*.whl")):
        with zipfile.ZipFile(wheel) as z:
            z.extractall(root / wheel.name.split("-")[0].replace("_", "-"))


def main(downloads: Path, out: Path) -> None:
    importlib.import_module("pillow_jxl")  # lets Pillow open JPEG XL
    root = out / "unpacked"
    unpack(downloads, root)
    listed = yaml.safe_load((HERE / "photos.yaml").read_text())
    cache: dict[Path, dict[str, bytes]] = {}
    (out / "train").mkdir(parents=True, exist_ok=True)
    (out / "scenes").mkdir(parents=True, exist_ok=True)
    for i, source in enumerate(listed["train"]):
        image = read(root, source, cache)
        downscale(image, train_side(image.size)).save(out / "train" / f"{i:03d}.png")
    for name, scene in listed["scenes"].items():
        image = read(root, scene["source"], cache)
        downscale(image, scene_side(image.size)).save(out / "scenes" / f"{name}.jpg", quality=95, subsampling=0)
    print(len(listed["train"]), "training photographs,", len(listed["scenes"]), "scenes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
