"""Turn trained weights into what is shipped: safetensors, GGUF, ONNX, the manifest and the prompts of quickstart.

    python -m training.export build/runs --into src/assay/catalog/bundled

Before anything is written, each model's logits are compared with those of transformers on the same weights.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from assay.types import Variant
from training.gguf_file import write_gguf
from training.manifest import bundled_variant
from training.model import CONTEXT_LENGTH, SIZES, NotesModel
from training.notes import held_out_prompts
from training.tokenizer import CHAT_TEMPLATE, END, END_OF_TEXT

QUICKSTART_SEED, QUICKSTART_PROMPTS = 7, 40
GGUF_QUANTISATIONS = {"notes-4m": ("q8_0", "q4_0"), "notes-1.5m": ("q8_0",), "notes-0.5m": ("q8_0",)}
ONNX_MODEL, SAFETENSORS_MODEL = "notes-4m", "notes-0.5m"
ONNX_FILES = (
    "genai_config.json",
    "model.onnx",
    "model.onnx.data",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)


def complete_checkpoint(source: Path, target: Path) -> None:
    """Copy a trainer's checkpoint and add the files that make it a full transformers folder."""
    target.mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        shutil.copyfile(source / name, target / name)
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END_OF_TEXT,
        "bos_token": None,
        "unk_token": None,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT_LENGTH,
        "chat_template": CHAT_TEMPLATE,
    }
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    generation = {
        "do_sample": False,
        "eos_token_id": config["eos_token_id"],
        "pad_token_id": config["pad_token_id"],
    }
    (target / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n", encoding="utf-8")
    (target / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")


def largest_logit_difference(folder: Path, name: str) -> float:
    """The largest difference between our logits and those of transformers on one held-out prompt."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode(held_out_prompts(QUICKSTART_SEED, 1)[0]["prompt"]).ids])
    length = ids.shape[1]
    ours = NotesModel(SIZES[name], tokenizer.get_vocab_size())
    ours.load_state_dict(load_file(folder / "model.safetensors"))
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    mask = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
    with torch.no_grad():
        mine = ours.logits(ours.hidden(ids, torch.arange(length)[None], mask))
        return float((mine - theirs(ids).logits).abs().max())


def build_onnx(checkpoint: Path, target: Path) -> None:
    """Build the int4 model for the CPU with the builder of onnxruntime-genai."""
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / "built"
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(checkpoint), "-o", str(built)]
        quiet = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}  # the package sends usage events unless told not to
        command += ["-p", "int4", "-e", "cpu", "-c", scratch]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=quiet)
        target.mkdir(parents=True)
        for name in ONNX_FILES:
            if (built / name).exists():
                shutil.copyfile(built / name, target / name)


def export_model(name: str, checkpoint: Path, into: Path) -> list[Variant]:
    """Write every artefact of one model below `into`; gives their manifest entries."""
    folder = into / name
    shutil.rmtree(folder, ignore_errors=True)
    variants: list[Variant] = []
    for quantisation in GGUF_QUANTISATIONS[name]:
        path = folder / f"{name}-{quantisation}.gguf"
        folder.mkdir(parents=True, exist_ok=True)
        write_gguf(checkpoint, path, name, quantisation)
        variants.append(bundled_variant(into, path, name, "gguf", quantisation))
    if name == ONNX_MODEL:
        path = folder / f"{name}-onnx-int4"
        build_onnx(checkpoint, path)
        variants.append(bundled_variant(into, path, name, "onnx", "int4"))
    if name == SAFETENSORS_MODEL:
        path = folder / f"{name}-safetensors"
        shutil.copytree(checkpoint, path, copy_function=shutil.copyfile)
        variants.append(bundled_variant(into, path, name, "safetensors", "f32"))
    return variants


def main() -> None:
    """Export every size."""
    parser = argparse.ArgumentParser(description="Export the trained models.")
    parser.add_argument("runs", type=Path, help="the folder with one training run per model name")
    parser.add_argument("--into", type=Path, required=True, help="the bundled folder of the package")
    given = parser.parse_args()
    variants: list[Variant] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in reversed(SIZES):
            checkpoint = Path(scratch) / name
            complete_checkpoint(given.runs / name / "hf", checkpoint)
            difference = largest_logit_difference(checkpoint, name)
            print(f"{name}: logits differ from transformers by at most {difference:.1e}")
            assert difference < 1e-3, "the model computes something else than transformers does"
            variants += export_model(name, checkpoint, given.into)
    manifest = msgspec.json.format(msgspec.json.encode(variants), indent=2)
    (given.into / "bundled.json").write_bytes(manifest + b"\n")
    prompts = held_out_prompts(QUICKSTART_SEED, QUICKSTART_PROMPTS)
    (given.into / "prompts.json").write_text(json.dumps(prompts, indent=2) + "\n", encoding="utf-8")
    print(f"{sum(variant.disk or 0 for variant in variants) / 1e6:.2f} MB in {len(variants)} variants")


if __name__ == "__main__":
    main()
