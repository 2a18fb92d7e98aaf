"""What is asked becomes a plan, or is refused before any work: precision, family, packages, disk, memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from assay.compile import plan, read_checkpoint
from assay.compile.family import Target
from assay.compile.precision import quantisations
from assay.errors import BadInput, NoRoom
from tests.compile.models import BUNDLED, MISSING, SKIP

needs_extra = pytest.mark.skipif(bool(MISSING), reason=SKIP)


def test_words_and_names() -> None:
    assert quantisations("gguf", ["fp32", "fp16", "bf16", "int8", "int4"]) == ("f32", "f16", "bf16", "q8_0", "q4_0")
    assert quantisations("gguf", ["Q4_K_M", "int8", "q8_0"]) == ("q4_k_m", "q8_0")
    assert quantisations("onnx", ["fp32", "int8", "int4"]) == ("fp32", "int8", "int4")


@pytest.mark.parametrize("word", ["fp16", "bf16"])
def test_what_the_cpu_engine_cannot_run_is_refused_with_the_reason(word: str) -> None:
    with pytest.raises(BadInput, match="cannot be made for ONNX") as caught:
        quantisations("onnx", [word])
    assert "CPU provider" in (caught.value.why or "")


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(BadInput, match="no precision 'int3'"):
        quantisations("gguf", ["int3"])
    with pytest.raises(BadInput, match="no precision 'q4_k_m' for onnx"):
        quantisations("onnx", ["q4_k_m"])
    with pytest.raises(BadInput, match="no precision was named"):
        quantisations("onnx", [])


@needs_extra
def test_the_plan_of_the_bundled_checkpoint() -> None:
    read = read_checkpoint(BUNDLED, name="notes")
    made = plan(read, "gguf", ["int8", "q4_k_m"], free_disk=10**9, free_memory=10**10)
    assert [product.id for product in made.products] == ["notes:q8_0", "notes:q4_k_m"]
    assert all(product.size > 0 and product.memory > product.size for product in made.products)
    assert any("256 does not divide their rows" in note for note in made.notes)
    onnx = plan(read, "onnx", ["fp32", "int4"], free_disk=None, free_memory=None)
    assert [product.id for product in onnx.products] == ["notes:onnx-fp32", "notes:onnx-int4"]
    assert onnx.products[0].size > onnx.products[1].size


@needs_extra
def test_room_is_asked_for_first() -> None:
    read = read_checkpoint(BUNDLED, name="notes")
    sizes = [p.size for p in plan(read, "gguf", ["f32", "q8_0"], free_disk=None, free_memory=None).products]
    with pytest.raises(NoRoom, match="too little disk"):
        plan(read, "gguf", ["f32", "q8_0"], free_disk=sum(sizes) - 1, free_memory=None)
    assert plan(read, "gguf", ["f32", "q8_0"], free_disk=sum(sizes), free_memory=None).products
    with pytest.raises(NoRoom, match="too little memory") as caught:
        plan(read, "onnx", ["fp32"], free_disk=None, free_memory=500_000_000)
    assert "gguf" in (caught.value.remedy or "")


@needs_extra
def test_an_unknown_family_is_refused_with_what_is_known(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED, tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    strange = {"architectures": ["FalconForCausalLM"], "model_type": "falcon"}
    config.write_text(json.dumps(json.loads(config.read_text()) | strange))
    with pytest.raises(BadInput, match="family falcon cannot be compiled to gguf") as caught:
        plan(read_checkpoint(tmp_path / "m"), "gguf", ["f32"], free_disk=None, free_memory=None)
    assert "qwen3" in (caught.value.why or "")


@needs_extra
def test_a_checkpoint_that_lacks_a_tensor_is_refused_for_both(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED, tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 5}))
    for to in get_args(Target):
        with pytest.raises(BadInput, match="not a whole qwen3 checkpoint"):
            plan(read_checkpoint(tmp_path / "m"), to, ["fp32"], free_disk=None, free_memory=None)


@needs_extra
def test_a_rotary_scaling_that_would_be_lost_is_refused(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(tiny("llama"), tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    linear = {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}}
    config.write_text(json.dumps(json.loads(config.read_text()) | linear))
    read = read_checkpoint(tmp_path / "m")
    with pytest.raises(BadInput, match="'linear' of this checkpoint cannot be compiled to onnx"):
        plan(read, "onnx", ["fp32"], free_disk=None, free_memory=None)
    assert plan(read, "gguf", ["f32"], free_disk=None, free_memory=None).products


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
from pathlib import Path
from assay.compile import plan, read_checkpoint
from assay.errors import MissingExtra
try:
    plan(read_checkpoint(Path({folder!r})), {to!r}, ["fp32"], free_disk=None, free_memory=None)
except MissingExtra as error:
    print(error)
"""


@needs_extra
@pytest.mark.parametrize(
    ("to", "blocked", "names"),
    [("onnx", {"torch", "onnx"}, "torch, onnx, which are"), ("gguf", {"gguf"}, "gguf, which is")],
)
def test_a_missing_extra_is_named(to: str, blocked: set[str], names: str) -> None:
    code = BLOCKED.format(blocked=blocked, folder=str(BUNDLED), to=to)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'assay[compile]'" in done.stdout
    assert to == "onnx" or names in done.stdout
    assert blocked <= set(done.stdout.replace(",", " ").split())


def test_the_room_is_light_to_import() -> None:
    code = "import assay.compile, sys; print([m for m in %r if m in sys.modules])"
    heavy = ("torch", "transformers", "gguf", "numpy", "tokenizers", "xllamacpp", "onnx", "onnxruntime_genai")
    done = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
