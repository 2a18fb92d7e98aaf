"""Safetensors files made byte by byte, so that they can be wrong in every way, and checkpoint folders of them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOUND: Mapping[str, Any] = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]},
    "b": {"dtype": "F32", "shape": [8], "data_offsets": [64, 96]},
}
CONFIG: Mapping[str, Any] = {"model_type": "qwen2", "max_position_embeddings": 4096}


def safetensors(header: Any = SOUND, data: int = 96, length: int | None = None) -> bytes:
    """A file; ``data`` is the number of bytes that follow the header, ``length`` what it says of its header's."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + bytes(data)


def write_checkpoint(folder: Path, config: Mapping[str, Any] = CONFIG, shards: int = 1) -> Path:
    """A folder with a configuration and its weights in so many files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if shards == 1:
        (folder / "model.safetensors").write_bytes(safetensors())
        return folder
    places = {}
    for number in range(1, shards + 1):
        name = f"model-{number:05}-of-{shards:05}.safetensors"
        header = {f"w{number}": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}
        (folder / name).write_bytes(safetensors(header, data=8))
        places[f"w{number}"] = name
    index = {"metadata": {"total_size": 8 * shards}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder
