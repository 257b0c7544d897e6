"""What usually causes a departure of a stage, and what the numbers of this one say about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.runs.explanation import (
    BYTES,
    DECODING,
    EXTRACTION,
    HEAD,
    IMAGE_TOKENS,
    JUDGE,
    LANGUAGE,
    PIXELS,
    PROJECTOR,
    PROMPT,
    TENSOR,
    VISION,
    Stage,
)  # fmt: skip
from pytest_qbench.why.compare import Pair
from pytest_qbench.why.trace import Traces

USUAL: Mapping[str, str] = {
    BYTES: "Usually the images were saved anew: JPEG compression, a resized copy, or another download of the data.",
    PIXELS: "Usually the decoder or what stands before the model changed: EXIF orientation, channel order, a resize or "
    "a second JPEG compression, a colour profile.",
    TENSOR: "Usually the image processor changed: resize filter, fast or slow variant, crop, normalisation, rescale.",
    IMAGE_TOKENS: "Usually the patch size, the number of crops, the limit of pixels or the place of the image in the "
    "template changed.",
    PROMPT: "Usually the chat template, the system text, the prompt set or the tokenizer changed.",
    VISION: "Usually the weights of the vision tower changed, or how they are computed: quantisation, dtype, "
    "attention.",
    PROJECTOR: "Usually the weights of the projector changed, or the layer and tokens that it takes from the vision "
    "tower.",
    LANGUAGE: "Usually the weights of the language model changed, or how they are computed: quantisation, dtype, "
    "attention, positions (RoPE).",
    HEAD: "Usually the output head was quantised, tied to other embeddings or computed in half precision.",
    DECODING: "Usually the settings of generation changed: token limit, temperature, stop words, the order in which "
    "options are scored; or the server samples.",
    EXTRACTION: "The replies are the same; the version of extraction, the options or the words of the score changed.",
    JUDGE: "The replies are the same; the judge, its prompts or its model changed.",
}
"""What usually causes the departure of each stage."""
_NAMED: Mapping[str, tuple[str, ...]] = {
    BYTES: ("data",),
    PIXELS: ("pixels", "model.versions.Pillow"),
    TENSOR: ("image_processor", "model.image_processor", "model.image_backend", "model.versions", "model.settings"),
    IMAGE_TOKENS: ("image_processor", "chat_template", "model.settings"),
    PROMPT: ("chat_template", "prompts", "answer", "model.settings", "model.versions.transformers"),
    VISION: ("model.dtype", "model.attention", "model.device", "model.weights", "model.versions", "model.parameters"),
    DECODING: ("answer", "scoring", "model", "machine", "batch_size"),
    EXTRACTION: ("pytest_qbench", "scoring", "unparsed", "answer"),
    JUDGE: ("judge",),
}
"""The conditions that concern a stage, by the beginning of their names. Other stages of the model: as VISION."""
_NAMES = ("model.name", "model.target", "began")
"""Entries that only name a side."""
_LONG = 50
_AFFINE, _CORRELATED = 0.9995, 0.98


def causes(first: str, stage: Stage, pairs: Sequence[Pair], a: Traces, b: Traces) -> list[str]:
    """Return sentences on the cause, the most specific first."""
    found: list[str] = []
    differing = [(one, other) for one, other in pairs if _image_pair(first, one, other) is not None]
    if first in (PIXELS, TENSOR):
        patterns = [_pattern(x, y) for one, other in differing for x, y in [_image_pair(first, one, other)]]  # type: ignore[misc]
        known = [text for text in patterns if text]
        if known:
            found.append(max(set(known), key=known.count))
    if stage.where and (weights := _weights(stage.where, a, b)):
        found.append(weights)
    if stage.where and (others := _other_weights(first, a, b)):
        found.append(f"Weights also differ in: {', '.join(others)}.")
    found += [f"Setting {text}." for text in _named_conditions(first, a, b)]
    found.append(USUAL[first])
    return list(dict.fromkeys(found))


def differing_conditions(a: Traces, b: Traces) -> list[str]:
    """Return each setting that both sides state and that differs, as ``model.dtype: float32 -> bfloat16``."""
    return [
        f"{key}: {' -> '.join(_short_pair(a.conditions[key], b.conditions[key]))}"
        for key in a.conditions
        if key in b.conditions and a.conditions[key] != b.conditions[key] and key not in _NAMES
    ]


def _short_pair(a: str, b: str) -> tuple[str, str]:
    """Return two texts in one line each; of long ones the part from the first difference on."""
    one, other = (" ".join(text.split()) for text in (a, b))
    if max(len(one), len(other)) <= _LONG:
        return one, other
    if all(re.fullmatch("[0-9a-f]{64}", text) for text in (one, other)):  # hashes
        return one[:12], other[:12]
    start = next((i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))
    begin = max(0, start - 10)
    cut = [f"{'...' if begin else ''}{text[begin : begin + _LONG]}" for text in (one, other)]
    return tuple(f"{c}{'...' if begin + _LONG < len(t) else ''}" for c, t in zip(cut, (one, other), strict=True))  # type: ignore[return-value]


def _named_conditions(first: str, a: Traces, b: Traces) -> list[str]:
    names = _NAMED.get(first, _NAMED[VISION])
    return [text for text in differing_conditions(a, b) if text.startswith(names)][:6]


def _weights(part: str, a: Traces, b: Traces) -> str | None:
    """Return what is known of the weights of the first part that departs."""
    if part not in a.weights or part not in b.weights:
        return None
    (digest, dtype), (other_digest, other_dtype) = a.weights[part], b.weights[part]
    if dtype != other_dtype:
        return f"The weights of {part} are {dtype} in A and {other_dtype} in B."
    if digest != other_digest:
        return f"The weights of {part} differ, in the same dtype ({dtype})."
    return f"The weights of {part} are the same: it is computed differently, or gets other inputs."


def _other_weights(first: str, a: Traces, b: Traces) -> list[str]:
    """Return the other stages some of whose weights differ."""
    changed = [stage for name, stage in a.stages.items() if a.weights.get(name) != b.weights.get(name)]
    return [stage for stage in dict.fromkeys(changed) if stage != first]


def _image_pair(first: str, one: object, other: object) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the images of two traces at a stage as (height, width, 3), if they differ and have three channels."""
    from pytest_qbench.why.pictures import image_at

    x, y = image_at(first, one), image_at(first, other)  # type: ignore[arg-type]
    if x is None or y is None or (x.shape == y.shape and bool(np.array_equal(x, y))):
        return None
    return x, y


