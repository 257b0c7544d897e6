"""Hash the conditions of a run. Each record carries the hash, so that a folder mixed from two runs is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from pytest_qbench.metrics.fingerprint import COMPARABLE, DEFAULTS, Fingerprint
from pytest_qbench.metrics.prompt_fingerprint import configured_hash
from pytest_qbench.records import Record


def conditions_hash(task: str, fingerprint: Fingerprint) -> str:
    """Return a hash of the model and the conditions of `task`, 16 hex digits.

    The selection of items and the machine are left out, so that all shards of a run have the same hash.
    """
    entries = fingerprint.to_json()
    named = {key: entries.get(key, DEFAULTS.get(key)) for key in (*COMPARABLE[task], "model")}
    if named.get("option_order") is None:  # records of the usual order are older than this condition
        named.pop("option_order", None)
    named["prompts"] = configured_hash(task, fingerprint.prompts)  # a project's change is known after the first records
    return hashlib.sha256(json.dumps(named, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def foreign_record(records: Iterable[Record], fingerprint: Fingerprint) -> Record | None:
    """Return the first record whose conditions differ from `fingerprint`, or None.

    A record without a hash, as from earlier versions, is accepted.
    """
    expected: dict[str, str] = {}
    for record in records:
        if record.conditions is not None:
            if record.task not in expected:
                expected[record.task] = conditions_hash(record.task, fingerprint)
            if record.conditions != expected[record.task]:
                return record
    return None
