"""Reference log-likelihoods from transformers alone: one prompt, no padding, no cache, default positions.

It shares no code with the backend. The processor tokenizes the prompt with and without the reply (for encoder-decoders,
the reply is in the labels). The additional tokens are those of the reply.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from pytest_qbench.models.errors import quiet
from pytest_qbench.prompts import Prompt

PLAIN = {"kosmos-2": "Question: {} Answer:", "blip-2": "Question: {} Answer:", "paligemma": "<image>answer en {}"}


class Oracle:
    def __init__(self, folder: Path) -> None:
        with quiet():
            self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
            self.processor = AutoProcessor.from_pretrained(folder)
        self.kind = self.model.config.model_type

    @torch.no_grad()
    def likelihood(self, prompt: Prompt, reply: str, prefix: str | None = None) -> float:
        """Return the log-probability of the reply, summed over its tokens, after `prefix` if there is one."""
        with quiet():
            if self.model.config.get_text_config().is_encoder_decoder:
                return self._encoder_decoder(prompt, reply, prefix)
            if self.kind == "paligemma":
                return self._suffix(prompt, reply, prefix)
            before = self._encode(prompt, prefix)
            after = self._encode(prompt, f"{prefix} {reply}" if prefix else reply)
            if "qformer_input_ids" in after:  # the Q-Former reads the question, not the reply
                after.update((k, v) for k, v in self._encode(prompt, None).items() if k.startswith("qformer"))
            new = after["input_ids"].shape[1] - before["input_ids"].shape[1]
            assert torch.equal(after["input_ids"][:, :-new], before["input_ids"])
            logits = self.model(**after).logits[0, -new - 1 : -1]
            return self._sum(logits, after["input_ids"][0, -new:])

    def _encode(self, prompt: Prompt, reply: str | None) -> dict[str, Any]:
        images = list(prompt.images)
        if not getattr(self.processor, "chat_template", None):
            text = PLAIN.get(self.kind, "{}").format(prompt.text) + (f" {reply}" if reply else "")
            return dict(self.processor(images=images or None, text=[text], return_tensors="pt"))
        content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": prompt.text}]
        turns = [{"role": "user", "content": content}]
        how: dict[str, Any] = {"add_generation_prompt": True}
        if reply:
            turns.append({"role": "assistant", "content": [{"type": "text", "text": reply}]})
            how = {"continue_final_message": True}
        return dict(
            self.processor.apply_chat_template([turns], tokenize=True, return_dict=True, return_tensors="pt", **how)
        )

    def _encoder_decoder(self, prompt: Prompt, reply: str, prefix: str | None) -> float:
        encoded = self._encode(prompt, None)
        tokens = {
            key: self._plain_ids(text) for key, text in (("with", f"{prefix or ''} {reply}"), ("without", prefix))
        }
        labels = torch.tensor([tokens["with"]])
        new = labels.shape[1] - len(tokens["without"])
        return self._sum(self.model(**encoded, labels=labels).logits[0, -new:], labels[0, -new:])

    def _suffix(self, prompt: Prompt, reply: str, prefix: str | None) -> float:
        """PaliGemma: replies are suffixes after the newline, with their own token type, and end in EOS."""
        text = PLAIN[self.kind].replace("<image>", "<image>" * len(prompt.images)).format(prompt.text)
        sizes, encoded = [], {}
        for suffix in (prefix or "", f"{prefix} {reply}" if prefix else reply):
            encoded = dict(
                self.processor(images=[list(prompt.images)], text=[text], suffix=[suffix], return_tensors="pt")
            )
            sizes.append(encoded["input_ids"].shape[1])
        new = sizes[1] - sizes[0]
        encoded.pop("labels")
        ids = encoded["input_ids"][0, -new - 1 : -1]
        return self._sum(self.model(**encoded).logits[0, -new - 2 : -2], ids)

    def _plain_ids(self, text: str | None) -> list[int]:
        return list(self.processor.tokenizer(text.strip(), add_special_tokens=False)["input_ids"]) if text else []

    @staticmethod
    def _sum(logits: torch.Tensor, targets: torch.Tensor) -> float:
        return float(logits.float().log_softmax(-1).gather(-1, targets[:, None]).sum())
