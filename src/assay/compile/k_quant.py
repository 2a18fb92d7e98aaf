"""ONNX Runtime's ``k_quant``, some blocks at a time. Imported only inside the worker: it takes NumPy along."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

MODULE, FUNCTION = "onnxruntime.quantization.neural_compressor.weight_only", "quant_tensor_k_quant_cpu"
SLICE = 2**20
"""Weights that are quantised at once."""
Quantise = Callable[..., tuple[npt.NDArray[Any], ...]]
"""A matrix, bits, weights of a block -> quantised weights, scales and zero points, a block a row."""


def use_slices() -> None:
    """From now on the library quantises in slices."""
    module = importlib.import_module(MODULE)
    setattr(module, FUNCTION, in_slices(getattr(module, FUNCTION)))


def in_slices(quantise: Quantise) -> Quantise:
    """The same, on all cores: blocks do not depend on each other.

    Of a whole matrix the library takes some 60 bytes a weight, on one core; of an output layer that is more than all
    the rest of a small model.
    """

    def sliced(data: npt.NDArray[Any], num_bits: int = 4, group_size: int = 32) -> tuple[npt.NDArray[Any], ...]:
        parts = np.array_split(data.reshape(-1, group_size), math.ceil(data.size / SLICE))
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda part: quantise(part, num_bits, group_size), parts))
        return tuple(np.concatenate(each) for each in zip(*done, strict=True))

    return sliced
