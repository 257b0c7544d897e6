"""With workers, the controller reports recorded items: few messages, and the same reports as one process."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_qbench.data.load import open_datasets
from pytest_qbench.data.sampling import select
from pytest_qbench.session.chunks import plan_chunks
from tests.plugin.killing import CONFTEST

RUN = ("--qbench-model=random:0", "--qbench-limit=40", "--qbench-no-gates", "--qbench-datasets=mini_a")
RUN += ("-p", "no:cacheprovider", "--qbench-batch-size=4", "-p", "no:allure_pytest")  # Allure may select tests
ITEMS = 40
PLAIN = "import pytest\n@pytest.mark.qbench(task='assessment')\ndef test_it(qbench_item, qbench_record): ...\n"
# What workers send is counted in the controller, and the items that a worker collected as nodes in the worker.
COUNT = """
    import collections, pytest
    sent = collections.Counter()
    def pytest_configure(config):
        if not hasattr(config, "workerinput"):
            from xdist.workermanage import WorkerController
            notify = WorkerController.notify_inproc
            def count(self, name, **given):
                sent[name] += 1
                return notify(self, name, **given)
            WorkerController.notify_inproc = count
    def pytest_sessionfinish(session):
        if hasattr(session.config, "workerinput"):
            from pytest_qbench.plugin.nodes import ItemNode
            session.config.workeroutput["nodes"] = sum(isinstance(item, ItemNode) for item in session.items)
    def pytest_testnodedown(node):
        sent["nodes"] += getattr(node, "workeroutput", {}).get("nodes", 0)
    def pytest_terminal_summary(terminalreporter):
        terminalreporter.write_line(f"reports {sent['testreport']} ends {sent['logfinish']} "
                                    f"handovers {sent['unscheduled']} nodes {sent['nodes']}")
"""


def run(pytester: pytest.Pytester, *args: str, conftest: str = "", test: str = PLAIN) -> pytest.RunResult:
    pytester.makeconftest(COUNT)
    with (pytester.path / "conftest.py").open("a") as file:
        file.write(f"\n{conftest}\n")
    pytester.makepyfile(test)
    return pytester.runpytest_subprocess(*RUN, *args)


def ids() -> list[str]:
    """Return the ids of the items that `run` measures."""
    found = open_datasets("mini", rootdir=Path(), names=["mini_a"], split="dev")
    return [item.id for dataset in select(found, limit=ITEMS, seed=0) for item in dataset.items]


def sent(result: pytest.RunResult) -> dict[str, int]:
    words = next(line for line in result.outlines if line.startswith("reports ")).split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def cases(path: Path) -> list[tuple[str | None, str | None]]:
    return sorted((case.get("classname"), case.get("name")) for case in ElementTree.parse(path).iter("testcase"))


def test_workers_report_few_items_of_a_chunk_and_collect_no_nodes(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-n2")
    found = sent(result)
    chunks = 9  # of 8 and 8 times 4 items
    assert found["handovers"] <= chunks
    assert found["ends"] <= 2 * chunks
    assert found["nodes"] == 0
    result.stdout.fnmatch_lines(["2 workers [[]40 items[]]", f"*{ITEMS} measured*"])
    assert result.ret == 0


MANY = ("--qbench-datasets=mini", "--qbench-limit=160", "--qbench-batch-size=1")
PERCEPTION = PLAIN.replace("assessment", "perception")


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_quick_model_measures_several_chunks_before_a_report(pytester: pytest.Pytester, seconds: int) -> None:
    """No chunk is quick in 0 seconds, and every one in an hour."""
    quick = f"import pytest_qbench.session.chunk_measurer as measurer\nmeasurer.SHORT = {seconds}"
    result = run(pytester, *MANY, "-n2", conftest=quick, test=PERCEPTION)
    chunks = plan_chunks([f"test_it[{i}]" for i in range(160)], 4, 1)
    if seconds:
        assert sent(result)["handovers"] < len(chunks) / 2
    else:
        # The worker itself reports the first test of a chunk, and the second if it has left the queue already.
        assert sent(result)["handovers"] >= sum(len(chunk) > 2 for chunk in chunks)
    assert sum(result.parseoutcomes().values()) == 160
    assert result.ret == 0


@pytest.mark.parametrize(
    "conftest",
    [
        "def pytest_runtest_logfinish(nodeid): ...",
        "def pytest_runtest_protocol(item, nextitem): ...",
    ],
)
def test_a_conftest_that_hears_of_each_test_hears_of_all_in_the_workers(
    pytester: pytest.Pytester, conftest: str
) -> None:
    result = run(pytester, "-n2", conftest=conftest)
    assert sent(result)["ends"] == ITEMS
    result.stdout.fnmatch_lines([f"*{ITEMS} measured*"])


def test_a_conftest_that_looks_at_the_collection_sees_every_item(pytester: pytest.Pytester) -> None:
    result = run(
        pytester, "-n2", conftest="def pytest_collection_modifyitems(items):\n    del items[::2]\n    items.reverse()"
    )
    assert sent(result)["nodes"] == 2 * ITEMS / 2
    result.stdout.fnmatch_lines(["2 workers [[]20 items[]]", "*20 measured*"])


@pytest.mark.parametrize("options", [("-k", "koala"), ("-m", "qbench", "--deselect=none.py"), ("--dist=loadfile",)])
def test_options_that_select_tests_select_the_same_with_workers(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    koalas = sum("koala" in id_ for id_ in ids())
    result = run(pytester, "-n2", *options)
    result.stdout.fnmatch_lines([f"*{koalas if 'koala' in options else ITEMS} measured*"])


def test_reports_name_the_same_tests_as_those_of_one_process(pytester: pytest.Pytester) -> None:
    run(pytester, "--junitxml=alone.xml")
    result = run(pytester, "-n2", "-v", "--junitxml=n2.xml")
    assert cases(pytester.path / "n2.xml") == cases(pytester.path / "alone.xml")
    shown = [line.split()[-1] for line in result.outlines if line.startswith("[gw") and "MEASURED" in line]
    assert len(shown) == len(set(shown)) == ITEMS
    assert any(line.startswith("[gw") and "[100%]" in line for line in result.outlines)


BROKEN = """
from pytest_qbench.errors import ItemError
from pytest_qbench.models.random import RandomModel

