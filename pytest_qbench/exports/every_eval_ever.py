"""Every Eval Ever, EvalEval's shared format: one JSON file per run, and a JSON line per item beside it.

The files get the names that its data store wants: ``data/q-bench/DEVELOPER/MODEL/UUID.json`` below the folder `--out`.
The format has no place for an undefined metric or a missing item. Both are named under `source_metadata`, and every
score of a run that is not whole says so in its details.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_qbench import __version__
from pytest_qbench.exports.content import conditions, metric_label, state, times_of
from pytest_qbench.items import Item
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.specs import SPECS, judged_mean
from pytest_qbench.records import Record
from pytest_qbench.report.finished_run import FinishedRun, Key
from pytest_qbench.report.labels import title_of
from pytest_qbench.report.outcome import Outcome, outcome_of
from pytest_qbench.untrusted.files import write_text

SCHEMA = "0.3.0"
# The metric that an item's score contributes to.
_OF_ITEMS = {"perception": "perception.accuracy", "description": "description.sum", "assessment": "assessment.srcc"}
_UNBOUNDED = ("-Infinity", "Infinity")


def write(run: FinishedRun, out: str) -> str:
    """Write both files and return the path of the first."""
    outcome = outcome_of(run)
    model = _model(run)
    developer, name = model["id"].split("/", 1)
    id_ = f"q-bench/{model['id']}/{times_of(run).start // 1_000_000_000}"
    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in _instances(run, id_, model["id"]))
    digest = hashlib.sha256(lines.encode()).hexdigest()
    # The store wants a random UUID. This one follows from the content, so that a second export replaces the first.
    number = uuid.UUID(bytes=hashlib.sha256(f"{id_} {digest}".encode()).digest()[:16], version=4)
    inside = Path("data", "q-bench", _folder(developer), _folder(name))
    folder = Path(out) / inside
    folder.mkdir(parents=True, exist_ok=True)
    samples = inside / f"{number}_samples.jsonl"
    content = {
        "schema_version": SCHEMA,
        "evaluation_id": id_,
        "evaluation_timestamp": str(times_of(run).start // 1_000_000_000),
        "retrieved_timestamp": str(times_of(run).end // 1_000_000_000),
        "source_metadata": {
            "source_name": "pytest-qbench",
            "source_type": "evaluation_run",
            "source_organization_name": "not stated",
            "evaluator_relationship": "other",
            "additional_details": state(run, outcome),
        },
        "eval_library": {
            "name": "pytest-qbench",
            "version": run.summary.fingerprint.pytest_qbench or __version__,
            "additional_details": conditions(run),
        },
        "model_info": model,
        "evaluation_results": [_result(m, run, outcome, id_) for m in run.metrics if m.value is not None],
        "detailed_evaluation_results": {
            "format": "jsonl", "file_path": samples.as_posix(), "hash_algorithm": "sha256", "checksum": digest,
            "total_rows": lines.count("\n"),
            "additional_details": {"missing": state(run, outcome)["missing"]},
        },
    }  # fmt: skip
    write_text(Path(out) / samples, lines)
    path = folder / f"{number}.json"
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return str(path)


def _folder(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name).strip(".") or "_"


def _model(run: FinishedRun) -> dict[str, Any]:
    """Return the model. Its id is that of the hub, or ``unknown/NAME`` for a local one."""
    described = run.summary.fingerprint.model or {}
    name = str(run.summary.fingerprint.model_name)
    id_ = str(described.get("target") or name)
    known = bool(re.fullmatch(r"[\w.-]+/[\w.-]+", id_))
    return {
        "name": name,
        "id": id_ if known else f"unknown/{_folder(name)}",
        "developer": id_.partition("/")[0] if known else "unknown",
        "additional_details": {
            "deployment_type": "unknown", "model_availability": "unknown",
            **{key: value for key, value in conditions(run).items() if key.startswith("model.")},
        },
    }  # fmt: skip


def _result(m: Metric, run: FinishedRun, outcome: Outcome, id_: str) -> dict[str, Any]:
    spec = SPECS.get(m.name)
    least, greatest = (spec.least, spec.greatest) if spec else _UNBOUNDED
    whole = not outcome.missing and not run.summary.items.errors
    uncertainty: dict[str, Any] = {"num_samples": m.n}
    if m.ci is not None:
        uncertainty["confidence_interval"] = {"lower": m.ci[0], "upper": m.ci[1], "confidence_level": 0.95}
    details = {
        "outcome": outcome.word,
        "items": "all measured" if whole else f"partial: {len(outcome.missing)} missing, "
        f"{run.summary.items.errors} in error of {run.summary.items.total}",
        **{key: str(value) for key, value in m.to_json().items() if value is not None and key not in _SHOWN},
    }  # fmt: skip
    return {
        "evaluation_result_id": f"{id_}#{metric_label(m)}",
        "evaluation_name": f"q-bench/{title_of(m)}",
        "source_data": {
            "dataset_name": m.dataset or "mean of datasets", "source_type": "other",
            "additional_details": {"data": str(run.summary.fingerprint.data), "split": str(m.split)},
        },
        "metric_config": {
            "evaluation_description": title_of(m), "metric_id": f"qbench.{m.name}", "metric_name": title_of(m),
            "lower_is_better": spec.lower_is_better or spec.is_drift if spec else False,
            "score_type": "continuous", "min_score": least, "max_score": greatest,
            **(_llm_scoring(run) if m.name.startswith("description.") else {}),
        },
        "score_details": {"score": m.value, "uncertainty": uncertainty, "details": details},
    }  # fmt: skip


def _llm_scoring(run: FinishedRun) -> dict[str, Any]:
    """Return the judge of descriptions if it is a language model. The embedded lexicon is none."""
    judge = run.summary.fingerprint.judge or {}
    if "prompts" not in judge:
        return {}
    name, details = str(judge.get("name")), {key: str(value) for key, value in judge.items()}
    model = {"name": name, "id": str(judge.get("model") or name), "additional_details": details}
    return {"llm_scoring": {
        "judges": [{"model_info": model}], "input_prompt": f"the prompts with the hash {judge['prompts']}",
        "aggregation_method": "average",
    }}  # fmt: skip


_SHOWN = ("name", "value", "n", "ci", "dataset", "datasets")


def _instances(run: FinishedRun, id_: str, model: str) -> Iterator[dict[str, Any]]:
    """Yield a line per recorded item. An item in error has the score 0 and its error."""
    rows = {(m.name, m.dataset): m for m in run.metrics if m.slice is None}
    for key, item in run.items.items():
        if (record := run.records.get(key)) is not None:
            m = rows.get((_OF_ITEMS[item.task], item.dataset))
            yield _instance(key, item, record, m, id_, model)


def _instance(key: Key, item: Item, record: Record, m: Metric | None, id_: str, model: str) -> dict[str, Any]:
    task, sample = key
    raw = record.response or ("" if record.choice is None else record.choice)
    reference = [*item.right_options] or ([str(item.target)] if item.target is not None else [*item.golden])
    score = _score(record)
    return {
        "schema_version": SCHEMA,
        "evaluation_id": id_,
        "model_id": model,
        "evaluation_name": f"q-bench/{title_of(m)}" if m else f"q-bench/{task}",
        **({"evaluation_result_id": f"{id_}#{metric_label(m)}"} if m and m.value is not None else {}),
        "sample_id": sample,
        "sample_hash": hashlib.sha256(json.dumps([item.question, reference]).encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": item.question or f"{task} of {sample}", "reference": reference,
                  "choices": list(item.options) or None},
        "output": {"raw": [raw]},
        "messages": None,
        "answer_attribution": [{
            "turn_idx": 0, "source": "output.raw", "extracted_value": record.choice, "is_terminal": True,
            "extraction_method": "likelihood" if record.response is None else "custom",
        }] if record.choice is not None else [],
        "evaluation": {"score": 0.0 if score is None else score, "is_correct": record.status == "correct"},
        "error": record.error or (None if score is not None else f"{record.status}: no score"),
        "metadata": {**item.slices, "status": record.status, "task": task, "dataset": item.dataset},
    }  # fmt: skip


def _score(record: Record) -> float | None:
    """Return the score of an item: 1 or 0 for an answer, 0 to 6 for a description, the quality score otherwise."""
    if record.status in ("correct", "wrong", "unparsed"):
        return float(record.status == "correct")
    return judged_mean(record, "sum") if record.task == "description" else record.score
