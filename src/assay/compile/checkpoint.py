"""A safetensors checkpoint: what it is, read without touching its weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from assay.compile.family import family_of
from assay.disk import sha256_of
from assay.errors import BadInput
from assay.formats.json_object import count_of, read_json_object
from assay.formats.safetensors_folder import CONFIG, INDEX, weight_files
from assay.formats.safetensors_header import read_safetensors_header
from assay.types import File

ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
FLOATS = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
"""The types that weights may have, and how Assay calls them."""
BESIDE = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
"""Files besides the weights that a conversion reads, and so part of what a checkpoint is."""
Tokeniser = Literal["byte-bpe", "byte-fallback-bpe"]


class Weight(NamedTuple):
    """One tensor of a safetensors file: type (``BF16``), shape, and where its bytes lie."""

    dtype: str
    shape: tuple[int, ...]
    file: str
    offset: int
    size: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A model in safetensors form.

    ``name`` is the alias of what is made from it, ``source`` and ``revision`` are where it comes from, as in
    ``Variant``. ``family`` is one of ``FAMILIES`` or the name of another; ``dtype`` is the type that most of the
    weights have. ``weight_bytes`` counts the tensors' bytes, ``parameters`` their elements. ``tokeniser`` is None
    where ``tokenizer.json`` is missing or of another kind. ``files`` have sizes and no hashes.
    """

    folder: Path
    name: str
    source: str
    revision: str | None
    architecture: str
    family: str
    config: dict[str, Any]
    dtype: str
    parameters: int
    weight_bytes: int
    weights: dict[str, Weight]
    tokeniser: Tokeniser | None
    chat_template: str | None
    tied: bool
    context_length: int | None
    files: tuple[File, ...]


def read_checkpoint(
    folder: Path, *, name: str | None = None, source: str | None = None, revision: str | None = None
) -> Checkpoint:
    """Read ``config.json``, the headers of the weights and the tokenizer's kind.

    Raises:
        BadInput: there is no checkpoint, it is broken, or it is of a kind that is not compiled: pickled weights, an
            adapter, a quantised model, one with a vision or audio part.
    """
    refuse_no_checkpoint(folder)
    config = read_json_object(folder / CONFIG)
    architecture, family = family_of(config)
    weights = _weights(folder)
    parameters = sum(weight.elements for weight in weights.values())
    tied = bool(config.get("tie_word_embeddings", family.startswith("gemma")))
    return Checkpoint(
        folder=folder,
        name=name or folder.absolute().name,
        source=source or folder.absolute().name,
        revision=revision,
        architecture=architecture,
        family=family,
        config=config,
        dtype=_dtype(weights),
        parameters=parameters,
        weight_bytes=sum(weight.size for weight in weights.values()),
        weights=weights,
        tokeniser=_tokeniser(folder),
        chat_template=_chat_template(folder),
        tied=tied,
        context_length=count_of(config.get("max_position_embeddings")),
        files=_files(folder, weights),
    )


def checkpoint_digest(checkpoint: Checkpoint, tell: Callable[[int, int], None] = lambda _done, _total: None) -> str:
    """SHA-256 over the files' names and contents; ``tell`` hears bytes done and bytes in all."""
    total = sum(file.size or 0 for file in checkpoint.files)
    done, whole = 0, hashlib.sha256()

    def read(count: int) -> None:
        nonlocal done
        done += count
        tell(done, total)

    for file in checkpoint.files:
        whole.update(f"{file.path}\0{sha256_of(checkpoint.folder / file.path, read)}\n".encode())
    return whole.hexdigest()


def refuse_no_checkpoint(folder: Path) -> None:
    """Raises:
    BadInput: ``folder`` is none, or holds an adapter, or weights of nobody knows what.
    """
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}", remedy="name a folder with config.json and *.safetensors")
    adapter = next((name for name in ADAPTERS if (folder / name).is_file()), None)
    if adapter:
        raise BadInput(
            f"{folder} holds an adapter, not a model",
            why=f"it has {adapter}: a change to another model's weights",
            remedy="merge it into its base model first (peft: model.merge_and_unload().save_pretrained(FOLDER))",
        )
    if not (folder / CONFIG).is_file() and next(folder.glob("*.safetensors"), None):
        raise BadInput(
            f"{folder} has weights and no {CONFIG}",
            why="that file tells what model the weights are of",
            remedy=f"take {CONFIG} from the publisher's repository",
        )


def _weights(folder: Path) -> dict[str, Weight]:
    """Every tensor of the files that hold the model; one that the index promises must be there."""
    weights: dict[str, Weight] = {}
    for path in weight_files(folder):
        header = read_safetensors_header(path)
        base = path.stat().st_size - header.weights
        weights |= {
            tensor.name: Weight(tensor.dtype, tensor.shape, path.name, base + tensor.offset, tensor.size)
            for tensor in header.tensors
        }
    listed = read_json_object(folder / INDEX).get("weight_map", {}) if (folder / INDEX).is_file() else {}
    missing = sorted(set(listed) - set(weights))
    if missing:
        raise BadInput(f"{folder} is not complete", why=f"no file holds {missing[0]}", remedy="download it again")
    return weights


def _dtype(weights: dict[str, Weight]) -> str:
    counts: dict[str, int] = {}
    for weight in weights.values():
        counts[weight.dtype] = counts.get(weight.dtype, 0) + weight.elements
    others = sorted(set(counts) - set(FLOATS))
    if others:
        name = next(name for name, weight in weights.items() if weight.dtype == others[0])
        raise BadInput(
            f"weights of the type {others[0]} are not compiled",
            why=f"{name} has it; what is read: {', '.join(FLOATS)}",
            remedy="compile the full-precision checkpoint of this model",
        )
    if not counts:
        raise BadInput("this checkpoint holds no weights", why="its safetensors files are empty", remedy="download it")
    return FLOATS[max(counts, key=lambda dtype: counts[dtype])]


def _tokeniser(folder: Path) -> Tokeniser | None:
    if not (folder / "tokenizer.json").is_file():
        return None
    content = read_json_object(folder / "tokenizer.json")
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        return None
    return "byte-fallback-bpe" if model.get("byte_fallback") else "byte-bpe"


def _chat_template(folder: Path) -> str | None:
    """The template beside the tokenizer, or the one in its settings (of several, the default one)."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text("utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            found = read_json_object(folder / name).get("chat_template")
            if isinstance(found, list):
                named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
                found = named.get("default")
            if isinstance(found, str) and found:
                return found
    return None


def _files(folder: Path, weights: dict[str, Weight]) -> tuple[File, ...]:
    names = sorted({weight.file for weight in weights.values()} | {n for n in BESIDE if (folder / n).is_file()})
    return tuple(File(path=name, size=(folder / name).stat().st_size) for name in names)
