"""The chain of a baseline: what it replaced, and the anchor that stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from pytest_qbench.baseline.lineage import Note
from pytest_qbench.baseline.store import find_baseline, read_anchor, read_baseline, write_baseline
from pytest_qbench.errors import UsageError
from tests.baseline.test_store import edit, run


def chain(folder: Path, *wrongs: int) -> Path:
    for wrong in wrongs:
        path = write_baseline(folder, "x", run(wrong=wrong), note=Note(f"commit{wrong}", f"reason {wrong}"))
    return path


def anchor_accuracy(path: Path) -> float | None:
    return read_anchor(read_baseline(path)).value("perception.accuracy", "mini", None)


def test_the_first_baseline_stays_the_anchor(tmp_path: Path) -> None:
    for length in range(1, 5):
        path = chain(tmp_path / str(length), *range(1, length + 1))
        found = read_baseline(path)
        assert anchor_accuracy(path) == 0.95
        assert [entry.values["perception.accuracy mini"] for entry in found.lineage.ancestors] == [
            1 - wrong / 20 for wrong in range(1, length)
        ]
        assert [entry.note.reason for entry in found.lineage.ancestors] == [f"reason {w}" for w in range(1, length)]
        assert found.lineage.note == Note(f"commit{length}", f"reason {length}")
        assert (path / "anchor").is_dir() == (length > 1)


def test_the_anchor_is_the_first_baseline_to_the_byte(tmp_path: Path) -> None:
    first = {p.name: p.read_bytes() for p in chain(tmp_path, 1).iterdir()}
    path = chain(tmp_path, 2, 3)
    assert {p.name: p.read_bytes() for p in (path / "anchor").iterdir()} == first


def test_a_new_anchor_keeps_the_chain(tmp_path: Path) -> None:
    path = chain(tmp_path, 1, 2)
    write_baseline(tmp_path, "x", run(wrong=3), note=Note(reason="a new protocol", new_anchor=True))
    assert not (path / "anchor").exists()
    assert anchor_accuracy(path) == 0.85
    assert len(read_baseline(path).lineage.ancestors) == 2
    chain(tmp_path, 4)
    assert anchor_accuracy(path) == 0.85


def test_a_baseline_of_an_earlier_version_becomes_the_anchor(tmp_path: Path) -> None:
    tiny = find_baseline(tmp_path, "tiny")
    assert tiny is not None
    shutil.copytree(tiny, tmp_path / "x")
    path = chain(tmp_path, 1)
    assert read_anchor(read_baseline(path)).records == read_baseline(tiny).records


@pytest.mark.parametrize(("file", "text"), [("baseline.yaml", "seal: "), ("perception.mini.jsonl", '"Yes"')])
def test_a_changed_anchor_is_refused_by_readers_and_writers(tmp_path: Path, file: str, text: str) -> None:
    path = chain(tmp_path, 1, 2)
    edit(path / "anchor" / file, text, f" {text}" if text[0] == '"' else f"{text} ")
    with pytest.raises(UsageError, match="was changed since|is not the anchor"):
        read_anchor(read_baseline(path))
    with pytest.raises(UsageError, match="was changed since"):
        chain(tmp_path, 3)
    assert read_baseline(path).value("perception.accuracy", "mini", None) == 0.9


def test_another_baseline_in_place_of_the_anchor_is_refused(tmp_path: Path) -> None:
    path, other = chain(tmp_path, 1, 2), write_baseline(tmp_path, "other", run(wrong=9))
    shutil.rmtree(path / "anchor")
    with pytest.raises(UsageError, match="the anchor of .* is not here"):
        read_anchor(read_baseline(path))
    shutil.copytree(other, path / "anchor")
    with pytest.raises(UsageError, match="is not the anchor of"):
        read_anchor(read_baseline(path))


def test_a_damaged_baseline_begins_a_new_chain(tmp_path: Path) -> None:
    path = chain(tmp_path, 1, 2)
    edit(path / "baseline.yaml", "value: 0.9", "value: 0.8")
    chain(tmp_path, 3)
    assert read_baseline(path).lineage.ancestors == ()
    assert anchor_accuracy(path) == 0.85


def test_the_head_shows_the_chain_to_a_reviewer(tmp_path: Path) -> None:
    head = yaml.safe_load((chain(tmp_path, 1, 2) / "baseline.yaml").read_text())
    assert head["reason"] == "reason 2"
    assert head["ancestors"][0]["values"]["perception.accuracy mini"] == 0.95
    assert head["anchor"]["recorded"] == head["ancestors"][0]["recorded"]
