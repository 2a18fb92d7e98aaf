"""Whether the packages of the extra ``compile`` are here, found without importing them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from assay.compile.family import Target
from assay.errors import MissingExtra

NEEDED: Mapping[Target, tuple[str, ...]] = {
    "onnx": ("torch", "transformers", "onnx", "onnx_ir", "onnxruntime_genai"),
    "gguf": ("gguf", "tokenizers"),
}


def require(to: Target) -> None:
    """Raises:
    MissingExtra: a package that ``to`` needs cannot be found.
    """
    missing = [name for name in NEEDED[to] if not _found(name)]
    if missing:
        raise MissingExtra(
            f"compiling to {to} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            remedy="pip install 'assay[compile]'",
        )


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
