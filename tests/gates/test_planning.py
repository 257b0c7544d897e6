"""Check `qbench plan` against simulations and the normal approximation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, t

from pytest_qbench.baseline.baseline import as_baseline
from pytest_qbench.cli import main
from pytest_qbench.gates import planning
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.gates.planning import PowerTarget, Row, detectable_drop, from_runs, items_for_drop, items_for_pass
from tests.builders import answered, picture, question, results, scored
from tests.cli.test_compare import folder, made


def found_in(n: int, drop: float, discordance: float, level: float, margin: float, runs: int = 1_500) -> float:
    """Return the fraction of simulated comparisons that are red.

    A comparison is red if SciPy's mid-p lies below the level and the drop beyond the margin.
    """
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, [(discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance], size=runs)
    lost, pairs = counts[:, 0], counts[:, 0] + counts[:, 1]
    p_value = binom.sf(lost, pairs, 0.5) + binom.pmf(lost, pairs, 0.5) / 2
    return float(np.mean((p_value < level) & ((counts[:, 1] - lost) / n < -margin)))


@pytest.mark.parametrize("drop, discordance", [(0.02, 0.06), (0.05, 0.20), (0.10, 0.06)])
def test_the_planned_number_of_items_finds_the_drop_and_fewer_do_not(drop: float, discordance: float) -> None:
    target = PowerTarget(power=0.8, gates=3)
    n = items_for_drop(drop, discordance, 0.01, target)
    assert found_in(n, drop, max(drop, discordance), 0.05 / 3, 0.01) == pytest.approx(0.8, abs=0.035)
    assert detectable_drop(n, discordance, 0.01, target) == pytest.approx(drop, rel=0.02)


def test_a_drop_of_the_margin_is_found_by_no_number_of_items() -> None:
    with pytest.raises(ValueError, match="not beyond the margin"):
        items_for_drop(0.01, 0.06, 0.01, PowerTarget())
    assert found_in(200_000, 0.01, 0.06, 0.05 / 3, 0.01) == pytest.approx(0.5, abs=0.05)


def test_a_pair_of_runs_gives_its_own_discordance() -> None:
    old, new = made(set(range(10))), made(set(range(5, 25)))  # 20 of 400 discordant
    (row,) = from_runs(new, as_baseline(Path("old"), old), {"perception.accuracy": 0.01}, PowerTarget())
    assert isinstance(row, Row)
    assert (row.items, row.discordance, row.drop) == (400, 20 / 400, 0.02)
    assert row.items_for_drop == items_for_drop(0.02, 0.05, 0.01, PowerTarget())
    assert row.detectable_drop == detectable_drop(400, 0.05, 0.01, PowerTarget())
    assert row.items_for_pass == items_for_pass(0.05, 0.01, PowerTarget())


def test_scores_need_items_in_proportion_to_the_squared_width() -> None:
    rng = np.random.default_rng(0)
    pictures = [picture(i, float(m)) for i, m in enumerate(rng.normal(size=300))]

    def run(seed: int):  # type: ignore[no-untyped-def]
        noise = np.random.default_rng(seed).normal(size=300)
        return results(pictures, [scored(p, float((p.target or 0) + e)) for p, e in zip(pictures, noise, strict=True)])

    rows = [
        next(
            from_runs(
                run(1), as_baseline(Path("old"), run(2)), {"assessment.srcc": 0.0}, PowerTarget(power=power), 0.02
            )
        )
        for power in (0.8, 0.95)
    ]
    assert [row.discordance for row in rows] == [None, None]
    for row in rows:
        assert row.items_for_drop == pytest.approx(300 * (row.detectable_drop / 0.02) ** 2, abs=1)
    # Mean 0 and standard deviation 1: the error of SRCC's change is close to that of two independent correlations.
    z = t.ppf([1 - 0.05 / 3, 0.8, 0.95], 299)
    assert rows[1].detectable_drop / rows[0].detectable_drop == pytest.approx((z[0] + z[2]) / (z[0] + z[1]))


def test_items_that_share_photos_are_planned_by_the_comparison() -> None:
    questions = [question(i, group=f"photo{i // 8}") for i in range(400)]
    old, new = (results(questions, [answered(q, "No" if i in wrong else "Yes") for i, q in enumerate(questions)])
                for wrong in (set(range(0, 20)), set(range(10, 30))))  # fmt: skip
    (row,) = from_runs(new, as_baseline(Path("old"), old), {"perception.accuracy": 0.01}, PowerTarget())
    assert isinstance(row, Row)
    assert row.items_for_drop is not None
    assert row.items_for_drop > 1.5 * items_for_drop(0.02, 0.05, 0.01, PowerTarget())


@pytest.mark.parametrize("task", ["perception", "assessment"])
def test_several_datasets_are_planned_at_the_level_of_their_gate(task: str) -> None:
    """The drop shown is the MDE that the gate itself prints."""
    rng = np.random.default_rng(0)
    if task == "perception":
        name, items = "perception.accuracy", [
            replace(question(i, group=f"p{i // 2}"), id=f"{d}/{i}", dataset=d) for d in ("a", "b") for i in range(300)
        ]  # fmt: skip
        sides = [[answered(i, "No" if rng.random() < 0.1 else "Yes") for i in items] for _ in range(2)]
    else:
        name, items = (
            "assessment.srcc",
            [picture(i, float(m), d) for d in ("a", "b") for i, m in enumerate(rng.normal(size=300))],
        )
        sides = [[scored(i, float((i.target or 0) + rng.normal())) for i in items] for _ in range(2)]
    new, old = results(items, sides[0]), as_baseline(Path("old"), results(items, sides[1]))
    planned = list(from_runs(new, old, {name: 0.01}, PowerTarget()))
    gate = evaluate(name, new, old, Limits(comparisons=3), margin=0.01)
    assert [(r.dataset, r.detectable_drop) for r in planned if isinstance(r, Row)] == [
        (r.dataset, pytest.approx(r.mde)) for r in gate.rows if r.dataset
    ]


def test_metrics_without_a_plan_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = made(set()), made(set(range(20)))
    renamed = [replace(i, id=f"other-{i.id}") if i.task == "assessment" else i for i in new.expected.values()]
    kept = [r for r in new.records if r.task == "perception"]
    new = results(renamed, [*kept, *(scored(i, 0.5) for i in renamed if i.task == "assessment")])
    a, b = folder(tmp_path / "a", old), folder(tmp_path / "b", new)
    assert main(["plan", "--runs", a, b]) == 0
    out = capsys.readouterr().out
    assert "perception.accuracy  mini       400       5.0 %" in out
    assert (
        "not planned: assessment.srcc mini_a: 400 of the 400 assessment items of baseline a are not in this data" in out
    )


def test_the_printed_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan"]) == 0
    out = capsys.readouterr().out
    assert "2 % discordant  6 % discordant  20 % discordant" in out
    assert [line.split()[0] for line in out.splitlines()[3:7]] == ["0.015", "0.02", "0.03", "0.05"]
    assert "items with which an unchanged model passes" in out
    assert main(["plan", "--drop=0.02", "--gates=1", "--power=0.9", "--discordance", "0.06"]) == 0
    out = capsys.readouterr().out
    count = int(out.splitlines()[3].split()[1].replace(",", ""))
    assert found_in(count, 0.02, 0.06, 0.05, 0.01) == pytest.approx(0.9, abs=0.03)
    assert "turns red with items" not in out
    a, b = folder(tmp_path / "a", made(set())), folder(tmp_path / "b", made(set(range(20))))
    assert main(["plan", "--runs", a, b]) == 0
    out = capsys.readouterr().out
    assert "perception.accuracy  mini       400       5.0 %" in out


@pytest.mark.parametrize("args, message", [
    (("--drop=0",), "--drop=0: a number between 0 and 1"),
    (("--power=1",), "--power=1: a number between 0 and 1"),
    (("--alpha=0.7",), "--alpha=0.7: below 0.5"),
    (("--drop=0.01",), "--drop=0.01: no number of items turns a drop within --margin red"),
    (("--suggest", "a", "b", "c"), "--suggest takes one baseline, or two runs"),
    (("--items=0",), "--items=0: at least 1"),
    (("--gates=0",), "--gates=0: at least 1"),
    (("--discordance", "0.1", "1.5"), "--discordance=1.5: a number"),
    (("--runs", "none", "none"), "none: no such file or folder"),
    (("--runs", "a", "b", "--items=5"), "--runs takes discordance and items from the runs"),
])  # fmt: skip
def test_usage_errors_are_one_line(args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *args]) == 4
    out, error = capsys.readouterr()
    assert out == ""
    assert message in error
    assert error.count("\n") == 1


def test_margins_are_suggested_from_two_runs_and_from_a_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = made(set(range(10))), made(set(range(10, 20)))  # 20 of 400 discordant, 10 lost and 10 gained
    a, b = folder(tmp_path / "a", old), folder(tmp_path / "b", new)
    assert main(["plan", "--suggest", a, b]) == 0
    out = capsys.readouterr().out
    error = np.sqrt(20) / 400
    margin = (1.645 + 1.2816) * error
    assert (
        f"perception.accuracy: margin {np.ceil(1000 * margin) / 1000:g} ({100 * np.ceil(1000 * margin) / 1000:.1f} points)"
        in out
    )
    assert "an unchanged model passes in 90 %" in out
    assert "(from two runs)" in out
    assert main(["plan", "--suggest", a]) == 0
    out = capsys.readouterr().out
    assert "assuming that 6 % of the answers change" in out
    assert "assessment.srcc" in out


def test_scores_that_did_not_change_need_no_items_and_show_no_drop() -> None:
    rng = np.random.default_rng(0)
    pictures = [picture(i, float(m)) for i, m in enumerate(rng.normal(size=60))]
    same = results(pictures, [scored(p, float((p.target or 0) + e)) for p, e in zip(pictures, rng.normal(size=60), strict=True)])  # fmt: skip
    (row,) = from_runs(same, as_baseline(Path("old"), same), {"assessment.srcc": 0.01}, PowerTarget())
    assert isinstance(row, Row)
    assert (row.items_for_drop, row.detectable_drop) == (None, None)
    (row,) = from_runs(
        made(set()), as_baseline(Path("old"), made({1})), {"perception.accuracy": 0.02}, PowerTarget(), 0.02
    )
    assert isinstance(row, Row)
    assert (row.drop, row.items_for_drop) == (0.02, None)  # a drop of the margin is red in half of the runs at most


def test_the_tables_of_the_plan_are_for_the_sizes_of_the_benchmark() -> None:
    """Dev and test split of LLVisionQA, and both together."""
    assert planning.SIZES == (450, 1_495, 2_990)
    assert PowerTarget().level == pytest.approx(0.05 / 3)
