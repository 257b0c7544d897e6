"""Match the items of a run with those of a baseline that was recorded from another file format of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_qbench.baseline.baseline import Baseline, StoredItem
from pytest_qbench.data.identity import Identity, identity_of
from pytest_qbench.data.item_matching import match
from pytest_qbench.items import Item
from pytest_qbench.records import Key


def align(baseline: Baseline, expected: Mapping[Key, Item]) -> Baseline:
    """Return the baseline with its items under the ids of `expected`.

    Items without a match keep their ids. In the result, `matched` counts the items by matching rule, and `ambiguous`
    holds the items of `expected` with several possible matches.
    """
    if all((stored := baseline.digests.get(key)) and stored == item.digest() for key, item in expected.items()):
        return replace(baseline, matched={"id": len(expected)} if expected else {})
    keys, stored_keys = list(expected), list(baseline.records)
    found = match([_identity(item) for item in expected.values()], [baseline.identities[key] for key in stored_keys])
    partner = {stored_keys[s]: keys[w] for w, s in (found.pairs | found.changed).items()}
    taken = set(partner.values())
    new_keys = {key: partner.get(key) or _unused_key(key, taken) for key in stored_keys}
    return replace(
        baseline,
        records={
            new: record if new == key else replace(record, item=new[1])
            for key, record in baseline.records.items()
            for new in (new_keys[key],)
        },
        digests={new_keys[key]: digest for key, digest in baseline.digests.items()},
        identities={new_keys[key]: identity for key, identity in baseline.identities.items()},
        matched=found.counts(),
        ambiguous={keys[w]: str(reason) for w, reason in found.ambiguous.items()},
    )


def describe_match(matched: Mapping[str, int]) -> str | None:
    """Return a line with the number of items per matching rule, or None if all items matched by id."""
    return f"items matched with the baseline: {count_by_rule(matched)}" if set(matched) - {"id"} else None


def count_by_rule(matched: Mapping[str, int]) -> str:
    """Return the numbers of matched items by rule as text, such as "1,490 by id, 5 by image"."""
    words = {"id": "id", "image": "image", "question": "question and options"}
    return ", ".join(f"{n:,} by {words[rule]}" for rule, n in matched.items())


def _identity(item: Item) -> Identity:
    return item.identity if isinstance(item, StoredItem) and item.identity is not None else identity_of(item)


def _unused_key(key: Key, taken: set[Key]) -> Key:
    """Return the key of an item without a match: its own, or a new one if an item of the run has this id."""
    task, item = key
    while (task, item) in taken:
        item += " (baseline)"
    return task, item
