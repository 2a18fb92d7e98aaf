"""Which families of models can be compiled, and into what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from assay.errors import BadInput

Target = Literal["onnx", "gguf"]

ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3",
    "Phi3ForCausalLM": "phi3",
}
"""Architecture in ``config.json`` -> family. Each one was held against transformers in both formats."""
FAMILIES: Mapping[Target, tuple[str, ...]] = {
    "onnx": tuple(ARCHITECTURES.values()),
    "gguf": tuple(ARCHITECTURES.values()),
}


def family_of(config: Mapping[str, Any]) -> tuple[str, str]:
    """Architecture and family; a family that is not known is the configuration's own ``model_type``.

    Raises:
        BadInput: the configuration names neither, or says that the weights are no plain text model's.
    """
    _refuse_other_kinds(config)
    names = config.get("architectures")
    architecture = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None
    kind = config.get("model_type")
    if architecture is None and isinstance(kind, str):
        architecture = next((name for name, family in ARCHITECTURES.items() if family == kind), None)
    if architecture is None and not isinstance(kind, str):
        raise BadInput(
            "this checkpoint does not say what model it is",
            why="config.json has neither architectures nor model_type",
            remedy="take config.json from the publisher's repository",
        )
    return architecture or "", ARCHITECTURES.get(architecture or "", str(kind or architecture))


def refuse_unknown(family: str, to: Target) -> None:
    """Raises:
    BadInput: the family cannot be compiled into ``to``.
    """
    if family not in FAMILIES[to]:
        elsewhere = [other for other in FAMILIES if family in FAMILIES[other]]
        raise BadInput(
            f"models of the family {family} cannot be compiled to {to}",
            why=f"what can be: {', '.join(FAMILIES[to])}",
            remedy=f"try --to {elsewhere[0]}" if elsewhere else "look for a GGUF or ONNX release of this model",
        )


def _refuse_other_kinds(config: Mapping[str, Any]) -> None:
    quantised = config.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else None
        raise BadInput(
            f"this checkpoint is quantised already ({method or 'quantization_config in config.json'})",
            why="quantising it once more would lose more than the proof could blame on the compile",
            remedy="compile the full-precision checkpoint that it was made from",
        )
    other = next((key for key in ("vision_config", "audio_config") if config.get(key)), None)
    if other:
        raise BadInput(
            f"this checkpoint has a {other.removesuffix('_config')} part",
            why="only plain text models are compiled; the rest of it would be lost without a word",
            remedy="look for a text-only release of this model",
        )
    if config.get("is_encoder_decoder"):
        raise BadInput(
            "this checkpoint is an encoder-decoder model",
            why="only models that continue a text are compiled",
            remedy="look for a release of it in a format that your engine reads",
        )
