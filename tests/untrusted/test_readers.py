"""Every reader of the package on damaged and hostile files: the error is one line that names the file."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qbench.baseline.snapshot import SNAPSHOT
from pytest_qbench.baseline.store import read_baseline, write_baseline
from pytest_qbench.data.identity import identity_from
from pytest_qbench.data.manifest import read_manifest
from pytest_qbench.data.readers.formats import read_rows
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.items import FileImage
from pytest_qbench.judges.prompts import read_prompts
from pytest_qbench.models.recorded_outputs import read_outputs
from pytest_qbench.models.specs import check, parse_spec
from pytest_qbench.records import RECORDS, read_records
from pytest_qbench.report.finished_run import read_finished
from pytest_qbench.report.thumbnails import THUMBNAILS, read_thumbnails
from pytest_qbench.runs.items_file import ITEMS, read_items
from pytest_qbench.runs.journal import JOURNAL
from pytest_qbench.runs.read import read_run
from pytest_qbench.runs.run_folder import RunFolder
from pytest_qbench.runs.summary import SUMMARY
from pytest_qbench.untrusted import archives
from pytest_qbench.untrusted.files import MIB
from tests.builders import answered, question, results
from tests.report.builders import run_folder
from tests.untrusted.corpus import BAD_JSON, BAD_YAML, WRONG_JSON

Reader = Callable[[Path], Any]


def resumed(folder: Path) -> None:
    RunFolder.begin(folder, {}, resume=True).close()


def records_of(folder: Path) -> list[Any]:
    return read_records(folder / RECORDS)


def outputs_of(folder: Path) -> Any:
    return read_outputs(folder / RECORDS)


def model_of(folder: Path) -> None:
    check(parse_spec(str(folder)))


#: A file to damage, and the reader of that file, which takes the folder.
READERS: dict[str, tuple[str, Reader]] = {
    "records": (RECORDS, records_of),
    "records on resume": (RECORDS, resumed),
    "records of a finished run": (RECORDS, read_run),
    "records as outputs": (RECORDS, outputs_of),
    "journal": (JOURNAL, resumed),
    "items": (ITEMS, read_run),
    "items alone": (ITEMS, read_items),
    "summary": (SUMMARY, read_run),
    "summary of a report": (SUMMARY, read_finished),
    "thumbnails": (THUMBNAILS, read_thumbnails),
    "model config": ("config.json", model_of),
    "model index": ("model.safetensors.index.json", model_of),
    "data": ("data.json", lambda folder: read_rows(folder / "data.json", str(folder / "data.json"))),
    "data lines": ("data.jsonl", lambda folder: read_rows(folder / "data.jsonl", str(folder / "data.jsonl"))),
    "baseline records": ("perception.mini.jsonl", read_baseline),
}
YAML_READERS: dict[str, tuple[str, Reader]] = {
    "baseline": ("baseline.yaml", read_baseline),
    "manifest": ("datasets.yaml", lambda folder: read_manifest(folder, str(folder / "datasets.yaml"))),
    "judge prompts": ("prompts.yaml", lambda folder: read_prompts(folder / "prompts.yaml")),
}
OTHERS: dict[str, tuple[str, Reader]] = {
    "csv": ("t.csv", lambda folder: read_rows(folder / "t.csv", str(folder / "t.csv"))),
    "tsv": ("t.tsv", lambda folder: read_rows(folder / "t.tsv", str(folder / "t.tsv"))),
    "parquet": ("t.parquet", lambda folder: read_rows(folder / "t.parquet", str(folder / "t.parquet"))),
    "text table": ("t.txt", lambda folder: read_rows(folder / "t.txt", str(folder / "t.txt"))),
    "workbook": ("t.xlsx", lambda folder: read_rows(folder / "t.xlsx", str(folder / "t.xlsx"))),
    "workbook of outputs": ("t.xlsx", lambda folder: read_outputs(folder / "t.xlsx")),
    "inspect log": ("t.eval", lambda folder: read_outputs(folder / "t.eval")),
    "records of the baseline": (SNAPSHOT, lambda folder: read_finished(folder).before),
    "image": ("i.png", lambda folder: FileImage(folder, str(folder), "i.png").read()),
    "lock": ("lock", resumed),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a valid file for every reader."""
    items = [question(i) for i in range(20)]
    records = [answered(item, "Yes") for item in items]
    folder = write_baseline(tmp_path_factory.mktemp("whole"), "b", results(items, records))
    run_folder(
        folder, items, records, fingerprint={"prompts": "p", "answer": "generate", "blind": False, "data": "built"}
    )
    (folder / JOURNAL).write_text('{"schema": 1, "conditions": {}}\n')
    (folder / THUMBNAILS).write_text("{}")
    (folder / "config.json").write_text('{"model_type": "llava"}')
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "w"}}')
    (folder / "w").touch()
    for name in ("data.json", "data.jsonl"):
        (folder / name).write_text('{"a": 1}')
    (folder / "datasets.yaml").write_text("datasets: []")
    (folder / "prompts.yaml").write_text("score: Rate it.")
    for reader in (*READERS.values(), *YAML_READERS.values()):
        reader[1](folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "b"))


def refused(folder: Path, file: str, read: Reader, *, may_pass: bool = False) -> None:
    """Read the folder and expect an error of one line, which names the file or its folder."""
    try:
        read(folder)
    except (UsageError, ItemError) as e:
        assert str(folder) in str(e) or file in str(e), e
        assert "\n" not in str(e)
        assert len(str(e)) < 700
    else:
        assert may_pass, f"{file} was taken"


