"""Why two sides differ, as lines for the terminal, and the cells that all reports share."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.report.labels import shortened_id, slice_label
from pytest_qbench.report.text_table import aligned
from pytest_qbench.runs.explanation import DIFFERS, FOLLOWS, UNSEEN, Explanation, SliceLoss, Stage

HEAD = ("stage", "state", "items", "difference", "noise", "")
SLICE_HEAD = ("slice", "items", "lost", "gained", "change inside", "outside", "false discovery rate")
MOST = 8
"""Slices that a report lists."""
_UNITS = {"perception": "right answers", "description": "judged sum", "assessment": "agreement of ranks with the MOS"}


def why_lines(found: Explanation) -> list[str]:
    """Return the whole explanation as lines, the verdict first."""
    rows = [HEAD[:5], *(cells(stage)[:5] for stage in found.stages)]
    told = [text for text in found.conditions if not any(text in cause for cause in found.causes)]
    lines = [f"A: {found.a}", f"B: {found.b}", f"why: {found.verdict}", *aligned(rows, left=2)]
    lines += [f"also on its own: {stage}" for stage in found.also]
    lines += [f"cause: {text}" for text in found.causes]
    lines += [f"differs: {shortened_id(text)}" for text in told]
    lines += [f"not seen: {text}" for text in found.unseen]
    lines += _slice_lines(found)
    return lines + [f"  {e.item}: A {e.a!r}, B {e.b!r}" for e in found.examples if e.a != e.b][:3]


def short_why_lines(found: Explanation) -> list[str]:
    """Return the verdict, its causes and the slices as a few lines."""
    lines = [f"why: {found.verdict}", *(f"  cause: {text}" for text in found.causes[:3])]
    return lines + [f"  {line}" for line in _slice_lines(found)]


def cells(stage: Stage) -> list[str]:
    """Return the cells of a stage under `HEAD`."""
    if stage.state == UNSEEN:
        return [stage.name, stage.state, "", "", "", stage.detail]
    items = f"{stage.differing} of {stage.compared}"
    numbers = ["" if value is None else f"{value:.2g}" for value in (stage.difference, stage.noise)]
    return [stage.name, stage.state, items, *numbers, stage.detail if stage.state in (DIFFERS, FOLLOWS) else ""]


def slice_rows(found: Explanation) -> list[list[str]]:
    """Return the cells of the slices that carry a drop, at most `MOST`, under `SLICE_HEAD`."""
    rows = [
        [slice_name(one), f"{one.n:,}", f"{one.lost:,}", f"{one.gained:,}", f"{one.inside:+.3f}",
         f"{one.outside:+.3f}", f"{one.rate:.2g}"]
        for one in found.slices
        if one.found
    ]  # fmt: skip
    return rows[:MOST]


def slice_name(one: SliceLoss) -> str:
    """Return the name of a slice with the names of nearly the same items."""
    names = [_plain(name) for name in (one.name, *one.aliases)]
    same = f" (nearly the same items: {', '.join(names[1:3])})" if len(names) > 1 else ""
    return f"{one.task}: {names[0]}{same}"


def slice_note(found: Explanation) -> str:
    """Return a sentence on the slices: what was tested, and what a change is."""
    tasks = dict.fromkeys(one.task for one in found.slices)
    units = "; ".join(f"{task}: {_UNITS[task]}" for task in tasks)
    without = "" if found.images_measured else ", without measured properties of the images"
    none = "" if any(one.found for one in found.slices) else "No slice lost more than the other items. "
    count = len(found.slices)
    return f"{none}Tested: {count} slices{without}, false discovery rate 5 %. Changes are means of: {units}."


def _plain(name: str) -> str:
    key, equals, value = name.partition("=")
    if not equals:
        return name
    return f'"{value}" in the question' if key == "word" else slice_label(name)


def _slice_lines(found: Explanation) -> list[str]:
    if not found.slices:
        return []
    rows = slice_rows(found)
    return [f"slices: {slice_note(found)}", *(aligned([SLICE_HEAD, *rows]) if rows else [])]


def replies(found: Explanation) -> Sequence[tuple[str, str, str, str]]:
    """Return item, question and both replies of the items that are shown."""
    return [(one.item, one.asked, one.a, one.b) for one in found.examples]
