"""Parse and check `--qbench-model` without weights and without torch."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from pytest_qbench import PACKAGE
from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.errors import ModelError
from pytest_qbench.models.requirements import check_installed
from pytest_qbench.prompts import QUALITY_WORDS, AnswerMode
from pytest_qbench.records import RECORDS
from pytest_qbench.untrusted.files import open_regular
from pytest_qbench.untrusted.parsing import read_json
from pytest_qbench.untrusted.shape import MappingOf, check_shape

Kind = Literal["transformers", "openai", "vllm", "sglang", "llamacpp", "random", "replay"]

FORMS = (
    "an alias (see `qbench models`), a local folder, a hub id ORG/NAME, hf:ID, openai:MODEL@BASE_URL, "
    "vllm:ID|FOLDER, sglang:ID|FOLDER, llamacpp:FILE, replay:PATH or random:SEED"
)
MANAGED = ("vllm", "sglang", "llamacpp")
"""The kinds of models that an engine serves, which the plugin starts."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A model of `models.yaml` and its default arguments."""

    name: str
    target: str
    packaged: bool
    answer: AnswerMode | None
    paper_words: tuple[str, str] | None
    args: Mapping[str, str] = field(hash=False)
    notes: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A parsed `--qbench-model`.

    `target` is an absolute folder or file, a hub id, ``MODEL@BASE_URL`` or a seed. `name` is safe as a folder name, as
    baselines use it. `answer` is the answer mode of the alias (None: the protocol's default). `args` are the model
    arguments of the alias. The user's arguments override them.
    """

    kind: Kind
    target: str
    name: str
    alias: str | None = None
    answer: AnswerMode | None = None
    args: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_local(self) -> bool:
        """Whether the target is a folder or file on this machine that a model is loaded from."""
        return (self.kind == "transformers" or self.is_managed) and Path(self.target).is_absolute()

    @property
    def is_managed(self) -> bool:
        """Whether the plugin starts an engine that serves the model."""
        return self.kind in MANAGED

    @property
    def is_served(self) -> bool:
        """Whether the model answers requests, of a managed engine or of an endpoint."""
        return self.kind == "openai" or self.is_managed


@cache
def aliases() -> Mapping[str, Alias]:
    """Return the aliases of `models.yaml` in file order."""
    import yaml

    raw: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("models.yaml").read_text("utf-8"))
    return {
        name: Alias(
            name=name,
            target=str(PACKAGE / entry["path"]) if "path" in entry else entry["hub"],
            packaged="path" in entry,
            answer=entry.get("answer"),
            paper_words=tuple(entry["paper_words"]) if "paper_words" in entry else None,
            args={key: str(value) for key, value in entry.get("args", {}).items()},
            notes=entry.get("notes", ""),
        )
        for name, entry in raw.items()
    }


def parse_spec(spec: str) -> ModelSpec:
    """Parse the value of --qbench-model. An alias takes precedence over a folder of the same name (write ``./tiny``).

    Raises `ModelError` for an unknown name, with the nearest aliases. This reads only the alias file; `check` reads the
    model's files.
    """
    spec = spec.strip()
    prefix, colon, rest = spec.partition(":")
    if prefix == "random" and colon:
        return ModelSpec("random", rest, f"random-{_safe(rest)}")
    if prefix == "replay" and colon:
        path = Path(rest).expanduser().resolve()
        # The path is a run folder, its records file, or a file of outputs.
        name = path.parent.name if path.name == RECORDS else path.stem if path.is_file() else path.name
        return ModelSpec("replay", str(path), _safe(name))
    if prefix == "openai" and colon:
        address = parse_address(rest)
        return ModelSpec("openai", str(address), _safe(address.model.rpartition("/")[2]))
    if prefix in MANAGED and colon:
        return _parse_managed(cast("Kind", prefix), rest.strip())
    if prefix == "hf" and colon:
        if not _is_hub_id(rest):
            raise ModelError(f"{spec!r}: {rest!r} is not a hub id; write hf:ORG/NAME")
        return ModelSpec("transformers", rest, _safe(rest.rpartition("/")[2]))
    if alias := aliases().get(spec):
        return ModelSpec("transformers", alias.target, alias.name, alias.name, alias.answer, alias.args)
    if spec.startswith(("/", "./", "../", "~")) or (spec and Path(spec).is_dir()):
        folder = Path(spec).expanduser().resolve()
        return ModelSpec("transformers", str(folder), _safe(folder.name))
    if _is_hub_id(spec) and "/" in spec:
        return ModelSpec("transformers", spec, _safe(spec.rpartition("/")[2]))
    if re.fullmatch(r"[a-z_]{2,}", prefix) and colon:
        raise ModelError(f"no backend {prefix + ':'!r} in this version ({spec}); use {FORMS}")
    near = difflib.get_close_matches(spec.lower(), aliases(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? Or use" if near else "use"
    raise ModelError(f"no model {spec!r}: {hint} {FORMS}")


def _parse_managed(kind: Kind, target: str) -> ModelSpec:
    """Parse the model of an engine: an alias, a folder or a hub id; for llama.cpp a file."""
    if kind == "llamacpp":
        file = Path(target).expanduser().resolve()
        return ModelSpec(kind, str(file), _safe(file.stem))
    if alias := aliases().get(target):
        return ModelSpec(kind, alias.target, alias.name, alias.name, alias.answer)
    if target.startswith(("/", "./", "../", "~")) or (target and Path(target).is_dir()):
        folder = Path(target).expanduser().resolve()
        return ModelSpec(kind, str(folder), _safe(folder.name))
    if not _is_hub_id(target):
        raise ModelError(f"{kind}:{target}: write {kind}:FOLDER, {kind}:ORG/NAME or an alias (see `qbench models`)")
    return ModelSpec(kind, target, _safe(target.rpartition("/")[2]))


def check(spec: ModelSpec, vision: bool = True, option: str = "--qbench-model=") -> None:
    """Raise `ModelError` if a model's files or the installed packages show that it cannot load.

    Hub ids are only checked on loading. `vision`: whether the model must read images, which a judge need not. `option`
    is the text before the model's name on the command line.
    """
    if spec.kind == "random":
        if not re.fullmatch(r"[0-9]+", spec.target):
            raise ModelError(f"random:{spec.target}: the seed must be an integer (0 or more), for example random:0")
        return
    if spec.kind == "replay" and not Path(spec.target).exists():
        raise ModelError(
            f"replay:{spec.target}: no such file or folder; name a run folder or outputs of a model, for example "
            "replay:outputs/ with koniq.json in it"
        )
    if spec.kind == "llamacpp":
        _check_gguf(Path(spec.target))
    elif spec.is_local:
        _check_folder(Path(spec.target), vision)
    if spec.kind == "transformers":
        check_installed(f"{option}{spec.alias or spec.target}")


def paper_words(spec: ModelSpec | None) -> tuple[str, str]:
    """Return the two words whose logits give the published assessment scores (A3) of a model.

    The alias, the hub id or, for recorded outputs, the name (`instructblip_t5`) identifies the model.
    """
    if spec is not None:
        name = spec.name.lower().replace("_", "-")
        for alias in aliases().values():
            if alias.paper_words and (alias.name == name or alias.target == spec.target):
                return alias.paper_words
    return QUALITY_WORDS


def _check_folder(folder: Path, vision: bool) -> None:
    if not folder.is_dir():
        raise ModelError(f"no model folder {folder}; use {FORMS}")
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} has no config.json: it is not a model saved by transformers")
    config: Any = read_json(folder / "config.json", error=ModelError, remedy="fetch the model again")
    if not isinstance(config, dict) or not config.get("model_type"):
        raise ModelError(f"{folder / 'config.json'} names no model_type: it is not a model saved by transformers")
    if vision and _is_text_only(config):
        kind = ", ".join(config["architectures"])
        raise ModelError(f"{folder} is a text-only model ({kind}): Q-Bench needs a vision-language model")
    _check_weights(folder)


def _check_gguf(file: Path) -> None:
    if not file.is_file():
        raise ModelError(f"no file {file}; write llamacpp:FILE with the .gguf file of the language model")
    with os.fdopen(open_regular(file), "rb") as opened:
        if opened.read(4) != b"GGUF":
            raise ModelError(f"{file} is not a GGUF file, which llama.cpp needs")


def _check_weights(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        found: Any = read_json(index, error=ModelError, remedy="fetch the model again")
        try:
            check_shape(found, {"weight_map": MappingOf(str)})
            shards = sorted(set(found["weight_map"].values()))
        except ValueError as error:
            raise ModelError(f"{index} cannot be read: {error}; fetch the model again") from None
        missing = [shard for shard in shards if not (folder / shard).is_file()]
        if missing:
            raise ModelError(f"{folder}: {len(missing)} of {len(shards)} weight files missing (first: {missing[0]})")
    elif not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise ModelError(f"{folder} has no weights (*.safetensors)")


def _is_text_only(config: Mapping[str, Any]) -> bool:
    """Return whether a config has an LM head and no key about images. It is False for models with remote code."""
    heads = config.get("architectures") or []
    if not heads or "auto_map" in config or not all(re.search(r"(CausalLM|LMHeadModel|MaskedLM)$", h) for h in heads):
        return False
    return not any(re.search(r"vision|visual|image|img|mm_", key) for key in config)


def _is_hub_id(text: str) -> bool:
    return re.fullmatch(r"(\w[\w.-]*/)?\w[\w.-]*", text) is not None


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
