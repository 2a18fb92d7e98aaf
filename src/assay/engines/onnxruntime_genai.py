"""ONNX Runtime GenAI: folders with a ``genai_config.json``, the format that Foundry Local's models come in.

This is the parent side; ``onnxruntime_genai_model`` opens the model inside the worker.
"""

from __future__ import annotations

from pathlib import Path

from assay.engines.onnxruntime_genai_folder import check_files, read_settings
from assay.engines.worker_engine import WorkerEngine
from assay.errors import BadInput
from assay.types import EngineOptions, Format, Variant


class OnnxRuntimeGenAI(WorkerEngine):
    """Parent side. A folder is checked against the sizes and hashes on record before its worker starts."""

    name = "onnxruntime_genai"
    formats: tuple[Format, ...] = ("onnx",)
    opener = "assay.engines.onnxruntime_genai_model:open_model"
    package = "onnxruntime-genai"

    def __init__(self) -> None:
        super().__init__()
        self._checked: set[tuple[str, str, tuple[int, ...]]] = set()

    def check(self, variant: Variant, options: EngineOptions) -> None:
        """Also refuse a folder that is not whole (``EngineStartFailed``) and a context that the model has not.

        Files are hashed once, and again only after they have changed.
        """
        super().check(variant, options)
        if options.extra:
            raise BadInput(f"engine {self.name} knows no option {min(options.extra)!r}; it has none")
        if variant.path is None:
            raise BadInput(f"{variant.id} is not on this machine: it has no path")
        folder = Path(variant.path)
        read_settings(folder).context(options.context_length)
        stamp = (str(folder), variant.digest, _stamp(folder, variant))
        if stamp not in self._checked:
            check_files(folder, variant)
            self._checked.add(stamp)


def _stamp(folder: Path, variant: Variant) -> tuple[int, ...]:
    paths = [folder / file.path for file in variant.files]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)
