"""From a spec to a model and a processor in memory, and what identifies them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from pytest_qbench.errors import ModelError
from pytest_qbench.models.failures import FAILURES, loading_error, quiet
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.models.textonly import TextProcessor

_MIB = 1 << 20


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the device asked for, or the best there is: cuda, mps, cpu. Raises `ModelError` when it is not there."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device={wanted}: this machine has {torch.cuda.device_count()} CUDA devices; use device=auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("device=mps is not available on this machine; use device=auto")
    return device


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype | str:
    """Return the dtype to load in. `auto` is the checkpoint's, but float32 on a CPU, where half precision is slow."""
    if wanted != "auto":
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype
    return torch.float32 if device.type == "cpu" else "auto"


def load(spec: ModelSpec, args: Mapping[str, str], *, sees: bool = True) -> tuple[Any, Any, torch.device]:
    """Return model (in eval mode, on its device), processor and device. Raises `ModelError`, in one line."""
    device = pick_device(args.get("device", "auto"))
    trust = args.get("trust_remote_code") == "true"
    failures: tuple[type[Exception], ...] = FAILURES
    if trust:
        failures = (Exception,)  # the model's own code may raise anything
    else:
        from safetensors import SafetensorError

        failures = (*FAILURES, SafetensorError)
    try:
        with quiet():
            return *_load(spec, args, device, trust, sees), device
    except ModelError:
        raise
    except failures as error:
        raise loading_error(spec, error, device=str(device)) from error


def _load(spec: ModelSpec, args: Mapping[str, str], device: torch.device, trust: bool, sees: bool) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor

    common: dict[str, Any] = {"trust_remote_code": trust}
    if spec.is_local:
        common["local_files_only"] = True
    elif "revision" in args:
        common["revision"] = args["revision"]
    config = AutoConfig.from_pretrained(spec.target, **common)
    reads = not sees and _reads_only(config)
    auto = AutoModelForCausalLM if reads else _auto_class(spec, config, trust)
    processor = (
        TextProcessor.of(spec.target, **common) if reads else AutoProcessor.from_pretrained(spec.target, **common)
    )
    if not hasattr(processor, "image_processor"):
        raise ModelError(
            f"{spec.target} has no image processor (preprocessor_config.json): save its processor beside it"
        )
    _bound_pixels(spec, processor, args)
    options: dict[str, Any] = {"dtype": pick_dtype(args.get("dtype", "auto"), device)}
    if "attn_implementation" in args:
        options["attn_implementation"] = args["attn_implementation"]
    if "quantization_config" in args:
        options["quantization_config"] = _quantization(args["quantization_config"])
    if "quantization_config" in args or getattr(config, "quantization_config", None):
        options["device_map"] = {"": str(device)}  # quantised weights are made where they stay
    model, info = auto.from_pretrained(spec.target, config=config, output_loading_info=True, **options, **common)
    if missing := sorted(info["missing_keys"]):
        raise ModelError(f"{spec.target}: {len(missing)} weights missing (first: {missing[0]}); fetch the model again")
    if "device_map" not in options:
        model = model.to(device)
    return model.eval(), processor


def _reads_only(config: Any) -> bool:
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    known = type(config)
    return known in AutoModelForCausalLM._model_mapping and known not in AutoModelForImageTextToText._model_mapping


def _auto_class(spec: ModelSpec, config: Any, trust: bool) -> Any:
    """Return the Auto class that knows this config; the second is a superset that has a few more models."""
    from transformers import AutoModelForImageTextToText, AutoModelForMultimodalLM

    for auto in (AutoModelForImageTextToText, AutoModelForMultimodalLM):
        if type(config) in auto._model_mapping or (trust and auto.__name__ in getattr(config, "auto_map", {})):
            return auto
    raise ModelError(
        f"{spec.target} is a {config.model_type!r} model: no vision-language model that transformers knows"
    )


def _quantization(text: str) -> Any:
    from transformers.quantizers.auto import AutoQuantizationConfig

    return AutoQuantizationConfig.from_dict(json.loads(text))


def _bound_pixels(spec: ModelSpec, processor: Any, args: Mapping[str, str]) -> None:
    """Set the least and most pixels of an image, for processors whose image tokens grow with the image."""
    edges = {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
    bounds = {edge: int(args[key]) for key, edge in edges.items() if key in args}
    if not bounds:
        return
    known = getattr(getattr(processor.image_processor, "valid_kwargs", None), "__annotations__", {})
    if "max_pixels" not in known:
        raise ModelError(
            f"{spec.target}: min_pixels and max_pixels mean nothing to its image processor; leave them out"
        )
    for edge, pixels in bounds.items():
        processor.image_processor.size[edge] = pixels


def describe(spec: ModelSpec, model: Any, processor: Any, device: torch.device) -> dict[str, Any]:
    """Return what identifies the loaded model and how it runs, as plain values."""
    images = processor.image_processor
    return {
        "backend": "transformers",
        "name": spec.name,
        "target": spec.alias or (Path(spec.target).name if spec.is_local else spec.target),
        "architecture": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "weights": weights_hash(Path(spec.target)) if spec.is_local else getattr(model.config, "_commit_hash", None),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "attention": model.config._attn_implementation,
        "image_processor": type(images).__name__,
        "image_backend": getattr(images, "backend", "unknown"),
        "versions": {name: _version(name) for name in ("transformers", "torch", "torchvision", "Pillow")},
    }


def weights_hash(folder: Path) -> str:
    """Return sha256 over names and contents of the weight files of `folder`, by name; 64 hex digits."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(16 * _MIB):
                digest.update(block)
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
