"""The rule of --qbench-early-stop on records: bets by dataset, looks, and what blocks a decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_qbench.baseline.baseline import as_baseline
from pytest_qbench.data.random_order import random_order
from pytest_qbench.gates.early_stop import Bet, Decision, PlannedGate, TaskMonitor, watchable
from pytest_qbench.gates.evaluate import GateResult, Limits
from pytest_qbench.items import Item
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.stop_state import StopState
from pytest_qbench.records import Key, Record, repeated
from pytest_qbench.stats.spending import look_levels
from tests.builders import answered, judged, question, results, text

N = 600
ITEMS = [question(i) for i in range(N)]
GATE = PlannedGate("perception.accuracy", 0.02, None, False, 1)


def follow(
    items: list[Item], old: list[Record], new: list[Record], *gates: PlannedGate, may_pass: bool = True, seed: int = 0
) -> Decision | None:
    """Return the decision when all items have records."""
    order = random_order(items, seed)
    by_key: dict[Key, Record] = {(r.task, r.item): r for r in new}

    def up_to(end: int) -> Results:
        kept = order[:end]
        rest = frozenset((i.task, i.id) for i in order[end:])
        found = results(kept, [by_key[i.task, i.id] for i in kept])
        found.stop = StopState((), end, len(order), rest)
        return found

    baseline = as_baseline(Path("b"), results(items, old))
    monitor = TaskMonitor(order, gates or (GATE,), baseline, Limits(), may_pass)
    return monitor.advance(by_key.get, up_to)


def answers(wrong: set[int], items: list[Item] = ITEMS) -> list[Record]:
    return [answered(item, "No" if i in wrong else "Yes") for i, item in enumerate(items)]


def test_a_broken_model_stops_the_run_after_tens_of_items() -> None:
    broken = set(np.random.default_rng(0).choice(N, 200, replace=False).tolist())
    found = follow(ITEMS, answers(set()), answers(broken))
    assert found is not None
    assert found.stops_run
    assert found.items < 60
    (result,) = found.results.values()
    assert result.verdict == "regressed"
    assert f"stopped after {found.items} of 600 items" in result.reason
    (row,) = result.rows
    assert (row.delta_ci, row.test) == (None, "betting")
    assert row.p_value <= row.alpha == pytest.approx(0.005)  # a tenth of 0.05


def test_a_good_model_passes_at_the_first_look() -> None:
    found = follow(ITEMS, answers(set()), answers(set()))
    assert found is not None
    assert not found.stops_run
    assert found.items == 300
    assert found.results["perception.accuracy"].verdict == "pass"
    assert "look 1 of 3" in found.results["perception.accuracy"].reason


def test_a_task_that_other_tests_judge_as_well_is_measured_to_its_end() -> None:
    assert follow(ITEMS, answers(set()), answers(set()), may_pass=False) is None
    broken = follow(ITEMS, answers(set()), answers(set(range(0, N, 3))), may_pass=False)
    assert broken is not None
    assert broken.stops_run


def test_all_gates_of_a_task_have_to_pass() -> None:
    narrow = PlannedGate("perception.yes_rate", 0.0001, None, False, 2)
    assert follow(ITEMS, answers(set()), answers(set()), GATE, narrow) is None


def test_a_drop_within_the_margin_does_not_stop_the_run() -> None:
    """The bet wins, since nothing but losses are seen, but the drop is not beyond the margin."""
    wide = PlannedGate("perception.accuracy", 0.2, None, False, 1)
    found = follow(ITEMS, answers(set()), answers(set(range(0, N, 10))), wide, may_pass=False)
    assert found is None


def test_an_incomplete_prefix_decides_nothing() -> None:
    order = random_order(ITEMS, 0)
    broken = {(r.task, r.item): r for r in answers(set(range(0, N, 2)))}
    del broken["perception", order[3].id]
    baseline = as_baseline(Path("b"), results(ITEMS, answers(set())))
    monitor = TaskMonitor(order, (GATE,), baseline, Limits(), True)
    assert monitor.advance(broken.get, lambda end: pytest.fail("not judged")) is None


def test_unparsed_replies_stop_the_run_as_invalid() -> None:
    silent = [answered(item, None if i % 2 else "Yes") for i, item in enumerate(ITEMS)]
    found = follow(ITEMS, answers(set()), silent)
    assert found is not None
    assert found.stops_run
    (result,) = found.results.values()
    assert result.verdict == "invalid"
    assert "unparsed, above" in result.reason
    assert result.reason.startswith("stopped after ")


def test_judged_texts_stop_as_well() -> None:
    items = [text(i) for i in range(200)]
    rng = np.random.default_rng(0)
    old = [judged(item, int(rng.integers(1, 3))) for item in items]
    new = [judged(item, int(rng.integers(0, 2))) for item in items]
    gate = PlannedGate("description.sum", 0.06, None, False, 3)
    found = follow(items, old, new, gate)
    assert found is not None
    assert found.stops_run
    assert found.items < 80
    assert found.results["description.sum"].rows[0].value is not None


def test_each_dataset_has_a_bet_of_its_own() -> None:
    parts = [
        Item(f"k{i % 2}/{i}", "perception", f"k{i % 2}", None, f"{i}", (), "?", ("Yes", "No"), "Yes") for i in range(N)
    ]
    bad = {i for i in range(N) if i % 2 and i % 3}
    found = follow(parts, answers(set(), parts), answers(bad, parts))
    assert found is not None
    (result,) = found.results.values()
    (red,) = [row for row in result.rows if row.verdict == "regressed"]
    assert red.dataset in ("k1", None)
    assert red.alpha == pytest.approx(0.005 / 3)  # two datasets and all items together
    assert all(row.p_value is None for row in result.rows if row is not red)


def test_the_items_of_a_photo_stay_together_and_the_order_depends_on_the_seed_alone() -> None:
    items = [question(i, group=f"photo {i // 3}") for i in range(30)]
    order = random_order(items, 5)
    assert sorted(item.id for item in order) == sorted(item.id for item in items)
    groups = [item.group for item in order]
    assert len({g: groups.index(g) for g in groups}) == 10
    assert all(groups[i : i + 3] == [groups[i]] * 3 for i in range(0, 30, 3))
    assert order == random_order(list(reversed(items)), 5) or [i.group for i in order] == groups
    assert groups != [item.group for item in random_order(items, 6)]
    assert groups != [item.group for item in items]


@pytest.mark.parametrize("name, arguments, expected", [
    ("perception.accuracy", {"margin": 0.01}, True),
    ("assessment.srcc", {"margin": 0.01, "each_dataset": True}, True),
    ("perception.accuracy", {"margin": 0.01, "slice": "type=what"}, False),
    ("perception.accuracy", {"minimum": 0.5}, False),
    ("perception.accuracy", {"margin": 0.01, "minimum": 0.5}, False),
    ("perception.accuracy", {"margin": 0.01, "dataset": None}, False),  # the source does not show it
    ("perception.drift", {"margin": 0.01}, False),
    ("own.metric", {"margin": 0.01}, False),
])  # fmt: skip
def test_only_known_comparisons_of_whole_datasets_are_decided_early(
    name: str, arguments: dict[str, object], expected: bool
) -> None:
    assert watchable(name, arguments) is expected


def monitor(items: list[Item], *gates: PlannedGate, may_pass: bool = True, comparisons: int = 1) -> TaskMonitor:
    old = as_baseline(Path("b"), results(items, answers(set(), items)))
    return TaskMonitor(items, gates or (GATE,), old, Limits(comparisons=comparisons, seed=7), may_pass)


def test_looks_end_with_a_photo_and_spend_alpha_by_the_items_measured() -> None:
    items = [question(i, group=f"photo {i // 4}") for i in range(30)]  # photos end at 4, 8, ..., 28 and 30
    followed = monitor(items)
    assert followed._looks == [16, 24]
    assert tuple(followed._levels.values()) == look_levels((16 / 30, 24 / 30, 1.0), 0.05)
    last = followed.last_limits(GATE)
    assert (last.pass_alpha, last.bet, last.comparisons, last.seed) == (followed._levels[30], 0.1, 1, 7)
    assert last.share == pytest.approx(0.045)


def test_a_task_without_looks_spends_all_at_its_end() -> None:
    for followed in (monitor(ITEMS, may_pass=False), monitor([question(i, group="one") for i in range(30)])):
        assert followed._looks == []
        assert followed.last_limits(GATE).pass_alpha == pytest.approx(0.05)
    ranked = PlannedGate("assessment.srcc", 0.01, None, False, 3)
    last = monitor(ITEMS, ranked).last_limits(ranked)
    assert (last.bet, last.comparisons) == (0, 3)  # no bet on ranks


def test_the_level_of_a_bet_is_a_tenth_of_its_part_of_alpha() -> None:
    parts = [
        Item(f"k{i % 2}/{i}", "perception", f"k{i % 2}", None, f"{i}", (), "?", ("Yes", "No"), "Yes") for i in range(9)
    ]
    accuracy = PlannedGate("perception.accuracy", 0.02, None, False, 3)
    assert [(b.dataset, b.level) for b in monitor(parts, accuracy)._bets] == [
        (where, pytest.approx(0.005 / 3 / 3)) for where in ("k0", "k1", None)
    ]
    one = PlannedGate("perception.accuracy", 0.02, "k1", False, 3)
    assert [(b.dataset, b.level) for b in monitor(parts, one)._bets] == [("k1", pytest.approx(0.005 / 3))]
    assert one.label == "perception.accuracy k1"
    assert accuracy.label == "perception.accuracy"
    assert PlannedGate(**accuracy.to_json()) == accuracy


def test_a_bet_counts_the_passes_that_have_an_outcome() -> None:
    """Without a value on one side, or with unequal numbers of passes, a group is left out."""
    bet = Bet(GATE, "mini", 0.005)
    right, wrong = (answered(ITEMS[0], choice) for choice in ("Yes", "No"))
    twice = repeated([wrong, wrong])
    for pairs in ([(wrong, right)], [(twice, repeated([right, right]))]):
        bet.add(pairs)
    before = bet._process.log_wealth
    bet.add([(wrong, right), (twice, right)])  # one pass and two passes
    bet.add([(replace(wrong, dataset="other"), replace(right, dataset="other"))])
    bet.add([])
    assert bet._process.log_wealth == before > 0
    assert (bet._items, bet._change) == (2, -2)
    assert not bet.is_won


def test_a_bet_is_won_at_its_level_and_beyond_the_margin_only() -> None:
    narrow, wide = (Bet(PlannedGate("perception.accuracy", m, None, False, 1), None, 0.005) for m in (0.99, 1.0))
    right, wrong = (answered(ITEMS[0], choice) for choice in ("Yes", "No"))
    for bet in (narrow, wide):
        while bet._process.log_wealth < -np.log(0.005):
            assert not bet.is_won
            bet.add([(wrong, right)])
    assert narrow.is_won
    assert not wide.is_won  # a drop of everything, which is not beyond a margin of everything


def test_a_rate_that_should_be_low_is_bet_to_rise() -> None:
    bet = Bet(PlannedGate("perception.unparsed_rate", 0.01, None, False, 1), None, 0.005)
    silent, spoken = answered(ITEMS[0], None), answered(ITEMS[0], "No")
    for _ in range(20):
        bet.add([(silent, spoken)])
    assert bet.is_won


def test_an_invalid_result_keeps_its_reason_and_leaves_no_alpha() -> None:
    bet = Bet(GATE, "mini", 0.005)
    found = bet.judge(GateResult("x", "invalid", "because", unspent=0.01), "stopped after 5 of 9 items")
    assert (found.verdict, found.reason, found.unspent) == ("invalid", "stopped after 5 of 9 items: because", 0)
