"""The checkpoints in safetensors among a repository's files, told by their names and the repository's tags."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from assay.catalog.left_out import LeftOut
from assay.types import File, Repo

WEIGHTS = re.compile(r"(?:model|pytorch_model)(?:-(?P<number>\d{5})-of-(?P<count>\d{5}))?\.safetensors")
BESIDE = frozenset({
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model",
    "chat_template.jinja", "chat_template.json", "model.safetensors.index.json", "pytorch_model.safetensors.index.json",
    "preprocessor_config.json", "processor_config.json", "quantize_config.json",
})  # fmt: skip
"""What a checkpoint needs beside its weights."""
PACKED = ("gptq", "awq", "bitsandbytes", "compressed-tensors", "fp8", "exl2", "aqlm", "hqq")
"""Tags of checkpoints whose weights are packed in ways of their own."""

SAME = "the same weights in another form, or of another part"


class Checkpoint(NamedTuple):
    """``files`` from the repository's top: weights, configuration and tokeniser. ``folder`` is None at the top.

    ``quantisation`` names a packing of its own (``gptq``); None for plain numbers, whose type the file list hides.
    """

    files: tuple[File, ...]
    folder: str | None
    quantisation: str | None


def checkpoints(repo: Repo, files: Iterable[File]) -> tuple[list[Checkpoint], list[LeftOut]]:
    """One for each folder with ``config.json`` and whole weights, and the safetensors that make none."""
    folders: defaultdict[str, dict[str, File]] = defaultdict(dict)
    for file in sorted(files, key=lambda file: file.path):
        path = PurePosixPath(file.path)
        folders[path.parent.as_posix()][path.name] = file
    found: list[Checkpoint] = []
    left: list[LeftOut] = []
    for folder, inside in folders.items():
        adapter = tuple(file.path for name, file in inside.items() if name.startswith("adapter_"))
        if "adapter_config.json" in inside:
            left.append(LeftOut(adapter, _adapter(repo)))
        tensors = tuple(file.path for name, file in inside.items() if name.endswith(".safetensors"))
        tensors = tuple(path for path in tensors if path not in adapter or "adapter_config.json" not in inside)
        if tensors:
            weights, why = _weights(repo, inside)
            rest = tuple(path for path in tensors if path not in weights)
            left += [LeftOut(rest, why)] if rest else []
            found += [_checkpoint(repo, folder, inside, weights)] if weights else []
    return found, left


def _adapter(repo: Repo) -> str:
    base = repo.base_models[0] if repo.base_models else "its base model"
    return f"an adapter, which is no model alone: merge it into {base} and write that as safetensors"


def _weights(repo: Repo, inside: Mapping[str, File]) -> tuple[tuple[str, ...], str]:
    """Paths of the weights that make the checkpoint whole, and why the other safetensors are left out."""
    if repo.library == "mlx" or "mlx" in repo.tags:
        return (), "weights for MLX, which no engine here reads"
    if "config.json" not in inside:
        return (), "weights without config.json, which says what they are weights of"
    if "model.safetensors" in inside:
        return (inside["model.safetensors"].path,), SAME
    shards = {name: match for name in inside if (match := WEIGHTS.fullmatch(name))}
    if not shards:
        return (), "weights that are not in transformers' layout (model.safetensors)"
    counts = {match["count"] for match in shards.values()}
    if len(counts) > 1 or (counts != {None} and len(shards) != int(counts.pop())):
        return (), "some of its parts are missing"
    return tuple(inside[name].path for name in sorted(shards)), SAME


def _checkpoint(repo: Repo, folder: str, inside: Mapping[str, File], weights: Iterable[str]) -> Checkpoint:
    own = set(weights)
    words = {tag.lower() for tag in repo.tags} | set(re.split(r"[-_.]+", repo.id.lower()))
    return Checkpoint(
        files=tuple(
            file
            for name, file in inside.items()
            if file.path in own or name in BESIDE or name.endswith((".tiktoken", ".jinja"))
        ),
        folder=None if folder == "." else folder,
        quantisation=next((packed for packed in PACKED if packed in words), None),
    )
