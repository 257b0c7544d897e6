"""Published numbers stand beside runs of the same dataset, split, number of items and protocol alone."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_qbench.data.published import DATABASES
from pytest_qbench.metrics.fingerprint import Fingerprint, fingerprint
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.results import ItemCounts
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.report import published_rows
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.labels import mean_label, row_label
from pytest_qbench.report.published_rows import published_tables, withheld_tables
from pytest_qbench.report.reference import published_text, reference_lines, reference_section
from pytest_qbench.runs.summary import Summary
from pytest_qbench.runs.summary_parts import BaselineState
from pytest_qbench.scoring.score import Scoring
from tests.official import OFFICIAL, needs_official

SIZES = dict(zip(DATABASES, (10_073, 11_125, 39_810, 1_169, 6_000, 2_982, 10_125), strict=True))
PAPER_SCORES = Scoring(temperature=100.0, averages_halves=True)


def made(**changed: Any) -> Fingerprint:
    """Return the conditions of a run by text under the published prompts, marked by five votes."""
    usual: dict[str, Any] = {
        "answer": "generate", "blind": False, "judge": {"name": "openai:gpt"}, "judge_rounds": 5, "marking": True,
        "prompt_set": packaged_set("paper"), "pixels": 1, "model": {"name": "m"},
    }  # fmt: skip
    return fingerprint(**{**usual, **changed})


def accuracies(n: int = 1_495, split: str | None = "dev", dataset: str = "llvisionqa") -> list[Metric]:
    return [
        Metric("perception.accuracy", dataset, split, slice_, 0.5, n if slice_ is None else 500)
        for slice_ in (None, "type=yes_or_no", "concern=other")
    ]


def correlations(*databases: str, n: int | None = None) -> list[Metric]:
    rows = [
        Metric(f"assessment.{kind}", name, None, None, value, n or SIZES[name])
        for name in databases
        for kind, value in (("srcc", 0.25), ("plcc", 0.75))
    ]
    return rows + [
        Metric(f"assessment.{kind}", None, None, None, 0.5, 1, datasets=databases) for kind in ("srcc", "plcc")
    ]


def finished(metrics: list[Metric], conditions: Fingerprint) -> FinishedRun:
    counts = ItemCounts(1, 1, 0, 0)
    return FinishedRun(Path(), Summary(conditions, counts, "", "PASS", BaselineState(None), tuple(metrics)))


def test_questions_have_the_published_rows_of_their_protocol() -> None:
    (table,) = published_tables(accuracies(), made())
    assert (table.columns, table.rows[0]) == (("all", "yes or no", "other"), ("this run", ("50.0 %",) * 3))
    assert dict(table.rows)["LLaVA-v1.5 (Vicuna-v1.5-13B)"] == ("62.1 %", "65.3 %", "67.1 %")
    assert "leaderboards/README.md" in table.source
    (table,) = published_tables(accuracies(), made(answer="perplexity"))
    assert dict(table.rows)["llava_v1.5"][0] == "48.6 %"


@pytest.mark.parametrize(
    ("metrics", "conditions", "reason"),
    [
        (accuracies(n=1_494), made(), "1,494 items count, not 1,495"),
        (accuracies(), made(blind=True), "the images are grey"),
        (accuracies(), replace(made(), option_order="shuffled by seed 0"), "the options are shuffled"),
        (accuracies(), made(prompt_set=packaged_set("hub")), "other prompts (--qbench-prompts=paper)"),
        (accuracies(), made(marking=False), "(--qbench-judge-answers)"),
        (accuracies(), made(judge_rounds=3), "no 5 votes"),
        (accuracies(), made(answer="likelihood"), "answers by likelihood"),
        (
            accuracies(),
            made(altered={"perception": {"example": "Look!", "hashes": ["1"]}}),
            "other prompts",
        ),
    ],
)
def test_one_other_condition_withholds_the_rows(metrics: list[Metric], conditions: Fingerprint, reason: str) -> None:
    assert not published_tables(metrics, conditions)
    (withheld,) = withheld_tables(metrics, conditions)
    assert withheld.places == ("llvisionqa dev",)
    assert reason in withheld.reason


def test_other_data_has_no_rows_and_no_reason() -> None:
    for metrics in (
        accuracies(dataset="mini", split=None),
        accuracies(split=None),
        [replace(m, value=None, n=0) for m in accuracies(split="test")],  # hidden answers
        [replace(m, dataset="mini_a") for m in correlations("koniq")],
    ):
        assert not published_tables(metrics, made(scoring=PAPER_SCORES))
        assert not withheld_tables(metrics, made(scoring=PAPER_SCORES))


def test_people_compare_with_every_protocol() -> None:
    (table,) = published_tables(accuracies(split="test"), made(prompt_set=None, marking=False))
    assert dict(table.rows)["human-2-senior"][0] == "81.7 %"


def test_scores_have_the_databases_that_are_there() -> None:
    scores = made(scoring=PAPER_SCORES)
    leaderboard, notebook = published_tables(correlations("koniq", "kadid"), scores)
    assert leaderboard.columns == notebook.columns == ("koniq", "kadid")  # no mean: it is over other databases
    assert leaderboard.rows[0] == ("this run", ("0.250/0.750",) * 2)
    assert dict(leaderboard.rows)["Qwen-VL (QwenLM)"] == ("0.470/0.546", "0.486/0.486")
    assert dict(notebook.rows)["instructblip_t5"] == ("0.334/0.362", "0.181/0.166")
    assert [one.columns[-1] for one in published_tables(correlations(*DATABASES), scores)] == ["mean", "mean"]
    own = [*correlations(*DATABASES), Metric("assessment.srcc", None, None, None, 0.1, 1, datasets=(*DATABASES, "lab"))]
    assert [one.columns[-1] for one in published_tables(own[:-3] + own[-1:], scores)] == ["kadid", "kadid"]


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"scoring": Scoring()}, "--qbench-protocol=paper"),
        ({"scoring": replace(PAPER_SCORES, words=("excellent", "good", "fair", "poor", "bad"))}, "other scores"),
        ({"scoring": PAPER_SCORES, "prompt_set": packaged_set("q-align")}, "other prompts"),
        ({"scoring": PAPER_SCORES, "blind": True}, "the images are grey"),
    ],
)
def test_other_scores_have_no_rows(conditions: dict[str, Any], reason: str) -> None:
    metrics = correlations("koniq", "spaq")
    assert not published_tables(metrics, made(**conditions))
    (withheld,) = withheld_tables(metrics, made(**conditions))
    assert withheld.places == ("koniq", "spaq")
    assert reason in withheld.reason


def test_a_part_of_a_database_has_no_rows() -> None:
    (withheld,) = withheld_tables(correlations("koniq", n=500), made(scoring=PAPER_SCORES))
    assert withheld.reason == "500 items count, not 10,073"


def test_terminal_page_and_compare_show_the_same_rows() -> None:
    chance = Metric("perception.chance", "llvisionqa", "dev", None, 0.378, 1_495)
    yes = Metric("perception.true_yes_rate", "llvisionqa", "dev", None, 0.575, 546)
    run = finished([*accuracies(), chance, yes], made())
    ((head, *lines),) = published_text(run, 100)
    assert head.split()[:3] == ["published", "accuracy", "of"]
    assert lines[-1] == "  source: github.com/Q-Future/Q-Bench, leaderboards/README.md at 42259df"
    compared = reference_lines(run)
    assert compared[:3] == ["chance of llvisionqa:", "  all 37.8 %", "true share of yes of llvisionqa: 57.5 %"]
    assert compared[3:] == published_text(run, None)[0]
    page = str(reference_section(run))
    assert all(word in page for word in ("37.8 %", "Shikra (Vicuna-7B)", "42259df"))
    for width in (60, 80, 200):
        assert all(len(line) <= max(width, 80) for line in published_text(run, width)[0])
    assert reference_section(finished([], made())) is None


def test_the_mean_says_how_many_of_the_seven_it_is_over() -> None:
    assert mean_label(("mini_a", "mini_b")) == mean_label(None) == "mean of datasets"
    assert mean_label(DATABASES) == "mean of 7 databases"
    assert mean_label(DATABASES[:6]) == "mean of 6 of 7 databases"
    assert mean_label(("koniq", "lab")) == "mean of 1 of 7 databases and 1 more"
    assert row_label(correlations("koniq", "spaq")[-1]) == "mean of 2 of 7 databases"


def test_every_row_has_a_value_per_column() -> None:
    tables = yaml.safe_load(published_rows.FILE.read_text(encoding="utf-8"))
    for table in [*tables["questions"], *tables["scores"]]:
        assert table["source"]
        for values in table["rows"].values():
            assert len(values) == len(table["columns"])
            assert all(-1 < v < 1 for value in values for v in (value if isinstance(value, list) else [value]))
    assert all(table["items"] == SIZES for table in tables["scores"])


@needs_official
def test_the_file_agrees_with_the_published_tables() -> None:
    tables = yaml.safe_load(published_rows.FILE.read_text(encoding="utf-8"))

    def rows(name: str) -> list[dict[str, str]]:
        with (OFFICIAL / "leaderboards" / name).open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    test = [t["rows"] for t in tables["questions"] if (t["dataset"], t["split"]) == ("llvisionqa", "test")]
    every = {name.partition(" (")[0]: values for table in test for name, values in table.items()}
    keys = ("overall", "yes_or_no", "what", "how", "distortion", "other", "in_context_distortion", "in_context_other")
    for row in rows("a1_single_test.csv"):
        if row["participant"] != "Qwen-VL-Plus":  # ... and Qwen-VL share a beginning
            assert every[row["participant"]] == [float(row[key]) for key in keys]
    published = {r["model"]: r for r in rows("a3.csv")}
    names = {
        "llava_v1.5": "LLaVA-v1.5 (Vicuna-v1.5-13B)", "qwen-vl": "Qwen-VL (QwenLM)",
        "instructblip_vicuna": "InstructBLIP (Vicuna-7B)", "idefics": "idefics", "shikra": "shikra",
        "instructblip_t5": "instructblip_t5",
    }  # fmt: skip
    both = {**tables["scores"][0]["rows"], **tables["scores"][1]["rows"]}
    for model, name in names.items():
        for key, values in zip(("koniq", "spaq", "flive", "livec", "cgi", "agi", "kadid"), both[name], strict=False):
            assert values == [float(published[model][f"{key}_{kind}"]) for kind in ("srcc", "plcc")]
