"""A language model of random weights and about 116M parameters, in the formats of both built-in engines.

usage: python benchmarks/random_model.py FOLDER [--tiny]

Makes a safetensors checkpoint of the Qwen2 architecture in FOLDER/hf, and compiles it below FOLDER/products. Speed
depends on the shapes alone, so random weights serve. What is there already is kept. Needs the extra ``compile``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import family_models
from family_models import Shape, products

SHAPE = Shape(ffn=3072)


@dataclass(frozen=True)
class Files:
    """Where each form of the model lies."""

    hf: Path
    gguf: Path
    onnx_int4: Path
    onnx_int8: Path


def make(folder: Path, shape: Shape = SHAPE) -> Files:
    """Make what is missing below ``folder``; a minute or two for the default shape."""
    hf = family_models.make(folder / "hf", "qwen2", shape)
    (gguf,) = products("random", hf, "gguf", ["q8_0"], folder)
    int4, int8 = products("random", hf, "onnx", ["int4", "int8"], folder)
    return Files(hf, Path(gguf.path or ""), Path(int4.path or ""), Path(int8.path or ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true", help="0.1M parameters, for trying things out")
    options = parser.parse_args()
    print(make(options.folder, family_models.TINY if options.tiny else SHAPE))


if __name__ == "__main__":
    main()