@pytest.mark.parametrize("file, read", READERS.values(), ids=READERS.keys())
def test_damaged_json(folder: Path, file: str, read: Reader) -> None:
    for content in (*BAD_JSON, *WRONG_JSON):
        (folder / file).write_bytes(content + b"\n")
        # Allowed: an empty file of records (a run that has just begun), any objects in a file of data, and broken JSON
        # at the end of a journal or of records (an incomplete line).
        blank = not content.strip()
        fine = (
            (blank and file in (RECORDS, JOURNAL)) or content.startswith((b"{}", b'{"schema": 1}', b'{"schema": "1"}'))
            or (file.startswith("data") and content in (b"NaN", b"[1e999]", b'["\\ud800"]'))
        )  # fmt: skip
        refused(folder, file, read, may_pass=fine)


@pytest.mark.parametrize("file, read", YAML_READERS.values(), ids=YAML_READERS.keys())
def test_damaged_yaml(folder: Path, file: str, read: Reader) -> None:
    for content in (*BAD_YAML, "", " ", "7", "null", "[]", "{}", "text", "- 1", "datasets: 7", "score: 7", "schema: 1"):
        (folder / file).write_bytes(content.encode("utf-8", "surrogatepass"))
        refused(folder, file, read)
    (folder / file).write_bytes("datasets: []".encode("utf-16"))
    refused(folder, file, read)


ARCHIVES = ("workbook", "workbook of outputs", "inspect log")
EVERY = {**READERS, **YAML_READERS, **OTHERS}


@pytest.mark.parametrize("file, read", EVERY.values(), ids=EVERY.keys())
def test_anything_but_a_file(folder: Path, file: str, read: Reader) -> None:
    path = folder / file
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    refused(folder, file, read)
    for target in ("/dev/zero", "/dev/tty", "/proc/self/mem"):
        path.unlink()
        path.symlink_to(target)
        refused(folder, file, read)
    path.unlink()
    path.mkdir()
    refused(folder, file, read, may_pass=file == "lock")


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("lock", "parquet", "csv", "tsv", *ARCHIVES)])
def test_a_file_of_a_terabyte(folder: Path, name: str) -> None:
    file, read = EVERY[name]
    with (folder / file).open("wb") as opened:
        opened.truncate(1 << 40)
    if read is not resumed:  # `resumed` reads line by line
        refused(folder, file, read)


LINES = (READERS["records"], READERS["items alone"], READERS["journal"], READERS["summary of a report"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_one_value_of_another_type_anywhere(folder: Path, data: st.DataObject) -> None:
    file, read = data.draw(st.sampled_from(LINES))
    original = (folder / file).read_text()
    lines = original.splitlines() if file != SUMMARY else [original]
    changed = json.loads(lines[0])
    at, key = changed, data.draw(st.sampled_from(sorted(changed)))
    while isinstance(at[key], dict) and at[key] and data.draw(st.booleans()):
        at, key = at[key], data.draw(st.sampled_from(sorted(at[key])))
    strange = st.sampled_from([None, True, 7, -1, 1e308, 10**400, "x", "", [], [[]], {}, {"a": [1]}])
    at[key] = data.draw(strange)
    (folder / file).write_text("\n".join([json.dumps(changed), *lines[1:]]) + "\n")
    try:
        refused(folder, file, read, may_pass=True)
    finally:
        (folder / file).write_text(original)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_bytes_changed_anywhere(folder: Path, data: st.DataObject) -> None:
    file, read = data.draw(st.sampled_from([*READERS.values(), *YAML_READERS.values()]))
    original = (folder / file).read_bytes()
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(len(original), start + 40)))
    (folder / file).write_bytes(original[:start] + data.draw(st.binary(max_size=12)) + original[end:])
    try:
        refused(folder, file, read, may_pass=True)
    finally:
        (folder / file).write_bytes(original)


def test_a_billion_laughs_in_a_baseline(folder: Path) -> None:
    head = (folder / "baseline.yaml").read_text()
    laughs = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9) if i else 'ha'}]" for i in range(12))
    (folder / "baseline.yaml").write_text(f"{head}\n{laughs}\n")
    with pytest.raises(UsageError, match="more than 1000000 values"):
        read_baseline(folder)


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_unpacks_to_more_than_a_gigabyte(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test lowers the limit, because a real archive bomb would need a gigabyte."""
    file, read = EVERY[name]
    with ZipFile(folder / file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b" " * (2 * MIB))
    monkeypatch.setattr(archives.check_archive, "__defaults__", (MIB,))
    with pytest.raises(UsageError, match="unpacks to 2 MiB, more than 1 MiB"):
        read(folder)


@pytest.mark.parametrize("identity", [7, [], {"names": 7}, {"aliases": [7]}, {"asked": 7}, {"picture": []}], ids=str)
def test_a_stored_identity_of_another_type(identity: object) -> None:
    with pytest.raises(ValueError, match="identity"):
        identity_from(identity, "mini/0", "perception", "mini", None)  # type: ignore[arg-type]


def test_no_reader_of_images_starts_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image, UnidentifiedImageError

    from pytest_qbench.untrusted.images import open_image

    def started(*args: object, **more: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "check_call", started)
    monkeypatch.setattr(subprocess, "Popen", started)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\nshowpage\n%%EOF\n"
    with Image.open(io.BytesIO(postscript)) as opened:
        assert opened.format == "EPS"  # Pillow alone would accept it and run Ghostscript
    with pytest.raises(UnidentifiedImageError):
        open_image(postscript).load()


def test_yaml_creates_no_objects(folder: Path) -> None:
    mark = folder / "mark"
    content = yaml.dump({"x": 1}) + f"y: !!python/object/apply:os.system ['touch {mark}']\n"
    (folder / "prompts.yaml").write_text(content)
    with pytest.raises(UsageError):
        read_prompts(folder / "prompts.yaml")
    assert not mark.exists()
