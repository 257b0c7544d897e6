"""A chat template that takes too much time or memory is an error with the model's name. Others stay unchanged."""

from __future__ import annotations

import resource
import sys
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment
from transformers.utils.chat_template_utils import render_jinja_template

from pytest_qbench.errors import ModelError
from pytest_qbench.models.transformers import template
from pytest_qbench.models.transformers.template import try_template

ENDLESS = {
    "nested ranges": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "powers": "{{ 9**(9**9) }}",
    "powers of variables": "{% set n = 9 %}{{ n**(n**n) }}",
    "only with a reply": "{# content #}{% if messages|length > 1 %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{% endif %}",
}  # fmt: skip
GREEDY = {
    "a text": "{{ 'x' * 10**10 }}",
    "a filter": "{{ 'x'|center(10**11) }}",
    "a format": "{{ '%99999999999d' % 1 }}",
    "doubling": "{% set ns = namespace(x='x' * 1000000) %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
}  # fmt: skip
GOOD = "{% for m in messages %}{{ m.role }}: {% for c in m.content %}{{ c.text or '<image>' }}{% endfor %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}"  # fmt: skip


class Processor:
    """Renders a template as transformers does, without a model."""

    def __init__(self, text: str) -> None:
        self.text, self.calls = text, 0

    def apply_chat_template(self, turns: list[dict[str, Any]], **options: Any) -> str:
        self.calls += 1
        del options["tokenize"]
        (found,), _ = render_jinja_template([turns], chat_template=self.text, **options)
        return str(found)


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_template_that_never_ends_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "SECONDS", 0.5)
    with pytest.raises(ModelError, match="m: its chat template does not end within 0.5 s") as caught:
        try_template("m", Processor(text))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the memory of a process")
@pytest.mark.parametrize("text", GREEDY.values(), ids=GREEDY.keys())
def test_a_template_that_takes_too_much_memory_is_an_error(text: str) -> None:
    with pytest.raises(ModelError, match="m: its chat template (takes more memory|does not end)"):
        try_template("m", Processor(text))


@pytest.mark.parametrize("text", [GOOD, "{{ raise_exception('no') }}", "{{ nothing.at.all }}", "{% if %}", *list(ENDLESS.values())[:2]])  # fmt: skip
def test_the_limits_are_removed_afterwards(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "SECONDS", 2.0)
    before = resource.getrlimit(resource.RLIMIT_AS), sys.gettrace(), SandboxedEnvironment.intercepted_binops, SandboxedEnvironment.call_binop  # fmt: skip
    processor = Processor(text)
    try:
        try_template("m", processor)
    except ModelError:
        assert text in ENDLESS.values()
    else:
        assert processor.calls == 2
    after = resource.getrlimit(resource.RLIMIT_AS), sys.gettrace(), SandboxedEnvironment.intercepted_binops, SandboxedEnvironment.call_binop  # fmt: skip
    assert after == before
