"""Repositories as a hub lists them."""

from __future__ import annotations

from typing import Any

from assay.types import File, Repo


def repo(name: str, *paths: str, **told: Any) -> Repo:
    """``name`` with files of 100 bytes, and hashes as big files have them."""
    files = tuple(File(path=path, size=100, sha256=f"{number:064x}") for number, path in enumerate(paths))
    return Repo(id=name, revision="c0ffee0" + "0" * 33, files=files, **told)


ONNX = ("genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
CHECKPOINT = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "merges.txt")


def within(folder: str, *names: str) -> list[str]:
    """Paths in ``folder``."""
    return [f"{folder}/{name}" for name in names]
