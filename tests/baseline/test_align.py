"""A baseline can be compared with runs on other file formats of the same questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_qbench.baseline.align import align, describe_match
from pytest_qbench.baseline.baseline import Baseline, as_baseline
from pytest_qbench.baseline.store import read_baseline, write_baseline
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.items import FileImage, Item
from pytest_qbench.metrics.results import Results
from tests.builders import answered, question, results

N = 40


def items(folder: Path, *, ids: str, named: bool = False, texts: int = N) -> list[Item]:
    """Return N questions, `texts` of them with a unique text, under ids that begin with `ids`."""
    found = []
    for i in range(N):
        (folder / f"{i}.png").write_bytes(b"picture %d" % i)
        image = FileImage(folder, "images", f"{i}.png")
        found.append(replace(
            question(i % texts), id=f"mini/{ids}{i}", group=f"mini/{ids}{i}", images=(image,),
            image_names=(f"{i}.png",) if named else (),
        ))  # fmt: skip
    return found


def measured(asked: list[Item], wrong: int = 0) -> Results:
    return results(asked, [answered(item, "No" if i < wrong else "Yes") for i, item in enumerate(asked)])


def stored(folder: Path, run: Results) -> Baseline:
    return read_baseline(write_baseline(folder / "baselines", "m", run))


def verdict(run: Results, baseline: Baseline) -> tuple[str, str]:
    result = evaluate("perception.accuracy", run, baseline, Limits(), margin=0.1)
    return result.verdict, result.reason


def test_equal_ids_match_without_other_rules(tmp_path: Path) -> None:
    run = measured(items(tmp_path, ids="q"))
    baseline = align(stored(tmp_path, run), run.expected)
    assert baseline.matched == {"id": N}
    assert describe_match(baseline.matched) is None


def test_other_ids_match_by_question_and_get_the_same_verdict(tmp_path: Path) -> None:
    base = stored(tmp_path, measured(items(tmp_path, ids="json-")))
    for wrong, expected in ((0, "pass"), (20, "regressed")):
        run = measured(items(tmp_path, ids="row"), wrong)
        baseline = align(base, run.expected)
        assert baseline.matched == {"question": N}
        assert verdict(run, baseline)[0] == expected
        assert describe_match(baseline.matched) == f"items matched with the baseline: {N} by question and options"


def test_names_and_images_distinguish_repeated_texts(tmp_path: Path) -> None:
    for named in (True, False):
        base = stored(tmp_path, measured(items(tmp_path, ids="json-", named=True, texts=3), wrong=7))
        run = measured(items(tmp_path, ids="row", named=named, texts=3), wrong=7)
        baseline = align(base, run.expected)
        assert baseline.matched == {"image": N}
        assert {k[1]: r.choice for k, r in baseline.records.items()} == {r.item: r.choice for r in run.records}
        assert all(record.item == item for (_, item), record in baseline.records.items())


def test_an_ambiguous_item_makes_the_gate_invalid_and_names_both_candidates(tmp_path: Path) -> None:
    base = stored(tmp_path, measured([replace(item, images=()) for item in items(tmp_path, ids="json-", texts=39)]))
    run = measured(items(tmp_path, ids="row", texts=39))
    found, reason = verdict(run, align(base, run.expected))
    assert found == "invalid"
    assert "2 items cannot be told apart in baseline m (first: mini/row0 may be mini/json-0 or mini/json-39)" in reason


def test_an_edited_question_is_not_matched_with_another(tmp_path: Path) -> None:
    asked = items(tmp_path, ids="q")
    base = stored(tmp_path, measured(asked))
    run = measured([replace(asked[0], question="Is it something else?"), *asked[1:]])
    found, reason = verdict(run, align(base, run.expected))
    assert found == "invalid"
    assert "1 of 40 items have another text" in reason


def test_an_item_with_the_id_of_another_does_not_get_its_record(tmp_path: Path) -> None:
    """Both data sets number the items, one of them from 1, so the same id means another question."""
    asked = items(tmp_path, ids="")
    base = stored(tmp_path, measured(asked, wrong=9))
    run = measured([replace(item, id=f"mini/{i + 1}") for i, item in enumerate(asked)], wrong=9)
    baseline = align(base, run.expected)
    assert baseline.matched == {"question": N}
    assert verdict(run, baseline)[0] == "pass"


def test_a_baseline_without_identities_matches_by_id(tmp_path: Path) -> None:
    run = measured(items(tmp_path, ids="q"))
    old = replace(as_baseline(tmp_path, run), identities={})
    assert align(old, run.expected).matched == {"id": N}
