"""Images in data URLs: the bytes of a file arrive as they are."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.endpoints.messages import file_url


@given(st.binary())
def test_a_file_arrives_as_it_is(content: bytes) -> None:
    head, _, data = file_url("image/jpeg", content).partition(",")
    assert head == "data:image/jpeg;base64"
    assert data.encode() == base64.b64encode(content)
