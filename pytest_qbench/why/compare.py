"""Compare the traces of two sides stage by stage, and find the first stage that departs beyond numerical noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np

from pytest_qbench.records import Record
from pytest_qbench.runs.explanation import (
    BYTES,
    DECODING,
    DIFFERS,
    EXTRACTION,
    FOLLOWS,
    HARMLESS,
    HEAD,
    IMAGE_TOKENS,
    JUDGE,
    LANGUAGE,
    NOISE,
    PIXELS,
    PROJECTOR,
    PROMPT,
    SAME,
    TENSOR,
    UNSEEN,
    VISION,
    Layer,
    Stage,
)  # fmt: skip
from pytest_qbench.why.difference import relative_difference, whole_difference
from pytest_qbench.why.sides import logprob_difference
from pytest_qbench.why.trace import Noise, Tokens, Trace, Traces

BEYOND = 10.0
"""A difference departs if it is so many times the noise."""
ROUNDING = 2.0**-23
"""Relative rounding of float32: the least noise that is assumed of any computed value."""
LOGPROB_ROUNDING = 1e-4
"""The least noise that is assumed of a log-probability: batches of other sizes change it by this much."""

NOTHING_COMPARED: Mapping[str, str] = {
    **dict.fromkeys((BYTES, PIXELS, TENSOR, IMAGE_TOKENS, PROMPT), "one side does not show it"),
    DECODING: "no item has a reply on both sides",
    EXTRACTION: "no item has the same reply on both sides",
    JUDGE: "no text is judged and the same on both sides",
}
"""Why a stage has nothing to compare, where neither side says why."""

Pair = tuple[Trace, Trace]
_IMAGE_PATH = (BYTES, PIXELS, TENSOR, VISION, PROJECTOR)
"""The stages of the image: one may differ without effect on the next."""
_INPUTS: Mapping[str, tuple[str, ...]] = {
    PIXELS: (BYTES,), TENSOR: (BYTES, PIXELS), VISION: (BYTES, PIXELS, TENSOR),
    PROJECTOR: (BYTES, PIXELS, TENSOR, VISION), PROMPT: (), IMAGE_TOKENS: (BYTES, PIXELS, TENSOR),
}  # fmt: skip
"""The stages that a stage depends on; all later ones depend on all earlier ones."""


def compare(a: Traces, b: Traces) -> tuple[list[Stage], list[Layer]]:
    """Return the comparison of each stage, in order, and of each part of two local models."""
    pairs = [(trace, b.by_item[key]) for key, trace in a.by_item.items() if key in b.by_item]
    noise = a.noise if a.noise.measured else b.noise
    layers = compare_layers(a, b, pairs, noise)
    found = [
        _compared(BYTES, pairs, _bytes, a, b),
        _compared(PIXELS, pairs, _pixels, a, b),
        _compared(TENSOR, pairs, _tensors, a, b),
        _compared(IMAGE_TOKENS, pairs, _image_tokens, a, b),
        _compared(PROMPT, pairs, _prompt, a, b),
        *(_of_layers(stage, layers, pairs, a, b) for stage in (VISION, PROJECTOR, LANGUAGE, HEAD)),
        _compared(DECODING, pairs, partial(_decoding, noise=noise), a, b, noise=noise.logprobs),
        _compared(EXTRACTION, pairs, partial(_extraction, noise=noise), a, b),
        _compared(JUDGE, pairs, partial(_judge, noise=noise), a, b),
    ]
    found = _without_noise_of_texts(found, noise)
    return _ordered(found), layers


def first_departures(stages: Sequence[Stage]) -> list[str]:
    """Return the first stage that departs, and those later ones that depart on their own."""
    return [stage.name for stage in stages if stage.state == DIFFERS]


def compare_layers(a: Traces, b: Traces, pairs: Sequence[Pair], noise: Noise) -> list[Layer]:
    """Return the largest difference of each part over the items. The noise never falls along the way."""
    found = []
    floor = ROUNDING
    for name, stage in a.stages.items():
        if name not in b.stages:
            continue
        floor = max(floor, noise.parts.get(name, 0.0))
        values = [
            relative_difference(one.parts[name], other.parts[name])
            for one, other in pairs
            if name in one.parts and name in other.parts and one.parts[name].shape == other.parts[name].shape
        ]
        if values:
            worst = min(max(values), 1e9)
            found.append(Layer(name, stage, worst, floor, worst > BEYOND * floor))
    return found


# one stage: a comparison returns None where it cannot compare, else the difference, whether it departs, and a text

Found = tuple[float, bool, str] | None


def _compared(
    name: str, pairs: Sequence[Pair], how: Callable[[Trace, Trace], Found], a: Traces, b: Traces,
    noise: float | None = None,
) -> Stage:  # fmt: skip
    results = [found for one, other in pairs if (found := how(one, other)) is not None]
    if not results:
        return Stage(name, UNSEEN, detail=a.unseen.get(name) or b.unseen.get(name) or NOTHING_COMPARED[name])
    departing = [found for found in results if found[1]]
    worst = max(results, key=lambda found: (found[1], found[0]))
    state = DIFFERS if departing else NOISE if worst[0] > 0 else SAME
    return Stage(name, state, len(results), len(departing), min(worst[0], 1e9), noise, detail=worst[2])


def _bytes(a: Trace, b: Trace) -> Found:
    if a.content is None or b.content is None:
        return None
    differ = a.content != b.content
    return float(differ), differ, "the files have other bytes" if differ else ""


def _pixels(a: Trace, b: Trace) -> Found:
    if a.pixels is None or b.pixels is None:
        return None
    if a.sizes != b.sizes:
        sizes = [" and ".join(f"{w} x {h}" for w, h in one.sizes) for one in (a, b)]
        return 1.0, True, f"the images are {sizes[0]} in A and {sizes[1]} in B"
    levels = [np.abs(one.astype(np.int16) - other) for one, other in zip(a.pixels, b.pixels, strict=True)]
    mean = float(np.mean([one.mean() for one in levels])) if levels else 0.0
    most = max((int(one.max()) for one in levels), default=0)
    return mean / 255, most > 0, f"{mean:.2g} of 255 levels on average, {most} at most" if most else ""


def _tensors(a: Trace, b: Trace) -> Found:
    if a.tensors is None or b.tensors is None:
        return None
    if lost := sorted(a.tensors.keys() ^ b.tensors.keys()):
        return 1.0, True, f"only one side has {', '.join(lost)}"
    for name in a.tensors:
        if a.shapes[name] != b.shapes[name]:
            return 1.0, True, f"{name} has the shape {a.shapes[name]} in A and {b.shapes[name]} in B"
    values = {name: whole_difference(a.tensors[name], b.tensors[name]) for name in a.tensors}
    if not values:
        return None
    worst = max(values, key=values.__getitem__)
    departs = not values[worst] <= BEYOND * ROUNDING
    return values[worst], departs, f"{worst} differs by {values[worst]:.2g} of its size" if departs else ""


def _image_tokens(a: Trace, b: Trace) -> Found:
    one, other = a.tokens, b.tokens
    if one is None or other is None:
        return None
    counts = [_image_count(each) for each in (one, other)]
    if None in counts:
        return None
    if counts[0] != counts[1]:
        return 1.0, True, f"an image has {counts[0]} tokens in A and {counts[1]} in B"
    if one.ids is None or other.ids is None or (not one.runs and not other.runs):
        return 0.0, False, f"{counts[0]} tokens an image"
    if [length for _, length in one.runs] != [length for _, length in other.runs]:
        return 1.0, True, f"they stand in {len(one.runs)} runs in A and {len(other.runs)} in B"
    if one.words == other.words and one.runs != other.runs:
        return 1.0, True, f"they begin at position {one.runs[0][0]} in A and {other.runs[0][0]} in B"
    return 0.0, False, f"{counts[0]} tokens from position {one.runs[0][0]}" if one.runs else ""


def _image_count(tokens: Tokens) -> int | None:
    if tokens.ids is not None and tokens.image:
        return sum(length for _, length in tokens.runs)
    return tokens.image_count


def _prompt(a: Trace, b: Trace) -> Found:
    one, other = a.tokens, b.tokens
    if one is None or other is None:
        return None
    if one.ids is not None and other.ids is not None:
        differ = one.words != other.words
        return float(differ), differ, _first_difference(one, other) if differ else f"{len(one.ids)} tokens"
    if one.count is None or other.count is None:
        return None
    differ = one.count != other.count
    return float(differ), differ, f"{one.count} tokens in A, {other.count} in B" if differ else f"{one.count} tokens"


def _first_difference(a: Tokens, b: Tokens) -> str:
    """Return a text that shows the first tokens that differ, without those of images."""
    one, other = (_shown_words(each) for each in (a, b))
    start = next((i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))
    end = next((i for i, (x, y) in enumerate(zip(one[::-1], other[::-1], strict=False)) if x != y), 0)
    end = min(end, min(len(one), len(other)) - start)
    texts = ["".join(words[start : len(words) - end])[:120] or "nothing" for words in (one, other)]
    return f"token {start + 1}: A has {texts[0]!r}, B has {texts[1]!r}"


def _shown_words(tokens: Tokens) -> list[str]:
    texts = tokens.texts or tuple(f"[{token}]" for token in tokens.ids or ())
    return [
        text.replace("▁", " ").replace("Ġ", " ").replace("Ċ", "\n")
        for token, text in zip(tokens.ids or (), texts, strict=True)
        if token not in tokens.image
    ]


def _of_layers(stage: str, layers: Sequence[Layer], pairs: Sequence[Pair], a: Traces, b: Traces) -> Stage:
    own = [layer for layer in layers if layer.stage == stage]
    if not own:
        reason = a.unseen.get(stage) or b.unseen.get(stage) or "the sides have other parts or numbers of tokens"
        return Stage(stage, UNSEEN, detail=reason)
    departing = [layer for layer in own if layer.departs]
    worst = max(own, key=lambda layer: layer.difference)
    state = DIFFERS if departing else NOISE if worst.difference > 0 else SAME
    shown = departing[0] if departing else worst
    count = sum(
        shown.name in one.parts
        and one.parts[shown.name].shape == other.parts[shown.name].shape
        and relative_difference(one.parts[shown.name], other.parts[shown.name]) > BEYOND * shown.noise
        for one, other in pairs
    )
    where, detail = "", f"{len(own)} parts"
    if departing:
        where = shown.name
        place = [layer.name for layer in own].index(shown.name) + 1
        detail = f"from {shown.name} on, part {place} of {len(own)}"
    return Stage(stage, state, len(pairs), count, shown.difference, shown.noise, where, detail)


def same_reply(a: Record, b: Record, noise: Noise) -> bool:
    """Return whether two replies are the same, their log-probabilities up to noise."""
    # One side may have recorded further words.
    shares = not a.logprobs or not b.logprobs or bool(a.logprobs.keys() & b.logprobs.keys())
    return (
        a.response == b.response
        and bool(a.logprobs) == bool(b.logprobs)
        and shares
        and logprob_difference(a, b) <= BEYOND * max(noise.logprobs, LOGPROB_ROUNDING)
    )


def _decoding(a: Trace, b: Trace, noise: Noise) -> Found:
    one, other = a.record, b.record
    if (one.status == "error") != (other.status == "error"):
        return 1.0, True, f"an error on one side: {one.error or other.error}"
    if one.status == "error":
        return None
    if one.response != other.response:
        return 1.0, True, "other texts"
    shared = (one.logprobs or {}).keys() & (other.logprobs or {}).keys()
    if one.response is None and not shared:
        return None
    difference = logprob_difference(one, other)
    return difference, not same_reply(one, other, noise), f"log-probabilities differ by up to {difference:.2g}"


def _extraction(a: Trace, b: Trace, noise: Noise) -> Found:
    one, other = a.record, b.record
    if "error" in (one.status, other.status) or one.task == "description" or not same_reply(one, other, noise):
        return None
    if one.task == "perception":
        differ = one.choice != other.choice and not _is_near_tie(one, noise)
        return float(differ), differ, f"the same reply is read as {one.choice!r} in A and {other.choice!r} in B"
    if one.score is None or other.score is None:
        return None
    difference = abs(one.score - other.score)
    departs = difference > BEYOND * max(noise.scores, LOGPROB_ROUNDING)
    return (
        difference,
        departs,
        f"the same log-probabilities score {one.score:.4g} in A, {other.score:.4g} in B",
    )


def _is_near_tie(record: Record, noise: Noise) -> bool:
    """Return whether the two likeliest options are as close as noise."""
    best = sorted((record.logprobs or {}).values(), reverse=True)[:2]
    return len(best) == 2 and best[0] - best[1] <= 2 * BEYOND * max(noise.logprobs, LOGPROB_ROUNDING)


def _judge(a: Trace, b: Trace, noise: Noise) -> Found:
    one, other = a.record, b.record
    if not one.judge or not other.judge or not same_reply(one, other, noise):
        return None
    differ = {name: list(v) for name, v in one.judge.items()} != {name: list(v) for name, v in other.judge.items()}
    return float(differ), differ, "the same text has other verdicts" if differ else ""


# order: what follows from what


def _without_noise_of_texts(stages: Sequence[Stage], noise: Noise) -> list[Stage]:
    """Count no more texts as different than noise changes, where everything before the decoding is the same."""
    by_name = {stage.name: stage for stage in stages}
    decoding = by_name[DECODING]
    numeric = by_name[HEAD].state in (SAME, NOISE) and by_name[HEAD].compared > 0
    share = noise.texts / noise.measured if noise.measured else 0.0
    if decoding.state == DIFFERS and numeric and share and decoding.differing <= 2 * share * decoding.compared:
        return [replace(s, state=NOISE) if s.name == DECODING else s for s in stages]
    return list(stages)


def _ordered(stages: Sequence[Stage]) -> list[Stage]:
    """Mark the stages that differ without effect on the next one, and those that follow from an earlier one."""
    by_name = {stage.name: stage for stage in stages}
    seen_path = [name for name in _IMAGE_PATH if by_name[name].state != UNSEEN]
    for name, following in list(pairwise(seen_path))[::-1]:
        if by_name[name].state == DIFFERS and by_name[following].state in (SAME, NOISE, HARMLESS):
            by_name[name] = replace(by_name[name], state=HARMLESS)
    names = [stage.name for stage in stages]
    departed: list[str] = []
    for place, name in enumerate(names):
        if by_name[name].state != DIFFERS:
            continue
        inputs = _INPUTS.get(name, tuple(names[:place]))
        if any(earlier in inputs for earlier in departed):
            by_name[name] = replace(by_name[name], state=FOLLOWS)
        departed.append(name)
    return [by_name[name] for name in names]
