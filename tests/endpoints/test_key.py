"""The key is masked in replies and messages, and all other text stays unchanged."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.key import Key
from pytest_qbench.errors import UsageError

SECRET = "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z"
ECHOES = {
    "whole": SECRET,
    "first half": SECRET[:20],
    "last half": SECRET[20:],
    "a blank in it": SECRET[:15] + " " + SECRET[15:],
    "spaced out": " ".join(SECRET),
    "line ends": "\n".join((SECRET[:20], SECRET[20:])),
    "upper case": SECRET.upper(),
    "backwards": SECRET[::-1],
    "hexadecimal": SECRET.encode().hex(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 of a header": base64.b64encode(f"Bearer {SECRET}".encode()).decode(),
    "percent": SECRET.replace("-", "%2D"),
    "invisible": "\u200b".join((SECRET[:12], SECRET[12:])),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
def test_a_repeated_key_is_masked_and_the_text_around_it_stays(echo: str) -> None:
    for scrub in (Key(SECRET).scrub, Key(SECRET).scrub_reply):
        masked = scrub(f"the key <{echo}> is bad")
        assert masked.startswith("the key <")
        assert masked.endswith("> is bad")
        assert "***" in masked
        left = "".join(c for c in masked if c.isalnum()).lower()
        for plain in (SECRET.replace("-", "").lower(), echo.lower()):
            assert not any(plain[i : i + 16] in left for i in range(len(plain) - 15))


@given(st.text())
def test_text_without_the_key_stays_unchanged(text: str) -> None:
    assert Key("0123-ZZQX-XQZZ-3210").scrub_reply(text) == text


@given(st.text(max_size=30), st.integers(0, 20), st.integers(12, 40), st.text(max_size=30))
def test_any_part_of_twelve_characters_is_masked(before: str, start: int, length: int, after: str) -> None:
    part = SECRET[start : start + length]
    if sum(c.isalnum() for c in part) >= 8:
        assert part not in Key(SECRET).scrub(before + part + after)


def test_a_short_key_is_masked_in_messages_but_not_in_replies() -> None:
    assert Key("hunter2").scrub("key hunter2") == "key ***"
    assert Key("hunter2").scrub_reply("key hunter2") == "key hunter2"


def test_a_key_in_the_address_is_a_usage_error_that_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with pytest.raises(UsageError, match="contains the API key") as caught:
        Endpoints().connect(parse_address(f"m@http://127.0.0.1:9/{SECRET}/v1"), "model")
    assert SECRET[3:] not in str(caught.value)
