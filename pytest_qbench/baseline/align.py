"""Find the items of a run in a baseline that was recorded from another encoding of the same benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_qbench.baseline.baseline import Baseline, StoredItem
from pytest_qbench.data.identity import Identity, identity_of
from pytest_qbench.data.item_matching import match
from pytest_qbench.items import Item
from pytest_qbench.records import Key


def align(baseline: Baseline, expected: Mapping[Key, Item]) -> Baseline:
    """Return the baseline with its items under the ids of `expected`, and how many items each rule matched.

    Items without a partner keep their ids. `ambiguous` of the result says which items of `expected` have several
    possible partners.
    """
    if all((stored := baseline.digests.get(key)) and stored == item.digest() for key, item in expected.items()):
        return replace(baseline, matched={"id": len(expected)} if expected else {})
    keys, stored_keys = list(expected), list(baseline.records)
    found = match([_identity(item) for item in expected.values()], [baseline.identities[key] for key in stored_keys])
    partner = {stored_keys[s]: keys[w] for w, s in (found.pairs | found.changed).items()}
    taken = set(partner.values())
    new_keys = {key: partner.get(key) or _free(key, taken) for key in stored_keys}
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
    """Return how many items each rule matched, None where all items matched by their ids."""
    return f"items matched with the baseline: {by_rule(matched)}" if set(matched) - {"id"} else None


def by_rule(matched: Mapping[str, int]) -> str:
    """Return how many items each rule matched, in words."""
    words = {"id": "id", "image": "image", "question": "question and options"}
    return ", ".join(f"{n:,} by {words[rule]}" for rule, n in matched.items())


def _identity(item: Item) -> Identity:
    return item.identity if isinstance(item, StoredItem) and item.identity is not None else identity_of(item)


def _free(key: Key, taken: set[Key]) -> Key:
    """Return a key for an item without a partner: its own, unless an item of the run has this id."""
    task, item = key
    while (task, item) in taken:
        item += " (baseline)"
    return task, item
