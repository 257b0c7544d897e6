"""Every item, and what became of it, in the reports of other plugins; what keeps items from the fast path is named."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

import pytest_qbench
from tests.plugin.test_fast_path import SPY

ITEMS = 20
SUITE = """
    import pytest
    @pytest.mark.qbench(task="perception")
    def test_it(qbench_item, qbench_record): ...
"""
# Of chunks of 16 and 4, the first items run in full unless both are measured at once, and so does the last of the module.
ON_FAST_PATH = re.compile(r"phases [23] 20 [23]")


@dataclass(frozen=True)
class Finished:
    """A folder in which a session ran, what it printed and how many items had which outcome."""

    folder: Path
    output: str

    @property
    def outcomes(self) -> Counter[str]:
        [records] = self.folder.glob(".qbench/runs/*/records.jsonl")
        return Counter(json.loads(line)["status"] for line in records.read_text().splitlines())

    def leaks(self, *names: str) -> list[str]:
        """What of this machine, or of an object, stands in files."""
        text = "".join((self.folder / name).read_text(errors="replace") for name in names)
        package = str(Path(pytest_qbench.__file__).parent)
        return [one for one in (package, "PosixPath", "FileImage(", "Item(id=", "object at 0x") if one in text]


def run(folder: Path, *args: str, plugins: Iterable[str] = (), **files: str) -> Finished:
    folder.mkdir(exist_ok=True)
    for name, content in {"test_it": SUITE, **files}.items():
        (folder / f"{name}.py").write_text("\n".join(line[4:] for line in content.splitlines()))
    loaded = [argument for plugin in ("pytest_qbench.plugin", *plugins) for argument in ("-p", plugin)]
    options = ["--qbench-model=random:0", f"--qbench-limit={ITEMS}", "--qbench-no-gates", "--qbench-tasks=perception"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *loaded, *options, *args], cwd=folder, text=True,
        capture_output=True, env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )  # fmt: skip
    return Finished(folder, found.stdout + found.stderr)


def html_results(folder: Path) -> Counter[str]:
    blob = re.search(r'data-jsonblob="([^"]*)"', (folder / "report.html").read_text())
    assert blob is not None
    rows = [row for rows in json.loads(html.unescape(blob[1]))["tests"].values() for row in rows]
    return Counter(re.sub(r"<.*?>", "", row["resultsTableRow"][0]).lower() for row in rows)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A session with the plugins that are content with an item's reports."""
    for module in ("pytest_html", "pytest_jsonreport", "pytest_reportlog"):
        pytest.importorskip(module)
    plugins = ("pytest_metadata.plugin", "pytest_html.plugin", "pytest_jsonreport.plugin", "pytest_reportlog.plugin")
    written = ("--html=report.html", "--json-report", "--json-report-file=report.json", "--report-log=log.jsonl")
    return run(tmp_path_factory.mktemp("beside"), *written, plugins=plugins)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A session with the plugins that look at each test."""
    for module in ("ctrf", "allure_pytest"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("around")
    return run(folder, "--ctrf=ctrf.json", "--alluredir=allure", plugins=("ctrf.main", "allure_pytest.plugin"))


def test_pytest_html(beside: Finished) -> None:
    assert html_results(beside.folder) == beside.outcomes
    assert beside.outcomes["wrong"] > 0
    assert not beside.leaks("report.html")


def test_pytest_json_report(beside: Finished) -> None:
    report = json.loads((beside.folder / "report.json").read_text())
    assert Counter(test["outcome"] for test in report["tests"]) == beside.outcomes
    assert not beside.leaks("report.json")


def test_pytest_reportlog(beside: Finished) -> None:
    lines = [json.loads(line) for line in (beside.folder / "log.jsonl").read_text().splitlines()]
    reports = [line for line in lines if line["$report_type"] == "TestReport"]
    assert Counter(line["when"] for line in reports) == {"setup": ITEMS, "call": ITEMS, "teardown": ITEMS}
    assert Counter(line["qbench_outcome"] for line in reports if line["when"] == "call") == beside.outcomes
    assert not beside.leaks("log.jsonl")
    assert "all phases of a test" not in beside.output


def test_pytest_json_ctrf(around: Finished) -> None:
    tests = json.loads((around.folder / "ctrf.json").read_text())["results"]["tests"]
    assert Counter(test["tags"][-1].removeprefix("qbench::") for test in tests) == around.outcomes
    assert not around.leaks("ctrf.json")


def test_allure(around: Finished) -> None:
    results = sorted(around.folder.glob("allure/*-result.json"))
    labels = [json.loads(path.read_text())["labels"] for path in results]
    tags = [next(label["value"] for label in own if label["name"] == "tag") for own in labels]
    assert Counter(tag.removeprefix("qbench::") for tag in tags) == around.outcomes
    assert not around.leaks(*(f"allure/{path.name}" for path in results))


def test_plugins_that_look_at_each_test_are_named(around: Finished) -> None:
    for package in ("allure_pytest", "ctrf"):
        assert around.output.count(f"which is slower: plugin {package} looks at each test") == 1


def test_pytest_html_sees_the_items_of_all_workers(tmp_path: Path) -> None:
    pytest.importorskip("pytest_html")
    plugins = ("xdist.plugin", "pytest_metadata.plugin", "pytest_html.plugin")
    found = run(tmp_path, "--html=report.html", "-n2", plugins=plugins)
    assert html_results(tmp_path) == found.outcomes


FIXTURE = """
    import pytest
    @pytest.fixture(autouse=True)
    def theirs(request):
        {body}
