"""Broken and unusual checkpoints: one line with cause and remedy, and never silent random weights."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from pytest_qbench.doctor.conformance import photo, prompts
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.checkpoint_hash import weights_hash
from pytest_qbench.models.errors import OutOfMemoryError, is_out_of_memory, item_errors, loading_error, quiet
from pytest_qbench.models.transformers.likelihood import float32_head
from pytest_qbench.models.transformers.loading import pick_dtype
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import QUALITY_WORDS, RATE_PREFIX, Prompt
from pytest_qbench.records import CUT, Response

Checkpoint = Callable[[str], Path]
HEAD = "language_model.lm_head.weight"


@pytest.fixture
def copy(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint("llava"), tmp_path / "copy"))


def edit_weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def drop_a_tensor(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop(sorted(weights)[5]))


def change_a_shape(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.update({HEAD: weights[HEAD][:-1].clone()}))


def unknown_type(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "nonsense"}))


def remote_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForImageTextToText": "own.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("class Odd(Exception): pass\nraise Odd('first line\\nsecond line')\n")


def pickled(content: bytes) -> Callable[[Path], Any]:
    """Put a file that torch would unpickle in the place of the weights."""

    def breakage(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(content)

    return breakage


class Runs:
    def __reduce__(self) -> Any:
        return os.mkdir, ("/tmp/qbench-unpickled",)


@pytest.mark.parametrize("breakage, message", [
    (pickled(pickle.dumps(Runs())), "a weight file is damaged"),
    (pickled(pickle.dumps({"a": [1, 2]})[:-3]), "a weight file is damaged"),
    (pickled(b""), "a weight file is damaged|cannot be loaded"),
    (pickled(random.Random(1).randbytes(5000)), "a weight file is damaged"),
    (pickled(b"PK\x03\x04" + bytes(500)), "a weight file is damaged|cannot be loaded"),
    (truncate, "a weight file is damaged .*fetch the model again"),
    (lambda folder: (folder / "model.safetensors").write_bytes(bytes(999)), "a weight file is damaged"),
    (drop_a_tensor, r"1 weights missing \(first: .*\); fetch the model again"),
    (change_a_shape, "weight shapes differ from config.json"),
    (lambda folder: (folder / "processor_config.json").unlink(), "preprocessor_config.json is missing"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    (unknown_type, "model type `nonsense`"),
    (remote_code, "--qbench-model-arg=trust_remote_code=true"),
])  # fmt: skip
def test_a_broken_folder_is_an_error_with_cause_and_remedy(
    copy: Path, breakage: Callable[[Path], Any], message: str
) -> None:
    breakage(copy)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(parse_spec(str(copy)), {})
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 450
    assert not Path("/tmp/qbench-unpickled").exists()


def test_crashing_remote_code_is_one_line(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote_code(copy)
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(copy / "modules"))
    with pytest.raises(ModelError, match=r"cannot be loaded: Odd: first line$"):
        load_model(parse_spec(str(copy)), {"trust_remote_code": "true"})


def test_a_text_model_that_only_loading_can_detect_is_an_error(tmp_path: Path) -> None:
    config = transformers.T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=9)
    with quiet():
        transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is a 't5' model: transformers has no vision-language model"):
        load_model(parse_spec(str(tmp_path)), {})


@pytest.mark.parametrize("args, message", [
    ({"device": "cuda:77"}, "this machine has \\d+ CUDA devices"),
    ({"attn_implementation": "nonsense"}, "attn_implementation"),
    ({"quantization_config": "{}"}, "quant"),
    ({"max_pixels": "100"}, "do not apply to its image processor"),
])  # fmt: skip
def test_an_unsupported_argument_is_an_error(checkpoint: Checkpoint, args: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(parse_spec(str(checkpoint("llava"))), args)


def test_nan_logits_are_an_item_error(copy: Path) -> None:
    edit_weights(copy, lambda weights: weights[HEAD][3].fill_(torch.nan))
    model = load_model(parse_spec(str(copy)), {})
    for ask in (
        lambda: model.next_token_logprobs(prompts(2, prefix=RATE_PREFIX), QUALITY_WORDS),
        lambda: model.option_loglikelihoods(prompts(2), [["Yes", "No"], ["motion blur"]]),
        lambda: model.generate(prompts(2), 4),
    ):
        with pytest.raises(ItemError, match=r"^item/0: the model returned NaN"):
            ask()


def test_a_text_that_cannot_be_scored_is_an_error(loaded: Callable[[str], TransformersModel]) -> None:
    model = loaded("llava")
    with pytest.raises(ModelError, match="cannot score an empty text"):
        model.next_token_logprobs(prompts(1, prefix=RATE_PREFIX), ["good", ""])
    with pytest.raises(ItemError, match=r"^item/1: llava: cannot score an empty text"):
        model.option_loglikelihoods(prompts(2), [["Yes"], ["Yes", " "]])


def test_a_word_that_merges_with_the_prefix_is_rejected(
    loaded: Callable[[str], TransformersModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = loaded("llava").encoder
    ids = {"The quality is": [1, 2, 3], "The quality is good": [1, 2, 9]}
    monkeypatch.setattr(encoder, "_ids", lambda text: ids[text[text.index("The") :]])
    with pytest.raises(ModelError, match=r"cannot score 'good' after .* their tokens merge"):
        encoder._continuation("The quality is", "good")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_scores_in_float32(checkpoint: Checkpoint, dtype: str) -> None:
    model = load_model(parse_spec(str(checkpoint("llava"))), {"dtype": dtype})
    assert isinstance(model, TransformersModel)
    head, seen = model._model.get_output_embeddings(), []
    hook = head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    questions = prompts(8, prefix=RATE_PREFIX)
    rows = torch.tensor(model.next_token_logprobs(questions, QUALITY_WORDS))
    hook.remove()
    assert seen[0].dtype == getattr(torch, dtype)
    ids = [model.encoder.continuation(RATE_PREFIX, word)[0] for word in QUALITY_WORDS]
    exact = (seen[0][:, -1].double() @ head.weight.double().T).log_softmax(-1)[:, ids]
    torch.testing.assert_close(rows.double(), exact, atol=1e-5, rtol=0)
    assert "forward" not in vars(head)


def test_the_output_head_gives_the_same_logits_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        head = torch.nn.Linear(16, 50).bfloat16()

        def get_output_embeddings(self) -> torch.nn.Linear:
            return self.head

    monkeypatch.setattr("pytest_qbench.models.transformers.likelihood._ROWS", 7)
    model, hidden = Model(), torch.randn(3, 16).bfloat16()
    with torch.no_grad(), float32_head(model):
        logits = model.head(hidden)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, hidden.float() @ model.head.weight.float().T + model.head.bias.float())


def test_dtype_auto_is_float32_on_a_cpu() -> None:
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32
    assert pick_dtype("auto", torch.device("cuda")) == "auto"
    assert pick_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16


def test_a_half_precision_checkpoint_is_widened_on_a_cpu(copy: Path) -> None:
    edit_weights(copy, lambda weights: weights.update({k: v.half() for k, v in weights.items()}))
    model = load_model(parse_spec(str(copy)), {"device": "cpu"})
    assert isinstance(model, TransformersModel)
    assert {parameter.dtype for parameter in model._model.parameters()} == {torch.float32}


def test_checkpoints_with_older_names_of_vision_tensors_load(
    copy: Path, loaded: Callable[[str], TransformersModel]
) -> None:
    def rename(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith("vision_tower.") and ".vision_model." not in name]:
            weights[name.replace("vision_tower.", "vision_tower.vision_model.")] = weights.pop(name)

    edit_weights(copy, rename)
    assert any(name.startswith("vision_tower.vision_model.") for name in load_file(copy / "model.safetensors"))
    model = load_model(parse_spec(str(copy)), {})
    assert model.option_loglikelihoods(prompts(1), [["Yes"]]) == loaded("llava").option_loglikelihoods(
        prompts(1), [["Yes"]]
    )


def test_the_description_identifies_weights_and_settings(
    copy: Path, loaded: Callable[[str], TransformersModel]
) -> None:
    described = loaded("llava").describe()
    assert json.loads(json.dumps(described)) == described
    assert described["architecture"] == "LlavaForConditionalGeneration"
    assert (described["dtype"], described["image_backend"]) == ("float32", "torchvision")
    assert set(described["versions"]) == {"transformers", "torch", "torchvision", "Pillow"}
    assert described["weights"] == weights_hash(copy)
    edit_weights(copy, lambda weights: weights[HEAD][0].mul_(1.01))
    assert described["weights"] != weights_hash(copy)


def test_a_reply_that_ends_at_the_token_limit_is_marked_as_cut() -> None:
    model = load_model(parse_spec("tiny"), {})
    questions = [Prompt("a", "Describe.", (photo(0),)), Prompt("b", "Describe.", (photo(1),))]
    whole = model.generate(questions, 200)
    assert all(isinstance(reply, str) for reply in whole)
    for cut, text in zip(model.generate(questions, 1), whole, strict=True):
        assert isinstance(cut, Response)
        assert cut.finish == CUT
        assert str(text).startswith(str(cut.text))
    length = len(model.encoder.tokenizer(str(whole[0]), add_special_tokens=False)["input_ids"])  # type: ignore[attr-defined]
    replies = [model.generate(questions[:1], limit)[0] for limit in range(length - 2, length + 4)]
    ended = [reply == whole[0] for reply in replies]  # the end token counts towards the limit
    assert ended == sorted(ended)
    assert set(ended) == {False, True}


def test_max_pixels_limits_the_image_tokens(checkpoint: Checkpoint) -> None:
    spec = parse_spec(str(checkpoint("qwen2_vl")))
    sizes = []
    for args in ({}, {"min_pixels": "256", "max_pixels": "256"}):
        model = load_model(spec, args)
        assert isinstance(model, TransformersModel)
        sizes.append(model.encoder(prompts(1))["input_ids"].shape[1])
    assert sizes[1] == sizes[0] - 4 + 1  # 32 by 32 pixels are 2 x 2 image tokens, 16 by 16 are one


def test_sampling_settings_of_the_checkpoint_are_ignored(
    copy: Path, loaded: Callable[[str], TransformersModel]
) -> None:
    settings = json.loads((copy / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 5.0, "num_beams": 3, "repetition_penalty": 9.0, "min_length": 60}
    (copy / "generation_config.json").write_text(json.dumps(settings))
    model = load_model(parse_spec(str(copy)), {})
    assert model.generate(prompts(4), 8) == loaded("llava").generate(prompts(4), 8)


def test_out_of_memory_errors_are_recognized() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes"))
    with pytest.raises(OutOfMemoryError, match="out of memory with a batch of 8"), item_errors(["a"], 8):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    error = loading_error(parse_spec("a/b"), torch.OutOfMemoryError("x"), device="cuda:0")
    assert "does not fit in the memory of cuda:0" in str(error)


@pytest.mark.parametrize("name, message", [
    ("RepositoryNotFoundError", "no model a/b on the hub"),
    ("GatedRepoError", "accept its licence"),
    ("RevisionNotFoundError", "no such revision"),
    ("LocalEntryNotFoundError", "the hub cannot be reached"),
])  # fmt: skip
def test_errors_of_the_hub_have_a_remedy(name: str, message: str) -> None:
    error = OSError("long text\nand more")
    error.__cause__ = type(name, (Exception,), {})("x")
    found = loading_error(parse_spec("a/b"), error, device="cpu")
    assert message in str(found)
    assert "\n" not in str(found)


def test_the_memory_of_a_batch_that_does_not_fit_is_freed() -> None:
    def forward() -> None:
        activations = torch.zeros(10)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    held: list[weakref.ref[torch.Tensor]] = []
    try:
        with item_errors(["a"], 8):
            forward()
    except OutOfMemoryError:
        assert held[0]() is None  # the engine retries with a smaller batch


def test_quiet_restores_log_levels_and_progress_bars() -> None:
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled(), warnings.filters[:]
    with quiet():
        warnings.warn("nobody hears this", stacklevel=1)
        assert log.get_verbosity() > before[0]
    assert (log.get_verbosity(), log.is_progress_bar_enabled(), warnings.filters) == before


def test_close_releases_the_weights(checkpoint: Checkpoint) -> None:
    model = load_model(parse_spec(str(checkpoint("llava"))), {})
    assert isinstance(model, TransformersModel)
    weights = weakref.ref(model._model)
    model.close()
    model.close()
    assert weights() is None


def test_the_image_processor_of_either_backend_is_loaded_and_described() -> None:

    for backend in ("torchvision", "pil"):
        model = load_model(parse_spec("tiny"), {"image_backend": backend})
        assert model.describe()["image_backend"] == backend
        model.close()


def test_a_backend_that_transformers_does_not_have_for_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers falls back to the other backend with a warning."""
    load = transformers.AutoProcessor.from_pretrained
    monkeypatch.setattr(
        transformers.AutoProcessor, "from_pretrained", lambda target, *, backend, **more: load(target, **more)
    )
    with pytest.raises(ModelError, match="no image processor for image_backend=pil, but one for torchvision"):
        load_model(parse_spec("tiny"), {"image_backend": "pil"})
