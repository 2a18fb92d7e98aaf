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

import families  # noqa: E402 - lies in benchmarks/
import greedy  # noqa: E402

EXTRA = ("torch", "transformers", "tokenizers", "gguf", "onnx", "onnx_ir", "onnxruntime_genai")
MISSING = [name for name in EXTRA if find_spec(name) is None]
SKIP = f"the extra compile is not installed: {', '.join(MISSING)}"
BUNDLED = Path(__file__).parents[2] / "src/assay/catalog/bundled/notes-0.5m/notes-0.5m-safetensors"
__all__ = ["BUNDLED", "MISSING", "SKIP", "checkpoint_of", "families", "greedy", "prompts"]


def checkpoint_of(folder: Path, family: str, **settings: Any) -> Path:
    """A tiny checkpoint of ``family`` in ``folder``; ``settings`` go over its configuration's."""
    return families.make(folder, family, families.TINY, **settings)


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
