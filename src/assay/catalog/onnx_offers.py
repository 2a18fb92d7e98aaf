"""The models among a repository's files that ONNX Runtime GenAI opens, told by their paths alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from assay.catalog.left_out import LeftOut
from assay.types import File

CONFIG = "genai_config.json"
Device = Literal["cpu", "gpu", "npu"]
PROVIDERS: dict[str, tuple[str, Device]] = {
    "cuda": ("cuda", "gpu"), "tensorrt": ("tensorrt", "gpu"), "trtrtx": ("trtrtx", "gpu"),
    "directml": ("directml", "gpu"), "dml": ("directml", "gpu"), "webgpu": ("webgpu", "gpu"), "web": ("webgpu", "gpu"),
    "rocm": ("rocm", "gpu"), "migraphx": ("migraphx", "gpu"),
    "qnn": ("qnn", "npu"), "vitisai": ("vitisai", "npu"), "vitis": ("vitisai", "npu"),
    "npu": ("npu", "npu"), "gpu": ("gpu", "gpu"), "cpu": ("cpu", "cpu"),
}  # fmt: skip
"""Word of a path -> (provider as an id tells it, device); the first that a path holds counts."""
QUANTISATION = re.compile(r"u?int[248]|bf16|fp?(?:16|32)|fp8|q[48]|[48]bit")
SPELLINGS = {
    "fp16": "f16", "fp32": "f32", "fp8": "f8",
    "q4": "int4", "q8": "int8", "4bit": "int4", "8bit": "int8", "uint4": "int4", "uint8": "int8", "uint2": "int2",
}  # fmt: skip
NOT_NEEDED = frozenset({
    ".md", ".txt", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".pdf", ".py", ".ipynb", ".gitattributes",
    ".safetensors", ".pt", ".pth", ".h5", ".msgpack", ".ckpt", ".gguf", ".sh", ".yaml", ".yml", ".csv", ".log",
})  # fmt: skip
VOCABULARIES = frozenset({"merges.txt", "vocab.txt"})
EXPORT = "an ONNX export without genai_config.json, which no engine here opens"


class OnnxModel(NamedTuple):
    """One folder; ``files`` from the repository's top. ``folder`` is None at the top.

    ``provider`` is the execution provider's short name (``cuda``, ``directml``), or the device where the path names no
    more than that.
    """

    files: tuple[File, ...]
    folder: str | None
    quantisation: str | None
    provider: str | None
    device: Device | None


def onnx_models(files: Iterable[File], hint: str = "") -> tuple[list[OnnxModel], list[LeftOut]]:
    """Every folder with a ``genai_config.json`` and a graph, ordered by path, and the ONNX files that are in none.

    ``hint`` is read where a folder's path tells nothing: the repository's name.
    """
    folders: defaultdict[str, list[File]] = defaultdict(list)
    for file in sorted(files, key=lambda file: file.path):
        folders[PurePosixPath(file.path).parent.as_posix()].append(file)
    models: list[OnnxModel] = []
    left: list[LeftOut] = []
    for folder, inside in folders.items():
        names = {PurePosixPath(file.path).name for file in inside}
        graphs = tuple(file.path for file in inside if file.path.lower().endswith(".onnx"))
        if CONFIG in names and graphs:
            models.append(_model(folder, inside, hint))
        elif CONFIG in names:
            left.append(LeftOut((f"{folder}/{CONFIG}".removeprefix("./"),), "there is no graph beside it"))
        elif graphs:
            left.append(LeftOut(graphs, EXPORT))
    return models, left


def _model(folder: str, inside: list[File], hint: str) -> OnnxModel:
    words = _words(folder) or _words(hint)
    named = next((PROVIDERS[word] for word in words if word in PROVIDERS and word not in {"gpu", "cpu", "npu"}), None)
    provider = named or next((PROVIDERS[word] for word in words if word in PROVIDERS), None)
    if provider is None:
        provider = next((PROVIDERS[word] for word in _words(hint) if word in PROVIDERS), None)
    return OnnxModel(
        files=tuple(file for file in inside if _needed(PurePosixPath(file.path))),
        folder=None if folder == "." else folder,
        quantisation=_quantisation(words) or _quantisation(_words(hint)),
        provider=provider[0] if provider else None,
        device=provider[1] if provider else None,
    )


def _words(path: str) -> list[str]:
    """The words of a path, its last folder's first: that is the one which tells most."""
    parts = [part for part in reversed(path.lower().split("/")) if part not in {"", "."}]
    return [word for part in parts for word in re.split(r"[-_. ]+", part) if word]


def _quantisation(words: list[str]) -> str | None:
    found = next((word for word in words if QUANTISATION.fullmatch(word)), None)
    return SPELLINGS.get(found, found) if found else None


def _needed(path: PurePosixPath) -> bool:
    if path.name.startswith(".") or path.name.upper().startswith("LICENSE"):
        return False
    return path.name in VOCABULARIES or path.suffix.lower() not in NOT_NEEDED
