"""Load the model and processor of a spec, and describe them."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from pytest_qbench.errors import ModelError, QBenchError
from pytest_qbench.models.checkpoint_hash import settings_hash, weights_hash
from pytest_qbench.models.errors import FAILURES, expected_failures, loading_error, quiet
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.models.transformers.devices import Accelerators, Worker, choose_device
from pytest_qbench.models.transformers.text_processor import TextProcessor

# Imports in functions: importing a model class from transformers takes seconds.

CLIP = "clip"


def is_clip(spec: ModelSpec, args: Mapping[str, str]) -> bool:
    """Return whether the checkpoint is a CLIP model. Raises `ModelError` as `load` does."""
    from transformers import PreTrainedConfig

    where: dict[str, Any] = {"local_files_only": True} if spec.is_local else {"revision": args.get("revision", "main")}
    try:
        with quiet():
            config, _ = PreTrainedConfig.get_config_dict(spec.target, **where)
    except FAILURES as error:
        raise loading_error(spec, error, device="cpu") from error
    return bool(config.get("model_type") == CLIP)


def pick_device(args: Mapping[str, str], worker: Worker) -> torch.device:
    """Return the device of this process. Raises `ModelError` if it is missing or another worker has it."""
    accelerators = Accelerators(
        torch.cuda.device_count() if torch.cuda.is_available() else 0, torch.backends.mps.is_available()
    )
    share = args.get("share_gpu") == "true"
    return torch.device(choose_device(args.get("device", "auto"), accelerators, worker, share=share))


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype | str:
    """Return the dtype to load. `auto` is the checkpoint's, but float32 on a CPU, where half precision is slow."""
    if wanted != "auto":
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype
    return torch.float32 if device.type == "cpu" else "auto"


def load(
    spec: ModelSpec, args: Mapping[str, str], worker: Worker, *, vision: bool = True
) -> tuple[Any, Any, torch.device]:
    """Return model (in eval mode, on its device), processor and device. Raises `ModelError` in one line."""
    device = pick_device(args, worker)
    trust = args.get("trust_remote_code") == "true"
    with loading_errors(spec, args, device):
        return *_load(spec, args, device, trust, vision), device


@contextmanager
def loading_errors(spec: ModelSpec, args: Mapping[str, str], device: torch.device) -> Iterator[None]:
    """Convert the errors of an unusable checkpoint to `ModelError`, in one line."""
    from jinja2 import TemplateError  # raised by a chat template
    from safetensors import SafetensorError

    damaged = (SafetensorError, pickle.PickleError, EOFError, struct.error, zlib.error)  # what readers of weights raise
    failures: tuple[type[Exception], ...] = (*expected_failures(args), *damaged, TemplateError)
    try:
        with quiet():
            yield
    except QBenchError:
        raise
    except failures as error:
        raise loading_error(spec, error, device=str(device)) from error


def _load(spec: ModelSpec, args: Mapping[str, str], device: torch.device, trust: bool, vision: bool) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor

    common: dict[str, Any] = {"trust_remote_code": trust}
    if spec.is_local:
        common["local_files_only"] = True
    elif "revision" in args:
        common["revision"] = args["revision"]
    config = AutoConfig.from_pretrained(spec.target, **common)
    text_only = not vision and _is_language_model(config)
    auto = AutoModelForCausalLM if text_only else _auto_class(spec, config, trust)
    backend = {"backend": args["image_backend"]} if "image_backend" in args else {}
    processor = (
        TextProcessor.load(spec.target, **common)
        if text_only
        else AutoProcessor.from_pretrained(spec.target, **common, **backend)
    )
    if not hasattr(processor, "image_processor"):
        raise ModelError(
            f"{spec.target} has no image processor (preprocessor_config.json): save its processor beside it"
        )
    if backend and (found := getattr(processor.image_processor, "backend", None)) != args["image_backend"]:
        raise ModelError(
            f"{spec.target} has no image processor for image_backend={args['image_backend']}, but one for {found}; "
            "leave the argument out"
        )
    _bound_pixels(spec, processor, args)
    options: dict[str, Any] = {"dtype": pick_dtype(args.get("dtype", "auto"), device)}
    if "attn_implementation" in args:
        options["attn_implementation"] = args["attn_implementation"]
    if "quantization_config" in args:
        options["quantization_config"] = _quantization(args["quantization_config"])
    if "quantization_config" in args or getattr(config, "quantization_config", None):
        options["device_map"] = {"": str(device)}  # quantized weights cannot move afterwards
    model, info = auto.from_pretrained(spec.target, config=config, output_loading_info=True, **options, **common)
    if missing := sorted(info["missing_keys"]):
        raise ModelError(f"{spec.target}: {len(missing)} weights missing (first: {missing[0]}); fetch the model again")
    if "device_map" not in options:
        model = model.to(device)
    return model.eval(), processor


