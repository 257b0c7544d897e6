"""What the hooks record of a network, beside its outputs by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pytest_qbench.why.hooks import PartRecorder


class Twice(nn.Module):
    """A layer, then one norm on all tokens and again on the first one, as the vision towers of BLIP and Kosmos-2."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3)])
        self.norm = nn.LayerNorm(3)
        self.head = nn.Linear(3, 5)

    def get_input_embeddings(self) -> nn.Module:
        return self.layers[0]

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, tokens: Tensor) -> Tensor:
        every = self.norm(self.layers[0](tokens))
        first = self.norm(every[:, :1])
        found: Tensor = self.head(every + first)
        return found


def test_each_call_of_a_part_is_recorded_at_its_place() -> None:
    torch.manual_seed(0)
    network, tokens = Twice(), torch.randn(4, 2, 3)
    recorder = PartRecorder(network)
    with recorder.recording() as parts, torch.no_grad():
        network(tokens)
        network(tokens)  # a second pass is not recorded
    with torch.no_grad():
        layer = network.layers[0](tokens)
        every = network.norm(layer)
        first = network.norm(every[:, :1])
        logits = network.head(every + first)[:, -1:]
    expected = {"layers.0": layer, "norm": every, "norm (call 2)": first, "head": logits}
    assert list(parts) == list(recorder.stages) == list(recorder.weights()) == list(expected)
    for name, value in expected.items():
        assert torch.allclose(torch.from_numpy(parts[name]), value.flatten(0, 1), atol=1e-6), name
    assert recorder.weights()["norm (call 2)"] == recorder.weights()["norm"] != recorder.weights()["head"]
