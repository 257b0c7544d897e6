"""Fingerprints: the conditions for a comparison, and the round trip through JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.metrics.fingerprint import Fingerprint, differences, fingerprint, other_differences
from pytest_qbench.prompts import MAX_NEW_TOKENS
from pytest_qbench.scoring.score import DEFAULT


def made(answer: str = "generate", **limits: int) -> Fingerprint:
    return fingerprint(
        answer=answer, blind=False, pixels=1, judge=None, judge_rounds=1, model={},
        max_new_tokens={**MAX_NEW_TOKENS, **limits},
    )  # fmt: skip


def test_default_token_limits_are_left_out() -> None:
    assert not {"answer_tokens", "description_tokens"} & made().to_json().keys()


@pytest.mark.parametrize(
    "old, new, perception, description",
    [
        (made(), made(), [], []),
        (made(), made(perception=64), ["answer_tokens: 32 -> 64"], []),
        (made(description=512), made(), [], ["description_tokens: 512 -> 256"]),
        (made("likelihood"), made("likelihood", perception=64), [], []),
    ],
)
def test_other_token_limits_prevent_the_comparison_of_their_task(
    old: Fingerprint, new: Fingerprint, perception: list[str], description: list[str]
) -> None:
    assert differences("perception", old, new) == perception
    assert differences("description", old, new) == description
    assert differences("assessment", old, new) == []


TEXT, COUNT = st.text(max_size=5), st.integers(0, 9)
NAMED = st.dictionaries(TEXT, TEXT, max_size=2)
SCORES = st.dictionaries(TEXT, st.dictionaries(TEXT, st.lists(st.none() | st.floats(0, 2), max_size=3), max_size=2))
ENTRIES: dict[str, st.SearchStrategy[Any]] = {
    "prompts": TEXT, "answer": TEXT, "blind": st.booleans(), "judge": st.none() | NAMED, "judge_rounds": COUNT,
    "scoring": st.fixed_dictionaries(
        {"words": st.lists(TEXT, min_size=2, max_size=2), "temperature": st.floats(1, 100)},
        optional={"halves": st.just("mean"), "asked": TEXT},
    ),
    "pytest_qbench": TEXT, "model": NAMED, "data": TEXT,
    "selection": st.fixed_dictionaries(
        {"datasets": st.none() | st.lists(TEXT, min_size=1), "split": TEXT, "limit": st.none() | COUNT, "seed": COUNT},
        optional={"tasks": st.lists(TEXT, min_size=1), "shard": st.lists(COUNT, min_size=2, max_size=2)},
    ),
}  # fmt: skip
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "pixels": COUNT, "unparsed": NAMED, "answer_tokens": COUNT, "description_tokens": COUNT, "machine": TEXT,
    "judge_control": st.fixed_dictionaries({"scores": SCORES, "failed": st.none() | TEXT}), "batch_size": COUNT,
    "of_another_version": TEXT, "other": TEXT,
}  # fmt: skip


@given(st.fixed_dictionaries(ENTRIES, optional=OPTIONAL))
def test_every_entry_survives_a_round_trip_through_json(entry: dict[str, Any]) -> None:
    assert Fingerprint.from_json(entry).to_json() == entry
    assert other_differences(Fingerprint.from_json(entry), Fingerprint.from_json(entry)) == []


@given(st.sampled_from(sorted({*ENTRIES, *OPTIONAL} - {"of_another_version", "other"})))
def test_an_entry_of_a_wrong_type_is_named_in_the_error(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^fingerprint\.{name} "):
        Fingerprint.from_json({name: [object()]})


def test_the_order_of_the_entries_is_stable() -> None:
    """Users review baselines as diffs. A moved entry would be noise."""
    conditions = fingerprint(
        answer="likelihood", blind=False, judge={"name": "j"}, judge_rounds=5, unparsed=True, pixels=1, model={"name": "m"},
        max_new_tokens={**MAX_NEW_TOKENS, "description": 9}, data="d", machine="x", batch_size=4,
        judge_control={"scores": {}, "failed": None},
    )  # fmt: skip
    assert list(conditions.to_json()) == [
        "prompts", "answer", "scoring", "blind", "pixels", "judge", "judge_rounds", "unparsed", "description_tokens",
        "pytest_qbench", "model", "data", "selection", "machine", "judge_control", "batch_size",
    ]  # fmt: skip


def test_conditions_of_the_model_replace_entries() -> None:
    asked = made("likelihood").with_conditions(
        {"answer": "generate", "scoring": {**DEFAULT.to_json(), "asked": "one word"}}
    )
    assert (asked.answer, asked.asked, asked.words) == ("generate", {"asked": "one word"}, DEFAULT.words)
    assert "asked" in "; ".join(differences("assessment", made(), asked))
