"""Ollama's models: manifests by name, blobs by SHA-256. Only read.

``manifests/<host>/<namespace>/<model>/<tag>`` is an image manifest whose layer
``application/vnd.ollama.image.model`` is a whole GGUF file, ``blobs/sha256-<hex>``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.errors import BadInput
from assay.formats import read_json_object
from assay.store.entries import Entry

HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"
MODEL = "application/vnd.ollama.image.model"
ADAPTER = "application/vnd.ollama.image.adapter"
DIGEST = re.compile(r"sha256[:-](?P<hex>[0-9a-f]{64})")
MAGIC = b"GGUF"


def folders(env: Mapping[str, str], home: Path) -> list[Path]:
    """Where models may lie: OLLAMA_MODELS, the user's own folder, and the one of the service that Linux installs."""
    found = [Path(env["OLLAMA_MODELS"])] if env.get("OLLAMA_MODELS") else []
    found.append(home / ".ollama" / "models")
    if sys.platform.startswith("linux"):
        found.append(Path("/usr/share/ollama/.ollama/models"))
    return found


def models(folder: Path) -> list[tuple[str, Entry]]:
    """Every model that is one GGUF file, by the name that Ollama shows (``llama3.2:1b``)."""
    found = []
    for manifest in _manifests(folder):
        path = _model_blob(folder, manifest)
        if path is not None:
            found.append((_shown(manifest.relative_to(folder / "manifests").parts), Entry(path, "gguf", _size(path))))
    return found


def canonical(name: str) -> str:
    """``llama3.2`` -> ``llama3.2:latest``: the name as ``models`` gives it."""
    last = name.rpartition("/")[2]
    return (name if ":" in last else f"{name}:{TAG}").removeprefix(f"{HOST}/").removeprefix(f"{NAMESPACE}/").lower()


def blob(folder: Path, sha256: str | None) -> Path | None:
    """The blob of that hash; None where there is none."""
    if sha256 is None:
        return None
    path = folder / "blobs" / f"sha256-{sha256}"
    try:
        return path if path.is_file() else None
    except OSError:
        return None


def _manifests(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in (folder / "manifests").glob("*/*/*/*") if path.is_file())
    except OSError:
        return []


def _model_blob(folder: Path, manifest: Path) -> Path | None:
    """The GGUF file of a manifest; None where the model is something else: several files, or one with an adapter."""
    layers = _layers(manifest)
    kinds = [layer.get("mediaType") for layer in layers]
    if kinds.count(MODEL) != 1 or ADAPTER in kinds:
        return None
    digest = DIGEST.fullmatch(str(layers[kinds.index(MODEL)].get("digest")))
    path = blob(folder, digest["hex"]) if digest else None
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return path if file.read(len(MAGIC)) == MAGIC else None
    except OSError:
        return None


def _layers(manifest: Path) -> list[dict[str, Any]]:
    try:
        layers = read_json_object(manifest).get("layers")
    except BadInput:
        return []
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _shown(parts: tuple[str, ...]) -> str:
    host, namespace, model, tag = parts
    if host != HOST:
        return f"{host}/{namespace}/{model}:{tag}"
    return f"{model}:{tag}" if namespace == NAMESPACE else f"{namespace}/{model}:{tag}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
