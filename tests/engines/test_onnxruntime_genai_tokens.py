from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.onnxruntime_genai_tokens import Tokens, read_tokens
from assay.errors import EngineStartFailed

LLAMA = [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
]


def tokenizer(vocabulary: list[str], decoder: Any, **more: Any) -> dict[str, Any]:
    return {"model": {"vocab": {token: i for i, token in enumerate(vocabulary)}}, "decoder": decoder, **more}


def byte_level_alphabet() -> list[str]:
    """The 256 characters in the order of their bytes, built as OpenAI's encoder describes it."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


@given(st.text())
def test_byte_level_tokens_give_back_every_byte(text: str) -> None:
    tokens = Tokens(tokenizer(byte_level_alphabet(), {"type": "ByteLevel"}))
    assert b"".join(tokens.bytes_of(byte, False) for byte in text.encode()) == text.encode()


def test_sentencepiece_tokens() -> None:
    vocabulary = ["▁Hello", "<0xE2>", "<0x98>", "<0x83>", "▁▁x", "▁"]
    tokens = Tokens(tokenizer(vocabulary, {"type": "Sequence", "decoders": LLAMA}))
    assert tokens.bytes_of(0, True) == b"Hello"
    assert tokens.bytes_of(0, False) == b" Hello"
    assert b"".join(tokens.bytes_of(i, False) for i in (1, 2, 3)).decode() == "☃"
    assert tokens.bytes_of(4, True) == b" x"


def test_unigram_vocabularies_are_lists() -> None:
    read = {"model": {"vocab": [["<unk>", 0.0], ["▁a", -1.5]]}, "decoder": {"type": "Metaspace", "replacement": "▁"}}
    assert Tokens(read).bytes_of(1, False) == b" a"


def test_special_tokens_are_silent_and_other_added_ones_are_text() -> None:
    added = [{"id": 1, "content": "<|end|>", "special": True}, {"id": 2, "content": "<think>", "special": False}]
    tokens = Tokens(tokenizer(["a"], {"type": "ByteLevel"}, added_tokens=added))
    assert [tokens.bytes_of(i, False) for i in (0, 1, 2, 3)] == [b"a", b"", b"<think>", b""]
    assert [tokens.name_of(i) for i in (0, 1, 2, 3)] == [b"a", b"<|end|>", b"<think>", b""]


def test_the_frame_of_a_bare_prompt() -> None:
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
        "special_tokens": {"<s>": {"ids": [1]}, "</s>": {"ids": [2]}},
    }
    processor = {"type": "Sequence", "processors": [{"type": "ByteLevel"}, template]}
    tokens = Tokens(tokenizer(["a"], {"type": "ByteLevel"}, post_processor=processor))
    assert (tokens.prefix, tokens.suffix) == ((1,), (2,))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "is missing"),
        ("{", "JSONDecodeError"),
        ("[]", "cannot be used"),
        (json.dumps(tokenizer(["a"], {"type": "WordPiece"})), "WordPiece is not known"),
        (json.dumps(tokenizer(["a"], None)), "none is not known"),
    ],
)
def test_an_unusable_tokenizer_is_told(tmp_path: Path, written: str | None, words: str) -> None:
    if written is not None:
        (tmp_path / "tokenizer.json").write_text(written)
    with pytest.raises(EngineStartFailed) as caught:
        read_tokens(tmp_path)
    assert words in str(caught.value)
    assert caught.value.remedy
