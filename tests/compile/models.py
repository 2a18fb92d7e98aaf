"""Tiny random models of every family, made once a session by the program that makes the large ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import damage  # noqa: E402 - lies in benchmarks/
import family_models  # noqa: E402

from assay.compile import Product, build, plan, read_checkpoint  # noqa: E402
from assay.compile.family import Target  # noqa: E402
from assay.types import Silent  # noqa: E402
from tests.compile import greedy  # noqa: E402

EXTRA = ("torch", "transformers", "tokenizers", "gguf", "onnx", "onnx_ir", "onnxruntime_genai")
MISSING = [name for name in EXTRA if find_spec(name) is None]
SKIP = f"the extra compile is not installed: {', '.join(MISSING)}"
BUNDLED = Path(__file__).parents[2] / "src/assay/catalog/bundled/notes-0.5m/notes-0.5m-safetensors"
__all__ = ["BUNDLED", "MISSING", "SKIP", "checkpoint_of", "damage", "family_models", "greedy", "product_of", "prompts"]


def checkpoint_of(folder: Path, family: str, **settings: Any) -> Path:
    """A tiny checkpoint of ``family`` in ``folder``; ``settings`` go over its configuration's."""
    return family_models.make(folder, family, family_models.TINY, **settings)


def product_of(folder: Path, to: Target, precision: str, home: Path) -> Product:
    """One product of a checkpoint, made or found below ``home``."""
    asked = plan(read_checkpoint(folder, name="m"), to, [precision], free_disk=None, free_memory=None)
    (product,) = build(asked, home / "products", reporter=Silent(), work=home / "work")
    return product


def prompts(count: int, longest: int, first: int = 300, last: int = 600) -> Sequence[list[int]]:
    """Token ids by a fixed rule, of lengths from 4 on; the longest looks past a tiny model's sliding window."""
    state, made = 1, []
    for number in range(count):
        length = 4 + number * (longest - 4) // max(1, count - 1)
        ids = []
        for _ in range(length):
            state = (state * 1103515245 + 12345) % 2**31
            ids.append(first + (state >> 8) % (last - first))
        made.append(ids)
    return made
