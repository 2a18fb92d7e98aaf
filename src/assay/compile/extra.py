"""Whether the packages of the extra ``compile`` are here, found without importing them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence

from assay.compile.family import Target
from assay.errors import MissingExtra

PROOF = ("torch", "transformers")
"""What the original is run by, for the proof of every product."""
NEEDED: Mapping[Target, tuple[str, ...]] = {
    "onnx": (*PROOF, "onnx", "onnx_ir", "onnxruntime_genai"),
    "gguf": (*PROOF, "gguf", "tokenizers"),
}


def require(packages: Sequence[str], what: str) -> None:
    """Raises:
    MissingExtra: one of ``packages`` cannot be found; ``what`` is the work that needs them.
    """
    missing = [name for name in packages if not _found(name)]
    if missing:
        raise MissingExtra(
            f"{what} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            remedy="pip install 'assay[compile]'",
        )


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
