"""How a project's model changes prompts before a backend sees them: its own condition of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_qbench.items import Item
from pytest_qbench.prompts import Prompt, Template, digest, listed, one_line


class PromptChanges:
    """The forms of changed prompts, by task: their hashes and one example.

    A form is the text with ``{question}``, ``{options}`` and ``{context}`` in place of the item's, so that a sentence
    that a project puts before each question is one form. `on_change` is called with each new state.
    """

    def __init__(self, on_change: Callable[[dict[str, Any]], None]) -> None:
        self._on_change = on_change
        self._forms: dict[str, dict[str, str]] = {}

    def add(self, items: Sequence[Item], built: Sequence[Prompt], given: Sequence[Prompt], template: Template) -> None:
        """Compare the prompts that were built for items of one task with those that the backend was given."""
        known = {prompt.key: (item, prompt) for item, prompt in zip(items, built, strict=True)}
        forms = self._forms.setdefault(items[0].task, {})
        new = {}
        for prompt in given:
            item, own = known.get(prompt.key, (None, None))
            if own is not prompt and (own is None or _content(own) != _content(prompt)):
                form = _form(prompt, own, item, template)
                new[digest(form)] = form
        if not new.keys() <= forms.keys():
            forms |= new
            self._on_change({task: _described(own) for task, own in self._forms.items() if own})


def _described(forms: dict[str, str]) -> dict[str, Any]:
    hashes = sorted(forms)
    return {"example": forms[hashes[0]], "hashes": hashes}


def _content(prompt: Prompt) -> tuple[object, ...]:
    return prompt.text, prompt.system, prompt.prefix, prompt.places


def _form(prompt: Prompt, own: Prompt | None, item: Item | None, template: Template) -> str:
    text = prompt.text
    if own is not None and item is not None:
        if own.text and own.text in text:
            text = text.replace(own.text, template.text_for(item), 1)
        else:
            fields = {"options": listed(item.options), "question": item.question, "context": item.context}
            for name, value in fields.items():
                text = text.replace(value, f"{{{name}}}") if value else text
    moved = "" if own is None or own.places == prompt.places else f"images at {list(prompt.places)}"
    return one_line({"system": prompt.system, "": text, "reply": prompt.prefix, "moved": moved or None})
