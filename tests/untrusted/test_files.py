"""Paths of pipes, devices, links, folders and endless files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.errors import DataError, UsageError
from pytest_qbench.untrusted.archives import check_archive
from pytest_qbench.untrusted.files import MIB, open_regular, read_bytes, read_text, write_text


def strange(folder: Path) -> dict[str, Path]:
    """Return paths of files that are not regular."""
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    return {"fifo": folder / "fifo", "folder": folder / "folder", "loop": folder / "loop", "zero": Path("/dev/zero"), "null": Path("/dev/null")}  # fmt: skip


@pytest.mark.parametrize("name", ["fifo", "folder", "loop", "zero", "null"])
def test_anything_but_a_regular_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = strange(tmp_path)[name]
    with pytest.raises(OSError, match="Errno"):
        read_bytes(path, MIB)
    with pytest.raises(DataError) as caught:
        read_text(path, MIB, label="data/x", error=DataError, remedy="name a file")
    assert str(caught.value).startswith("data/x: ")
    assert str(caught.value).endswith("; name a file")
    if name != "loop":
        with pytest.raises(OSError, match="Errno"):
            open_regular(path, os.O_RDWR | os.O_CREAT)


def test_a_file_of_a_terabyte_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UsageError, match="is larger than 16 MiB"):
        read_text(tmp_path / "f", 16 * MIB)


def test_the_limit_holds_for_a_file_that_reports_size_zero() -> None:
    path = Path("/proc/kallsyms")
    if not path.is_file():
        pytest.skip("no /proc")
    assert path.stat().st_size == 0
    with pytest.raises(OSError, match="Errno") as caught:
        read_bytes(path, 10)
    assert caught.value.strerror == "is larger than 0 MiB"


def test_a_file_that_reports_size_zero_is_read_whole() -> None:
    path = Path("/proc/version")
    if not path.is_file():
        pytest.skip("no /proc")
    assert path.stat().st_size == 0
    assert read_bytes(path, MIB) == path.read_bytes() != b""


@given(st.binary(max_size=50), st.integers(0, 60))
def test_a_file_is_read_whole_up_to_the_limit(content: bytes, limit: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "f")
        path.write_bytes(content)
        if len(content) <= limit:
            assert read_bytes(path, limit) == content
        else:
            with pytest.raises(OSError, match="is larger than"):
                read_bytes(path, limit)


def test_no_write_goes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "link").symlink_to("precious")
    (tmp_path / "dangling").symlink_to("elsewhere")
    for name in ("link", "dangling"):
        with pytest.raises(OSError, match="Errno") as caught:
            open_regular(tmp_path / name, os.O_RDWR | os.O_CREAT)
        assert "link" in str(caught.value)
    assert read_bytes(tmp_path / "link", MIB) == b"kept"  # reading through a link is allowed
    assert not (tmp_path / "elsewhere").exists()


def test_a_null_byte_in_a_name_is_an_error_by_name() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_text(Path("a\0b"), MIB)


def test_an_archive_is_measured_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet.xml", b"0" * (4 * MIB))
    assert path.stat().st_size < 10_000
    with pytest.raises(ValueError, match="unpacks to 4 MiB, more than 1 MiB"):
        check_archive(path, MIB)
    check_archive(path, 8 * MIB)


@pytest.mark.parametrize("target", ["precious", "elsewhere"])
def test_a_written_file_takes_the_place_of_a_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "summary.json").symlink_to(target)
    (tmp_path / "summary.json.part").symlink_to("precious")  # as a killed process never leaves it
    write_text(tmp_path / "summary.json", ["a\n", "b"])
    assert not (tmp_path / "summary.json").is_symlink()
    assert (tmp_path / "summary.json").read_bytes() == b"a\nb"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "summary.json"]
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, ["new", "\ud800"])
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert path.read_text() == "old"
