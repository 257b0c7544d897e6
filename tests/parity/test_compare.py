"""The verdict on two runs: equal, different or cannot tell, with margins from a second measurement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_qbench.metrics.results import Results
from pytest_qbench.parity.compare import by_slice, compare_runs, largest_moves
from pytest_qbench.parity.pairs import NotComparable
from pytest_qbench.records import Record
from tests.builders import picture, question, results, scored, text

N = 400
QUESTIONS = [question(i, type_="yes_or_no" if i < N // 2 else "what") for i in range(N)]
PICTURES = [picture(i, float(i)) for i in range(N)]


def answer(i: int, margin: float) -> Record:
    """Return the record of question i, answered by likelihood; `margin` is log p(Yes) - log p(No)."""
    item = QUESTIONS[i]
    choice = "Yes" if margin > 0 else "No"
    return Record.of(
        item, "correct" if choice == item.answer else "wrong", choice=choice, logprobs={"Yes": margin, "No": 0.0}
    )


def score(i: int, margin: float) -> Record:
    return Record.of(PICTURES[i], "measured", score=1 / (1 + np.exp(-margin)), logprobs={"good": margin, "poor": 0.0})


def run(noise: float = 0.0, seed: int = 0, shift: float = 0.0, broken: range = range(0)) -> Results:
    """Return a run whose log-odds differ from those of the model by normal noise, a shift, and for `broken` by sign."""
    rng = np.random.default_rng(1)
    own = np.random.default_rng(seed)
    odds = rng.normal(0, 2, (2, N)) + noise * own.normal(size=(2, N)) + shift
    odds[0, list(broken)] *= -1
    records = [answer(i, float(odds[0, i])) for i in range(N)] + [score(i, float(odds[1, i])) for i in range(N)]
    return results([*QUESTIONS, *PICTURES], records)


def verdicts(a: Results, b: Results, again: Results | None = None, **margins: float) -> dict[str, str]:
    pair = None if again is None else (again, a)
    found = compare_runs(a, b, pair, {name.replace("_", "."): value for name, value in margins.items()})
    return {"": found.verdict, **{row.measure.name: row.verdict for row in found.rows}}


def test_a_run_equals_itself_also_where_the_noise_floor_is_zero_or_not_known() -> None:
    a = run()
    equal = dict.fromkeys(("", "perception.drift", "perception.flips", "assessment.drift"), "equal")
    assert verdicts(a, a) == verdicts(a, a, a) == equal


def test_as_much_change_as_in_the_second_measurement_is_equal_and_four_times_as_much_different() -> None:
    a, again = run(), run(0.02, seed=2)
    found = compare_runs(a, run(0.02, seed=3), (again, a))
    assert found.verdict == "equal"
    drift = found.rows[0]
    moved = [abs(_p(x) - _p(y)) for x, y in zip(again.records[:N], a.records[:N], strict=True)]
    assert drift.floor == pytest.approx(np.mean(moved))
    assert drift.margin == pytest.approx(2 * np.mean(moved))
    assert drift.interval[0] < drift.value < drift.interval[1] < drift.margin
    assert compare_runs(a, run(0.08, seed=3), (again, a)).verdict == "different"


def _p(record: Record) -> float:
    yes = np.exp(record.logprobs["Yes"])
    return float(yes / (1 + yes))


def test_at_twice_the_noise_the_data_cannot_tell() -> None:
    assert verdicts(run(), run(0.04, seed=3), run(0.02, seed=2))[""] == "cannot tell"


def test_without_a_noise_floor_a_middling_change_cannot_be_judged_and_a_large_one_can() -> None:
    assert verdicts(run(), run(0.1, seed=3))["perception.drift"] == "cannot tell"
    assert verdicts(run(), run(2.0, seed=3))["perception.drift"] == "different"


def test_a_margin_of_the_user_decides() -> None:
    a, b = run(), run(0.1, seed=3)
    assert verdicts(a, b, perception_drift=0.05)["perception.drift"] == "equal"
    assert verdicts(a, b, perception_drift=0.002)["perception.drift"] == "different"


def test_a_difference_says_in_which_slice_and_in_which_items() -> None:
    """Noise of 0.2 moves every item; one answer in five is turned around as well."""
    a, again, b = run(), run(0.2, seed=2), run(0.0, broken=range(0, 400, 5))
    found = compare_runs(a, b, (again, a))
    (flips,) = [row for row in found.rows if row.measure.name == "perception.flips"]
    assert (flips.verdict, flips.changed, flips.value) == ("different", 80, 0.2)
    moves = largest_moves(flips, ("good", "poor"), 3)
    assert [new.choice != old.choice for _, new, old in moves] == [True] * 3
    assert by_slice(flips, ())[0] == ("type=yes_or_no", 200, 0.2)


def test_a_loss_beyond_the_gate_is_different_although_so_few_flips_are_within_their_margin() -> None:
    """2.5 % of the answers flip, all from right to wrong: within the margin of flips, but 2.5 points of accuracy."""
    questions = [question(i) for i in range(4000)]

    def made(wrong: int) -> Results:
        records = [
            Record.of(q, "wrong" if i < wrong else "correct", choice="No" if i < wrong else "Yes", response="x")
            for i, q in enumerate(questions)
        ]
        return results(questions, records)

    found = compare_runs(made(0), made(90), None)
    assert [row.verdict for row in found.rows] == ["equal"]
    assert [(c.name, c.is_different, c.paired.delta) for c in found.changes] == [
        ("perception.accuracy", True, pytest.approx(-0.0225))
    ]
    assert found.verdict == "different"


def test_fewer_than_fifty_items_are_never_equal() -> None:
    pictures = PICTURES[:49]
    few = results(pictures, [score(i, 0.1 * i) for i in range(49)])
    found = compare_runs(few, few, (few, few))
    assert (found.verdict, found.rows[0].note) == ("cannot tell", "fewer than 50 items")


def test_unparsed_replies_are_compared_by_their_text() -> None:
    def made(word: str) -> Results:
        return results(QUESTIONS, [Record.of(q, "unparsed", response=word) for q in QUESTIONS])

    assert verdicts(made("Hm"), made("Hm ")) == {"": "equal", "perception.flips": "equal"}
    assert verdicts(made("Hm"), made("Oh"))["perception.flips"] == "different"


def test_texts_are_judged_by_their_grades_and_without_a_judge_word_for_word() -> None:
    items = [text(i) for i in range(60)]

    def made(words: str, grade: int | None) -> Results:
        judge = None if grade is None else {d: [grade] for d in ("completeness", "preciseness", "relevance")}
        return results(items, [Record.of(item, "measured", response=words, judge=judge) for item in items])

    assert verdicts(made("a", 2), made("b", 2)) == {"": "equal", "description.moves": "equal"}
    assert verdicts(made("a", 2), made("b", 1))["description.moves"] == "different"
    bare = [replace(item, golden=()) for item in items]
    a, b = (results(bare, [Record.of(i, "measured", response=w) for i in bare]) for w in "ab")
    assert verdicts(a, b)["description.texts"] == "different"


def test_probabilities_that_some_records_lack_cannot_be_told() -> None:
    a, b = run(), run()
    b.records[0] = replace(b.records[0], logprobs=None)
    found = compare_runs(a, b, (a, a))
    assert found.rows[0].note == "1 of 400 items have no recorded probabilities or grades"
    assert found.verdict == "cannot tell"


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda r: replace_items(r, QUESTIONS[1:]), "1 of the 800 items of A are not in B"),
        (lambda r: replace_items(r, [*QUESTIONS, question(N)]), "1 of the 801 items of B are not in A"),
        (lambda r: results([*QUESTIONS, *PICTURES], r.records, prompts="other"), "perception: B differs from A in: prompts"),
        (lambda r: results([*QUESTIONS, *PICTURES], r.records, answer="generate"), "B differs from A in: answer"),
        (lambda r: replace_items(r, [replace(QUESTIONS[0], question="Is it sharp?"), *QUESTIONS[1:]]),
         "1 of 800 items have another text, key or reference"),
    ],
)  # fmt: skip
def test_sides_that_were_asked_otherwise_are_not_compared(change, reason: str) -> None:
    with pytest.raises(NotComparable, match=reason.replace("(", "[(]")):
        compare_runs(run(), change(run()), None)


def replace_items(r: Results, questions: list) -> Results:
    known = {q.id for q in questions} | {p.id for p in PICTURES}
    records = [record for record in r.records if record.item in known]
    if len(questions) > N:
        records.append(Record.of(questions[-1], "wrong", choice="No", logprobs={"Yes": -1.0, "No": 0.0}))
    return results([*questions, *PICTURES], records)


def test_other_images_are_not_compared() -> None:
    a, b = run(), run()
    a.records[3] = replace(a.records[3], picture="1" * 16)
    b.records[3] = replace(b.records[3], picture="2" * 16)
    with pytest.raises(NotComparable, match="1 of 800 items show another image"):
        compare_runs(a, b, None)


def test_recorded_scores_without_probabilities_are_not_compared() -> None:
    bare = results(PICTURES, [scored(p, 0.5 + 0.001 * i) for i, p in enumerate(PICTURES)])
    with pytest.raises(NotComparable, match="assessment mini_a: no item has"):
        compare_runs(bare, bare, None)
