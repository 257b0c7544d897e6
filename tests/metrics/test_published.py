"""Reproduce the published tables of assessment from the published outputs, by the code of a run without pytest."""

from __future__ import annotations

import csv
import json
import re
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import pearsonr, spearmanr

from pytest_qbench.data.load import open_datasets
from pytest_qbench.engine.engine import Engine
from pytest_qbench.items import Dataset
from pytest_qbench.metrics.compute import compute_metrics
from pytest_qbench.metrics.diagnostics import chance, diagnose
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.rescoring import compare_strategies
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.replay import ReplayModel
from pytest_qbench.models.specs import paper_words
from pytest_qbench.records import Record
from pytest_qbench.scoring.score import PAPER_TEMPERATURE, Scoring
from pytest_qbench.scoring.strategies import named
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


@pytest.mark.parametrize("split", ["dev", "test"])
def test_chance_is_the_published_row_of_random_guesses(split: str) -> None:
    (dataset,) = open_datasets(str(OFFICIAL), rootdir=OFFICIAL, names=["llvisionqa"], split=split)
    records = [Record.of(item, "unparsed") for item in dataset.items]
    found = chance(records, "llvisionqa", split, {(item.task, item.id): item for item in dataset.items})
    with (OFFICIAL / "leaderboards" / "a1_random_guess.csv").open(encoding="utf-8") as file:
        published = next(row for row in csv.DictReader(file) if row.pop("split") == split)
    values = {(m.slice or "=overall").partition("=")[2]: m.value for m in found}
    assert values == pytest.approx({name: float(value) for name, value in published.items()}, abs=2e-4)


def logits(model: str, short: str) -> tuple[dict[str, np.ndarray], np.ndarray]:  # type: ignore[type-arg]
    """The recorded logits of a published file by word, and its reference scores, rounded there."""
    text = (OFFICIAL / "iqa_outputs" / model / f"{short}.json").read_text().strip().replace("}{", "},{")
    rows = json.loads(text if text.startswith("[") else f"[{text}]")
    words = [key.removeprefix("logit_") for key in rows[0] if key.startswith("logit_")]
    table = {word: np.array([row[f"logit_{word}"] for row in rows], dtype=float) for word in words}
    return table, np.array([float(row["gt_score"]) for row in rows])


@pytest.mark.parametrize("short", ["agi", "koniq", "kadid", "livec", "spaq"])
def test_equation_2_on_the_published_logits_of_two_pairs(short: str) -> None:
    z, mos = logits("instructblip_t5", short)
    scores = expit(z["good"] + z["high"] - z["poor"] - z["low"])
    records, _ = replayed("instructblip_t5")
    own = [record for record in records if record.dataset == NAMES[short]]
    (found,) = compare_strategies(own, Scoring(), [named("logit-sum:high+good/low+poor")])[1:]
    values = {m.name: m.value for m in found.metrics if m.dataset}
    assert values["assessment.srcc"] == pytest.approx(spearmanr(scores, mos)[0], abs=1e-4)
    assert values["assessment.plcc"] == pytest.approx(pearsonr(scores, mos)[0], abs=1e-4)


# Q-Bench+ (arXiv 2402.07116), table VIII, SRCC and PLCC of its rows for good and poor. The public files lack the words
# of its other rows.
TABLE_8 = {
    "llava_v1.5": {"koniq": (0.448, 0.460), "spaq": (0.563, 0.584), "livec": (0.445, 0.481), "cgiqa": (0.285, 0.297),
                   "agiqa": (0.664, 0.754), "kadid": (0.390, 0.400)},
    "qwen-vl": {"koniq": (0.470, 0.546), "spaq": (0.676, 0.669), "livec": (0.504, 0.532), "cgiqa": (0.273, 0.284),
                "agiqa": (0.617, 0.686), "kadid": (0.486, 0.486)},
}  # fmt: skip


@pytest.mark.parametrize("model", TABLE_8)
def test_equation_2_with_one_pair_gives_the_rows_of_table_8_whose_words_are_public(model: str) -> None:
    records, _ = replayed(model)
    ensemble = [named("logit-sum:good/poor@100"), named("logit-sum:good+high/poor+low")]
    compared = compare_strategies(records, Scoring(averages_halves=True), ensemble)
    found = cells(list(compared[1].metrics))
    expected = {(data, kind): value for data, pair in TABLE_8[model].items() for kind, value in zip(("srcc", "plcc"), pair, strict=True)}  # fmt: skip
    assert found == pytest.approx(expected, abs=0.001)
    assert all(words == {"high": 0, "low": 0} for words in compared[2].missing.values())
    assert len(compared[2].missing) == len(NAMES)


def test_the_table_of_strategies_across_databases_in_the_docs() -> None:
    """Mean correlations of five models, from the recorded logits by SciPy; argmax of a sixth is constant on three."""
    found: dict[tuple[str, str], list[float]] = {}
    for model in [name for name in MODELS if name != "instructblip_t5"]:
        records, _ = replayed(model)
        for dataset in NAMES.values():
            own = [record for record in records if record.dataset == dataset]
            mos = np.array([float(record.target or 0) for record in own])
            margin = np.array([logits["good"] - logits["poor"] for logits in (record.logprobs or {} for record in own)])
            cells = {
                "SRCC of softmax good/poor": spearmanr(margin, mos).statistic,
                "SRCC of argmax good/poor": spearmanr(margin > 0, mos).statistic,
                "PLCC of softmax good/poor, T = 1": pearsonr(expit(margin), mos).statistic,
                "PLCC of softmax good/poor, T = 100": pearsonr(expit(margin / 100), mos).statistic,
            }
            assert cells["SRCC of softmax good/poor"] > cells["SRCC of argmax good/poor"]
            for name, value in cells.items():
                found.setdefault((name, dataset), []).append(value)
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in page.splitlines()
                      if re.match(r"\| (strategy|-+|SRCC|PLCC) ", line) and line.count("|") == 8]  # fmt: skip
    shown = {
        (name, NAMES[short]): float(cell) for name, *cells in rows for short, cell in zip(NAMES, cells, strict=True)
    }
    assert head[1:] == ["SPAQ", "KonIQ-10k", "LIVE-itw", "CGIQA-6K", "AGIQA-3K", "KADID-10k"]
    assert shown == pytest.approx({key: fmean(values) for key, values in found.items()}, abs=6e-4)
