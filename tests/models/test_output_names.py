"""Dataset, split and model are read from the names of output files."""

from __future__ import annotations

import pytest

from pytest_qbench.models.output_names import dataset_of, model_of, named_among


@pytest.mark.parametrize("file, named", [
    ("koniq.json", ("koniq", None)), ("flive.json", ("livefb", None)), ("agi.json", ("agiqa", None)),
    ("test_koniq.json", ("koniq", None)), ("kadid10k-qalign.csv", ("kadid", None)), ("livemd.json", ("livemd", None)),
    ("koniq_vs_spaq.json", ("koniq_vs_spaq", None)), ("llvisionqa_test.jsonl", ("llvisionqa", "test")),
    ("qbench_a1_dev.jsonl", ("llvisionqa", "dev")), ("qbench_a1_test.jsonl", ("llvisionqa", "test")),
    ("qbench_a2.jsonl", ("lldescribe", None)), ("Q-Bench2-A1-dev.jsonl", ("qbench2", "dev")),
    ("20260801_101500_samples_qbench_dev.jsonl", ("llvisionqa", "dev")),
    ("samples_qbench2_dev.jsonl", ("qbench2", "dev")), ("samples_abench_test.jsonl", ("abench", "test")),
    ("samples_qbench_dev_2026-08-01T10-15-00.123456.jsonl", ("llvisionqa", "dev")),
    ("m_Q-Bench1_TEST.xlsx", ("llvisionqa", "test")), ("m_A-Bench_VAL_gpt4_result.tsv", ("abench", "dev")),
    ("lldescribe.json", ("lldescribe", None)), ("2026-08-01T10-00-00_qbench-dev_x1.eval", ("llvisionqa", "dev")),
    ("MedQ-Bench_dev.csv", ("MedQ-Bench_dev", None)),
])  # fmt: skip
def test_a_file_name_gives_dataset_and_split(file: str, named: tuple[str, str | None]) -> None:
    assert dataset_of(file) == named


@pytest.mark.parametrize("file, datasets, name", [
    ("lab.json", ["lab", "koniq"], "lab"), ("v2_lab.csv", ["lab", "koniq"], "lab"), ("lab-b.csv", ["lab", "lab-b"], "lab-b"),
    ("lab_field.csv", ["lab", "field"], None), ("labs.csv", ["lab"], None), ("spaq_lab.json", ["lab"], None),
])  # fmt: skip
def test_a_file_name_gives_a_dataset_of_the_users_own(file: str, datasets: list[str], name: str | None) -> None:
    assert named_among(file, datasets) == name


@pytest.mark.parametrize("file, model", [
    ("vlm-7b_Q-Bench1_VAL.csv", "vlm-7b"), ("VLM_4bit_A-Bench_TEST_acc.csv", "VLM_4bit"), ("Q-Bench1_VAL.csv", None),
    ("koniq.json", None),
])  # fmt: skip
def test_the_name_of_a_vlmevalkit_table_gives_the_model(file: str, model: str | None) -> None:
    assert model_of(file) == model
