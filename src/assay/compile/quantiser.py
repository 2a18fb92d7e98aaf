"""Weights from f32 to the types of GGUF, block by block: with numpy, and K-quants by llama.cpp's own code.

The library inside the ``xllamacpp`` wheel exports ggml's ``ggml_quantize_chunk`` on most systems. It is no documented
interface of that package, so it is used only after it has given the bytes that are known for known weights.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from assay.compile.gguf_types import TYPES, bytes_of
from assay.errors import CompileError

LIBRARIES = ("xllamacpp*.so", "xllamacpp*.dylib", "xllamacpp*.pyd")
THREADS = 4
K_QUANT_ERROR = {"Q3_K": 0.25, "Q4_K": 0.12, "Q5_K": 0.06, "Q6_K": 0.03}
"""Root mean square error of normally distributed weights beyond which a quantiser is not the one that it should be;
half as much again as what was seen."""


def quantise(weights: Any, kind: str) -> Any:
    """An array of f32, rows of a whole number of blocks, as bytes (uint8) or, for F32 and F16, as such."""
    import gguf

    number = gguf.GGMLQuantizationType(TYPES[kind].number)
    if not kind.endswith("_K"):
        return gguf.quants.quantize(weights, number)
    found = ggml()
    if found is None:
        raise CompileError(f"{kind} needs llama.cpp's quantiser, which is not here")
    return _by_library(found, weights, kind)


@functools.cache
def ggml() -> Any:
    """ggml's ``ggml_quantize_chunk`` out of the ``xllamacpp`` package, after a trial; None where there is none."""
    spec = importlib.util.find_spec("xllamacpp")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    paths = [path for pattern in LIBRARIES for path in sorted(folder.glob(pattern))] if folder else []
    for path in paths:
        try:
            function = ctypes.CDLL(str(path)).ggml_quantize_chunk
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_size_t
        function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
        if _trial(function):
            return function
    return None


def _trial(function: Any) -> bool:
    """Q8_0 must be numpy's bytes; K-quants must come back near what went in."""
    import gguf
    import numpy as np

    weights = np.random.default_rng(0).standard_normal((4, 512), dtype=np.float32)
    if not np.array_equal(_by_library(function, weights, "Q8_0"), quantise(weights, "Q8_0")):
        return False
    for kind, limit in K_QUANT_ERROR.items():
        packed = _by_library(function, weights, kind)
        back = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType(TYPES[kind].number))
        if not float(np.sqrt(np.mean((back - weights) ** 2))) < limit:
            return False
    return True


def _by_library(function: Any, weights: Any, kind: str) -> Any:
    import numpy as np

    source = np.ascontiguousarray(weights, dtype=np.float32)
    rows, width = source.size // source.shape[-1], source.shape[-1]
    out = np.empty((*source.shape[:-1], bytes_of((width,), kind)), dtype=np.uint8)

    def part(start: int, end: int) -> None:
        place = source.ctypes.data + start * width * 4
        target = out.ctypes.data + start * bytes_of((width,), kind)
        done = function(TYPES[kind].number, place, target, 0, end - start, width, None)
        if done != bytes_of((end - start, width), kind):
            raise CompileError(f"llama.cpp's quantiser wrote {done} bytes of {kind} for {end - start} rows of {width}")

    step = -(-rows // THREADS)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda start: part(start, min(rows, start + step)), range(0, rows, step)))
    return out
