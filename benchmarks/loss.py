"""What each precision and format loses against its original, how large it is, and how fast here.

usage: python benchmarks/loss.py WORK [--checkpoint FOLDER] [--to gguf,onnx] [--precisions fp32,fp16,...] [--json FILE]

Compiles the checkpoint (the bundled safetensors model, where none is named) to every precision, proves each product
against the original on the engine that serves it, and judges it by its default gate. Then one tensor of each product
is zeroed: the gate must refuse that. Exits with 1 where a whole product is refused or a damaged one is not. What was
compiled in WORK before is used again. Needs the extra ``compile``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import structs
from msgspec.json import encode

from assay.catalog.bundled import bundled_folder, bundled_prompts
from assay.compile.build import build
from assay.compile.checkpoint import read_checkpoint
from assay.compile.family import Target
from assay.compile.gate import default_gate, judge
from assay.compile.passages import default_questions
from assay.compile.plan import plan
from assay.compile.proof import prove
from assay.compile.reference import Original, ask_original
from assay.engines.probe import probe
from assay.measure.prompts import read_prompts
from assay.types import Interval, Probed, ProbeRequest, Proof, Reporter, Silent, Variant

BUNDLED = bundled_folder() / "notes-0.5m" / "notes-0.5m-safetensors"
PRECISIONS: dict[Target, str] = {"gguf": "fp32,fp16,bf16,int8,int4", "onnx": "fp32,int8,int4"}
ENGINES = {"gguf": "llamacpp", "onnx": "onnxruntime_genai"}
PROMPTS = 20


def ask(variant: Variant, engine: str, request: ProbeRequest, folder: Path, reporter: Reporter) -> Probed:
    """The probe as ``prove`` wants it."""
    return probe(variant, engine, request, folder, reporter=reporter)


def products(checkpoint: Path, to: Target, precisions: list[str], work: Path) -> Iterator[Variant]:
    """Every product, made or found in ``work``."""
    planned = plan(read_checkpoint(checkpoint), to, precisions, free_disk=None, free_memory=None)
    for product in build(planned, work / "products", reporter=Silent(), work=work / "work"):
        yield product.variant


def damaged(variant: Variant, folder: Path, byte: bytes = b"\0") -> tuple[Variant, str]:
    """A copy in which the output projection of a middle layer's attention is all ``byte``, and the tensor's name."""
    path = Path(variant.path or "")
    copy = folder / path.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if path.is_dir():
        shutil.copytree(path, copy)
        name = _fill_onnx(copy, byte)
    else:
        shutil.copyfile(path, copy)
        name = _fill_gguf(copy, byte)
    return structs.replace(variant, id=f"{variant.id}-damaged", path=str(copy), files=()), name


def _fill_gguf(path: Path, byte: bytes) -> str:
    import gguf

    tensors = [tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name.endswith("attn_output.weight")]
    tensor = tensors[(len(tensors) - 1) // 2]
    start, length, name = int(tensor.data_offset), int(tensor.n_bytes), str(tensor.name)
    _fill(path, start, length, byte)
    return name


def _fill_onnx(folder: Path, byte: bytes) -> str:
    """Of a quantised matrix also the scales and zero points, so that zeros make it zero and not a constant."""
    import onnx

    model = onnx.load(folder / "model.onnx", load_external_data=False)
    layers = sorted({_layer(tensor.name) for tensor in model.graph.initializer if "o_proj" in tensor.name})
    prefix = f"model.layers.{layers[(len(layers) - 1) // 2]}.attn.o_proj"
    for tensor in model.graph.initializer:
        if tensor.name.startswith(prefix):
            place = {entry.key: entry.value for entry in tensor.external_data}
            if "location" in place:
                _fill(folder / place["location"], int(place.get("offset", 0)), int(place["length"]), byte)
    return prefix


def _layer(name: str) -> int:
    return int(name.split("layers.")[1].split(".", maxsplit=1)[0])


def _fill(path: Path, start: int, length: int, byte: bytes) -> None:
    if length <= 0:
        raise SystemExit(f"nothing to damage in {path}")
    with path.open("r+b") as file:
        file.seek(start)
        file.write(byte * length)


def row(variant: Variant, proof: Proof) -> str:
    """One line of the table."""
    size = f"{variant.disk / 1e6:.1f}" if variant.disk is not None else "-"
    rate = f"{proof.decode_tps:.0f}" if proof.decode_tps else "-"
    verdict = "passed" if proof.passed else "refused: " + "; ".join(proof.failed)
    cells = [variant.id, size, rate, _shown(proof.kl), _shown(proof.agreement), _shown(proof.perplexity_ratio), verdict]
    return "| " + " | ".join(cells) + " |"


def _shown(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    bounds = f" ({interval.low:.3g} to {interval.high:.3g})" if interval.low is not None else ""
    return f"{interval.value:.3g}{bounds}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED)
    parser.add_argument("--to", default="gguf,onnx")
    parser.add_argument("--precisions", help="for every format named; default: all that it has")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundled = options.checkpoint.resolve() == BUNDLED.resolve()
    prompts = read_prompts(bundled_prompts()) if bundled else default_questions()
    original = ask_original(options.checkpoint, prompts[:PROMPTS], work=options.work / "original")
    print(f"{original.name}: {sum(len(scored.positions) for scored in original.request.sequences)} positions\n")
    print("| variant | MB | decode tok/s | KL, nats | equal greedy tokens | perplexity ratio | default gate |")
    print("| --- | --: | --: | --- | --- | --- | --- |")
    wrong, proofs = _table(original, options)
    if options.json:
        options.json.write_bytes(json.dumps(proofs, indent=1).encode())
    if wrong:
        sys.exit(f"\nwrongly judged: {', '.join(wrong)}")


def _table(original: Original, options: Any) -> tuple[list[str], dict[str, Any]]:
    """Print a line a product, whole and damaged; the ids that were judged wrongly, and all proofs."""
    wrong, proofs = [], {}
    for to in options.to.split(","):
        precisions = (options.precisions or PRECISIONS[to]).split(",")
        for variant in products(options.checkpoint, to, precisions, options.work):
            broken, _ = damaged(variant, options.work / "damaged")
            for product, passes in ((variant, True), (broken, False)):
                proof = prove(original, product, engine=ENGINES[to], probe=ask, work=options.work / "probe")
                proof = judge(proof, default_gate(variant.quantisation))
                print(row(product, proof), flush=True)
                proofs[product.id] = json.loads(encode(proof))
                if proof.passed is not passes:
                    wrong.append(product.id)
    return wrong, proofs


if __name__ == "__main__":
    main()
