"""An item has one report on the fast path, and all three phases if a plugin or the suite needs them."""

from __future__ import annotations

import pytest

RUN = (
    "--qbench-model=random:0",
    "--qbench-limit=40",
    "--qbench-no-gates",
    "--qbench-datasets=mini_a",
    "-p",
    "no:cacheprovider",
)
SPY = """
    import collections, pytest
    phases = collections.Counter()
    def pytest_runtest_logreport(report):
        phases[report.when] += 1
    def pytest_terminal_summary(terminalreporter):
        terminalreporter.write_line(f"phases {phases['setup']} {phases['call']} {phases['teardown']}")
"""
PLAIN = "@pytest.mark.qbench(task='assessment')\ndef test_it(qbench_item, qbench_record): ..."


def run(pytester: pytest.Pytester, test: str, *args: str, conftest: str = "") -> pytest.RunResult:
    pytester.makeconftest(SPY)
    if conftest:
        (pytester.path / "conftest.py").write_text((pytester.path / "conftest.py").read_text() + conftest)
    pytester.makepyfile("import pytest\n" + test)
    return pytester.runpytest_subprocess(*RUN, *args)


def test_a_suite_function_without_a_body_has_one_report_per_item(pytester: pytest.Pytester) -> None:
    result = run(pytester, PLAIN)
    # The first item of a chunk has all phases, unless an earlier one has measured that chunk, and so has the last.
    result.stdout.fnmatch_lines(["phases [2-4] 40 [2-4]", "*40 measured*"])
    assert result.ret == 0


def test_workers_send_one_report_per_item(pytester: pytest.Pytester) -> None:
    result = run(pytester, PLAIN, "-n2", "--qbench-batch-size=16")
    line = next(line for line in result.outlines if line.startswith("phases "))
    setups, calls, teardowns = map(int, line.split()[1:])
    assert calls == 40
    assert setups == teardowns < 10


@pytest.mark.parametrize("test", [
    "@pytest.mark.qbench(task='assessment')\ndef test_it(qbench_record): assert qbench_record.score is not None",
    "@pytest.mark.filterwarnings('error')\n" + PLAIN,
    "@pytest.fixture(autouse=True)\ndef mine(): yield\n" + PLAIN,
    "@pytest.fixture\ndef qbench_record(qbench_record): return qbench_record\n" + PLAIN,
    "class TestIt:\n    @pytest.mark.qbench(task='assessment')\n    def test_it(self, qbench_record): ...",
])  # fmt: skip
def test_a_suite_with_code_fixtures_or_marks_of_its_own_has_all_phases(pytester: pytest.Pytester, test: str) -> None:
    run(pytester, test).stdout.fnmatch_lines(["phases 40 40 40", "*40 measured*"])


@pytest.mark.parametrize("hook", ["protocol", "setup", "call", "teardown", "makereport"])
def test_hooks_of_a_conftest_are_called_for_every_item(pytester: pytest.Pytester, hook: str) -> None:
    conftest = (
        "\nwatched = []\n@pytest.hookimpl(wrapper=True)\n"
        f"def pytest_runtest_{hook}(item):\n    watched.append(item.nodeid)\n    return (yield)\n"
        "def pytest_unconfigure(): open('watched', 'w').write(str(len(set(watched))))\n"
    )
    run(pytester, PLAIN, conftest=conftest).stdout.fnmatch_lines(["phases 40 40 40"])
    assert (pytester.path / "watched").read_text() == "40"


def test_a_mark_on_one_item_is_respected(pytester: pytest.Pytester) -> None:
    conftest = "\ndef pytest_collection_modifyitems(items): items[5].add_marker(pytest.mark.skip)\n"
    run(pytester, PLAIN, conftest=conftest).stdout.fnmatch_lines(["phases [3-5] 39 [3-5]", "*1 skipped, 39 measured*"])


def test_other_plugins_can_read_the_item_from_a_report(pytester: pytest.Pytester) -> None:
    from xml.etree import ElementTree

    result = run(pytester, PLAIN, "-v", "--junitxml=j.xml")
    assert len([line for line in result.outlines if "MEASURED" in line and "test_it[mini_a/" in line]) == 40
    suite = ElementTree.parse(pytester.path / "j.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("40", "0", "0")
    assert len({case.get("name") for case in suite.iterfind("testcase")}) == 40


@pytest.mark.parametrize("option", ["--setup-show", "--trace-config"])
def test_pytest_options_that_show_phases_work(pytester: pytest.Pytester, option: str) -> None:
    counts = "phases 40 40 40" if option == "--setup-show" else "phases [2-4] 40 [2-4]"
    run(pytester, PLAIN, option).stdout.fnmatch_lines([counts])
