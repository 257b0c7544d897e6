"""Baselines in a store: memory, a folder and a real S3 server hold the bytes of a local baseline, also under attack."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_qbench.baseline import mirror
from pytest_qbench.baseline.lineage import Note
from pytest_qbench.baseline.remote import RemoteStore, is_address
from pytest_qbench.baseline.store import find_baseline, names_of_baselines, read_anchor, read_baseline, write_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.metrics.noise_floor import NoiseFloor
from tests.baseline.test_store import edit, run
from tests.builders import answered, results, scored

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("memory", "file", "s3")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a bucket on a server on this machine."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    known = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1",
             "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.get_host_and_port()[1]}"}  # fmt: skip
    before = {name: os.environ.get(name) for name in known}
    os.environ.update(known)
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
    yield "s3://bucket"
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value
    server.stop()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RemoteStore:
    root = {
        "memory": lambda: "memory:/",
        "file": lambda: f"file://{tmp_path}/store",
        "s3": lambda: request.getfixturevalue("s3"),
    }
    return RemoteStore(f"{root[request.param]()}/{tmp_path.name}")  # fmt: skip


def accuracy(path: Path) -> float | None:
    return read_baseline(path).value("perception.accuracy", "mini", None)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_store_holds_the_bytes_of_a_local_baseline(tmp_path: Path, store: RemoteStore) -> None:
    for wrong in (1, 2, 3):
        local = write_baseline(tmp_path / "local", "x", run(wrong=wrong), now=NOW)
        pointer = write_baseline(tmp_path / "a" / "baselines", "x", run(wrong=wrong), now=NOW, store=store)
    assert {p.name for p in pointer.iterdir()} == {"baseline.yaml", "store.yaml"}
    assert (pointer / "baseline.yaml").read_bytes() == (local / "baseline.yaml").read_bytes() == store.head("x")
    found = find_baseline(tmp_path / "b" / "baselines", "x", store)
    assert found is not None
    assert files(found) == files(mirror.local_copy(pointer)) == files(local)
    one, other = read_baseline(pointer), read_baseline(local)
    assert (one.digest, one.records, one.lineage) == (other.digest, other.records, other.lineage)
    assert read_anchor(one).records == read_anchor(other).records
    assert read_anchor(one).value("perception.accuracy", "mini", None) == 0.95
    assert one.path == pointer
    assert names_of_baselines(tmp_path / "b" / "baselines", store) == ["tiny", "x"]


def test_what_is_in_git_decides_and_stays_in_its_store(tmp_path: Path, store: RemoteStore) -> None:
    mine, other = tmp_path / "a" / "baselines", tmp_path / "b" / "baselines"
    path = write_baseline(mine, "x", run(wrong=1), store=store)
    write_baseline(other, "x", run(wrong=5), store=store)
    assert (accuracy(path), accuracy(find_baseline(mine, "x", store) or tmp_path)) == (0.95, 0.95)
    write_baseline(mine, "x", run(wrong=2))  # without the address
    assert {p.name for p in path.iterdir()} == {"baseline.yaml", "store.yaml"}
    shutil.rmtree(mine)
    assert accuracy(find_baseline(mine, "x", store) or tmp_path) == 0.9


def test_a_baseline_without_a_pointer_carries_on_the_chain_of_the_store(tmp_path: Path, store: RemoteStore) -> None:
    for at, wrong in enumerate((1, 2, 3)):
        path = write_baseline(tmp_path / str(at) / "baselines", "x", run(wrong=wrong), store=store)
    assert [entry.values["perception.accuracy mini"] for entry in read_baseline(path).lineage.ancestors] == [0.95, 0.9]


def test_a_local_baseline_moves_to_a_store_with_its_anchor(tmp_path: Path, store: RemoteStore) -> None:
    folder = tmp_path / "baselines"
    for wrong in (1, 2):
        write_baseline(folder, "x", run(wrong=wrong))
    path = write_baseline(folder, "x", run(wrong=3), store=store)
    assert {p.name for p in path.iterdir()} == {"baseline.yaml", "store.yaml"}
    assert read_anchor(read_baseline(path)).value("perception.accuracy", "mini", None) == 0.95


def test_a_changed_part_is_refused(tmp_path: Path, store: RemoteStore) -> None:
    path = write_baseline(tmp_path / "baselines", "x", run(), store=store)
    entries = yaml.safe_load((path / "baseline.yaml").read_text())["files"]
    digest = next(entry["sha256"] for entry in entries if entry["file"].startswith("perception"))
    store._put(f"x/parts/{digest}", store.part("x", digest).replace(b"wrong", b"right"))
    with pytest.raises(UsageError, match="was changed since it was recorded"):
        read_baseline(path)
    edit(path / "baseline.yaml", "value: 0.85", "value: 0.95")
    with pytest.raises(UsageError):
        read_baseline(path)


def test_a_changed_copy_is_refused(tmp_path: Path) -> None:
    path = write_baseline(tmp_path / "baselines", "x", run(), store=RemoteStore(f"memory://{tmp_path.name}"))
    edit(mirror.local_copy(path) / "perception.mini.jsonl", "wrong", "right")
    with pytest.raises(UsageError, match="was changed since it was recorded"):
        read_baseline(path)


STEPS = ("first part", "last part", "head", "pointer", "rename")


@pytest.mark.parametrize(
    ("kind", "step"), [*(("file", step) for step in STEPS), ("s3", "last part"), ("s3", "pointer")]
)
def test_a_killed_update_loses_nothing(kind: str, step: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    address = f"file://{tmp_path}/store" if kind == "file" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    store, folder = RemoteStore(address), tmp_path / "baselines"
    write_baseline(folder, "x", run(wrong=1), store=store)
    script = DYING.format(step=step, folder=str(folder), address=address)
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True)
    assert done.returncode == 9, done.stderr.decode()
    path = find_baseline(folder, "x", store)
    assert path == folder / "x"
    assert accuracy(path) == 0.95  # the pointer in git is replaced last
    elsewhere = find_baseline(tmp_path / "else" / "baselines", "x", store)
    assert elsewhere is not None
    assert accuracy(elsewhere) == (0.9 if step in ("pointer", "rename") else 0.95)
    write_baseline(folder, "x", run(wrong=5), store=store)
    assert accuracy(path) == 0.75
    assert [p.name for p in folder.iterdir()] == ["x"]


DYING = """
import os
from pathlib import Path
from pytest_qbench.baseline import mirror, store as baselines
from pytest_qbench.baseline.remote import RemoteStore
from tests.baseline.test_store import run

