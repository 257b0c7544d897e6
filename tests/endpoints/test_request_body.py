"""A request as large as a photograph arrives whole, with its length, also when it is sent again."""

from __future__ import annotations

import pytest

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.request_body import WHOLE
from tests.endpoints.server import Reply, completion, serving, text_of


@pytest.mark.parametrize("characters", [1000, WHOLE, 5 * WHOLE + 7])
@pytest.mark.filterwarnings("error")
def test_a_large_request_arrives_whole(characters: int) -> None:
    question = "0123456789" * (characters // 10)
    with serving(lambda body, attempt: Reply({}, 500) if attempt == 1 else completion("fine")) as server:
        endpoints = Endpoints(timeout=30, concurrency=4, cache=None)
        client = endpoints.connect(parse_address(f"m@{server.url}"), "model")
        try:
            (reply,) = endpoints.each([0], lambda _: client.chat({"messages": [{"role": "user", "content": question}]}))
        finally:
            endpoints.close()
    assert reply.choices[0].text == "fine"
    assert [text_of(body) for body in server.bodies] == [question] * 2
    for headers in server.headers:
        assert int(headers["Content-Length"]) > characters - 10
        assert "Transfer-Encoding" not in headers
