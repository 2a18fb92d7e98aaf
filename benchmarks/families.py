"""Whether what is compiled equals its original, what each precision loses, and whether damage is noticed.

usage: python benchmarks/families.py --work FOLDER [--models notes,llama,qwen3,gemma3,phi3] [--to onnx]
                                     [--precisions fp32,int8,int4] [--damage notes] [--tiny]

For the bundled checkpoint (notes) and one of random weights and about 100M parameters of each family (made below FOLDER
where it is not there, as is every product), the functions behind ``assay model compile`` plan, make, prove and judge
each product. The proof compares with transformers in fp32 over 20 prompts of 32 tokens and passages of text. Of the
models that are to be damaged, one tensor of each product is zeroed then, and the copy judged too.

Bars: fp32 in ONNX says the same 32 tokens on every prompt; every product has a proof; the default gate lets fp32 and
every whole product of the bundled model through, and refuses every damaged one. Default gates are for trained models:
of random weights the best tokens lie so close together that four bits change most of them, and the gate is expected to
refuse those products; its word is told. Needs the extra ``compile``.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import family_models
from damage import damaged
from family_models import products

from assay import compile as room
from assay.catalog.bundled import bundled_folder, bundled_prompts
from assay.compile.passages import default_text
from assay.compile.proof import prove
from assay.compile.reference import Original, ask_original
from assay.engines.probe import probe
from assay.measure.prompts import read_prompts
from assay.types import Interval, Probed, ProbeRequest, Prompt, Proof, Reporter, Variant

BUNDLED, BUNDLED_FOLDER = "notes", bundled_folder() / "notes-0.5m" / "notes-0.5m-safetensors"
ENGINES = {"gguf": "llamacpp", "onnx": "onnxruntime_genai"}
EXACT = {"fp32", "f32"}
PROMPTS, PASSAGES = 20, 4
HEAD = (
    "| variant | MB | decode tok/s | prompts equal | equal greedy tokens | KL, nats | perplexity ratio | default gate |"
    "\n"
    "| --- | --: | --: | --: | --- | --- | --- | --- |"
)
EXPECTED = (
    "The weights of all models but `notes` are random: their best tokens lie so close together that four bits change "
    "most of them, and the default gate, which is for trained models, is expected to refuse those products. Their "
    "proof is written all the same."
)
LONG = 2
"""Prompts that are several passages long."""


def ask(variant: Variant, engine: str, request: ProbeRequest, folder: Path, reporter: Reporter) -> Probed:
    """The probe as ``prove`` wants it."""
    return probe(variant, engine, request, folder, reporter=reporter)


def prompts() -> tuple[Prompt, ...]:
    """Short ones of 3 to 16 words, and some long ones, out of the passages of the proof."""
    draw, passages = random.Random(0), default_text()
    words = list(chain.from_iterable(passage.split() for passage in passages))
    texts = [" ".join(draw.sample(words, draw.randrange(3, 17))) for _ in range(PROMPTS - LONG)]
    texts += ["\n\n".join(draw.sample(passages, 4)) for _ in range(LONG)]
    return tuple(Prompt(id=f"p{number:02}", prompt=text) for number, text in enumerate(texts))


@dataclass
class Bars:
    """What was missed, a sentence each."""

    missed: list[str]

    def hold(self, name: str, proof: Proof, *, exact: bool, bundled: bool) -> None:
        """Hold a whole product against the bars."""
        if exact and name.split(":")[1].startswith("onnx") and proof.identical != proof.prompts:
            self.missed.append(f"{name} says the same as its original on {proof.identical} of {proof.prompts} prompts")
        if (exact or bundled) and not proof.passed:
            self.missed.append(f"{name} was refused: {'; '.join(proof.failed)}")


def check(name: str, source: Path, options: Any, bars: Bars) -> None:
    """Every product of one checkpoint, a line each, and damaged copies of those that are to be damaged."""
    questions = read_prompts(bundled_prompts())[:PROMPTS] if name == BUNDLED else prompts()
    text = None if name == BUNDLED else default_text()[:PASSAGES]
    original = ask_original(source, questions, work=options.work / "original", text=text)
    for to in options.to.split(","):
        for variant in products(name, source, to, options.precisions.split(","), options.work):
            proof = proven(original, variant, options.work)
            print(row(variant, proof), flush=True)
            bars.hold(variant.id, proof, exact=variant.quantisation in EXACT, bundled=name == BUNDLED)
            if name in options.damage.split(","):
                broken, _ = damaged(variant, options.work / "damaged")
                proof = proven(original, broken, options.work)
                print(row(broken, proof), flush=True)
                if proof.passed:
                    bars.missed.append(f"{broken.id} passed its gate")


def proven(original: Original, variant: Variant, work: Path) -> Proof:
    """The proof with the word of the precision's default gate."""
    proof = prove(original, variant, engine=ENGINES[variant.format], probe=ask, work=work / "probe")
    return room.judge(proof, room.default_gate(variant.quantisation))


def row(variant: Variant, proof: Proof) -> str:
    """One line of the table."""
    size = f"{variant.disk / 1e6:.1f}" if variant.disk is not None else "-"
    rate = f"{proof.decode_tps:.0f}" if proof.decode_tps else "-"
    equal = f"{proof.identical} of {proof.prompts}"
    verdict = "passed" if proof.passed else "refused: " + "; ".join(proof.failed)
    shown = (_shown(proof.agreement), _shown(proof.kl), _shown(proof.perplexity_ratio))
    return "| " + " | ".join((variant.id, size, rate, equal, *shown, verdict)) + " |"


def _shown(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    bounds = f" ({interval.low:.3g} to {interval.high:.3g})" if interval.low is not None else ""
    return f"{interval.value:.3g}{bounds}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--models",
        default="notes,llama,qwen3,gemma3,phi3",
        help=f"{BUNDLED} and of {', '.join(family_models.FAMILIES)}",
    )
    parser.add_argument("--to", default="onnx", help="formats: onnx, gguf")
    parser.add_argument("--precisions", default="fp32,int8,int4")
    parser.add_argument("--damage", default=BUNDLED, help="models whose products are also damaged")
    parser.add_argument("--tiny", action="store_true", help="models of 0.1M parameters, for trying things out")
    options = parser.parse_args()
    shape = family_models.TINY if options.tiny else family_models.Shape()
    started, bars = time.monotonic(), Bars([])
    print(HEAD)
    for name in options.models.split(","):
        source = BUNDLED_FOLDER if name == BUNDLED else family_models.make(options.work / name, name, shape)
        check(name, source, options, bars)
    load = f"; load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    print(f"\n{time.monotonic() - started:.0f} s{load}. {PROMPTS} prompts, 32 tokens after each. {EXPECTED}")
    for missed in bars.missed:
        print(f"\nMissed: {missed}.")
    raise SystemExit(bool(bars.missed))


if __name__ == "__main__":
    main()
