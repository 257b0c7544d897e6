"""What a processor takes for a prompt: the turns of its chat template, or a plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from PIL import Image

from pytest_qbench.errors import ModelError
from pytest_qbench.models.transformers.architectures import Architecture
from pytest_qbench.models.transformers.template import bounded, template_failures, try_template
from pytest_qbench.prompts import Prompt

PROBE = ("Question", "Reply")
"""The texts that show where a chat template puts a question and a reply."""
STAND_IN = Image.new("RGB", (32, 32))
"""An image for templates and processors that need one and do not look at it."""


class TurnBuilder:
    """Builds turns and plain texts for one model.

    `has_template` says whether the processor has a chat template, `moves_images` whether images stand before the text,
    wherever the prompt has them. Raises `ModelError` for a template that exceeds its limits.
    """

    def __init__(self, name: str, processor: Any, tokenizer: Any, architecture: Architecture) -> None:
        self._name, self._processor, self._architecture = name, processor, architecture
        self.has_template = bool(getattr(processor, "chat_template", None))
        if self.has_template:
            try_template(name, processor)
        self._controls = _control_tokens(processor, tokenizer)
        self._systems: dict[str, Any] = {}
        self.moves_images = self._find_whether_images_move()

    def turns(self, prompt: Prompt, images: Sequence[Any], prefix: str | None) -> list[dict[str, Any]]:
        """Return the turns of a prompt: system, user, and with `prefix` the beginning of the assistant's."""
        parts: list[str | int] = [p if isinstance(p, int) else self._escape(p) for p in prompt.parts(len(images))]
        turns = _conversation(parts, images, prefix)
        if prompt.system is not None:
            turns.insert(0, {"role": "system", "content": self._system_content(prompt.system)})
        return turns

    def plain_text(self, prompt: Prompt, images: int, placeholder: str) -> str:
        """Return the prompt of a model without a chat template."""
        if prompt.system is not None:
            raise ModelError(f"{self._name}: has no chat template and takes no system text; choose prompts without one")
        plain = self._architecture.plain.text
        if self.moves_images:  # in front of the architecture's own words, too
            return placeholder * images + plain.format(text=self._escape(prompt.text))
        parts = prompt.parts(images)
        first = next((i for i, part in enumerate(parts) if isinstance(part, str)), len(parts))
        text = "".join(placeholder if isinstance(part, int) else self._escape(part) for part in parts[first:])
        return placeholder * first + plain.format(text=text)

    def find_separators(self) -> tuple[str, str, str]:
        """Return the text between question and reply, that between question and prefix, and a reply's separator.

        Raises `ModelError` for a template that omits the question or the beginning of the reply.
        """
        if not self.has_template:
            plain = self._architecture.plain
            return plain.tail, plain.tail + plain.joint, plain.joint
        question, reply = PROBE
        prompted = self._render(_conversation([question]), add_generation_prompt=True)
        answered = self._render(_conversation([question], prefix=reply), continue_final_message=True)
        if question not in prompted or question not in answered or not answered.endswith(reply):
            raise ModelError(f"{self._name}: its chat template omits the question or the beginning of the reply")
        tail = prompted.rpartition(question)[2]
        prefix_tail = answered[: -len(reply)].rpartition(question)[2]
        if prefix_tail.startswith(tail):
            return tail, prefix_tail, prefix_tail[len(tail) :]
        return tail, prefix_tail, "" if not tail or tail[-1].isspace() else " "

    def _system_content(self, system: str) -> Any:
        """Return a system text in the form that the chat template takes; raises `ModelError` where it takes none."""
        if system not in self._systems:
            escaped = self._escape(system)
            forms: tuple[Any, ...] = ([{"type": "text", "text": escaped}], escaped)
            for form in forms:
                turns = [{"role": "system", "content": form}, *_conversation([PROBE[0]])]
                try:
                    with bounded(self._name):
                        rendered = self._render(turns, add_generation_prompt=True)
                except template_failures():
                    continue
                if escaped.strip() in rendered and "'type'" not in rendered:
                    self._systems[system] = form
                    break
            else:
                raise ModelError(f"{self._name}: its chat template takes no system text; choose prompts without one")
        return self._systems[system]

    def _find_whether_images_move(self) -> bool:
        """Return whether the model puts images before the text, wherever the prompt has them."""
        if not self.has_template:
            return self._architecture.inserts_images
        question, reply = PROBE
        orders: list[list[str | int]] = [[question, 0, reply], [0, question, reply]]
        try:
            with bounded(self._name):
                first, second = (
                    self._render(_conversation(parts, [STAND_IN]), add_generation_prompt=True) for parts in orders
                )
        except template_failures():
            return True
        return first == second

    def _render(self, conversation: list[dict[str, Any]], **how: bool) -> str:
        return str(self._processor.apply_chat_template(conversation, tokenize=False, **how))

    def _escape(self, text: str) -> str:
        """Return `text` with a space inside each control token, so that a question may contain ``<image>``."""
        return self._controls.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def _conversation(
    parts: Sequence[str | int], images: Sequence[Any] = (), prefix: str | None = None
) -> list[dict[str, Any]]:
    """Return a user turn and, with `prefix`, the start of the assistant turn.

    `parts` are texts, and images by number. Content is a list of parts, as some templates ignore strings.
    """
    content = [
        {"type": "image", "image": images[part]} if isinstance(part, int) else {"type": "text", "text": part}
        for part in parts
    ]
    turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if prefix:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": prefix}]})
    return turns


def _control_tokens(processor: Any, tokenizer: Any) -> re.Pattern[str]:
    """Return a pattern of all bracketed control tokens of the tokenizer and the processor."""
    named = (
        getattr(owner, key, None) for owner in (processor, tokenizer) for key in dir(owner) if key.endswith("_token")
    )
    tokens = {"<image>", "<video>", *tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    tokens.update(getattr(token, "content", token) for token in named if token)
    bracketed = [token for token in tokens if isinstance(token, str) and re.fullmatch(r"[<\[|].+[>\]|]", token)]
    return re.compile("|".join(map(re.escape, sorted(bracketed, key=len, reverse=True))))
