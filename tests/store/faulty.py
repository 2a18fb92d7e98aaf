"""What the tests with a real hub share: a repository of three files, and an offer of it as the hub tells it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from assay.hub import Hub
from assay.types import Variant

NAMES = ("config.json", "model.onnx", "model.onnx.data")
"""The first is kept in git (a SHA-1 is told), the others in LFS (a SHA-256 is)."""


def repository(root: Path, name: str, size: int = 3000) -> dict[str, bytes]:
    """Write ``org/name`` with three files of other content than any other repository's; gives them."""
    chance = random.Random(name)
    files = {path: chance.randbytes(size + 100 * number) for number, path in enumerate(NAMES)}
    folder = root / "org" / name
    folder.mkdir(parents=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    return files


def offered(hub: Hub, name: str, files: Mapping[str, bytes]) -> Variant:
    """The variant as the hub lists it now."""
    repo = hub.repo(f"org/{name}")
    return Variant(
        id=f"{name}:int4",
        alias=name,
        format="onnx",
        source=f"hf:{repo.id}",
        revision=repo.revision,
        files=tuple(file for file in repo.files or () if file.path in files),
    )
