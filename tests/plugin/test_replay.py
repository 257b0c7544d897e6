"""Recorded outputs through pytest: the default suites on a small folder of files in the official formats."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.official import OFFICIAL, needs_official
from tests.plugin.test_runs import BOTH_IN_CAMPAIGN, project, summary
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

WORDS = ("logit_good", "logit_poor", "logit_high", "logit_low")


@pytest.fixture
def folders(project: pytest.Pytester) -> pytest.Pytester:
    """`data` with two databases and no image, `outputs/instructblip_t5` with the outputs of one model."""
    (project.path / "data" / "iqa").mkdir(parents=True)
    outputs = project.path / "outputs" / "instructblip_t5"
    outputs.mkdir(parents=True)
    for name, images in (("koniq", [f"{i}.jpg" for i in range(12)]), ("cgi", [f"{half}_{i}.jpg" for half in ("game", "movie") for i in range(6)])):  # fmt: skip
        mos = [{"img_path": image, "gt_score": f"{i % 6} "} for i, image in enumerate(images)]
        (project.path / "data" / "iqa" / f"{name}.json").write_text(json.dumps(mos))
        logits = [
            dict(zip(WORDS, (i % 5, 0.0, -(i % 6) + 9 * ("movie" in image), 1.0), strict=True))
            for i, image in enumerate(images)
        ]
        rows = [{**one, **logit} for one, logit in zip(mos, logits, strict=True)]
        (outputs / f"{name}.json").write_text("".join(json.dumps(row) for row in [rows[0], *rows]))
    return project


REPLAY = ("--qbench-model=replay:outputs/instructblip_t5", "--qbench-data=data", "--qbench-json=s.json")


def values(folders: pytest.Pytester, name: str) -> dict[tuple[str | None, str | None], Any]:
    return {(m["dataset"], m["slice"]): m["value"] for m in summary(folders)["metrics"] if m["name"] == name}


@BOTH_IN_CAMPAIGN
def test_outputs_are_measured_without_images_and_gated(folders: pytest.Pytester, workers: tuple[str, ...]) -> None:
    (folders.path / "outputs" / "instructblip_t5" / "notes.txt").write_text("of the third try")
    result = folders.runpytest_subprocess(*REPLAY, "--qbench-update-baseline", *workers)
    assert result.ret == 0, result.stdout.str()
    again = folders.runpytest_subprocess(*REPLAY, *workers)
    assert again.ret == 0, again.stdout.str()
    again.stdout.fnmatch_lines(
        [
            "CANNOT TELL: mean SRCC of 2 of 7 databases: between -*",
            "left out: 3 entries of the data (notes.txt: not read: no format of outputs*",
        ]
    )
    found = summary(folders)
    assert found["model"]["name"] == "instructblip_t5"
    assert found["items"]["scored"] == found["items"]["total"] == 24
    assert [entry["entry"] for entry in found["left_out"]] == ["notes.txt", "cgi.json", "koniq.json"]
    assert found["outputs_matched"] == {"image": 24}


@BOTH_IN_CAMPAIGN
def test_the_protocol_of_the_paper(folders: pytest.Pytester, workers: tuple[str, ...]) -> None:
    assert folders.runpytest_subprocess(*REPLAY, "--qbench-no-gates", *workers).ret == 0
    default = values(folders, "assessment.srcc")
    assert summary(folders)["fingerprint"]["scoring"] == {"words": ["good", "poor"], "temperature": 1.0}
    result = folders.runpytest_subprocess(*REPLAY, "--qbench-protocol=paper", "--qbench-no-gates", "-v", *workers)
    assert result.ret == 0, result.stdout.str()
    paper = values(folders, "assessment.srcc")
    result.stdout.fnmatch_lines(
        [
            "*outputs matched with the items: 24 by image",
            "  scores: softmax of high and low, temperature 100; *mean of their correlations",
        ]
    )
    scoring = {"words": ["high", "low"], "temperature": 100.0, "halves": "mean"}
    assert summary(folders)["fingerprint"]["scoring"] == scoring
    # The words for this model are others: their logits fall as the MOS rises.
    assert paper["koniq", None] == pytest.approx(-1)
    assert default["koniq", None] > -0.5
    assert paper["cgiqa", None] == pytest.approx(-1)
    assert paper["cgiqa", "half=together"] > -0.5
    assert {slice_ for dataset, slice_ in default if dataset == "cgiqa"} == {
        None,
        "half=game",
        "half=movie",
        "half=mean",
    }


@BOTH_IN_CAMPAIGN
def test_another_protocol_is_not_comparable(folders: pytest.Pytester, workers: tuple[str, ...]) -> None:
    assert folders.runpytest_subprocess(*REPLAY, "--qbench-update-baseline", *workers).ret == 0
    result = folders.runpytest_subprocess(*REPLAY, "--qbench-protocol=paper", *workers)
    assert_usage(
        result, "baseline instructblip_t5@data: assessment could not be judged, this run differs from it in: scoring"
    )


@BOTH_IN_CAMPAIGN
def test_an_item_without_an_output_is_an_error_that_names_the_item(
    folders: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    path = folders.path / "outputs" / "instructblip_t5" / "koniq.json"
    path.write_text(path.read_text().replace('"7.jpg"', '"77.jpg"'))
    result = folders.runpytest_subprocess(*REPLAY, *workers)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*koniq/7.jpg: ItemError: koniq/7.jpg: no recorded output in *instructblip_t5*"])
    assert summary(folders)["items"]["errors"] == 1


def test_records_of_a_run_replay_to_the_same_records(folders: pytest.Pytester) -> None:
    def records(run: str) -> list[dict[str, Any]]:
        lines = sorted(Path(folders.path, run, "records.jsonl").read_text().splitlines())
        # A replay sees no images, and its model is another one.
        return [{k: v for k, v in json.loads(line).items() if k not in ("picture", "conditions")} for line in lines]

    first = ("--qbench-model=random:0", "--qbench-limit=40", "--qbench-no-gates")
    assert folders.runpytest_subprocess(*first, "--qbench-run-dir=first").ret == 0
    again = ("--qbench-model=replay:first", "--qbench-limit=40", "--qbench-no-gates", "--qbench-run-dir=second")
    result = folders.runpytest_subprocess(*again, "--qbench-json=s.json")
    assert result.ret == 0, result.stdout.str()
    assert records("second") == records("first")
    assert summary(folders)["model"]["backend"] == "replay"


def test_a_replayed_blind_run_counts_as_blind(folders: pytest.Pytester) -> None:
    first = ("--qbench-model=random:0", "--qbench-limit=5", "--qbench-blind", "--qbench-run-dir=first")
    assert folders.runpytest_subprocess(*first).ret == 0
    result = folders.runpytest_subprocess("--qbench-model=replay:first", "--qbench-limit=5")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *recorded blind*--qbench-blind"])


@BOTH_IN_CAMPAIGN
def test_a_task_of_the_baseline_must_be_in_the_outputs(folders: pytest.Pytester, workers: tuple[str, ...]) -> None:
    both = ("--qbench-model=random:0", "--qbench-baseline=b")
    assert folders.runpytest_subprocess(*both, "--qbench-limit=20", "--qbench-update-baseline", *workers).ret == 0
    result = folders.runpytest_subprocess(*both, "--qbench-data=data", *workers)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["NOT MEASURED: 20 perception items of baseline b are not in --qbench-data=data*"])
    assert not list((folders.path / ".qbench" / "runs").glob("*/records.jsonl"))[1:]  # the baseline's run alone


@needs_official
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc to read the peak of memory from")
def test_one_call_measures_the_six_databases_of_a_model(project: pytest.Pytester) -> None:
    args = [
        f"--qbench-model=replay:{OFFICIAL}/iqa_outputs/llava_v1.5", f"--qbench-data={OFFICIAL}/mos", "-q",
        "--qbench-protocol=paper", "--qbench-update-baseline", "--qbench-json=s.json", "-p", "no:cacheprovider",
    ]  # fmt: skip
    # The peak of its own address space. A child's ru_maxrss would start at its parent's.
    code = (
        "import pytest, re, sys, time; status = pytest.main(sys.argv[1:])\n"
        "peak = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]\n"
        "print('used', time.process_time(), int(peak) / 1024); sys.exit(status)"
    )
    result = project.run(sys.executable, "-c", code, *args)
    assert result.ret == 0, result.stdout.str()[-3000:]
    assert summary(project)["items"] == {"total": 41_474, "scored": 41_474, "unparsed": 0, "errors": 0, "cut": 0}
    seconds, megabytes = map(float, result.outlines[-1].split()[1:])
    assert seconds < 60  # processor time, which does not depend on the load of the machine
    assert megabytes < 600
    assert values(project, "assessment.srcc")["koniq", None] == pytest.approx(0.448, abs=0.001)


def test_a_metric_without_a_gate_is_in_the_summary_but_not_in_the_baseline(folders: pytest.Pytester) -> None:
    result = folders.runpytest_subprocess(*REPLAY, "--qbench-update-baseline", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["  assessment *KRCC *PLCC fitted *distinct *tied"])
    assert values(folders, "assessment.distinct_scores") == {("cgiqa", None): 5.0, ("koniq", None): 5.0}
    (stored,) = [path.read_text() for path in folders.path.glob("baselines/instructblip_t5@*/baseline.yaml")]
    assert "assessment.srcc" in stored
    assert "krcc" not in stored


@BOTH_IN_CAMPAIGN
def test_hidden_answers_are_written_for_submission(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    folder = project.path / "data" / "llvisionqa"
    folder.mkdir(parents=True)
    asked = [{"type": 1, "concern": 0, "question": f"What is wrong in {i}?", "img_path": f"{i}.jpg", "candidates": ["Blur", "Noise"]} for i in range(5)]  # fmt: skip
    (folder / "llvisionqa_test.json").write_text(json.dumps(asked))
    answers = [{"img_path": one["img_path"], "question": one["question"], "response": "B."} for one in asked]
    (project.path / "llvisionqa_test.jsonl").write_text("\n".join(map(json.dumps, answers)))
    result = project.runpytest_subprocess(
        "--qbench-model=replay:llvisionqa_test.jsonl",
        "--qbench-data=data",
        "--qbench-split=test",
        "--qbench-run-dir=run",
        *workers,
    )
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "submission: *llvisionqa_test.json (5 questions); nothing was gated*",
            "NOTHING GATED: the answers *hidden*",
        ]
    )
    written = json.loads((project.path / "run" / "llvisionqa_test.json").read_text())
    assert written == [{**one, "response": "B."} for one in asked]