def _pattern(a: NDArray[np.float64], b: NDArray[np.float64]) -> str | None:
    """Return the known change that turns one image into the other, if there is one."""
    if a.shape == b.shape and _is_alike(a[..., ::-1], b) and not _is_alike(a, b):
        return "B has red and blue exchanged (RGB read as BGR, or the reverse)."
    for name, turned in _turns(a):
        if turned.shape == b.shape and _is_alike(turned, b) and not (a.shape == b.shape and _is_alike(a, b)):
            return f"B is A {name}: an EXIF orientation is applied on one side alone."
    if a.shape != b.shape:
        return None
    fits = [_affine(a[..., c], b[..., c]) for c in range(3)]
    if all(fit is not None for fit in fits):
        gains = [fit for fit in fits if fit is not None]
        if max(abs(gain - 1) + abs(offset) for gain, offset in gains) > 1e-3:
            told = ", ".join(f"{gain:.3g} x {offset:+.3g}" for gain, offset in gains)
            return f"B is A by channel as {told}: other mean, deviation or scale of the normalisation."
    if a.shape[0] >= 16 and a.shape[1] >= 16:
        smooth = _detail(b) / max(_detail(a), 1e-12)
        if smooth < 0.97:
            return f"B is smoother than A ({smooth:.0%} of its fine detail): a softer resize filter or fewer pixels."
        if smooth > 1.03:
            return f"B has more fine detail than A ({smooth:.0%}): a sharper resize filter, noise or compression."
    return None


def _turns(a: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64]]]:
    return [
        ("turned by 90 degrees", np.rot90(a)), ("turned by 270 degrees", np.rot90(a, 3)),
        ("turned by 180 degrees", np.rot90(a, 2)), ("mirrored", a[:, ::-1]), ("mirrored top to bottom", a[::-1]),
        ("transposed", a.transpose(1, 0, 2)), ("transposed and turned", np.rot90(a, 2).transpose(1, 0, 2)),
    ]  # fmt: skip


def _is_alike(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    x, y = a.ravel() - a.mean(), b.ravel() - b.mean()
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    scale = max(float(np.abs(b).max()), 1e-12)
    return bool(size > 0 and float(x @ y) / size > _CORRELATED and float(np.abs(a - b).mean()) < 0.05 * scale)


def _affine(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return gain and offset if one channel is a linear function of the other."""
    x, y = a.ravel(), b.ravel()
    if x.std() < 1e-9 or y.std() < 1e-9 or float(np.corrcoef(x, y)[0, 1]) < _AFFINE:
        return None
    gain, offset = np.polyfit(x, y, 1)
    rest = float(np.abs(y - gain * x - offset).max())
    return (float(gain), float(offset)) if rest < 1e-3 * max(float(np.abs(y).max()), 1e-9) else None


def _detail(image: NDArray[np.float64]) -> float:
    """Return the mean absolute Laplacian of the grey image."""
    g = image.mean(axis=2)
    return float(np.abs(4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]).mean())
