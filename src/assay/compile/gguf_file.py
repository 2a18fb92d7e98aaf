"""One GGUF file out of a checkpoint, tensor by tensor: never more than a part of one tensor is in memory."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from assay.compile.checkpoint import Checkpoint, Weight
from assay.compile.gguf_metadata import Metadata, head_shape, metadata_of
from assay.compile.gguf_names import Named, named_tensors
from assay.compile.gguf_tokeniser import GgufTokeniser, tokeniser_of
from assay.compile.gguf_types import BASE, FILE_TYPES, TYPES, bytes_of, type_of
from assay.compile.quantiser import quantise

CHUNK = 1 << 24
"""Weights that are converted at once: 64 MB of f32."""
HEADER = 1 << 16
PHI3 = re.compile(r"(phi)-?3", re.IGNORECASE)
QUANTISATION_VERSION = 2


class Described(NamedTuple):
    """Everything that will be in the file. ``bytes`` is its size to within the padding of its header."""

    metadata: Metadata
    tokeniser: GgufTokeniser
    tensors: tuple[tuple[Named, str], ...]
    notes: tuple[str, ...]
    bytes: int


def describe(checkpoint: Checkpoint, quantisation: str) -> Described:
    """Decide what the file will hold, without reading a weight.

    Raises:
        BadInput: llama.cpp cannot express this model.
    """
    layers = int(checkpoint.config["num_hidden_layers"])
    metadata, tokeniser = metadata_of(checkpoint), tokeniser_of(checkpoint)
    typed = tuple((t, type_of(t, quantisation, layers, checkpoint.tied)) for t in named_tensors(checkpoint))
    notes = metadata.notes + tokeniser.notes + _fallen(typed, quantisation)
    words = sum(len(token.encode()) + 16 for token in (*tokeniser.tokens, *tokeniser.merges))
    data = sum(bytes_of(tensor.shape, kind) for tensor, kind in typed)
    return Described(metadata, tokeniser, typed, notes, data + words + HEADER)


def _fallen(typed: tuple[tuple[Named, str], ...], quantisation: str) -> tuple[str, ...]:
    """A sentence on tensors whose rows are no whole number of the quantisation's blocks."""
    block = TYPES[BASE[quantisation]].block
    fallen = [(tensor, kind) for tensor, kind in typed if len(tensor.shape) > 1 and tensor.shape[-1] % block]
    if not fallen:
        return ()
    kinds, widths = sorted({kind for _, kind in fallen}), sorted({tensor.shape[-1] for tensor, _ in fallen})
    rows = ", ".join(str(width) for width in widths)
    instead = f"{len(fallen)} of {len(typed)} tensors are {', '.join(kinds)} instead"
    return (f"{quantisation}: {instead}, because {block} does not divide their rows of {rows}",)


