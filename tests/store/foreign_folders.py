"""Folders as other programs lay them out, with tiny models in them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

from tests.formats.gguf_bytes import QWEN, Value, gguf

TORCH_ZIP = b"PK\x03\x04" + bytes(60)
TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(60)
NEWER_PICKLE = b"\x80\x04\x95\x11\x00\x00\x00\x00\x00\x00\x00}\x94(X\x01\x00\x00\x00aK\x01u."


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny(name: str = "Tiny", **pairs: Value) -> bytes:
    """A GGUF file; another ``name`` makes another content."""
    return gguf({**QWEN, "general.name": name, **pairs})


def safetensors(count: int = 4, padding: str = "") -> bytes:
    """A file of one tensor of ``count`` floats."""
    header = json.dumps(
        {"__metadata__": {"p": padding}, "w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * count)


def checkpoint(folder: Path, weights: bytes | None = None) -> Path:
    """A folder of safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "qwen2", "max_position_embeddings": 512}', encoding="utf-8")
    (folder / "model.safetensors").write_bytes(weights or safetensors())
    return folder


def cached(
    hub: Path, name: str, files: Mapping[str, bytes], commit: str = "c" * 40, *, links: bool = True, main: bool = True
) -> Path:
    """A repository in a Hugging Face cache; gives the snapshot. Names of blobs are SHA-256 here, as of large files."""
    repository = hub / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    for path, content in files.items():
        target = snapshot / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not links:
            target.write_bytes(content)
            continue
        blob = repository / "blobs" / sha256(content)
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        target.symlink_to(blob)
    if main:
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text(commit, encoding="ascii")
    return snapshot


def pulled(
    models: Path,
    name: str,
    layers: Mapping[str, bytes],
    *,
    tag: str = "latest",
    host: str = "registry.ollama.ai",
    namespace: str = "library",
) -> Path:
    """A model of Ollama; ``layers`` are kinds (``model``, ``template``) with contents. Gives the blob of the first."""
    told, blobs = [], []
    for kind, content in layers.items():
        blob = models / "blobs" / f"sha256-{sha256(content)}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        blobs.append(blob)
        media = f"application/vnd.ollama.image.{kind}"
        told.append({"mediaType": media, "digest": f"sha256:{sha256(content)}", "size": len(content)})
    manifest = models / "manifests" / host / namespace / name / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": told}), encoding="utf-8")
    return blobs[0]
