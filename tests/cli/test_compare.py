"""`qbench compare` on finished runs and baselines: its output and its exit status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import binom, spearmanr

from pytest_qbench.baseline.store import write_baseline
from pytest_qbench.cli import main
from pytest_qbench.metrics.results import Results
from pytest_qbench.runs.items_file import write_items
from pytest_qbench.runs.summary import summary_of
from pytest_qbench.runs.summary_parts import BaselineState
from tests.builders import answered, picture, question, results, scored

N = 400


def made(wrong: set[int], reverse: int = 0) -> Results:
    questions, pictures = [question(i) for i in range(N)], [picture(i, float(i)) for i in range(N)]
    records = [answered(q, "No" if i in wrong else "Yes") for i, q in enumerate(questions)]
    scores = [(reverse - i if i < reverse else i) / N for i in range(N)]
    return results([*questions, *pictures], [*records, *(scored(p, s) for p, s in zip(pictures, scores, strict=True))])


def folder(path: Path, run: Results) -> str:
    path.mkdir()
    write_items(path, run.expected.values())
    (path / "records.jsonl").write_text("".join(r.to_json() + "\n" for r in run.records))
    summary = summary_of(run, (), began="2026-01-01T00:00:00+00:00", verdict="-", baseline=BaselineState("b"))
    (path / "summary.json").write_text(summary.as_text())
    return str(path)


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(*args: object) -> tuple[int, str]:
        status = main(["compare", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out + err

    return run


def test_a_drop_is_reported_with_numbers_and_items(tmp_path: Path, compare) -> None:
    a, b = folder(tmp_path / "a", made({390})), folder(tmp_path / "b", made(set(range(20)), reverse=200))
    status, out = compare(a, b)
    assert status == 1
    rows = [line.split() for line in out.splitlines()]
    (accuracy,) = [r for r in rows if r[:2] == ["perception.accuracy", "mini"] and r[2].startswith("0.")]
    assert accuracy[2:5] == ["0.9975", "0.9500", "-0.0475"]
    assert float(accuracy[-2]) == pytest.approx((binom.sf(19, 21, 0.5) + binom.sf(20, 21, 0.5)) / 2, rel=0.1)
    assert accuracy[-1] == "regressed"
    header = next(r for r in rows if r[:2] == ["metric", "dataset"])
    assert header[6:9] == ["90", "%", "interval"]  # the level of the gates
    _lower, upper = (100 * float(text.strip("[],")) for text in accuracy[5:7])
    assert f"at least {-upper:.1f}" in out
    srcc = next(r for r in rows if r[:2] == ["assessment.srcc", "mini_a"])
    scores = [(200 - i if i < 200 else i) for i in range(N)]
    assert float(srcc[3]) == pytest.approx(spearmanr(scores, range(N)).statistic, abs=1e-4)
    assert "perception.accuracy: 20 items lost (A -> B):" in out
    assert "mini/0: Is image 0 blurry? Yes -> No" in out
    assert "perception.accuracy: 1 item gained (A -> B):" in out
    assert "  ... and 10 more (--flips=N)" in out
    assert out.splitlines()[-1] == "REGRESSED: perception.accuracy, assessment.srcc"


def test_the_reverse_comparison_is_an_improvement(tmp_path: Path, compare) -> None:
    a, b = folder(tmp_path / "a", made({390})), folder(tmp_path / "b", made(set(range(20))))
    status, out = compare(b, a)
    assert status == 0
    assert out.splitlines()[-1] == "PASS: 2 of 2 gates hold, improved: perception.accuracy"


def test_both_arguments_can_be_baselines(tmp_path: Path, compare) -> None:
    old, new = made({390}), made(set(range(20)))
    a, b = write_baseline(tmp_path / "baselines", "a", old), write_baseline(tmp_path / "baselines", "b", new)
    run = folder(tmp_path / "run", new)
    for left, right in ((a, b), (a, run)):
        status, out = compare(left, right)
        assert status == 1
        assert out.splitlines()[-1] == "REGRESSED: perception.accuracy"


def test_inconclusive_warns_and_fails_when_strict(tmp_path: Path, compare) -> None:
    a, b = folder(tmp_path / "a", made(set())), folder(tmp_path / "b", made({1, 2, 3}))
    status, out = compare(a, b)
    assert (status, out.splitlines()[-1]) == (0, "CANNOT TELL: perception.accuracy")
    assert "CANNOT TELL: between -1.9 and +0.0 points" in out
    assert compare(a, b, "--strict")[0] == 11
    # A single gate has all of alpha. p = 1/8 is inconclusive, and a wider margin lets the gate pass.
    assert compare(a, b, "--gate=perception.accuracy=0.05", "--strict")[0] == 0


def test_incomplete_or_incomparable_runs_are_invalid(tmp_path: Path, compare) -> None:
    good = made(set())
    part = Results(good.records[:-1], good.expected, good.fingerprint)
    a, b = folder(tmp_path / "a", good), folder(tmp_path / "b", part)
    status, out = compare(a, b)
    assert status == 10
    assert "mini_a: 1 of 400 items were not measured (first: mini_a/399)" in out
    status, out = compare(b, a)
    assert status == 10
    assert "cannot serve as a baseline: 1 assessment items were not measured (first: mini_a/399)" in out
    blind = folder(tmp_path / "blind", results(list(good.expected.values()), good.records, blind=True))
    status, out = compare(a, blind)
    assert status == 10
    assert "differs from the baseline in: blind: False -> True" in out
    assert "not comparable" in out


def test_usage_errors_are_one_line(tmp_path: Path, compare) -> None:
    a = folder(tmp_path / "a", made(set()))
    mixed = folder(tmp_path / "mixed", made(set()))
    with (tmp_path / "mixed" / "records.jsonl").open("a") as file:
        file.write(scored(picture(999, 1.0), 0.5).to_json() + "\n")
    short = folder(tmp_path / "short", made(set()))
    lines = (tmp_path / "short" / "items.jsonl").read_text().splitlines()
    (tmp_path / "short" / "items.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    for args, message in (
        ((tmp_path / "none", a), "none: no such file or folder; name a baseline, a finished run or recorded outputs"),
        ((a, tmp_path), "no recorded outputs"),
        ((a, a, "--gate=perception.accurracy=0.1"), "METRIC=MARGIN is needed"),
        ((a, a, "--gate=perception.accuracy=-1"), "METRIC=MARGIN is needed"),
        ((a, mixed), "mini_a/999 is not in items.jsonl"),
        ((a, short), "items.jsonl: 799 items, 800 in summary.json"),
    ):
        status, out = compare(*args)
        assert status == 4
        assert message in out
        assert out.count("\n") == 1


def test_a_comparison_without_gates_is_not_green(tmp_path: Path, compare) -> None:
    a = folder(tmp_path / "a", made(set()))
    status, out = compare(a, a, "--gate=description.sum=0.05")
    assert (status, out.splitlines()[-1]) == (10, "NOTHING COMPARED: no gate could be judged")


def test_differing_conditions_are_reported_but_allowed(tmp_path: Path, compare) -> None:
    run = made(set())
    asked = list(run.expected.values())
    a = folder(tmp_path / "a", results(asked, run.records, model={"name": "x", "dtype": "float32"}, batch_size=16))
    b = folder(tmp_path / "b", results(asked, run.records, model={"name": "x", "dtype": "bfloat16"}, batch_size=16))
    status, out = compare(a, b)
    assert status == 0
    assert "differs: model.dtype: float32 -> bfloat16" in out.splitlines()


def test_a_comparison_is_written_as_page_markdown_data_and_junit(tmp_path: Path, compare) -> None:
    a, b = folder(tmp_path / "a", made({390})), folder(tmp_path / "b", made(set(range(20)), reverse=120))
    wanted = {kind: tmp_path / f"c.{kind}" for kind in ("html", "md", "json", "junit")}
    status, out = compare(a, b, *(f"--{kind}={path}" for kind, path in wanted.items()))
    assert status == 1
    data = json.loads(wanted["json"].read_text())
    assert data["verdict"] == out.splitlines()[-1]
    gate = next(g for g in data["gates"] if g["name"] == "perception.accuracy")
    assert (gate["outcome"], gate["lost_count"], gate["gained_count"]) == ("fail", 20, 1)
    for kind in ("html", "md"):
        told = wanted[kind].read_text()
        assert "REGRESSED: accuracy on mini: 4.8 points lost, at least " in told
        assert "-4.8 pt" in told
        assert "mini/19" in told or kind == "md"  # the twentieth lost item
    root = ElementTree.parse(wanted["junit"]).getroot()
    (suite,) = root.iter("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "2", "1")
    failed = {case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None}
    assert failed == {"perception.accuracy", "assessment.srcc"}
    assert float(next(p.get("value") for p in suite.iter("property") if p.get("name") == "qbench.perception.accuracy.mini.delta")) == pytest.approx(-0.0475)  # fmt: skip
    status, out = compare(a, b, f"--html={tmp_path / 'no' / 'c.html'}")
    assert status == 4
    assert "cannot be written" in out


def rated_run(path: Path, words: tuple[str, ...] = ("good", "poor", "high", "low")) -> str:
    rng = np.random.default_rng(0)
    pictures = [picture(i, float(i), ("koniq", "spaq")[i % 2]) for i in range(N)]
    records = []
    for i, one in enumerate(pictures):
        z = {"good": i / N + 0.1, "high": i / N + float(rng.normal()), "poor": 0.0, "low": 0.0}
        records.append(replace(scored(one, 0.5), logprobs={word: z[word] for word in words}))
    return folder(path, results(pictures, records))


def test_two_scorings_of_one_run(tmp_path: Path, compare) -> None:
    run = rated_run(tmp_path / "run")
    status, out = compare(run, "--scoring=softmax:high/low")
    assert status == 0
    assert out.splitlines()[:2] == ["scoring: softmax:high/low", "against: softmax:good/poor"]
    rows = {tuple(line.split()[:2]): line.split() for line in out.splitlines() if line.startswith("  ")}
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    z = np.array([json.loads(line)["logprobs"]["high"] for line in lines])
    for j, data in enumerate(("koniq", "spaq")):
        expected = spearmanr(z[j::2], np.arange(N)[j::2])[0]
        assert rows["SRCC", data][2:5] == ["1.000", f"{expected:.3f}", f"{expected - 1:+.3f}"]
        assert float(rows["SRCC", data][-1]) < 1e-6
    assert ("PLCC", "mean") in rows
    assert "SRCC: worse on koniq, spaq (of 2 data, two-sided at 0.05 by Holm)" in out
    status, out = compare(run, "--scoring=softmax:good/poor", "--against=softmax:high/low")
    assert status == 0
    assert "SRCC: better on koniq, spaq" in out
    status, out = compare("--scoring=softmax:good/poor@100", run)
    assert [line.split()[4] for line in out.splitlines() if line.startswith("  SRCC")] == ["none"] * 3
    assert "SRCC: no difference shown" in out
    status, out = compare(run, "--scoring=argmax:good/poor")
    assert status == 10
    assert "SRCC: undefined on koniq, spaq" in out


@pytest.mark.parametrize("args, message", [
    (("--scoring=softmax:fine/bad",), "not recorded: softmax:fine/bad on koniq: fine, bad; run again with --qbench-words"),
    (("--scoring=best",), "no such strategy"), (("--scoring=softmax:good/poor",), "is what it is compared with"),
    (("--scoring=argmax:high/low", "--against=softmax:good"), "no such strategy"),
    (("--scoring=argmax:high/low", "--gate=assessment.srcc=0.1"), "--gate cannot be combined with --scoring"),
    (("other", "--scoring=argmax:high/low"), "takes one run folder"), (("other", "--against=argmax:high/low"), "takes one run"),
])  # fmt: skip
def test_a_scoring_that_cannot_be_compared_is_one_line(
    tmp_path: Path, compare, args: tuple[str, ...], message: str
) -> None:
    status, out = compare(rated_run(tmp_path / "run"), *args)
    assert status == 4
    assert message in out
    assert out.count("\n") == 1


def test_the_candidate_may_follow_options(tmp_path: Path, compare) -> None:
    a, b = folder(tmp_path / "a", made(set())), folder(tmp_path / "b", made(set()))
    assert compare(a, "--gate=perception.accuracy=0.05", b)[0] == 0
