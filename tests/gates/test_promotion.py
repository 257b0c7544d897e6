"""What stands against a run as the new baseline: drops that noise may explain, and items that it did not measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qbench.baseline.baseline import as_baseline
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.gates.promotion import accepted_drops, lost_items, unexcluded_drop
from pytest_qbench.metrics.metric import Metric
from tests.builders import answered, picture, question, results, scored


def gate(name: str, verdict: str, *rows: tuple[str | None, float | None, float | None]) -> GateResult:
    """A result whose rows have these verdicts, differences and margins."""
    found = [
        Metric(name, "mini", None, None, 0.8, 100, delta=delta, margin=margin, verdict=own)
        for own, delta, margin in rows
    ]
    return GateResult(name, verdict, "", tuple(found))  # type: ignore[arg-type]


FELL = gate("fell", "inconclusive", ("pass", -0.5, 0.01), ("inconclusive", -0.02, 0.01))
HELD = [
    gate("within", "inconclusive", ("inconclusive", -0.01, 0.01)),
    gate("rose", "inconclusive", ("inconclusive", 0.02, 0.01)),
    gate("another row", "inconclusive", ("pass", -0.5, 0.01), ("inconclusive", 0.0, 0.01)),
    gate("unknown", "inconclusive", ("inconclusive", None, 0.01), ("inconclusive", -0.02, None)),
    gate("passed", "pass", ("inconclusive", -0.02, 0.01)),
]
RED = gate("red", "regressed", ("regressed", -0.02, 0.01))


def test_a_drop_beyond_the_margin_that_is_not_excluded_is_named() -> None:
    assert unexcluded_drop([RED, *HELD]) is None
    said = unexcluded_drop([*HELD, FELL, RED, FELL])
    assert said is not None
    assert said.startswith("fell, fell fell by more than the margin")


def test_accepted_drops_are_those_that_regressed_or_were_not_excluded() -> None:
    assert accepted_drops(HELD) == ()
    assert accepted_drops([FELL, *HELD, RED]) == ("fell fell by more than the margin", "red regressed")


@pytest.mark.parametrize("measured, said", [
    (range(4), None),
    (range(6), None),
    (range(1, 3), "it also holds 2 items (first: mini/0), which this run did not measure"),
])  # fmt: skip
def test_lost_items_are_counted(measured: range, said: str | None) -> None:
    old = as_baseline(Path("b"), results(four := [question(i) for i in range(4)], [answered(q, "Yes") for q in four]))
    new = [question(i) for i in measured]
    assert lost_items(old, results(new, [answered(q, "No") for q in new])) == said


def test_lost_datasets_are_named() -> None:
    questions, pictures = [question(0)], [picture(0, 1.0), picture(0, 1.0, "mini_b")]
    whole = [*(answered(q, "Yes") for q in questions), *(scored(p, 0.5) for p in pictures)]
    old = as_baseline(Path("b"), results([*questions, *pictures], whole))
    said = lost_items(old, results(pictures[:1], whole[1:2]))
    assert said == "it also holds assessment mini_b, perception mini, which this run did not measure"
