"""What model files say of themselves, read without touching their weights.

In: a GGUF file, a folder of safetensors or of ONNX Runtime GenAI, or byte ranges of files that lie elsewhere. Out:
headers: metadata, tensors with types and sizes. Every room may import this one, which imports only nouns and errors.
"""

from __future__ import annotations

from assay.formats.gguf_header import GgufHeader, read_gguf_header
from assay.formats.gguf_header import Tensor as GgufTensor
from assay.formats.gguf_names import is_projector, shard_of
from assay.formats.json_object import read_json_object
from assay.formats.onnx_folder import OnnxFolder, is_onnx_folder, read_onnx_folder, told_name, without_version
from assay.formats.onnx_graph import onnx_graph
from assay.formats.pickles import refuse_pickles
from assay.formats.safetensors_folder import (
    SafetensorsFolder,
    is_safetensors_folder,
    read_safetensors_folder,
    weight_files,
)
from assay.formats.safetensors_header import SafeTensor, SafetensorsHeader, read_safetensors_header
from assay.formats.source import FileReader, Reader

__all__ = [
    "FileReader",
    "GgufHeader",
    "GgufTensor",
    "OnnxFolder",
    "Reader",
    "SafeTensor",
    "SafetensorsFolder",
    "SafetensorsHeader",
    "is_onnx_folder",
    "is_projector",
    "is_safetensors_folder",
    "onnx_graph",
    "read_gguf_header",
    "read_json_object",
    "read_onnx_folder",
    "read_safetensors_folder",
    "read_safetensors_header",
    "refuse_pickles",
    "shard_of",
    "told_name",
    "weight_files",
    "without_version",
]
