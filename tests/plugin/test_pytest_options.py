"""pytest's own options and two popular plugins work with the light nodes of items."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.plugin.test_runs import BOTH, BOTH_IN_CAMPAIGN, SMALL, project

__all__ = ["project"]

RUN = (*SMALL, "--qbench-no-gates")
NODE = "test_assessment.py::test_assessment[mini_a/aitzgorri-02.webp]"
BROKEN = """
import pytest
from pytest_qbench.errors import ItemError
from pytest_qbench.models.random import RandomModel

class Broken(RandomModel):
    calls = 0
    def next_token_logprobs(self, prompts, words):
        if any(p.key == "mini_a/aitzgorri-02.webp" for p in prompts):
            type(self).calls += 1
            print("asked", self.calls, len(prompts))
            if self.calls <= FAILURES:
                raise ItemError("melted")
        return super().next_token_logprobs(prompts, words)

@pytest.fixture(scope="session")
def qbench_model():
    return Broken(0)
"""


def nodes(result: pytest.RunResult) -> list[str]:
    return [line.split(" ")[0] for line in result.outlines if "::" in line]


@BOTH
def test_options_that_select_tests_work(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    def ran(*args: str) -> int:
        result = project.runpytest_subprocess(*RUN, "-p", "no:cacheprovider", "--qbench-json=s.json", *args, *workers)
        assert result.ret in (0, 1), result.stdout.str()
        items = json.loads((project.path / "s.json").read_text())["items"]
        return int(items["scored"])

    assert ran("-k", "test_description") == 40
    assert ran("-k", "aitzgorri and not test_perception and not test_description") < 40
    assert ran("-m", "qbench") == 160
    assert ran("--deselect", "test_assessment.py") == 80
    assert ran(NODE) == 1


def test_collect_only_lists_the_items(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*RUN, "--collect-only", "-q")
    assert len(nodes(result)) == 160 + 3
    assert NODE in nodes(result)
    assert not (project.path / ".qbench").exists()
    tree = project.runpytest_subprocess(*RUN, "--collect-only", "-k", "aitzgorri-02.webp")
    tree.stdout.fnmatch_lines(
        ["*<Module test_assessment.py>*", "*<ItemNode test_assessment?mini_a/aitzgorri-02.webp?>"]
    )


def test_node_ids_are_those_of_a_parametrized_test(project: pytest.Pytester) -> None:
    folder = project.mkdir("data") / "iqa"
    folder.mkdir()
    names = ["a b.jpg", "ü.jpg", "[x].jpg", "漢.jpg", "x-y_1.jpg"]
    rows = [{"img_path": name, "gt_score": i} for i, name in enumerate(names)]
    (folder / "koniq.json").write_text(json.dumps(rows))
    light = "import pytest\n@pytest.mark.qbench(task='assessment')\ndef test_it(qbench_record): ..."
    project.makepyfile(test_it=light)
    args = (*RUN, "--qbench-data=data", "--collect-only", "-q", "test_it.py")
    found = [line for line in project.runpytest_subprocess(*args).outlines if "::" in line]
    project.makepyfile(test_it=light.replace("...", "pass; assert True"))
    assert [line for line in project.runpytest_subprocess(*args).outlines if "::" in line] == found
    assert len(found) == len(names)


@BOTH
def test_lf_repeats_wrong_items_and_the_cache_of_node_ids_has_none(
    project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    first = project.runpytest_subprocess(*RUN, *workers)
    wrong = first.parseoutcomes()["wrong"]
    cache = project.path / ".pytest_cache" / "v" / "cache"
    assert not [nodeid for nodeid in json.loads((cache / "nodeids").read_text()) if "[" in nodeid]
    again = project.runpytest_subprocess(*RUN, "--lf", "--qbench-json=s.json", *workers)
    assert again.parseoutcomes() == {"wrong": wrong}
    assert json.loads((project.path / "s.json").read_text())["items"]["scored"] == wrong
    first_failed = project.runpytest_subprocess(*RUN, "--ff", *workers)
    assert first_failed.parseoutcomes() == first.parseoutcomes()
    none = project.runpytest_subprocess(*RUN, "-p", "no:cacheprovider", *workers)
    assert none.parseoutcomes() == first.parseoutcomes()


@BOTH
@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_options_that_stop_at_an_error_work(project: pytest.Pytester, workers: tuple[str, ...], option: str) -> None:
    project.makeconftest(BROKEN.replace("FAILURES", "9"))
    result = project.runpytest_subprocess(*SMALL, option, *workers)
    assert result.ret in (2, 10), result.stdout.str()
    result.stdout.fnmatch_lines(["*melted*", "NOT MEASURED: *"])
    result.stdout.no_fnmatch_line("PASS: *")


def test_options_for_reports_work(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*RUN, "--junitxml=j.xml", "--durations=3", "-vv")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*slowest 3 durations*"])
    suite = ElementTree.parse(project.path / "j.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("163", "0", "0")


def test_what_a_model_prints(project: pytest.Pytester) -> None:
    project.makeconftest(BROKEN.replace("FAILURES", "0"))
    result = project.runpytest_subprocess(*RUN, "-s", "test_assessment.py")
    result.stdout.fnmatch_lines(["*asked 1 16*"])
    captured = project.runpytest_subprocess(*RUN, "test_assessment.py")
    captured.stdout.no_fnmatch_line("*asked*")


def test_pdb_starts_at_an_error(project: pytest.Pytester) -> None:
    project.makeconftest(BROKEN.replace("FAILURES", "9"))
    child = project.spawn_pytest(" ".join(("--pdb", *RUN, "test_assessment.py")))
    child.expect("melted")
    child.expect("Pdb")
    child.sendline("q")
    child.expect("Exit: Quitting debugger")
    child.wait()


@BOTH_IN_CAMPAIGN
def test_a_timeout_ends_a_model_that_hangs(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytest.importorskip("pytest_timeout")
    project.makeconftest(
        BROKEN.replace("FAILURES", "0")
        .replace(' == "mini_a/aitzgorri-02.webp"', "")
        .replace('print("asked"', 'import time; time.sleep(60); print("asked"')
    )
    result = project.runpytest_subprocess(*RUN, "--timeout=3", "--qbench-limit=2", "test_assessment.py", *workers)
    assert result.ret == 10  # nothing was measured
    result.stdout.fnmatch_lines(["*Timeout*3.0s*"])
    quick = project.runpytest_subprocess(*RUN, "--timeout=60", "test_perception.py", *workers)
    assert quick.ret == 0


@BOTH
def test_reruns_repeat_only_the_item_in_error(project: pytest.Pytester, workers: tuple[str, ...]) -> None:  # fmt: skip
    pytest.importorskip("pytest_rerunfailures")
    project.makeconftest(BROKEN.replace("FAILURES", "2"))  # the batch, and the item alone
    args = (*RUN, "--reruns=2", "--qbench-run-dir=run", "test_assessment.py", *workers)
    result = project.runpytest_subprocess(*args)
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*1 rerun*"])
    lines = Path(project.path, "run", "records.jsonl").read_text().splitlines()
    assert len(lines) == 80
    assert not [line for line in lines if '"error": "' in line]


@BOTH
@pytest.mark.parametrize("dist", ["each", "loadgroup", "worksteal"])
def test_xdist_modes_that_split_batches_are_usage_errors(project: pytest.Pytester, workers: tuple[str, ...], dist: str) -> None:  # fmt: skip
    result = project.runpytest_subprocess(*RUN, f"--dist={dist}", *(workers or ("--tx=popen", "--tx=popen")))
    assert result.ret == 4, result.stdout.str()
    (error,) = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert f"--dist={dist} splits batches" in error


def test_xdist_modes_by_module_keep_batches_together(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*RUN, "-n2", "--dist=loadfile", "--qbench-json=s.json")
    assert result.ret == 0, result.stdout.str()
    assert json.loads((project.path / "s.json").read_text())["items"]["scored"] == 160
