"""A folder of ONNX Runtime GenAI on disk: is it whole, and what does it say of its model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from assay.errors import BadInput, EngineStartFailed
from assay.types import Variant

DEFAULT_CONTEXT = 4096
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
AGAIN = "download or export the model again"


class Settings(Struct, frozen=True, kw_only=True):
    """What ``genai_config.json`` says that Assay needs. ``longest`` is the model's own context, in tokens."""

    longest: int
    vocabulary: int
    pad: int
    ends: frozenset[int]
    weight_bytes: int
    """Of the ONNX files and their external data."""
    graph: str | None
    """The file that reads tokens and gives ``scores``; None where there are several, or where a window slides."""
    scores: str
    """The name of that output."""

    def context(self, asked: int | None) -> int:
        """Tokens per slot: as asked, or 4096 if the model has as many; raise ``BadInput`` for more than it has."""
        if asked is not None and asked > self.longest:
            raise BadInput(
                f"a context of {asked} tokens was asked for, but the model has at most {self.longest}",
                why="context_length in its genai_config.json",
                remedy=f"ask for {self.longest} or less",
            )
        return asked or min(DEFAULT_CONTEXT, self.longest)


def read_settings(folder: Path) -> Settings:
    """Read ``genai_config.json`` and look for the files it names; raise ``EngineStartFailed`` with what is wrong."""
    path = folder / "genai_config.json"
    if not path.is_file():
        why = "that file makes a folder one of ONNX Runtime GenAI"
        remedy = "python -m onnxruntime_genai.models.builder makes such a folder from a Hugging Face one"
        raise EngineStartFailed(f"{path} is missing", why=why, remedy=remedy)
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        ends = model["eos_token_id"]
        ends = frozenset(ends if isinstance(ends, list) else [ends])
        settings = Settings(
            longest=model["context_length"],
            vocabulary=model["vocab_size"],
            pad=model.get("pad_token_id", min(ends)),
            ends=ends,
            weight_bytes=sum(entry.stat().st_size for entry in _weights(folder)),
            graph=None if {"pipeline", "sliding_window"} & model["decoder"].keys() else model["decoder"]["filename"],
            scores=model["decoder"].get("outputs", {}).get("logits", "logits"),
        )
        graphs = tuple(_graphs(model["decoder"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise EngineStartFailed(f"{path} cannot be used", why=why, remedy=AGAIN) from None
    for graph in graphs:
        if not (folder / graph).is_file():
            raise EngineStartFailed(f"{folder / graph} is missing", why=f"{path.name} names it", remedy=AGAIN)
    return settings


def check_files(folder: Path, variant: Variant) -> None:
    """Compare sizes and hashes with those on record, where there are any; raise ``EngineStartFailed``."""
    for file in variant.files:
        path = folder / file.path
        if not path.is_file():
            raise EngineStartFailed(f"{path} is missing", why=f"{variant.id} is made of it", remedy=AGAIN)
        size = path.stat().st_size
        if file.size is not None and size != file.size:
            raise EngineStartFailed(f"{path} has {size} bytes, but should have {file.size}", remedy=AGAIN)
        if file.sha256 is not None and _sha256(path) != file.sha256:
            raise EngineStartFailed(f"{path} has changed: its SHA-256 is not the one on record", remedy=AGAIN)


def read_template(folder: Path) -> tuple[str, Mapping[str, str]] | None:
    """The chat template and the special tokens that it may name, where transformers looks for them; None: no template.

    ``chat_template.jinja`` counts before the tokenizer's own settings.
    """
    settings = _read_json(folder / "tokenizer_config.json")
    named = {**_read_json(folder / "special_tokens_map.json"), **settings}
    special = {name: _content(named[name]) for name in SPECIAL_TOKENS if named.get(name) is not None}
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        return alone.read_text(encoding="utf-8"), special
    found = settings.get("chat_template")
    return (found, special) if isinstance(found, str) else None


def _graphs(decoder: Mapping[str, Any]) -> Iterator[str]:
    """Names of the ONNX files: one, or one a stage of a pipeline."""
    if "pipeline" in decoder:
        for stage in decoder["pipeline"]:
            yield from (part["filename"] for part in stage.values())
    else:
        yield decoder["filename"]


def _weights(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if ".onnx" in entry.name and entry.is_file()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(token: str | Mapping[str, Any]) -> str:
    return token if isinstance(token, str) else str(token.get("content", ""))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EngineStartFailed(f"{path} is not JSON", why=str(error), remedy=AGAIN) from None
    return read if isinstance(read, dict) else {}
