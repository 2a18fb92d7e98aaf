"""What a user may ask for, and what it is called in each format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from assay.compile.family import Target
from assay.compile.gguf_types import K_QUANTS, PLAIN
from assay.errors import BadInput

ONNX = ("fp32", "int8", "int4")
ONNX_REFUSED = {
    "fp16": "the model builder makes it for GPUs; its graphs end with an error on ONNX Runtime's CPU provider",
    "bf16": "the model builder makes it for GPUs; ONNX Runtime's CPU provider lacks operators that its graphs use",
}
WORDS = {"fp32": "f32", "fp16": "f16", "int8": "q8_0", "int4": "q4_0"}
"""Words for GGUF that are not its own."""
KNOWN: Mapping[Target, tuple[str, ...]] = {"onnx": ONNX, "gguf": PLAIN + K_QUANTS}


def quantisations(to: Target, asked: Iterable[str]) -> tuple[str, ...]:
    """The format's own names for ``asked``, each once, in the order that they were asked for.

    Raises:
        BadInput: there is no such precision, or the engine of this format cannot run it on a CPU.
    """
    found: list[str] = []
    for word in asked:
        name = word.strip().lower()
        name = WORDS.get(name, name) if to == "gguf" else name
        if to == "onnx" and name in ONNX_REFUSED:
            raise BadInput(f"{word} cannot be made for ONNX here", why=ONNX_REFUSED[name], remedy="try fp32 or int8")
        if name not in KNOWN[to]:
            raise BadInput(f"there is no precision {word!r} for {to}", remedy=f"name one of {', '.join(KNOWN[to])}")
        if name not in found:
            found.append(name)
    if not found:
        raise BadInput("no precision was named", remedy=f"known for {to}: {', '.join(KNOWN[to])}")
    return tuple(found)
