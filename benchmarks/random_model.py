"""A language model of random weights and about 116M parameters, in the formats of both built-in engines.

usage: python benchmarks/random_model.py FOLDER [--tiny]

Writes FOLDER/hf (safetensors), FOLDER/model-q8_0.gguf, FOLDER/onnx-int4 and FOLDER/onnx-int8: the same weights of the
Qwen2 architecture. Speed depends on the shapes alone, so random weights serve; they are scaled so that greedy decoding
has clear winners, and the rows of the end tokens are zero, so that no text ends before it is asked to. What is there
already is kept. Needs torch, transformers, gguf, onnx and onnx-ir (the extra ``train``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CONTEXT = 4096


@dataclass(frozen=True)
class Shape:
    """What the architecture leaves open; head width is ``hidden / heads``."""

    hidden: int = 768
    layers: int = 12
    heads: int = 12
    kv_heads: int = 4
    ffn: int = 3072
    vocab: int = 16384


TINY = Shape(hidden=64, layers=2, heads=2, kv_heads=1, ffn=128, vocab=1024)


@dataclass(frozen=True)
class Files:
    """Where each format of the model lies."""

    hf: Path
    gguf: Path
    onnx_int4: Path
    onnx_int8: Path


def files(folder: Path) -> Files:
    """The paths that ``make`` fills below ``folder``."""
    return Files(folder / "hf", folder / "model-q8_0.gguf", folder / "onnx-int4", folder / "onnx-int8")


def make(folder: Path, shape: Shape = Shape()) -> Files:
    """Make what is missing below ``folder``; a minute or two for the default shape."""
    made = files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (made.hf / "model.safetensors").exists():
        write_hf(made.hf, shape)
    if not made.gguf.exists():
        write_gguf(made.hf, made.gguf)
    for out, bits in ((made.onnx_int4, 4), (made.onnx_int8, 8)):
        if not (out / "genai_config.json").exists():
            write_onnx(made.hf, out, bits)
    return made


def train_tokenizer(vocab: int) -> Any:
    """A byte-level BPE over the sources of Python's standard library."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    texts = [path.read_text("utf-8", errors="replace") for path in sources]
    bpe = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab - len(SPECIAL), initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    bpe.add_special_tokens(list(SPECIAL))
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=SPECIAL[2], pad_token=SPECIAL[0])
    fast.chat_template = TEMPLATE
    return fast


def write_hf(out: Path, shape: Shape) -> None:
    """The Hugging Face folder that the other formats are made from."""
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    tokenizer = train_tokenizer(shape.vocab)
    pad, _, end = (int(tokenizer.convert_tokens_to_ids(token)) for token in SPECIAL)
    config = Qwen2Config(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.ffn,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=pad,
        eos_token_id=end,
        pad_token_id=pad,
    )
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0, 0.1)
            elif weight.dim() == 2:
                weight.normal_(0, 0.05 if "embed" in name else 1.2 / weight.shape[1] ** 0.5)
        model.model.embed_tokens.weight[[pad, end]] = 0
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad, do_sample=False)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    settings = out / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"tokenizer_class": "Qwen2Tokenizer"}, indent=1))


GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """``model.layers.3.mlp.up_proj.weight`` -> ``blk.3.ffn_up.weight``."""
    if name in GGUF_NAMES:
        return GGUF_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{GGUF_NAMES[stem]}.{kind}"


def write_gguf(hf: Path, out: Path) -> None:
    """One GGUF file: matrices in Q8_0, vectors in f32."""
    import gguf
    from safetensors import safe_open

    config = json.loads((hf / "config.json").read_text())
    writer = gguf.GGUFWriter(out, "qwen2")
    writer.add_name("random")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    add_tokenizer(writer, hf)
    with safe_open(hf / "model.safetensors", framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118 - not a mapping
            data = weights.get_tensor(name).float().numpy()
            kind = gguf.GGMLQuantizationType.Q8_0 if data.ndim == 2 else gguf.GGMLQuantizationType.F32
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: Any, hf: Path) -> None:
    """Vocabulary, merges and template from ``tokenizer.json``."""
    import gguf

    tokenizer = json.loads((hf / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocab, key=vocab.__getitem__)
    kinds = [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(vocab[SPECIAL[2]])
    writer.add_pad_token_id(vocab[SPECIAL[0]])
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def write_onnx(hf: Path, out: Path, bits: int) -> None:
    """An ONNX Runtime GenAI folder, by the package's own model builder."""
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(hf), "-o", str(out), "-e", "cpu"]
    command += ["-p", f"int{bits}", "-c", str(out.parent / "cache")]
    quiet = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}  # the package sends usage events unless told not to
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if done.returncode != 0:
        raise SystemExit(f"the model builder failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true", help="0.1M parameters, for trying things out")
    options = parser.parse_args()
    print(make(options.folder, TINY if options.tiny else Shape()))


if __name__ == "__main__":
    main()