class Broken(RandomModel):
    def next_token_logprobs(self, prompts, words):
        if any(p.key[-6:-5] in "37" for p in prompts):
            raise ItemError("the image melted")
        return super().next_token_logprobs(prompts, words)

@pytest.fixture(scope="session")
def qbench_model():
    return Broken(0)
"""


def test_items_in_error_fail_as_in_one_process(pytester: pytest.Pytester) -> None:
    alone = run(pytester, "-rf", conftest=BROKEN)
    again = run(pytester, "-rf", "-n2", conftest=BROKEN)
    assert again.parseoutcomes() == alone.parseoutcomes()
    assert again.parseoutcomes()["failed"] > 3

    def failed(result: pytest.RunResult) -> list[str]:
        return sorted(line for line in result.outlines if line.startswith("FAILED "))

    assert failed(again) == failed(alone)
    assert again.ret == alone.ret == 1
    assert sent(again)["ends"] < ITEMS  # the others are still reported by the controller


def test_maxfail_ends_the_run(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-n2", "--maxfail=1", conftest=BROKEN)
    assert 1 <= result.parseoutcomes()["failed"] <= 2  # one per worker
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_items_that_failed_or_were_wrong_can_be_selected_after_a_run_with_workers(pytester: pytest.Pytester) -> None:
    args = ("--qbench-datasets=mini", "-p", "cacheprovider")
    first = run(pytester, *args, "-n2", test=PERCEPTION).parseoutcomes()
    again = run(pytester, *args, "-n2", "--lf", test=PERCEPTION).parseoutcomes()
    expected = Counter({key: first.get(key, 0) for key in ("wrong", "unparsed")})
    assert Counter({key: again.get(key, 0) for key in ("wrong", "unparsed")}) == expected
    assert "correct" not in again


def test_a_worker_that_dies_in_a_chunk_loses_no_report(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = ids()[13]
    monkeypatch.setenv("KILLER", killer)
    result = run(pytester, "-n2", "-v", conftest=CONFTEST)
    outcomes = result.parseoutcomes()
    assert (outcomes["measured"], outcomes["failed"]) == (ITEMS - 1, 1)
    result.stdout.fnmatch_lines([f"*WorkerDied*{killer}*"])
    lines = [line for line in result.outlines if line.startswith("[gw") and ("MEASURED" in line or "FAILED" in line)]
    assert len({line.split()[-1] for line in lines}) == len(lines) == ITEMS


def test_a_resumed_run_reports_the_items_of_the_first(pytester: pytest.Pytester) -> None:
    first = run(pytester, "-n2", "--qbench-run-dir=run")
    lines = (pytester.path / "run/records.jsonl").read_text().splitlines(keepends=True)
    (pytester.path / "run/records.jsonl").write_text("".join(lines[:25]))
    again = run(pytester, "-n2", "--qbench-run-dir=run", "--qbench-resume")
    assert again.parseoutcomes() == first.parseoutcomes() == {"measured": ITEMS}
    assert sorted((pytester.path / "run/records.jsonl").read_text().splitlines(keepends=True)) == sorted(lines)
