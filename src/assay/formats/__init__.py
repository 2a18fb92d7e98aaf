"""What model files say of themselves, read without touching their weights.

In: a GGUF file, a folder of safetensors or of ONNX Runtime GenAI. Out: headers: metadata, tensors with types and sizes.
Every room may import this one; it imports nothing of ours but the nouns and the errors.
"""

from __future__ import annotations

from assay.formats.gguf_header import GgufHeader, read_gguf_header
from assay.formats.onnx_folder import OnnxFolder, is_onnx_folder, read_onnx_folder

__all__ = ["GgufHeader", "OnnxFolder", "is_onnx_folder", "read_gguf_header", "read_onnx_folder"]
