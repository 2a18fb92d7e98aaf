"""Copies of compiled products with one tensor overwritten, which a proof must notice."""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec import structs

from assay.types import Variant


def damaged(variant: Variant, folder: Path, byte: bytes = b"\0") -> tuple[Variant, str]:
    """A copy in which the output projection of a middle layer's attention is all ``byte``, and the tensor's name."""
    path = Path(variant.path or "")
    copy = folder / path.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if path.is_dir():
        shutil.copytree(path, copy)
        name = _fill_onnx(copy, byte)
    else:
        shutil.copyfile(path, copy)
        name = _fill_gguf(copy, byte)
    return structs.replace(variant, id=f"{variant.id}-damaged", path=str(copy), files=()), name


def _fill_gguf(path: Path, byte: bytes) -> str:
    import gguf

    tensors = [tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name.endswith("attn_output.weight")]
    tensor = tensors[(len(tensors) - 1) // 2]
    start, length, name = int(tensor.data_offset), int(tensor.n_bytes), str(tensor.name)
    _fill(path, start, length, byte)
    return name


def _fill_onnx(folder: Path, byte: bytes) -> str:
    """Of a quantised matrix also the scales and zero points, so that zeros make it zero and not a constant."""
    import onnx

    model = onnx.load(folder / "model.onnx", load_external_data=False)
    layers = sorted({_layer(tensor.name) for tensor in model.graph.initializer if "o_proj" in tensor.name})
    prefix = f"model.layers.{layers[(len(layers) - 1) // 2]}.attn.o_proj"
    for tensor in model.graph.initializer:
        if tensor.name.startswith(prefix):
            place = {entry.key: entry.value for entry in tensor.external_data}
            if "location" in place:
                _fill(folder / place["location"], int(place.get("offset", 0)), int(place["length"]), byte)
    return prefix


def _layer(name: str) -> int:
    return int(name.split("layers.")[1].split(".", maxsplit=1)[0])


def _fill(path: Path, start: int, length: int, byte: bytes) -> None:
    if length <= 0:
        raise SystemExit(f"nothing to damage in {path}")
    with path.open("r+b") as file:
        file.seek(start)
        file.write(byte * length)
