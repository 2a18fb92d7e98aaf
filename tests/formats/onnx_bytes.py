"""ONNX graphs made byte by byte (protocol buffers by field number), and folders of ONNX Runtime GenAI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from assay.formats.protobuf import message, number


def initializer(shape: Sequence[int], kind: int, external: str | None = None) -> bytes:
    dims = b"".join(number(1, dim) for dim in shape)
    entries = message(13, message(1, "offset") + message(2, "0")) if external else b""
    entries += message(13, message(1, "location") + message(2, external)) if external else b""
    return message(5, dims + number(2, kind) + message(8, "w") + entries)


def node(op_type: str, **integers: int) -> bytes:
    attributes = b"".join(message(5, message(1, key) + number(3, value)) for key, value in integers.items())
    return message(1, message(4, op_type) + attributes)


def graph(*parts: bytes) -> bytes:
    """A model: IR version, producer, graph."""
    return number(1, 10) + message(2, "test") + message(7, b"".join(parts))


FULL = graph(initializer((4, 4), 1), initializer((8,), 10))


def write_onnx_folder(folder: Path, onnx: bytes = FULL, model: object | None = None, **files: str | bytes) -> Path:
    """A folder with a configuration and one graph; in the names of ``files`` ``__`` stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"type": "qwen2", "context_length": 4096, "decoder": {"filename": "model.onnx"}} if model is None else model
    (folder / "genai_config.json").write_text(json.dumps({"model": told, "search": {}}), encoding="utf-8")
    (folder / "model.onnx").write_bytes(onnx)
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(raw)
    return folder
