"""Train `tiny` on known causes: ``python tools/train_tiny.py TRAIN.npz HELDOUT.npz OUT``.

Training has two stages with fixed seeds. First, the vision tower learns the severity of every cause in every patch. Then the whole
model learns to answer in words, to describe and to rate. Several question-answer blocks share one image prefix under a block attention
mask, so that one pass over an image trains about seven questions. Answers are words, never letters. A model of this size does not learn
which letter belongs to which option: its accuracy stayed at chance, and those steps were missing for yes-or-no questions.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import questions as qa
import tiny_parts
import torch
import torch.nn.functional as F
from causes import CAUSES, Recipe
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

GRID = tiny_parts.SIDE // tiny_parts.PATCH
MEAN = torch.tensor(tiny_parts.MEAN).view(1, 3, 1, 1) * 255
STD = torch.tensor(tiny_parts.STD).view(1, 3, 1, 1) * 255
RATING_WEIGHT, DESCRIPTION_WEIGHT, PREFIX_WEIGHT = 4.0, 0.12, 0.05
QUESTIONS_PER_IMAGE = 6


def normalise(images: NDArray[np.uint8]) -> Tensor:
    return (torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() - MEAN) / STD


def load(path: str) -> tuple[NDArray[np.uint8], list[Recipe]]:
    data = np.load(path, allow_pickle=True)
    return data["images"], [Recipe(**r) for r in data["recipes"]]


def targets(recipes: list[Recipe]) -> tuple[Tensor, Tensor]:
    """Return the severity of each cause in [0, 1], per patch (with a flag for motion blur) and per image (with the quality)."""
    n, k = len(recipes), len(CAUSES)
    patch, image = np.zeros((n, GRID * GRID, k + 1), np.float32), np.zeros((n, k + 1), np.float32)
    ramp = np.clip((np.arange(tiny_parts.SIDE) - tiny_parts.SIDE / 2) / 8 + 0.5, 0, 1).reshape(GRID, -1).mean(1)
    for i, r in enumerate(recipes):
        where = np.ones((GRID, GRID), np.float32)
        if r.region:
            where = np.broadcast_to(ramp[:, None] if r.region in ("top", "bottom") else ramp[None], (GRID, GRID))
            where = 1 - where if r.region in ("left", "top") else where
        for cause, s in r.severity.items():
            patch[i, :, CAUSES.index(cause)] = (where * s / 4).ravel()
            image[i, CAUSES.index(cause)] = s / 4 * (0.5 if r.region else 1)
        if r.blur_kind == "motion":
            patch[i, :, k] = where.ravel()
        image[i, k] = r.quality
    return torch.from_numpy(patch), torch.from_numpy(image)


class SeverityHeads(nn.Module):
    """Heads on the vision features, used in training only: one per patch and, on their mean, one per image."""

    def __init__(self) -> None:
        super().__init__()
        width, out = tiny_parts.WIDTH, len(CAUSES) + 1
        self.norm, self.patch, self.image = nn.LayerNorm(width), nn.Linear(width, out), nn.Linear(width, out)

    def loss(self, features: Tensor, patch: Tensor, image: Tensor) -> Tensor:
        x = self.norm(features)
        a, b = self.patch(x).float(), self.image(x.mean(1)).float()
        return 2 * F.binary_cross_entropy_with_logits(a, patch) + F.binary_cross_entropy_with_logits(b, image)


def dct_patches(weight: Tensor, gain: float = 0.12) -> None:
    """Initialize the patch embedding with luma and chroma cosines, whose frequencies show blur, noise and block edges."""
    out_channels, _, p, _ = weight.shape
    n = np.arange(p)
    basis = np.stack([np.cos(np.pi * (n + 0.5) * k / p) * math.sqrt((1 if k == 0 else 2) / p) for k in range(p)])
    order = sorted(((u, v) for u in range(p) for v in range(p)), key=lambda t: t[0] ** 2 + t[1] ** 2)
    n_luma, n_chroma = out_channels * 2 // 3, out_channels // 6
    spread = np.linspace(n_luma // 2, p * p - 1, n_luma - n_luma // 2).astype(int)
    picks = [order[i] for i in np.unique(np.concatenate([np.arange(n_luma // 2), spread]))]
    luma = np.array([0.299, 0.587, 0.114]) * 1.7
    chroma = (np.array([1, -1, 0]) / 1.4, np.array([-0.5, -0.5, 1]) / 1.2)
    filters = [(luma, uv) for uv in picks] + [(c, uv) for uv in order[:n_chroma] for c in chroma]
    out = np.zeros(weight.shape, np.float32)
    for i, (colour, (u, v)) in enumerate(filters[:out_channels]):
        out[i] = colour[:, None, None] * np.outer(basis[u], basis[v]) * (1 + math.hypot(u, v)) ** 0.9
    weight.data.copy_(torch.from_numpy(out * gain))


def features(tower: nn.Module, images: Tensor) -> Tensor:
    return tower(pixel_values=images, output_hidden_states=True).hidden_states[-1][:, 1:]


def batches(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    while True:
        order = rng.permutation(n)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def step(loss: Tensor, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


def train_vision(
    tower: nn.Module,
    data: tuple[NDArray[np.uint8], list[Recipe]],
    held: tuple[NDArray[np.uint8], list[Recipe]],
    steps: int,
) -> SeverityHeads:
    images, recipes = data
    patch, image = targets(recipes)
    heads = SeverityHeads()
    embedding = next(p for name, p in tower.named_parameters() if name.endswith("patch_embedding.weight"))
    dct_patches(embedding)
    parameters = [*tower.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, 1.2e-3, weight_decay=0.02, betas=(0.9, 0.98))
    start, losses = time.time(), []
    for i, ix in zip(range(steps), batches(len(images), 24, np.random.default_rng(1)), strict=False):
        rate = 1.2e-3 * min(1, (i + 1) / 100) * (0.5 * (1 + math.cos(math.pi * i / steps)) * 0.95 + 0.05)
        optimizer.param_groups[0]["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            loss = heads.loss(features(tower, normalise(images[ix])), patch[ix], image[ix])
        step(loss, parameters, optimizer)
        losses.append(loss.item())
        if (i + 1) % 500 == 0 or i + 1 == steps:
            with torch.no_grad():
                found = torch.cat(
                    [
                        heads.image(heads.norm(features(tower, normalise(held[0][j : j + 100]))).mean(1))
                        for j in range(0, len(held[0]), 100)
                    ]
                )
            srcc = spearmanr(found[:, -1], [r.quality for r in held[1]])[0]
            print(
                f"vision {i + 1} {time.time() - start:.0f}s loss {np.mean(losses[-200:]):.4f} held-out quality SRCC {srcc:.3f}",
                flush=True,
            )
    return heads


@torch.no_grad()
def start_projector(model: nn.Module, data: tuple[NDArray[np.uint8], list[Recipe]]) -> None:
    """Initialize the projector: first units from a ridge regression of severities, at thresholds; the rest from principal directions."""
    count, width, ridge_gain = 2000, tiny_parts.WIDTH, 10.0
    x = (
        torch.cat([features(model.model.vision_tower, normalise(data[0][i : i + 100])) for i in range(0, count, 100)])
        .flatten(0, 1)
        .double()
    )
    y = targets(data[1][:count])[0].flatten(0, 1).double()
    mean, target_mean = x.mean(0), y.mean(0)
    centred = x - mean
    covariance = centred.T @ centred / len(x)
    ridge = covariance + 1e-3 * covariance.diagonal().mean() * torch.eye(width).double()
    w = torch.linalg.solve(ridge, centred.T @ (y - target_mean) / len(x)).T
    first, bias, row = torch.zeros(width, width).double(), torch.zeros(width).double(), 0
    for k in range(len(w)):
        for threshold in (0.05, 0.2, 0.4, 0.65):
            first[row], bias[row] = ridge_gain * w[k], ridge_gain * (target_mean[k] - threshold - w[k] @ mean)
            row += 1
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors, rest = values.flip(0), vectors.flip(1), width - row
    first[row:] = (vectors[:, :rest] * values[:rest].clamp(min=values[48].item()).rsqrt()).T
    bias[row:] = -first[row:] @ mean
    scale = torch.full((width,), 0.25).double()
    scale[:row] = 1.5
    projector = model.model.multi_modal_projector
    projector.linear_1.weight.copy_(first)
    projector.linear_1.bias.copy_(bias)
    projector.linear_2.weight.copy_(torch.linalg.qr(torch.randn(width, width).double())[0] * scale)
    projector.linear_2.bias.zero_()


Block = tuple[list[int], list[int], list[float]]  # input ids, labels (-1: none, -2: rating), weights


class Blocks:
    """Turn recipes into packed token batches."""

    def __init__(self, tokens: object, rng: np.random.Generator) -> None:
        self.tokens, self.rng = tokens, rng
        image = tokens.convert_tokens_to_ids("<image>")
        self.prefix = [tokens.bos_token_id, *self.encode("USER: "), *[image] * GRID * GRID, *self.encode("\n")]
        self.rating_words = [self.encode(f" {w}")[0] for w in ("good", "poor", "average")]
        whole = tokens.encode(
            "<s>USER: " + "<image>" * GRID * GRID + "\nIs it? ASSISTANT: Yes</s>", add_special_tokens=False
        )
        assert self.prefix + self.answer("Is it?", "Yes", 1.0)[0] + [tokens.eos_token_id] == whole

    def encode(self, text: str) -> list[int]:
        return self.tokens.encode(text, add_special_tokens=False)

    def answer(self, question: str, answer: str, weight: float) -> Block:
        p, t = self.encode(f"{question} ASSISTANT:"), [*self.encode(f" {answer}"), self.tokens.eos_token_id]
        lead = len(p) - 1
        return p + t[:-1], [-1] * lead + t, [0.0] * lead + [weight] * (len(t) - 1) + [weight * 0.3]

    def of(self, recipe: Recipe) -> list[Block]:
        blocks, seen = [], set()
        for _ in range(QUESTIONS_PER_IMAGE):
            q = qa.random_question(recipe, self.rng)
            if q and q.text not in seen:
                seen.add(q.text)
                blocks.append(self.answer(f"{q.text}\n{qa.SHORT_ANSWER}", q.answer, 1.0))
        if self.rng.random() < 0.5:
            blocks.append(self.answer(qa.DESCRIBE, qa.golden(recipe), DESCRIPTION_WEIGHT))
        p, t = self.encode(f"{qa.RATE} ASSISTANT:"), self.encode(f" {qa.RATE_PREFIX}")
        lead = len(p) - 1
        blocks.append((p + t, [-1] * lead + t + [-2], [0.0] * lead + [PREFIX_WEIGHT] * len(t) + [RATING_WEIGHT]))
        return blocks

    def pack(self, recipes: list[Recipe]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        rows = [self.of(r) for r in recipes]
        p, n = len(self.prefix), len(rows)
        length = (p + max(sum(len(b[0]) for b in row) for row in rows) + 15) // 16 * 16
        ids, labels = torch.full((n, length), self.tokens.pad_token_id), torch.full((n, length), -1)
        weights, positions = torch.zeros(n, length), torch.zeros(n, length, dtype=torch.long)
        block = torch.full((n, length), -1)
        for i, row in enumerate(rows):
            ids[i, :p], positions[i, :p], block[i, :p] = torch.tensor(self.prefix), torch.arange(p), 0
            at = p
            for j, (tokens, label, weight) in enumerate(row):
                k = at + len(tokens)
                ids[i, at:k], labels[i, at:k], weights[i, at:k] = (
                    torch.tensor(tokens),
                    torch.tensor(label),
                    torch.tensor(weight),
                )
                positions[i, at:k], block[i, at:k] = p + torch.arange(len(tokens)), j + 1
                at = k
        causal = torch.ones(length, length).tril().bool()
        visible = (
            causal & ((block[:, None, :] == 0) | (block[:, None, :] == block[:, :, None])) | torch.eye(length).bool()
        )
        return ids, labels, weights, positions, torch.zeros(n, 1, length, length).masked_fill(~visible[:, None], -1e9)


def rating_target(q: float) -> tuple[float, float, float]:
    """Return the target probabilities of good, poor and average, with good / (good + poor) = 0.03 + 0.94 q."""
    average, good = 0.3 * (1 - abs(2 * q - 1)), 0.03 + 0.94 * q
    return good * (1 - average), (1 - good) * (1 - average), average


@torch.no_grad()
def evaluate(model: nn.Module, blocks: Blocks, held: tuple[NDArray[np.uint8], list[Recipe]]) -> str:
    """Return a summary on held-out data: fraction of correct first tokens by type, and SRCC of the rating."""
    rng, right, scores = np.random.default_rng(5), {0: [], 1: [], 2: []}, []
    own = Blocks(blocks.tokens, rng)
    good, poor, _ = blocks.rating_words
    for i in range(0, len(held[0]), 20):
        ids, labels, weights, positions, mask = own.pack(held[1][i : i + 20])
        with torch.autocast("cpu", torch.bfloat16):
            h = model.model(
                input_ids=ids,
                pixel_values=normalise(held[0][i : i + 20]),
                attention_mask=mask,
                position_ids=positions,
                use_cache=False,
            )
            logits = model.lm_head(h.last_hidden_state).float()
        rated = (labels == -2).nonzero()
        scores += (logits[rated[:, 0], rated[:, 1], good] - logits[rated[:, 0], rated[:, 1], poor]).tolist()
        first = (weights == 1) & (torch.roll(weights, 1, 1) == 0)
        yes, no = own.encode(" Yes")[0], own.encode(" No")[0]
        hit, label = (logits.argmax(-1) == labels)[first], labels[first]
        for kind, sel in ((0, (label == yes) | (label == no)), (1, (label != yes) & (label != no))):
            right[kind] += hit[sel].tolist()
    srcc = spearmanr(scores, [r.quality for r in held[1]])[0]
    return f"held-out yes/no {np.mean(right[0]):.3f} other {np.mean(right[1]):.3f} SRCC {srcc:.3f}"


def train_words(
    model: nn.Module,
    heads: SeverityHeads,
    tokens: object,
    data: tuple[NDArray[np.uint8], list[Recipe]],
    held: tuple[NDArray[np.uint8], list[Recipe]],
    steps: int,
    out: Path,
) -> None:
    images, recipes = data
    rng = np.random.default_rng(2)
    blocks = Blocks(tokens, rng)
    patch, image = targets(recipes)
    tower = {id(p) for p in model.model.vision_tower.parameters()}
    groups = []
    for in_tower in (True, False):
        for decay in (True, False):
            chosen = [
                p
                for n, p in model.named_parameters()
                if (id(p) in tower) == in_tower and (p.ndim >= 2 and "embed" not in n) == decay
            ]
            groups.append({"params": chosen, "weight_decay": 0.05 if decay else 0.0, "scale": 0.5 if in_tower else 1.0})
    groups.append({"params": list(heads.parameters()), "weight_decay": 0.0, "scale": 1.0})
    optimizer = torch.optim.AdamW(groups, 1.2e-3, betas=(0.9, 0.98))
    parameters = [p for g in groups for p in g["params"]]
    caught: list[Tensor] = []
    model.model.multi_modal_projector.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    start, losses = time.time(), []
    for i, ix in zip(range(steps), batches(len(images), 12, rng), strict=False):
        done = i / steps
        decay = 1.0 if done < 0.5 else 0.5 * (1 + math.cos(math.pi * (done - 0.5) / 0.5))
        for g in optimizer.param_groups:
            g["lr"] = 1.2e-3 * min(1, (i + 1) / 150) * (decay * 0.97 + 0.03) * g["scale"]
        ids, labels, weights, positions, mask = blocks.pack([recipes[j] for j in ix])
        caught.clear()
        with torch.autocast("cpu", torch.bfloat16):
            h = model.model(
                input_ids=ids,
                pixel_values=normalise(images[ix]),
                attention_mask=mask,
                position_ids=positions,
                use_cache=False,
            ).last_hidden_state
            chosen = labels != -1
            logits = model.lm_head(h[chosen]).float()
            auxiliary = heads.loss(caught[0], patch[ix], image[ix])
        y, w = labels[chosen], weights[chosen]
        rated = y == -2
        logp = logits.log_softmax(-1)
        nll = torch.zeros(len(y))
        nll[~rated] = -logp[~rated].gather(1, y[~rated][:, None])[:, 0]
        soft = torch.tensor([rating_target(recipes[j].quality) for j in ix])
        nll[rated] = -(soft * logp[rated][:, blocks.rating_words]).sum(1)
        step((nll * w).sum() / w.sum() + 0.6 * auxiliary, parameters, optimizer)
        losses.append((nll * w).sum().item() / w.sum().item())
        if (i + 1) % 500 == 0 or i + 1 == steps:
            model.eval()
            print(
                f"words {i + 1} {time.time() - start:.0f}s loss {np.mean(losses[-200:]):.4f} {evaluate(model, blocks, held)}",
                flush=True,
            )
            model.train()
        if (i + 1) % 2000 == 0 or i + 1 == steps:
            torch.save(model.state_dict(), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("heldout")
    parser.add_argument("out", type=Path)
    parser.add_argument("--vision-steps", type=int, default=5000)
    parser.add_argument("--word-steps", type=int, default=9000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", help="weights.pt of an interrupted second stage: skips the first")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    tokens = tiny_parts.tokenizer()
    model = tiny_parts.model(tokens)
    model.set_attn_implementation("eager")
    data, held = load(args.train), load(args.heldout)
    if args.start:
        model.load_state_dict(torch.load(args.start, weights_only=True))
        heads = SeverityHeads()
    else:
        heads = train_vision(model.model.vision_tower, data, held, args.vision_steps)
        start_projector(model, data)
    args.out.mkdir(parents=True, exist_ok=True)
    train_words(model, heads, tokens, data, held, args.word_steps, args.out / "weights.pt")
    tiny_parts.processor(tokens).save_pretrained(args.out / "processor")


if __name__ == "__main__":
    main()
