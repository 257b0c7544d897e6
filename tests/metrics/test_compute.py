from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint

from pytest_qbench.items import Item
from pytest_qbench.metrics.compute import compute_metrics
from pytest_qbench.metrics.specs import judged_mean
from pytest_qbench.records import Record
from tests.builders import answered, judged, picture, question, results, scored, text


def metric(records: list[Record], name: str, dataset: str | None = "mini", slice_: str | None = None):  # type: ignore[no-untyped-def]
    return next(m for m in compute_metrics(records) if (m.name, m.dataset, m.slice) == (name, dataset, slice_))


@given(st.lists(st.sampled_from(["Yes", "No", None]), min_size=1, max_size=60))
def test_accuracy_counts_unparsed_as_wrong(choices: list[str | None]) -> None:
    records = [answered(question(i), c) for i, c in enumerate(choices)]
    m = metric(records, "perception.accuracy")
    right = choices.count("Yes")
    assert m.value == pytest.approx(right / len(choices))
    assert m.ci == pytest.approx(proportion_confint(right, len(choices), 0.05, method="wilson"), abs=1e-9)
    assert metric(records, "perception.unparsed_rate").value == pytest.approx(choices.count(None) / len(choices))
    assert metric(records, "perception.yes_rate").value == pytest.approx(right / len(choices))


def test_slices_partition_the_items() -> None:
    records = [
        answered(question(i, type_=t), "Yes" if i % 3 else "No") for i, t in enumerate(["what", "how", "yes_or_no"] * 7)
    ]
    parts = [
        m for m in compute_metrics(records) if m.name == "perception.accuracy" and (m.slice or "").startswith("type=")
    ]
    whole = metric(records, "perception.accuracy")
    assert sum(m.n for m in parts) == whole.n
    assert sum(m.n * m.value for m in parts) == pytest.approx(whole.n * whole.value)


def test_errors_and_hidden_answers_do_not_count() -> None:
    hidden = Record.of(question(9, answer=None), "measured", choice="Yes")
    records = [answered(question(0), "Yes"), Record.of(question(1), "error", error="broken"), hidden]
    assert metric(records, "perception.accuracy").n == 1


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 5)), min_size=5, max_size=40, unique_by=(lambda t: t[0], lambda t: t[1])
    )
)
def test_correlations_equal_scipys(pairs: list[tuple[float, float]]) -> None:
    records = [scored(picture(i, mos), score) for i, (score, mos) in enumerate(pairs)]
    x, y = np.array(pairs).T
    srcc = metric(records, "assessment.srcc", "mini_a")
    assert srcc.value == pytest.approx(scipy_stats.spearmanr(x, y)[0], abs=1e-9)
    assert metric(records, "assessment.srcc", None).value == srcc.value


def test_a_constant_score_is_undefined_and_so_is_the_mean() -> None:
    flat = [scored(picture(i, float(i)), 0.5) for i in range(8)]
    good = [scored(picture(i, float(i), "mini_b"), i / 8) for i in range(8)]
    m = metric(flat + good, "assessment.srcc", "mini_a")
    assert m.value is None
    assert m.note
    mean = metric(flat + good, "assessment.srcc", None)
    assert mean.value is None
    assert "mini_a" in (mean.note or "")
    assert metric(flat + good, "assessment.srcc", "mini_b").value == pytest.approx(1.0)


def test_judged_means_are_over_readable_rounds() -> None:
    assert judged_mean(judged(text(0), 2, None, 1), "completeness") == 1.5
    assert judged_mean(judged(text(0), 2, 1), "sum") == 4.5
    assert judged_mean(judged(text(0), None), "sum") is None
    records = [judged(text(0), 2, 2), judged(text(1), 0, 1)]
    assert metric(records, "description.sum").value == pytest.approx((6 + 1.5) / 2)


def test_missing_items_are_named() -> None:
    items: list[Item] = [question(i) for i in range(3)]
    r = results(items, [answered(items[0], "Yes")])
    assert r.missing("perception") == ["mini/1", "mini/2"]
    assert r.counts().to_json() == {"total": 3, "scored": 1, "unparsed": 0, "errors": 0, "cut": 0}


def halved(i: int, mos: float, score: float) -> Record:
    return replace(scored(picture(i, mos, "cgiqa"), score), slices={"half": "game" if i % 2 else "movie"})


@given(st.integers(0, 2**32 - 1))
def test_the_total_of_two_halves_is_joint_or_their_mean(seed: int) -> None:
    mos, score = np.random.default_rng(seed).normal(size=(2, 40))
    score[1::2] += 3  # with another scale in one half, the joint correlation differs from the mean
    records = [halved(i, float(m), float(s)) for i, (m, s) in enumerate(zip(mos, score, strict=True))]
    found = {}
    for halves in (False, True):
        rows = [m for m in compute_metrics(records, halves) if m.name == "assessment.srcc"]
        found[halves] = {m.slice: m.value for m in rows if m.dataset}
        (mean,) = [m for m in rows if m.dataset is None]
        assert mean.value == found[halves][None]
    assert compute_metrics(records) == compute_metrics(records, averages_halves=False)
    parts = [scipy_stats.spearmanr(mos[i::2], score[i::2])[0] for i in (0, 1)]
    together = scipy_stats.spearmanr(mos, score)[0]
    assert found[False] == pytest.approx(
        {None: together, "half=movie": parts[0], "half=game": parts[1], "half=mean": sum(parts) / 2}
    )
    assert found[True] == pytest.approx(
        {None: sum(parts) / 2, "half=movie": parts[0], "half=game": parts[1], "half=together": together}
    )


def test_the_mean_of_halves_is_undefined_as_soon_as_one_is() -> None:
    records = [halved(i, float(i), 0.5 if i % 2 else i / 20) for i in range(20)]
    rows = {
        m.slice: m for m in compute_metrics(records, averages_halves=True) if m.name == "assessment.srcc" and m.dataset
    }
    assert rows["half=movie"].value == pytest.approx(1.0)
    assert rows[None].value is None
    assert "half=game" in (rows[None].note or "")
    assert rows["half=together"].value is not None


def test_intervals_widen_where_items_share_photos() -> None:
    def rows(per_photo: int) -> dict[str, float]:
        asked = [replace(question(i), group=f"p{i // per_photo}") for i in range(120)]
        seen = [replace(picture(i, i // per_photo + i % 3), group=f"p{i // per_photo}") for i in range(120)]
        records = [answered(q, "Yes" if i // 6 % 3 else "No") for i, q in enumerate(asked)]
        records += [scored(p, 0.01 * (i // 6 % 7) + 0.001 * (i // 6)) for i, p in enumerate(seen)]
        found = {}
        for name, dataset in (("perception.accuracy", "mini"), ("assessment.srcc", "mini_a")):
            ci = metric(records, name, dataset).ci
            found[name] = ci[1] - ci[0]
        return found

    single, shared = rows(1), rows(6)
    assert all(shared[name] > 1.5 * single[name] for name in single)
    few = [scored(replace(picture(i, i), group=f"p{i % 3}"), 0.01 * (i % 5)) for i in range(30)]
    assert metric(few, "assessment.srcc", "mini_a").ci is None