step, parts = "{step}", []

def die(*args, **kwargs):
    os._exit(9)

put_part = RemoteStore.put_part
def counting(self, name, content):
    if step == "first part" or (step == "last part" and parts):
        die()
    put_part(self, name, content)
    parts.append(content)

RemoteStore.put_part = counting
if step == "head":
    RemoteStore.put_head = die
if step == "pointer":
    mirror.write_text = die
if step == "rename":
    baselines._keep_other_files = die
baselines.write_baseline(Path("{folder}"), "x", run(wrong=2), store=RemoteStore("{address}"))
"""

WRITER = """
import sys
from pathlib import Path
from pytest_qbench.baseline.remote import RemoteStore
from pytest_qbench.baseline.store import find_baseline, read_anchor, read_baseline, write_baseline
from tests.baseline.test_store import run
folder, address, wrong = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for turn in range(3):
    write_baseline(folder, "x", run(wrong=wrong), store=RemoteStore(address))
    for near in (folder, folder.parent / f"none{turn}" / "baselines"):
        found = read_baseline(find_baseline(near, "x", RemoteStore(address)))
        right = sum(r.status == "correct" for r in found.records.values())
        assert right / 20 == found.value("perception.accuracy", "mini", None), right
        read_anchor(found)
"""


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_concurrent_updates_and_readers_see_whole_baselines(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = f"file://{tmp_path}/store" if kind == "file" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / f"clone{i}" / "baselines"), address, str(i)],
            cwd=Path(__file__).parents[2], stderr=subprocess.PIPE,
        )
        for i in range(3)
    ]  # fmt: skip
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert writer.returncode == 0, errors.decode()
    for i in range(3):
        assert accuracy(tmp_path / f"clone{i}" / "baselines" / "x") == 1 - i / 20


def test_a_store_that_fails_is_one_line_and_keeps_the_old_baseline(tmp_path: Path, monkeypatch: Any) -> None:
    store = RemoteStore(f"memory://{tmp_path.name}")
    path = write_baseline(tmp_path / "baselines", "x", run(wrong=1), store=store)

    def refuse(*args: object) -> None:
        raise RuntimeError("AccessDenied\nlong story")

    monkeypatch.setattr(type(store._place[0]), "pipe_file", refuse)
    with pytest.raises(UsageError, match="RuntimeError: AccessDenied$"):
        write_baseline(tmp_path / "baselines", "x", run(wrong=2), store=store)
    assert accuracy(path) == 0.95


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere://x", "nowhere"),
        ("s3://user:secret@host/x", "leave the password out"),
        ("file:///proc/nowhere", "proc"),
    ],
)
def test_a_wrong_address_is_one_line_without_secrets(tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        write_baseline(tmp_path / "baselines", "x", run(), store=RemoteStore(address))
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_damaged_pointer_is_one_line(tmp_path: Path) -> None:
    path = write_baseline(tmp_path / "baselines", "x", run(), store=RemoteStore(f"memory://{tmp_path.name}"))
    (path / "store.yaml").write_text("address: x\n")
    with pytest.raises(UsageError, match="names no store"):
        read_baseline(path)


@pytest.mark.campaign
def test_git_keeps_less_than_30_kb_of_85_000_items(tmp_path: Path) -> None:
    names = {
        "koniq": 10073,
        "spaq": 11125,
        "livefb": 39810,
        "livec": 1169,
        "cgiqa": 6000,
        "agiqa": 2982,
        "kadid": 10125,
    }
    items: list[Item] = []
    for name, count in names.items():
        items += [
            Item(f"{name}/{10004473376 + i}.jpg", "assessment", name, None, f"{name}/{i}", (), target=i / count)
            for i in range(count)
        ]
    kinds = [
        (type_, concern)
        for type_ in ("yes_or_no", "what", "how")
        for concern in ("distortion", "other", "in_context_distortion", "in_context_other")
    ]
    for i in range(85_000 - len(items)):
        type_, concern = kinds[i % len(kinds)]
        items.append(
            Item(f"llvisionqa/dev/{i:05}.jpg", "perception", "llvisionqa", "dev", f"llvisionqa/{i}", (), f"Is {i} blurry?",
                 ("Yes", "No"), "Yes", {"type": type_, "concern": concern})
        )  # fmt: skip
    rng = random.Random(0)
    records = [
        scored(item, rng.random()) if item.task == "assessment" else answered(item, rng.choice(["Yes", "No"]))
        for item in items
    ]
    floor = {name: {f"{name}/{10004473376 + i}.jpg": rng.random() / 1000 for i in range(64)} for name in names}
    asked = {"llvisionqa": {f"llvisionqa/dev/{i:05}.jpg": rng.random() / 1000 for i in range(64)}}
    noise = NoiseFloor("batch size 8, bfloat16", {"assessment.drift": floor, "perception.drift": asked})
    note = Note(
        "0" * 40, "the model was trained with more data, see the report of May", ("perception.accuracy regressed",)
    )
    store = RemoteStore(f"memory://{tmp_path.name}")
    for _ in range(2):
        path = write_baseline(tmp_path / "baselines", "x", results(items, records), noise, note=note, store=store)
    assert sum(p.stat().st_size for p in path.iterdir()) <= 30_000
    assert len(read_baseline(path).records) == 85_000


def test_only_an_address_is_an_address() -> None:
    assert [is_address(text) for text in ("s3://b", "memory://", "baselines", "/a/b", "C:\\b")] == [
        True,
        True,
        False,
        False,
        False,
    ]
