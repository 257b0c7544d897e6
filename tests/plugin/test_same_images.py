"""Records are about the images that the model saw: others in their place are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pytest_qbench.cli import main

N = 24
RUN = ("--qbench-data=data", "--qbench-baseline=b", "--qbench-batch-size=4", "-p", "no:cacheprovider")
LOOKS = """
import pytest

class Looks:
    name, needs_images = "looks", True
    def describe(self): return {"backend": "looks", "version": VERSION}
    def generate(self, prompts, n): return ["A" for _ in prompts]
    def option_loglikelihoods(self, prompts, options): return [[-1.0 - i for i in range(len(o))] for o in options]
    def next_token_logprobs(self, prompts, words):
        return [[p.images[0].getpixel((0, 0))[0] / 255 - 2, -1.5] for p in prompts]
    def close(self): ...

@pytest.fixture(scope="session")
def qbench_model(): return Looks()
"""


@pytest.fixture
def photos(pytester: pytest.Pytester) -> Path:
    """A project with a model that looks, its baseline `b`, and a finished run in `run`; the folder of its images."""
    data = pytester.mkdir("data") / "iqa"
    (data / "lab").mkdir(parents=True)
    for i in range(N):
        Image.new("RGB", (8, 8), (i * 10, 0, 0)).save(data / "lab" / f"{i}.png")
    (data / "lab.json").write_text(json.dumps([{"img_path": f"{i}.png", "gt_score": i} for i in range(N)]))
    pytester.makeconftest(LOOKS.replace("VERSION", "1"))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.qbench(task="assessment")
        def test_assessment(qbench_item, qbench_record): ...

        def test_srcc(qbench_gate):
            qbench_gate("assessment.srcc", margin=0.4)
        """
    )
    ran = pytester.runpytest_subprocess(*RUN, "--qbench-update-baseline", "--qbench-run-dir=run")
    assert ran.ret == 0, ran.stdout.str()
    return data / "lab"


def test_other_images_are_refused(pytester: pytest.Pytester, photos: Path) -> None:
    resumed = (*RUN, "--qbench-run-dir=run", "--qbench-resume")
    ran = pytester.runpytest_subprocess(*resumed)
    assert ran.ret == 0, ran.stdout.str()
    first, last = photos / "3.png", photos / f"{N - 1}.png"
    one, other = first.read_bytes(), last.read_bytes()
    first.write_bytes(other)
    last.write_bytes(one)
    for workers in ((), ("-n2",)):
        ran = pytester.runpytest_subprocess(*resumed, *workers)
        assert ran.ret == 4
        ran.stderr.fnmatch_lines(["ERROR: *those of 2 of 24 items changed since (first: *lab/3.png)*"])
    ran = pytester.runpytest_subprocess(*RUN)
    assert ran.ret == 10
    ran.stdout.fnmatch_lines(["*lab: 2 of 24 items show another image than in baseline b (first: lab/3.png)*"])
    assert main(["compare", "baselines/b", "run"]) == 0  # both were made of the images as they were


def test_a_folder_mixed_from_two_runs_is_refused(
    pytester: pytest.Pytester, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = pytester.path / "run" / "records.jsonl"
    own = records.read_text().splitlines(keepends=True)
    hashes = {json.loads(line)["conditions"] for line in own}
    assert len(hashes) == 1
    pytester.makeconftest(LOOKS.replace("VERSION", "2"))
    ran = pytester.runpytest_subprocess(*RUN, "--qbench-run-dir=other", "-n2")
    assert ran.ret == 0, ran.stdout.str()
    mixed = sorted((pytester.path / "other" / "records.jsonl").read_text().splitlines(keepends=True))
    assert hashes.isdisjoint(json.loads(line)["conditions"] for line in mixed)
    records.write_text("".join([*own[:7], *(line for line in mixed if json.loads(line)["item"] == "lab/20.png")]))
    pytester.makeconftest(LOOKS.replace("VERSION", "1"))
    ran = pytester.runpytest_subprocess(*RUN, "--qbench-run-dir=run", "--qbench-resume")
    assert ran.ret == 4
    ran.stderr.fnmatch_lines(["ERROR: *lab/20.png was not made under the conditions of this run; the folder mixes*"])
    for command in (["compare", "baselines/b", "run"], ["report", "run"]):
        assert main(command) == 4
        assert "lab/20.png was not made under the conditions that summary.json states" in capsys.readouterr().err
    bare = [{k: v for k, v in json.loads(line).items() if k not in ("conditions", "picture")} for line in own]
    records.write_text("".join(json.dumps(line) + "\n" for line in bare))  # as earlier versions wrote them
    ran = pytester.runpytest_subprocess(*RUN, "--qbench-run-dir=run", "--qbench-resume")
    assert ran.ret == 0, ran.stdout.str()