def _is_language_model(config: Any) -> bool:
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    known = type(config)
    return known in AutoModelForCausalLM._model_mapping and known not in AutoModelForImageTextToText._model_mapping


def _auto_class(spec: ModelSpec, config: Any, trust: bool) -> Any:
    """Return the Auto class that supports this config. The second one has a few more models."""
    from transformers import AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM

    if config.model_type == CLIP:
        return AutoModel

    for auto in (AutoModelForImageTextToText, AutoModelForMultimodalLM):
        if type(config) in auto._model_mapping or (trust and auto.__name__ in getattr(config, "auto_map", {})):
            return auto
    raise ModelError(
        f"{spec.target} is a {config.model_type!r} model: transformers has no vision-language model of this type"
    )


def _quantization(text: str) -> Any:
    from transformers.quantizers.auto import AutoQuantizationConfig

    return AutoQuantizationConfig.from_dict(json.loads(text))


def _bound_pixels(spec: ModelSpec, processor: Any, args: Mapping[str, str]) -> None:
    """Set the minimum and maximum pixels of an image, for processors whose image tokens grow with the image."""
    edges = {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
    bounds = {edge: int(args[key]) for key, edge in edges.items() if key in args}
    if not bounds:
        return
    known = getattr(getattr(processor.image_processor, "valid_kwargs", None), "__annotations__", {})
    if "max_pixels" not in known:
        raise ModelError(
            f"{spec.target}: min_pixels and max_pixels do not apply to its image processor; leave them out"
        )
    for edge, pixels in bounds.items():
        processor.image_processor.size[edge] = pixels


class Deterministic:
    """Deterministic settings of torch: a fixed seed and, on a GPU, deterministic algorithms if they exist."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(0)
        self._before: tuple[bool, bool, bool, bool] | None = None
        if device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
            self._before = (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
                torch.backends.cudnn.benchmark,
                torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            )
            self._set(True, True, False, False)

    def undo(self) -> None:
        """Restore the earlier settings, but not the seed."""
        if self._before is not None:
            self._set(*self._before)
            self._before = None

    @staticmethod
    def _set(enabled: bool, warn_only: bool, benchmark: bool, fill: bool) -> None:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def describe(spec: ModelSpec, model: Any, processor: Any, device: torch.device) -> dict[str, Any]:
    """Return the identity and settings of the loaded model as plain values."""
    images = processor.image_processor
    return {
        "backend": "transformers",
        "name": spec.name,
        "target": spec.alias or (Path(spec.target).name if spec.is_local else spec.target),
        "architecture": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "weights": weights_hash(Path(spec.target)) if spec.is_local else getattr(model.config, "_commit_hash", None),
        **({"settings": settings_hash(Path(spec.target))} if spec.is_local else {}),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "attention": model.config._attn_implementation,
        "image_processor": type(images).__name__,
        "image_backend": getattr(images, "backend", "unknown"),
        "versions": {name: _version(name) for name in ("transformers", "torch", "torchvision", "Pillow")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