"""


def test_an_installed_plugin_that_is_not_asked_for_a_report_costs_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ctrf")
    found = run(tmp_path, plugins=("ctrf.main",), conftest=SPY)
    assert ON_FAST_PATH.search(found.output)
    assert "all phases of a test" not in found.output


@pytest.mark.parametrize("body", [
    "yield", "request.getfixturevalue('monkeypatch').setenv('THEIRS', '1')", "print(request.config.rootpath)",
])  # fmt: skip
def test_a_plugins_fixture_that_does_not_look_at_the_test_keeps_the_fast_path(tmp_path: Path, body: str) -> None:
    found = run(tmp_path, plugins=("theirs",), conftest=SPY, theirs=FIXTURE.format(body=body))
    assert ON_FAST_PATH.search(found.output), found.output
    assert "all phases of a test" not in found.output


@pytest.mark.parametrize("body", [
    "seen = open('seen', 'a'); seen.write(request.node.nodeid + chr(10)); seen.close()",
    "seen = open('seen', 'a'); seen.write(request.function.__name__ + chr(10)); seen.close()",
    "seen = open('seen', 'a'); seen.write(str('qbench' in request.keywords) + chr(10)); seen.close()",
])  # fmt: skip
def test_a_plugins_fixture_that_looks_at_the_test_sees_all_and_is_named(tmp_path: Path, body: str) -> None:
    found = run(tmp_path, plugins=("theirs",), conftest=SPY, theirs=FIXTURE.format(body=body))
    assert f"phases {ITEMS} {ITEMS} {ITEMS}" in found.output, found.output
    assert found.output.count("which is slower: fixture theirs of plugin theirs looks at each test") == 1
    assert len((tmp_path / "seen").read_text().splitlines()) == ITEMS


@pytest.mark.parametrize("conftest, why", [
    ("    def pytest_runtest_setup(item): ...", "conftest.py hooks into each test"),
    (FIXTURE.format(body="yield"), "fixture theirs of conftest.py is set up for each test"),
])  # fmt: skip
def test_a_conftest_that_looks_at_each_test_is_named(tmp_path: Path, conftest: str, why: str) -> None:
    found = run(tmp_path, conftest=conftest)
    assert found.output.count(f"qbench: items take all phases of a test, which is slower: {why}") == 1
    assert f"{ITEMS} items" in found.output or found.outcomes.total() == ITEMS
