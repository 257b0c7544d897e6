"""Bad input ends with one line and exit status 4, with and without workers. An unused plugin has no effect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.test_runs import BOTH, BOTH_IN_CAMPAIGN, SMALL, project

__all__ = ["project"]


def assert_usage(result: pytest.RunResult, expected: str) -> None:
    assert result.ret == 4, result.stdout.str() + result.stderr.str()
    errors = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert len(errors) == 1, result.stderr.str()
    assert expected in errors[0]
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()


@BOTH_IN_CAMPAIGN
@pytest.mark.parametrize(
    "args, expected",
    [
        ((), "--qbench-model=tiny"),
        (("--qbench-model=tinny",), "did you mean tiny"),
        (("--qbench-model=./nowhere",), "nowhere"),
        (("--qbench-model=random:x",), "random:x"),
        (("--qbench-model=random:0", "--qbench-model-arg=dtyp=float32"), "dtype"),
        ((*SMALL, "--qbench-data=nowhere"), "nowhere"),
        ((*SMALL, "--qbench-data=empty"), "empty"),
        ((*SMALL, "--qbench-datasets=mini_c"), "mini_a"),
        ((*SMALL, "--qbench-limit=0"), "--qbench-limit=0"),
        ((*SMALL, "--qbench-limit=many"), "--qbench-limit=many"),
        ((*SMALL, "--qbench-answer=shout"), "generate, likelihood"),
        ((*SMALL, "--qbench-split=train"), "dev, test"),
        ((*SMALL, "--qbench-protocol=papr"), "default, paper"),
        (("--qbench-model=replay:nowhere",), "no such file or folder"),
        (("--qbench-model=replay:empty",), "no recorded outputs"),
        ((*SMALL, "--qbench-max-errors=2"), "between 0 and 1"),
        ((*SMALL, "--qbench-judge=oracle"), "lexicon"),
        ((*SMALL, "--qbench-strict", "--qbench-no-gates"), "contradict"),
        ((*SMALL, "--qbench-blind", "--qbench-update-baseline"), "contradict"),
        ((*SMALL, "--qbench-shuffle-options", "--qbench-update-baseline"), "contradict"),
        ((*SMALL, "--qbench-run-dir=occupied"), "occupied"),
        ((*SMALL, "--qbench-run-dir=file.txt"), "file.txt"),
        ((*SMALL, "--qbench-baseline=../x"), "../x"),
        ((*SMALL, "--qbench-json=no/such/s.json"), "no/such"),
    ],
)
def test_usage_errors(project: pytest.Pytester, workers: tuple[str, ...], args: tuple[str, ...], expected: str) -> None:
    project.mkdir("empty")
    project.mkdir("occupied").joinpath("records.jsonl").touch()
    project.path.joinpath("file.txt").touch()
    assert_usage(project.runpytest_subprocess(*args, *workers), expected)


@BOTH
def test_a_model_that_does_not_load_stops_the_run(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    folder = project.mkdir("broken")
    (folder / "config.json").write_text('{"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}')
    (folder / "model.safetensors").write_bytes(b"not weights")
    result = project.runpytest_subprocess("--qbench-model=./broken", *workers)
    assert_usage(result, "broken")


@BOTH
@pytest.mark.parametrize(
    "body, expected",
    [
        ("@pytest.mark.qbench(task='percepton')\ndef test_x(qbench_record): ...", "percepton"),
        ("@pytest.mark.qbench(task='perception')\ndef test_x(): ...", "qbench_record"),
        ("@pytest.mark.qbench(task='perception')\ndef test_x(qbench_item): ...", "qbench_record"),
    ],
)
def test_an_unusable_suite_is_a_usage_error(
    pytester: pytest.Pytester, workers: tuple[str, ...], body: str, expected: str
) -> None:
    pytester.makepyfile(f"import pytest\n{body}")
    assert_usage(pytester.runpytest_subprocess(*SMALL, *workers), expected)


def test_an_unused_plugin_prints_and_writes_nothing_and_imports_no_heavy_package(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_light():
            heavy = {"torch", "transformers", "scipy", "numpy", "yaml", "PIL", "openai"}
            assert not heavy & set(sys.modules)
        """
    )
    before = {p.name for p in pytester.path.iterdir()} | {"stdout", "stderr"}
    for extra in ((), ("-n2",)):
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-v", *extra)
        result.assert_outcomes(passed=1)
        assert not [line for line in result.outlines if "qbench" in line.lower() and not line.startswith("plugins: ")]
    left = {p.name for p in pytester.path.iterdir() if not p.name.startswith("runpytest-")} - before
    assert left <= {"__pycache__"}


def test_a_run_that_only_collects_imports_no_statistics(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        import sys
        def pytest_unconfigure():
            print("heavy:", *sorted({"torch", "scipy", "numpy", "pytest_qbench.report.page"} & set(sys.modules)))
        """
    )
    result = project.runpytest_subprocess(*SMALL, "--collect-only", "-q")
    result.stdout.fnmatch_lines(["163 tests collected*", "heavy:"])


def test_the_plugin_module_imports_nothing_heavy() -> None:
    code = "import sys, pytest_qbench.plugin; print(' '.join({'torch','transformers','scipy','numpy','yaml','PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_unwritable_baseline_folder(project: pytest.Pytester) -> None:
    Path(project.path / "baselines").touch()
    assert_usage(project.runpytest_subprocess(*SMALL, "--qbench-update-baseline"), "is not a folder")
    Path(project.path / "baselines").unlink()
    project.mkdir("baselines").joinpath("random-0@mini").touch()
    result = project.runpytest_subprocess(*SMALL, "--qbench-update-baseline")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*--qbench-baseline-dir=*random-0@mini cannot be written*"])
    assert [p.name for p in (project.path / "baselines").iterdir()] == ["random-0@mini"]