def write_gguf(
    checkpoint: Checkpoint,
    quantisation: str,
    out: Path,
    tell: Callable[[int, int, str], None],
    about: Mapping[str, str | list[str]] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Write ``out``; ``tell`` hears weights done, weights in all, and the tensor's name. What a person should know.

    ``about`` is what the file says of the model besides (``general.license``), under llama.cpp's keys.
    """
    import gguf
    import numpy as np

    described = describe(checkpoint, quantisation)
    writer = gguf.GGUFWriter(out, described.metadata.architecture)
    _add_metadata(writer, checkpoint, described, quantisation)
    for key, said in about.items():
        writer.add_string(key, said) if isinstance(said, str) else writer.add_array(key, said)
    for name, values in described.metadata.vectors.items():
        writer.add_tensor_info(name, (len(values),), np.dtype(np.float32), len(values) * 4)
    for tensor, kind in described.tensors:
        number = gguf.GGMLQuantizationType(TYPES[kind].number)
        writer.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float32), bytes_of(tensor.shape, kind), raw_dtype=number
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file = writer.fout[0]
    _pad(writer, file)
    for values in described.metadata.vectors.values():
        np.array(values, dtype=np.float32).tofile(file)
        _pad(writer, file)
    total, done = sum(tensor.elements for tensor, _ in described.tensors), 0
    for tensor, kind in described.tensors:
        for part in _converted(checkpoint, tensor):
            quantise(part, kind).tofile(file)
            done += part.size
            tell(done, total, tensor.name)
        _pad(writer, file)
    writer.close()
    return described.notes


def _pad(writer: Any, file: Any) -> None:
    file.write(bytes(-file.tell() % writer.data_alignment))


def _converted(checkpoint: Checkpoint, tensor: Named) -> Iterator[Any]:
    """The tensor's rows as f32, changed as llama.cpp wants them, a part at a time."""
    import numpy as np

    weight = checkpoint.weights[tensor.source]
    path = checkpoint.folder / weight.file
    if tensor.change == "permute":
        heads, kv_heads, _ = head_shape(checkpoint)
        whole = np.concatenate(list(_parts(path, weight)))
        yield permuted(whole, heads if ".q_proj." in tensor.source else kv_heads)
        return
    for part in _parts(path, weight):
        yield part + np.float32(1) if tensor.change == "add one" else part


def permuted(rows: Any, heads: int) -> Any:
    """Within each head, rows 0, 1, ... of the first half take turns with those of the second."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def _parts(path: Path, weight: Weight) -> Iterator[Any]:
    import numpy as np

    width = weight.shape[-1] if len(weight.shape) > 1 else 1
    rows = weight.elements // width
    step = max(1, CHUNK // width)
    items: Any = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}[weight.dtype]
    for start in range(0, rows, step):
        count = min(step, rows - start)
        read = np.fromfile(path, items, count * width, offset=weight.offset + start * width * items.itemsize)
        shape = (count, *weight.shape[1:]) if len(weight.shape) > 1 else (count,)
        if weight.dtype == "BF16":  # the upper half of an f32
            read = (read.astype(np.uint32) << 16).view(np.float32)
        yield read.astype(np.float32, copy=False).reshape(shape)


def _add_metadata(writer: Any, checkpoint: Checkpoint, described: Described, quantisation: str) -> None:
    writer.add_type("model")
    writer.add_name(name_for(checkpoint.name, strips=described.tokeniser.strips))
    writer.add_file_type(FILE_TYPES[quantisation])
    writer.add_quantization_version(QUANTISATION_VERSION)
    for key, value in described.metadata.values.items():
        full = f"{described.metadata.architecture}.{key}"
        if isinstance(value, str):
            writer.add_string(full, value)
        elif isinstance(value, float):
            writer.add_float32(full, value)
        else:
            writer.add_uint32(full, value)
    _add_tokeniser(writer, described.tokeniser)
    if checkpoint.chat_template:
        writer.add_chat_template(checkpoint.chat_template)


def name_for(name: str, *, strips: bool) -> str:
    """The model's name. llama.cpp drops white space after special tokens where the name holds ``phi-3`` or ``phi3``."""
    if not strips:
        return PHI3.sub(r"\1 3", name)
    return name if PHI3.search(name) else f"{name} (phi-3)"


def _add_tokeniser(writer: Any, tokeniser: GgufTokeniser) -> None:
    writer.add_tokenizer_model(tokeniser.model)
    writer.add_tokenizer_pre(tokeniser.pre)
    writer.add_token_list(tokeniser.tokens)
    writer.add_token_types(tokeniser.kinds)
    if tokeniser.scores:
        writer.add_token_scores(tokeniser.scores)
    if tokeniser.merges:
        writer.add_token_merges(tokeniser.merges)
    adders = {
        writer.add_bos_token_id: tokeniser.bos,
        writer.add_eos_token_id: tokeniser.eos,
        writer.add_unk_token_id: tokeniser.unknown,
        writer.add_pad_token_id: tokeniser.padding,
    }
    adders |= dict(zip((writer.add_eot_token_id, writer.add_eom_token_id), tokeniser.ends, strict=False))
    for add, token in adders.items():
        if token is not None:
            add(token)
    writer.add_add_bos_token(tokeniser.add_bos)
    writer.add_add_eos_token(tokeniser.add_eos)
    if tokeniser.model == "llama":
        writer.add_add_space_prefix(tokeniser.add_space)


def elements_of_largest(checkpoint: Checkpoint) -> int:
    """Weights of the largest tensor that is converted whole, or of a part: what memory goes by."""
    whole = [math.prod(w.shape) for name, w in checkpoint.weights.items() if ".q_proj." in name]
    return max([CHUNK, *whole])
