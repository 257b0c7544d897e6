"""Why two sides differ, as a part of a page: verdict, causes, pictures, stages, slices, parts and replies."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.report.markup import Markup, joined, table, tag, void
from pytest_qbench.report.why_text import HEAD, SLICE_HEAD, cells, replies, slice_note, slice_rows
from pytest_qbench.runs.explanation import DIFFERS, FOLLOWS, UNSEEN, Explanation, Layer, Stage

_TONES = {DIFFERS: "bad", FOLLOWS: "open", UNSEEN: "none"}


def why_section(found: Explanation) -> Markup:
    """Return the explanation as a part of a page."""
    causes = [tag("li", text) for text in found.causes]
    differing = [tag("li", text) for text in found.conditions]
    unseen = [tag("li", f"not seen: {text}") for text in found.unseen]
    also = f"On its own departs also: {', '.join(found.also)}." if found.also else ""
    return joined(
        tag("p", tag("strong", found.verdict), class_="bad" if found.first else "good"),
        tag("p", f"A: {found.a}. B: {found.b}. {also}", class_="soft"),
        tag("ul", *causes) if causes else "",
        _pictures(found),
        table(list(HEAD), [_row(stage) for stage in found.stages], class_="stages"),
        tag("ul", *unseen, class_="soft") if unseen else "",
        _slices(found) if found.slices else "",
        _folded(f"Settings that differ ({len(differing)})", tag("ul", *differing)) if differing else "",
        _folded(f"All {len(found.layers)} parts of the models", _layers(found.layers)) if found.layers else "",
        _folded("Replies to the items that differ most", _replies(found)) if found.examples else "",
    )


def _pictures(found: Explanation) -> Markup:
    figures = [
        tag("figure", void("img", src=one.url, alt=one.caption), tag("figcaption", one.caption, class_="soft"))
        for one in found.pictures
    ]
    return tag("div", *figures, class_="why") if figures else Markup("")


def _row(stage: Stage) -> list[Markup | str]:
    name, state, *numbers, detail = cells(stage)
    chip = tag("span", state, class_=f"chip {_TONES.get(stage.state, 'good')}")
    return [tag("strong", name), chip, *numbers, tag("span", detail, class_="words")]


def _slices(found: Explanation) -> Markup:
    rows: list[list[Markup | str]] = [[tag("span", row[0], class_="words"), *row[1:]] for row in slice_rows(found)]
    shown = table(list(SLICE_HEAD), rows, class_="slices") if rows else ""
    return joined(tag("h3", "Slices that carry the drop"), shown, tag("p", slice_note(found), class_="soft"))


def _folded(title: str, content: Markup) -> Markup:
    return tag("details", tag("summary", title), content)


def _layers(layers: Sequence[Layer]) -> Markup:
    rows: list[list[Markup | str]] = [
        [layer.name, layer.stage, f"{layer.difference:.2g}", f"{layer.noise:.2g}",
         tag("span", "departs", class_="chip bad") if layer.departs else ""]
        for layer in layers
    ]  # fmt: skip
    return table(["part", "stage", "difference", "noise", ""], list(rows))


def _replies(found: Explanation) -> Markup:
    rows: list[list[Markup | str]] = [
        [item, *(tag("span", text, class_="words") for text in texts)] for item, *texts in replies(found)
    ]
    return table(["item", "question", "A", "B"], rows)
