"""Checkpoints in safetensors told from the names of files."""

from __future__ import annotations

from typing import Any

import pytest

from assay.catalog.checkpoint_offers import checkpoints
from tests.catalog.repos import CHECKPOINT, repo

SHARDS = tuple(f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3))
INDEX = "model.safetensors.index.json"


def found(*paths: str, **told: Any) -> list[set[str]]:
    one = repo("o/n", *paths, **told)
    return [{file.path for file in model.files} for model in checkpoints(one, one.files or ())[0]]


def told(*paths: str, **said: Any) -> dict[str, str]:
    one = repo("o/n", *paths, **said)
    return {path: out.why for out in checkpoints(one, one.files or ())[1] for path in out.paths}


def test_only_what_a_checkpoint_needs() -> None:
    beside = (
        "README.md", "LICENSE", ".gitattributes", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "logo.png",
        "training_args.bin", "modeling_own.py",
    )  # fmt: skip
    needed = (*CHECKPOINT, "model.safetensors", "chat_template.jinja", "tokenizer.model")
    assert found(*needed, *beside) == [set(needed)]


def test_parts_with_their_index_and_not_the_same_again() -> None:
    needed = (*CHECKPOINT, *SHARDS, INDEX)
    assert found(*needed, "consolidated.safetensors") == [set(needed)]
    assert "another form" in told(*needed, "consolidated.safetensors")["consolidated.safetensors"]
    assert found("config.json", "model.safetensors", "model.fp16.safetensors") == [{"config.json", "model.safetensors"}]


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (("config.json", *SHARDS[:2], INDEX), "parts are missing"),
        (("config.json", *SHARDS, "model-00001-of-00002.safetensors"), "parts are missing"),
        (("model.safetensors",), "without config.json"),
        (("config.json", "consolidated.safetensors"), "not in transformers' layout"),
        (("adapter_config.json", "adapter_model.safetensors", "tokenizer.json"), "merge it into its base model"),
        (("adapter_config.json", "config.json"), "merge it into its base model"),
    ],
)
def test_what_is_no_checkpoint_is_told(paths: tuple[str, ...], why: str) -> None:
    assert found(*paths) == []
    reasons = told(*paths)
    assert reasons
    assert all(why in reason for reason in reasons.values())


def test_an_adapter_names_its_base() -> None:
    assert "merge it into a/base" in told("adapter_config.json", base_models=("a/base",))["adapter_config.json"]


def test_weights_for_mlx_are_told() -> None:
    assert found("config.json", "model.safetensors", library="mlx") == []
    assert "MLX" in told("config.json", "model.safetensors", tags=("mlx",))["model.safetensors"]


def test_several_folders() -> None:
    paths = [f"{folder}/{name}" for folder in ("a", "b") for name in ("config.json", "model.safetensors")]
    assert found(*paths, "c/vae.safetensors") == [set(paths[:2]), set(paths[2:])]


@pytest.mark.parametrize(
    ("name", "tags", "quantisation"),
    [("o/m-AWQ", (), "awq"), ("o/m", ("gptq", "4-bit"), "gptq"), ("o/m", ("FP8",), "fp8"), ("o/m", (), None)],
)
def test_weights_that_are_packed_say_so(name: str, tags: tuple[str, ...], quantisation: str | None) -> None:
    one = repo(name, "config.json", "model.safetensors", tags=tags)
    (model,), _ = checkpoints(one, one.files or ())
    assert model.quantisation == quantisation
