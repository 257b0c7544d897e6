"""Reproduce the published tables of assessment from the published outputs, by the code of a run without pytest."""

from __future__ import annotations

import csv
from functools import cache

import pytest

from pytest_qbench.data.load import open_datasets
from pytest_qbench.engine.engine import Engine
from pytest_qbench.items import Dataset
from pytest_qbench.metrics.diagnostics import diagnose
from pytest_qbench.metrics.metrics import Metric, compute_metrics
from pytest_qbench.metrics.rescoring import compare_strategies
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.replay import ReplayModel
from pytest_qbench.models.specs import paper_words
from pytest_qbench.records import Record
from pytest_qbench.scoring.score import PAPER_TEMPERATURE, Scoring
from tests.official import OFFICIAL, needs_official

pytestmark = needs_official

NAMES = {"spaq": "spaq", "koniq": "koniq", "livec": "livec", "cgi": "cgiqa", "agi": "agiqa", "kadid": "kadid"}
MODELS = ["idefics", "instructblip_t5", "instructblip_vicuna", "llava_v1.5", "qwen-vl", "shikra"]


@cache
def databases() -> list[Dataset]:
    found = open_datasets(str(OFFICIAL), rootdir=OFFICIAL, names=list(NAMES.values()), split="dev")
    assert sum(len(one.items) for one in found) == 41_474
    return found


@cache
def replayed(model: str) -> tuple[list[Record], ReplayModel]:
    spec = parse_spec(f"replay:{OFFICIAL / 'iqa_outputs' / model}")
    loaded = load_model(spec, {})
    assert isinstance(loaded, ReplayModel)
    scoring = Scoring(paper_words(spec), PAPER_TEMPERATURE, averages_halves=True)
    engine = Engine(
        loaded, answer="generate", batch_size=512, blind=False, judge_rounds=1, judge=_no_judge, scoring=scoring
    )
    return engine.measure([item for one in databases() for item in one.items]), loaded


def _no_judge():  # type: ignore[no-untyped-def]
    raise AssertionError("nothing to judge")


def published(table: str, model: str) -> dict[tuple[str, str], float]:
    with (OFFICIAL / "leaderboards" / table).open() as file:
        row = next(row for row in csv.DictReader(file) if row["model"] == model)
    return {(dataset, kind): float(row[f"{short}_{kind}"]) for short, dataset in NAMES.items() for kind in ("srcc", "plcc")}  # fmt: skip


def cells(metrics: list[Metric]) -> dict[tuple[str, str], float | None]:
    return {(m.dataset, m.name.partition(".")[2]): m.value for m in metrics if m.dataset and m.slice is None}


@pytest.mark.parametrize("model", MODELS)
def test_the_twelve_cells_of_a_model(model: str) -> None:
    records, loaded = replayed(model)
    assert not [r for r in records if r.status == "error"]
    assert cells(compute_metrics(records, averages_halves=True)) == pytest.approx(published("a3.csv", model), abs=0.001)
    # One file of this model was begun twice. Its repeated records count once and are listed.
    repeated = {entry.dataset for entry in loaded.left_out}
    assert repeated == (set(NAMES.values()) if model == "instructblip_vicuna" else set())


def test_cgiqa_over_all_items_differs_from_the_mean_of_its_halves() -> None:
    records, _ = replayed("llava_v1.5")
    srcc = {m.slice: m.value for m in compute_metrics(records) if m.dataset == "cgiqa" and m.name == "assessment.srcc"}
    assert srcc["half=mean"] == pytest.approx(0.285, abs=0.001)
    assert srcc[None] != pytest.approx(0.285, abs=0.02)
    assert srcc["half=mean"] == pytest.approx((srcc["half=game"] + srcc["half=movie"]) / 2)  # type: ignore[operator]


ARGMAX = ["idefics", "instructblip_vicuna", "llava_v1.5", "shikra"]


@pytest.mark.parametrize("model", ARGMAX)
def test_the_argmax_cells_of_a_model(model: str) -> None:
    records, _ = replayed(model)
    (argmax,) = [
        one
        for one in compare_strategies(records, Scoring(averages_halves=True))
        if one.strategy.name == "argmax:good/poor"
    ]
    assert cells(list(argmax.metrics)) == pytest.approx(published("a3_argmax.csv", model), abs=0.003)


def test_diagnostics_are_finite_on_real_scores() -> None:
    records, _ = replayed("llava_v1.5")
    found = diagnose(records, {(i.task, i.id): i for one in databases() for i in one.items})
    assert {m.dataset for m in found} == set(NAMES.values())
    assert all(m.value is not None for m in found)
    values = {
        (m.name, m.dataset): m.value
        for m in (*found, *compute_metrics(records, averages_halves=True))
        if m.slice is None
    }
    for dataset in NAMES.values():  # the fit is at least as good as a straight line
        if dataset != "cgiqa":
            assert values["assessment.plcc_fitted", dataset] >= values["assessment.plcc", dataset] - 1e-6  # type: ignore[operator]
