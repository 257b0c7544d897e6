from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qbench.errors import ModelError, UsageError
from pytest_qbench.models import check, load_model, parse_model_args, parse_spec
from pytest_qbench.models.model_args import MODEL_ARGS
from pytest_qbench.models.specs import aliases, paper_words


def test_every_alias_can_be_parsed() -> None:
    names = aliases()
    assert next(iter(names)) == "tiny"
    assert {"llava", "qwen2-vl", "instructblip-t5", "kosmos-2", "internvl", "idefics3", "gemma3"} <= set(names)
    for name, alias in names.items():
        spec = parse_spec(name)
        assert (spec.alias, spec.name, spec.target) == (name, name, alias.target)
        assert alias.packaged or alias.target.count("/") == 1
        assert alias.notes
        assert parse_model_args(f"{key}={value}" for key, value in alias.args.items()) == dict(alias.args)


def test_tiny_is_in_the_package_and_answers_by_likelihood() -> None:
    spec = parse_spec("tiny")
    assert spec.is_local
    assert Path(spec.target).parts[-2:] == ("pytest_qbench", "tiny")
    assert spec.answer == "likelihood"


@pytest.mark.parametrize("text, kind, target, name", [
    ("llava-hf/llava-1.5-7b-hf", "transformers", "llava-hf/llava-1.5-7b-hf", "llava-1.5-7b-hf"),
    (" llava-hf/llava-1.5-7b-hf ", "transformers", "llava-hf/llava-1.5-7b-hf", "llava-1.5-7b-hf"),
    ("hf:tiny", "transformers", "tiny", "tiny"),
    ("hf:Qwen/Qwen2-VL-7B-Instruct", "transformers", "Qwen/Qwen2-VL-7B-Instruct", "Qwen2-VL-7B-Instruct"),
    ("/models/a b", "transformers", "/models/a b", "a-b"),
    ("random:7", "random", "7", "random-7"),
])  # fmt: skip
def test_each_form_of_a_spec_is_parsed(text: str, kind: str, target: str, name: str) -> None:
    spec = parse_spec(text)
    assert (spec.kind, spec.target, spec.name, spec.alias, spec.answer) == (kind, target, name, None, None)


def test_a_folder_takes_precedence_over_a_hub_id_and_an_alias_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "tiny", "a/b"):
        (tmp_path / name).mkdir(parents=True)
    assert parse_spec("mine").target == str(tmp_path / "mine")
    assert parse_spec("a/b").target == str(tmp_path / "a/b")  # a folder and not a hub id
    assert parse_spec("tiny").alias == "tiny"  # an alias and not a folder
    assert parse_spec("./tiny").target == str(tmp_path / "tiny")


@pytest.mark.parametrize("text, message", [
    ("llva", r"no model 'llva': did you mean llava"),
    ("LLaVA", r"did you mean llava"),
    ("qwen-vl", r"did you mean .*qwen2-vl"),
    ("", r"no model '': use an alias \(see `qbench models`\)"),
    ("zzzzzz", r"no model 'zzzzzz': use an alias"),
    ("gemini:flash", r"no backend 'gemini:' in this version .*random:SEED"),
    ("openai:gpt", r"openai:gpt: no BASE_URL; write openai:MODEL@BASE_URL"),
    ("hf:", r"is not a hub id; write hf:ORG/NAME"),
    ("hf:a b", r"is not a hub id"),
])  # fmt: skip
def test_a_wrong_spec_is_an_error_of_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", ["", "x", "1.5", "0x1", "-1"])
def test_seed_must_be_an_integer(seed: str) -> None:
    with pytest.raises(ModelError, match="the seed must be an integer"):
        check(parse_spec(f"random:{seed}"))
    with pytest.raises(ModelError, match="the seed must be an integer"):
        load_model(parse_spec(f"random:{seed}"), {})


def test_replay_names_a_model_after_its_outputs(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "records.jsonl").touch()
    (tmp_path / "qwen-vl.json").touch()
    for target, name in ((run, "mine"), (run / "records.jsonl", "mine"), (tmp_path / "qwen-vl.json", "qwen-vl")):
        spec = parse_spec(f"replay:{target}")
        assert (spec.kind, spec.target, spec.name) == ("replay", str(target), name)
        check(spec)
    with pytest.raises(ModelError, match=r"replay:.*/nowhere: no such file or folder"):
        check(parse_spec(f"replay:{tmp_path}/nowhere"))


