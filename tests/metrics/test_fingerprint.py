"""Fingerprints: the conditions for a comparison, and the round trip through JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.metrics.fingerprint import Fingerprint, Selection, differences, fingerprint, other_differences
from pytest_qbench.metrics.prompt_fingerprint import LEGACY_DEFAULT_HASH, are_changed_by_project, describe_prompts
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import MAX_NEW_TOKENS, AnswerMode
from pytest_qbench.runs.conditions import conditions_hash
from pytest_qbench.runs.made_with import MadeWith
from pytest_qbench.scoring.score import DEFAULT


def made(answer: AnswerMode = "generate", prompt_set: Any = None, altered: Any = None, **limits: int) -> Fingerprint:
    return fingerprint(
        answer=answer, blind=False, pixels=1, judge=None, judge_rounds=1, model={}, prompt_set=prompt_set,
        altered=altered, max_new_tokens={**MAX_NEW_TOKENS, **limits},
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
    "prompts": TEXT | st.just(describe_prompts(packaged_set("paper"), "generate")), "answer": TEXT, "blind": st.booleans(), "judge": st.none() | NAMED, "judge_rounds": COUNT,
    "scoring": st.fixed_dictionaries(
        {"words": st.lists(TEXT, min_size=2, max_size=5), "temperature": st.floats(1, 100)},
        optional={"halves": st.just("mean"), "asked": TEXT},
    ),
    "pytest_qbench": TEXT, "model": NAMED, "data": TEXT,
    "selection": st.fixed_dictionaries(
        {"datasets": st.none() | st.lists(TEXT, min_size=1), "split": TEXT, "limit": st.none() | COUNT, "seed": COUNT},
        optional={"tasks": st.lists(TEXT, min_size=1), "shard": st.lists(COUNT, min_size=2, max_size=2)},
    ),
}  # fmt: skip
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "pixels": COUNT, "unparsed": NAMED, "marking": NAMED, "answer_tokens": COUNT, "description_tokens": COUNT, "machine": TEXT,
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


def test_a_baseline_from_before_the_sets_compares_with_the_default_prompts_alone() -> None:
    earlier = replace(made(), prompts=LEGACY_DEFAULT_HASH)
    assert differences("perception", earlier, made()) == differences("perception", made(), earlier) == []
    likelihood = replace(made("likelihood"), prompts=LEGACY_DEFAULT_HASH)
    assert differences("perception", likelihood, made("likelihood")) == []
    (told,) = differences("perception", earlier, made(prompt_set=packaged_set("paper")))
    assert told.startswith('prompts: "{context}\\n{question}\\n{options}\\nAnswer with')
    assert "Choose between one of the following options:" in told
    altered = {"perception": {"example": "Look. {question}", "hashes": ["a"]}}
    (told,) = differences("perception", earlier, made(altered=altered))
    assert told.endswith('-> "Look. {question}"')
    assert differences("assessment", earlier, made(altered=altered)) == []
    assert are_changed_by_project(made(altered=altered).prompts)
    assert not are_changed_by_project(made().prompts)
    (told,) = differences("assessment", replace(made(), prompts="0123"), made())
    assert told.startswith('prompts: "prompts 0123, whose text was not recorded" -> "{context}\\nRate the quality')


def test_sets_that_ask_a_task_alike_compare_in_it() -> None:
    hub, default = made(prompt_set=packaged_set("hub")), made()
    assert differences("perception", hub, default) == []
    align = made(prompt_set=packaged_set("q-align"))
    assert differences("description", align, default) == []
    assert differences("assessment", align, default)


def test_forms_of_two_processes_are_joined() -> None:
    one = MadeWith(altered={"perception": {"example": "b", "hashes": ["2"]}})
    one.add(
        MadeWith(
            altered={
                "perception": {"example": "a", "hashes": ["1", "2"]},
                "assessment": {"example": "c", "hashes": ["3"]},
            }
        )
    )
    one.add(MadeWith())
    assert one.altered == {
        "perception": {"example": "a", "hashes": ["1", "2"]}, "assessment": {"example": "c", "hashes": ["3"]},
    }  # fmt: skip
    assert "altered" not in one.identity()


def test_a_projects_change_of_prompts_leaves_the_conditions_of_records_alone() -> None:
    """The first records are written before anyone knows it."""
    altered = made(altered={"perception": {"example": "Look. {question}", "hashes": ["a"]}})
    assert conditions_hash("perception", altered) == conditions_hash("perception", made())
    assert conditions_hash("perception", made(prompt_set=packaged_set("paper"))) != conditions_hash(
        "perception", made()
    )
    assert Fingerprint.from_json(altered.to_json()) == altered


def test_a_baseline_of_an_endpoint_that_does_not_say_how_images_were_sent_sent_them_as_png() -> None:
    def of(**more: str) -> Fingerprint:
        return Fingerprint(model={"backend": "openai", "name": "m", **more})

    assert other_differences(of(), of(images="files")) == ["model.images: png -> files"]
    assert other_differences(of(), of(images="png")) == []
    assert other_differences(Fingerprint(model={"name": "m"}), Fingerprint(model={"name": "m"})) == []


@pytest.mark.parametrize("shard", [[1], [1, 2, 3]])
def test_a_shard_is_a_number_of_a_number(shard: list[int]) -> None:
    with pytest.raises(ValueError, match=r"selection\.shard is \["):
        Selection.from_json({"shard": shard})
    assert Selection.from_json({"shard": [1, 2]}).shard == (1, 2)
    assert Selection.from_json({"shard": []}).shard is None
