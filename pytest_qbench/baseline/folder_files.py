"""The files of one baseline folder, which are readable as a diff.

``baseline.yaml`` holds metrics, fingerprint and date. ``TASK.DATASET[.SPLIT].jsonl`` has one line per item, sorted by
id, so that a diff of two baselines shows the flipped items. A seal (a hash over the whole content) reveals a folder
that was edited by hand or mixed from two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.baseline.lineage import Lineage
from pytest_qbench.baseline.remote import HEAD
from pytest_qbench.data.identity import Identity, identity_from, stored_form
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metric import METRIC, Metric
from pytest_qbench.metrics.noise_floor import NoiseFloor
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import SCHEMA, Record
from pytest_qbench.untrusted.files import LARGE, read_bytes, read_text, write_text
from pytest_qbench.untrusted.parsing import parse_json, read_yaml
from pytest_qbench.untrusted.shape import check_shape

FILE = HEAD
REMEDY = "restore it from version control, or record it again with --qbench-update-baseline"


def head_digest(path: Path) -> str:
    """Return the SHA-256 of `baseline.yaml`, which contains a hash of every other file of the baseline."""
    return hashlib.sha256(read_bytes(path / FILE, LARGE)).hexdigest()


def read_head(path: Path) -> dict[str, Any]:
    """Return the content of `baseline.yaml`. Raises `UsageError` if it is none or of another schema."""
    if not (path / FILE).exists():
        raise UsageError(f"{path}: has no {FILE}: not a baseline")
    head: Any = read_yaml(path / FILE, LARGE, remedy=REMEDY)
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        schema = head.get("schema") if isinstance(head, dict) else None
        raise UsageError(f"{path / FILE}: schema {schema!r} is not {SCHEMA}; record the baseline again")
    return head


def read_files(path: Path) -> Baseline:
    """Return the baseline in a folder. Raises `UsageError`, which names file and line, if any part is damaged."""
    head = read_head(path)
    records: dict[tuple[str, str], Record] = {}
    digests: dict[tuple[str, str], str] = {}
    identities: dict[tuple[str, str], Identity] = {}
    try:
        check_shape(head["metrics"], [METRIC], "metrics")
        metrics = tuple(Metric.from_json(m) for m in head["metrics"])
        for entry in head["files"]:
            text = read_text(path / entry["file"], LARGE, remedy=REMEDY)
            lines = text.removesuffix("\n").split("\n")
            if len(lines) != entry["items"]:
                raise UsageError(f"{path / entry['file']}: {len(lines)} of {entry['items']} items; restore the file")
            if _hash(text) != entry["sha256"]:
                raise UsageError(f"{path / entry['file']}: was changed since it was recorded; {REMEDY}")
            for number, line in enumerate(lines, 1):
                data = parse_json(line)
                digest, identity = data.pop("digest"), data.pop("identity", {})
                if "picture" in data:
                    identity = {**identity, "picture": data["picture"]}
                record = Record.from_dict({"schema": SCHEMA, **data}, f"{path / entry['file']}:{number}")
                records[record.task, record.item] = record
                digests[record.task, record.item] = digest
                identities[record.task, record.item] = identity_from(
                    identity, record.item, record.task, record.dataset, record.split
                )
        if seal(head) != head["seal"]:
            raise UsageError(f"{path / FILE}: was changed since it was recorded; {REMEDY}")
        datetime.fromisoformat(head["recorded"])  # raises ValueError for other text
        noise = NoiseFloor.from_json(head["noise"]) if head["noise"] else None
        made = Fingerprint.from_json(head["fingerprint"])
        return Baseline(
            path.name, path, head["recorded"], made, metrics, records, digests, noise, identities,
            digest=head_digest(path), lineage=Lineage.from_head(head),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsageError(f"{path}: not a whole baseline: {type(e).__name__}: {e}; {REMEDY}") from e


def write_files(
    work: Path, name: str, results: Results, noise: NoiseFloor | None, now: datetime, lineage: Lineage
) -> None:
    """Write all files of a baseline into an empty folder. The seal comes last."""
    import yaml

    files = []
    by_file: dict[str, list[Record]] = {}
    for record in results.records:
        parts = (record.task, record.dataset, record.split)
        by_file.setdefault(".".join(p for p in parts if p) + ".jsonl", []).append(record)
    for file, records in sorted(by_file.items()):
        words = results.fingerprint.words
        lines = [_line(r, results.expected[r.task, r.item], words) for r in sorted(records, key=lambda r: r.item)]
        text = "\n".join(lines) + "\n"
        write_text(work / file, text, durable=True)
        files.append({"file": file, "items": len(lines), "sha256": _hash(text)})
    head = {
        "schema": SCHEMA,
        "name": name,
        "recorded": now.isoformat(timespec="seconds"),
        "files": files,
        "metrics": [_metric_line(m) for m in results.metrics],
        "noise": noise.to_json() if noise else None,
        "fingerprint": results.fingerprint.to_json(),
        **lineage.to_json(),
    }
    head = json.loads(json.dumps(head, allow_nan=False))  # the seal is a hash of the values as they are read back
    head["seal"] = seal(head)
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    write_text(work / FILE, text, durable=True)


def _line(record: Record, item: Item, words: Sequence[str]) -> str:
    """Return one line of a baseline, without the conditions hash: `baseline.yaml` contains the conditions.

    Of an assessment only the score's `words` are kept: comparisons need no others.
    """
    if record.task == "assessment" and record.logprobs:
        record = replace(
            _with_words(record, words),
            repeats=record.repeats and tuple(_with_words(one, words) for one in record.repeats),
        )
    data = {k: v for k, v in record.to_dict().items() if (v is not None or k == "split") and k != "conditions"}
    data["digest"] = item.digest()
    if identity := stored_form(item, has_picture=record.picture is not None):
        data["identity"] = identity
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _with_words(record: Record, words: Sequence[str]) -> Record:
    return replace(record, logprobs={word: v for word, v in (record.logprobs or {}).items() if word in words})


def _metric_line(m: Metric) -> dict[str, Any]:
    kept = {"name": m.name, "dataset": m.dataset, "split": m.split, "slice": m.slice, "value": m.value, "n": m.n}
    return {k: v for k, v in kept.items() if v is not None or k in ("dataset", "split", "slice", "value")}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def seal(head: Mapping[str, Any]) -> str:
    """Return a hash of everything in `baseline.yaml` except the seal itself."""
    return _hash(json.dumps({k: v for k, v in head.items() if k != "seal"}, sort_keys=True, ensure_ascii=False))
