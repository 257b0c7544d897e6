"""The comparison with other harnesses: its table, its questions, and a run of this project's own rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.peers import PEERS, Row, main, table, write


def row(work: str, name: str, more: int, few: list[float], whole: list[float]) -> Row:
    return Row(work, name, (), {}, more, {"few": few, "all": whole})


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]


def test_a_ratio_is_the_median_of_the_rounds_and_each_part_has_a_measure_of_its_own() -> None:
    # 100 questions more: 10, 20 and 30 ms each; the other takes 2, 4 and 3 times that. The second part starts anew.
    first = row("idle", "ours", 100, [1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    second = row("idle", "other", 100, [0.5, 0.5, 0.5], [2.5, 8.5, 9.5])
    third = row("asking", "ours", 10, [1.0, 1.0, 1.0], [1.5, 1.5, 1.5])
    fourth = row("asking", "client", 10, [0.25, 0.25, 0.25], [0.5, 0.5, 0.5])
    assert cells(table([first, second, third, fourth])) == [
        ["**idle**", "", "", ""],
        ["ours", "2.0", "20,000", "1.00"],
        ["other", "0.5", "80,000", "3.00"],
        ["**asking**", "", "", ""],
        ["ours", "1.0", "50,000", "1.00"],
        ["client", "0.2", "25,000", "0.50"],
    ]


def test_all_harnesses_get_the_same_questions(tmp_path: Path) -> None:
    folder = write(tmp_path, 12)
    theirs = json.loads((folder / "items.json").read_text())
    ours = json.loads((folder / "data" / "llvisionqa" / "llvisionqa_dev.json").read_text())
    assert [(item["question"], item["choices"]) for item in theirs] == [(r["question"], r["candidates"]) for r in ours]
    assert all(
        item["choices"]["ABC".index(item["target"])] == r["correct_ans"] for item, r in zip(theirs, ours, strict=True)
    )
    assert len({item["id"] for item in theirs}) == 12
    assert all(Path(item["image"]).is_file() for item in theirs)
    for peer in PEERS:
        assert any((folder / word).is_file() for word in peer.command), peer


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    failing = Row("work", "a peer", (sys.executable, "-c", "raise SystemExit('out of luck')"), {"few": tmp_path}, 1)
    with pytest.raises(RuntimeError, match=r"a peer, work: out of luck"):
        failing.run("few")
    assert failing.cpu == {"all": [], "few": []}


@pytest.mark.campaign
def test_own_rows_are_measured_without_network(capsys: pytest.CaptureFixture[str]) -> None:
    main(30, 30, 1, peers=())
    found = [line[0] for line in cells(capsys.readouterr().out.partition("of 1:\n")[2])]
    assert [name.split()[0] for name in found] == [
        "**questions",
        "pytest-qbench",
        "pytest",
        "**requests",
        "pytest-qbench",
        "openai",
    ]