@pytest.mark.parametrize("spec, words", [
    ("instructblip-t5", ("high", "low")),
    ("Salesforce/instructblip-flan-t5-xl", ("high", "low")),
    ("replay:outputs/instructblip_t5", ("high", "low")),
    ("replay:outputs/instructblip_vicuna", ("good", "poor")),
    ("llava", ("good", "poor")),
])  # fmt: skip
def test_a_model_has_the_words_of_its_published_scores(spec: str, words: tuple[str, str]) -> None:
    assert paper_words(parse_spec(spec)) == words


VISION = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}
TEXT = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 10}


@pytest.mark.parametrize("files, message", [
    ({}, "has no config.json"),
    ({"config.json": "{"}, "config.json: is not valid JSON"),
    ({"config.json": "[]"}, "names no model_type"),
    ({"config.json": TEXT, "model.safetensors": ""}, r"text-only model \(LlamaForCausalLM\)"),
    ({"config.json": VISION}, r"has no weights"),
    ({"config.json": VISION, "model.safetensors.index.json": {"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}},
      "1.safetensors": ""}, r"1 of 2 weight files missing \(first: 2.safetensors\)"),
    ({"config.json": VISION, "model.safetensors.index.json": "{"}, "index.json: is not valid JSON"),
])  # fmt: skip
def test_check_rejects_an_unusable_folder(tmp_path: Path, files: dict[str, object], message: str) -> None:
    write(tmp_path, files)
    with pytest.raises(ModelError, match=message) as caught:
        check(parse_spec(str(tmp_path)))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", [
    VISION,
    {"model_type": "fuyu", "architectures": ["FuyuForCausalLM"], "image_size": 300},
    {"model_type": "own", "architectures": ["OwnForCausalLM"], "auto_map": {"AutoModel": "x.Own"}},
    {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
])  # fmt: skip
def test_check_accepts_models_that_only_loading_can_reject(tmp_path: Path, config: dict[str, object]) -> None:
    write(tmp_path, {"config.json": config, "model.safetensors": ""})
    check(parse_spec(str(tmp_path)))


def test_check_rejects_a_missing_folder_but_accepts_a_hub_id(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        check(parse_spec(str(tmp_path / "absent")))
    check(parse_spec("org/name"))


def test_model_arguments_are_parsed() -> None:
    given = ["dtype=bfloat16", "device=CUDA:1", 'quantization_config={"a": "b=c"}', "max_pixels=50176", "dtype=float32"]
    assert parse_model_args(given) == {
        "dtype": "float32", "device": "cuda:1", "quantization_config": '{"a": "b=c"}', "max_pixels": "50176",
    }  # fmt: skip
    assert parse_model_args([]) == {}


@pytest.mark.parametrize("argument, message", [
    ("dtyp=auto", r"unknown model argument 'dtyp' \(did you mean dtype\?\); valid are dtype, device"),
    ("foo=1", r"unknown model argument 'foo'; valid are"),
    ("dtype", "write KEY=VALUE"),
    ("dtype=", "write KEY=VALUE"),
    ("dtype=bf16", "must be auto, float32, bfloat16 or float16"),
    ("device=gpu", "must be auto, cpu, mps, cuda or cuda:N"),
    ("trust_remote_code=1", "must be true or false"),
    ("max_new_tokens=9", "use --qbench-answer-tokens=N and --qbench-description-tokens=N"),
    ("quantization_config=[]", "must be a JSON object"),
    ("quantization_config={", "must be a JSON object"),
])  # fmt: skip
def test_a_wrong_model_argument_is_an_error(argument: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_model_args([argument])


def test_every_model_arg_is_documented_in_its_error() -> None:
    with pytest.raises(ModelError) as caught:
        parse_model_args(["foo=1"])
    assert all(key in str(caught.value) for key in MODEL_ARGS)


def test_importing_models_is_cheap() -> None:
    code = "import sys, pytest_qbench.models as m; m.parse_spec('org/x'); m.load_model(m.parse_spec('random:0'), {}); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "numpy", "scipy", "PIL"} & set(run.stdout.split())


def write(folder: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
