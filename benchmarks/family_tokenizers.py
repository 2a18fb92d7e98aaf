"""Tokenizers as the publishers of each family lay them out, trained on the sources of Python's standard library."""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TURN = "{% for m in messages %}"
LLAMA3_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_PIECES = LLAMA3_PIECES.replace(r"\p{N}{1,3}", r"\p{N}")


@dataclass(frozen=True)
class Style:
    """A tokenizer's kind. ``pieces`` is the pattern of a byte-level one; None: bytes only where a character is missing.

    The marks of a byte-level vocabulary stand at its end, those of the other kind at its beginning.
    """

    loader: str
    marks: tuple[str, ...]
    end: str
    template: str
    bos: str | None = None
    pieces: str | None = None
    strips: bool = False
    """Whether white space after a mark is dropped."""
    prefix: bool = False
    """Whether a text begins with a space that is not in it."""


STYLES = {
    "llama3": Style(
        "PreTrainedTokenizerFast",
        ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
        "<|eot_id|>",
        TURN + "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] + '<|eot_id|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
        "{% endif %}",
        bos="<|begin_of_text|>",
        pieces=LLAMA3_PIECES,
    ),
    "chatml": Style(
        "Qwen2Tokenizer",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
        TURN + "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        pieces=QWEN_PIECES,
    ),
    "gemma": Style(
        "GemmaTokenizer",
        ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
        "<end_of_turn>",
        TURN + "{{ '<start_of_turn>' + m['role'] + '\n' + m['content'] + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        bos="<bos>",
    ),
    "phi": Style(
        "LlamaTokenizer",
        ("<unk>", "<s>", "</s>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>"),
        "<|end|>",
        TURN + "{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        bos="<s>",
        strips=True,
        prefix=True,
    ),
    "mistral": Style(
        "LlamaTokenizer",
        ("<unk>", "<s>", "</s>"),
        "</s>",
        TURN + "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% endfor %}",
        bos="<s>",
        prefix=True,
    ),
}


def write_tokenizer(folder: Path, style: Style, vocab: int) -> dict[str, int]:
    """``tokenizer.json`` and ``tokenizer_config.json`` of ``vocab`` tokens; the ids of the marks."""
    backend = _byte_level(style, vocab) if style.pieces else _byte_fallback(style, vocab)
    if style.bos:
        from tokenizers.processors import TemplateProcessing

        begins = (style.bos, backend.token_to_id(style.bos))
        backend.post_processor = TemplateProcessing(
            single=f"{style.bos} $A", pair=f"{style.bos} $A $B", special_tokens=[begins]
        )
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": style.loader,
        "bos_token": style.bos,
        "eos_token": style.end,
        "unk_token": "<unk>" if "<unk>" in style.marks else None,
        "pad_token": style.marks[0],
        "add_bos_token": bool(style.bos),
        "clean_up_tokenization_spaces": False,
        "chat_template": style.template,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
    return {mark: backend.token_to_id(mark) for mark in style.marks}


def _sources(vocab: int) -> list[str]:
    """Enough text for a vocabulary of that size."""
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    return [path.read_text("utf-8", errors="replace") for path in paths[: max(8, vocab // 80)]]


def _byte_level(style: Style, vocab: int) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE(ignore_merges=style.pieces == LLAMA3_PIECES))
    split = pre_tokenizers.Split(Regex(style.pieces or ""), behavior="isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - len(style.marks),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_sources(vocab), trainer)
    backend.add_special_tokens(list(style.marks))
    return backend


def _byte_fallback(style: Style, vocab: int) -> Any:
    """Marks, then 256 bytes, then pieces; every way to put a piece together from two others is among the merges."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trainer = trainers.BpeTrainer(vocab_size=vocab - len(style.marks) - 256, show_progress=False)
    trained.train_from_iterator(_sources(vocab), trainer)
    pieces = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    alphabet = [piece for piece in pieces if len(piece) == 1]
    longer = [piece for piece in pieces if len(piece) > 1]
    tokens = [*style.marks, *(f"<0x{byte:02X}>" for byte in range(256)), *longer, *alphabet]
    ids = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(
        models.BPE(ids, list(_merges(longer, ids)), unk_token="<unk>", fuse_unk=True, byte_fallback=True)  # noqa: S106
    )
    spaces = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if style.prefix else spaces
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if style.prefix else steps)
    plain = {"<unk>", "<s>", "<|endoftext|>"}
    marks = [AddedToken(m, special=True, normalized=False, rstrip=style.strips and m not in plain) for m in style.marks]
    backend.add_special_tokens(marks)
    return backend


def _merges(pieces: list[str], ids: dict[str, int]) -> Iterator[tuple[str, str]]:
    for piece in pieces:
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [pair for pair in halves if pair[0] in ids and pair[1] in ids]
        yield from sorted(known, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
