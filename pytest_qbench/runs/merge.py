"""Run folders of shards -> one run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_qbench.data.sharding import shard_of
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import RECORDS, SCHEMA
from pytest_qbench.runs.items_file import write_items
from pytest_qbench.runs.read import SUMMARY, read_run, read_summary
from pytest_qbench.untrusted.files import write_text

# What may differ between machines, or be unknown to a shard without descriptions: no record depends on it.
_MACHINE = ("machine",)
_JUDGED = ("judge", "judge_rounds")
_CONTROL = "judge_control"  # each shard judged texts of its own


def merge(folders: Sequence[Path], out: Path) -> Results:
    """Join the runs of all shards of one selection in the new folder `out`; raises `UsageError`.

    Refuses runs that are no shards, made under different conditions, of overlapping or missing shards, and such that
    lack items.
    """
    shards = {folder: _shard(folder) for folder in folders}
    parts = {n for _, n in shards.values()}
    if len(parts) > 1:
        raise UsageError(f"shards of different splits: {', '.join(f'{f} is {i}/{n}' for f, (i, n) in shards.items())}")
    _check_complete(shards, parts.pop())
    runs = {folder: read_run(folder) for folder in sorted(folders, key=lambda folder: shards[folder])}
    _check_alike(runs)
    for folder, run in runs.items():
        _check_whole(folder, run, *shards[folder])
    first = next(iter(runs.values()))
    selection = {k: v for k, v in first.fingerprint["selection"].items() if k != "shard"}
    merged = Results(
        [record for run in runs.values() for record in run.records],
        {key: item for run in runs.values() for key, item in run.expected.items()},
        {**first.fingerprint, **_judge(list(runs.values())), "selection": selection},
        tuple(dict.fromkeys(entry for run in runs.values() for entry in run.left_out)),
        narrowed=bool(selection.get("limit") or selection.get("datasets")),
    )
    _write(out, merged, [read_summary(folder) for folder in folders])
    return merged


def _judge(runs: Sequence[Results]) -> dict[str, Any]:
    """The judge, from a shard that had descriptions."""
    for run in runs:
        if run.fingerprint.get("judge") is not None:
            return {key: run.fingerprint[key] for key in _JUDGED} | {_CONTROL: _control(runs)}
    return {}


def _control(runs: Sequence[Results]) -> dict[str, Any]:
    """The control scores of all shards together; the judge failed where it failed on one."""
    scores: dict[str, dict[str, Any]] = {}
    found = [control for run in runs if (control := run.fingerprint.get(_CONTROL))]
    for kind, texts in (entry for control in found for entry in control["scores"].items()):
        scores.setdefault(kind, {}).update(texts)
    return {"scores": scores, "failed": next((c["failed"] for c in found if c["failed"]), None)}


def _shard(folder: Path) -> tuple[int, int]:
    shard = (read_summary(folder)["fingerprint"].get("selection") or {}).get("shard")
    if not shard:
        raise UsageError(f"{folder}: is no shard: it was run without --qbench-shard=I/N")
    part, parts = shard
    return int(part), int(parts)


def _check_complete(shards: Mapping[Path, tuple[int, int]], parts: int) -> None:
    seen: dict[int, Path] = {}
    for folder, (part, _) in shards.items():
        if part in seen:
            raise UsageError(f"{folder} and {seen[part]} overlap: both are shard {part}/{parts}")
        seen[part] = folder
    if missing := [f"{part}/{parts}" for part in range(1, parts + 1) if part not in seen]:
        raise UsageError(f"shards are missing: {', '.join(missing)}; name their run folders too")


def _check_alike(runs: Mapping[Path, Results]) -> None:
    (first, one), *others = runs.items()
    for folder, run in others:
        for key in dict.fromkeys((*one.fingerprint, *run.fingerprint)):
            old, new = one.fingerprint.get(key), run.fingerprint.get(key)
            if key == "selection":
                old, new = ({k: v for k, v in each.items() if k != "shard"} for each in (old or {}, new or {}))
            if key in (*_MACHINE, _CONTROL) or (key in _JUDGED and None in (old, new)):
                continue
            if old != new:
                raise UsageError(f"{first} and {folder} differ: {key}: {old} -> {new}")


def _check_whole(folder: Path, run: Results, part: int, parts: int) -> None:
    for task, item in run.expected:
        if shard_of(task, item, parts) != part:
            raise UsageError(f"{folder}: {item} does not belong to shard {part}/{parts}")
    if missing := [id_ for task in dict.fromkeys(t for t, _ in run.expected) for id_ in run.missing(task)]:
        raise UsageError(
            f"{folder}: {len(missing)} items were not measured (first: {missing[0]}); resume it first: "
            f"--qbench-resume --qbench-run-dir={folder}"
        )


def _write(out: Path, merged: Results, shards: Sequence[Mapping[str, Any]]) -> None:
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": "NOT GATED: joined from shards; judge it with qbench compare",
        "model": merged.fingerprint.get("model"),
        "fingerprint": dict(merged.fingerprint),
        "items": merged.counts(),
        "metrics": [asdict(m) for m in (*merged.metrics, *merged.diagnostics)],
        "gates": [],
        "sight": None,
        "left_out": [asdict(entry) for entry in merged.left_out],
        "notes": [],
        "baseline": shards[0]["baseline"],
        "began": min(str(shard["began"]) for shard in shards),
        "seconds": round(sum(float(shard["seconds"]) for shard in shards), 3),
    }
    try:
        out.mkdir(parents=True)
        write_text(out / RECORDS, (record.to_json() + "\n" for record in merged.records))
        write_items(out, merged.expected.values())
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_text(out / SUMMARY, text)
    except FileExistsError as e:
        raise UsageError(f"--out={out}: exists; name a new folder") from e
    except OSError as e:
        raise UsageError(f"--out={out}: cannot be written: {e.strerror}") from e
