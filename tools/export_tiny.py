"""Write the trained weights into the folder of the package: ``python tools/export_tiny.py TRAINED pytest_qbench/tiny``.

The format is fp16 safetensors. The vision tensors keep the original names of LLaVA checkpoints
(`vision_tower.vision_model...`), which servers need and transformers still reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tiny_parts
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor


def main(trained: Path, out: Path) -> None:
    tokens = tiny_parts.tokenizer()
    model = tiny_parts.model(tokens)
    model.load_state_dict(torch.load(trained / "weights.pt", weights_only=True))
    model = model.half().eval()
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tiny_parts.processor(tokens).save_pretrained(out)
    file = out / "model.safetensors"
    with safe_open(file, "pt") as f:
        tensors = {k.replace("vision_tower.", "vision_tower.vision_model.", 1): f.get_tensor(k) for k in f.keys()}
    save_file(tensors, file, metadata={"format": "pt"})
    file.chmod(0o644)
    loaded, info = AutoModelForImageTextToText.from_pretrained(out, dtype=torch.float16, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    for (name, a), b in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(a, b), name
    AutoProcessor.from_pretrained(out)
    print(
        sum(p.numel() for p in model.parameters()) / 1e6,
        "M parameters",
        file.stat().st_size / 1e6,
        "MB",
        sorted(tensors)[:2],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
