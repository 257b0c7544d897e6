"""Parquet: one row per expected item. Its status is `missing` where the run has no record of it.

The schema's metadata hold the outcome (`qbench.outcome`, ...) and the whole summary (`qbench.summary`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_qbench.exports.content import state
from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.specs import judged_mean
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.outcome import outcome_of


def write(run: FinishedRun, out: str) -> str:
    """Write the file and return its path. A killed process leaves no half of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.float64()
    types = {
        **dict.fromkeys(("item", "task", "dataset", "split", "group", "status", "question", "response", "choice",
                         "answer", "error", "finish", "slices", "logprobs", "judge", "before_status",
                         "before_choice"), text),
        "options": pa.list_(text), "golden": pa.list_(text),
        **dict.fromkeys(("target", "score", "before_score", *DIMENSIONS), number),
    }  # fmt: skip
    outcome = outcome_of(run)
    about = {f"qbench.{name}": value for name, value in state(run, outcome).items()}
    about["qbench.summary"] = run.summary.as_text()
    schema = pa.schema(list(types.items()), metadata=about)
    part = Path(f"{out}.part")
    try:
        pq.write_table(pa.Table.from_pylist(_rows(run), schema=schema), part)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out


def _rows(run: FinishedRun) -> list[dict[str, Any]]:
    rows = []
    for key, item in run.items.items():
        record, before = run.records.get(key), run.before.get(key)
        row: dict[str, Any] = {
            "item": item.id, "task": item.task, "dataset": item.dataset, "split": item.split, "group": item.group,
            "status": record.status if record else "missing", "question": item.question, "answer": item.answer,
            "target": item.target, "options": list(item.options), "golden": list(item.golden),
            "slices": json.dumps(dict(item.slices), ensure_ascii=False),
        }  # fmt: skip
        if record is not None:
            row |= {
                "response": record.response, "choice": record.choice, "score": record.score, "error": record.error,
                "finish": record.finish, **{d: judged_mean(record, d) for d in DIMENSIONS},
                "logprobs": _json(record.logprobs), "judge": _json(record.judge),
            }  # fmt: skip
        if before is not None:
            row |= {"before_status": before.status, "before_choice": before.choice, "before_score": before.score}
        rows.append(row)
    return rows


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(dict(value), ensure_ascii=False)
