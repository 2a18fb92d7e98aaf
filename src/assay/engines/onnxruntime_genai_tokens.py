"""The bytes of every token, from a folder's ``tokenizer.json``.

The library's own incremental decoder loses text after an invalid byte sequence; raw bytes lose nothing, and the worker
puts characters together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.errors import EngineStartFailed

BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokens:
    """What single tokens stand for, and which ones a bare prompt is framed by."""

    def __init__(self, tokenizer: Mapping[str, Any]) -> None:
        """Take the parsed ``tokenizer.json``; raise ``ValueError`` for a kind of decoder that is not known."""
        steps = _steps(tokenizer.get("decoder"), "decoders")
        added = {entry["id"]: entry for entry in tokenizer.get("added_tokens", ())}
        self.prefix, self.suffix = _frame(tokenizer.get("post_processor"))
        self._strips = any(step["type"] == "Strip" and step.get("start") for step in steps)
        spell = _speller(steps)
        self._bytes = {number: spell(token) for token, number in _vocabulary(tokenizer["model"]).items()}
        self.special: dict[int, bytes] = {}
        """What the special tokens are called; they stand for no text."""
        for number, entry in added.items():
            content = str(entry["content"]).encode()
            self._bytes[number] = b"" if entry.get("special") else content
            if entry.get("special"):
                self.special[number] = content

    @property
    def plain(self) -> Mapping[int, bytes]:
        """The bytes of every token, none for special ones."""
        return self._bytes

    def name_of(self, token: int) -> bytes:
        """The token's bytes; a special one's name."""
        return self.special.get(token) or self._bytes.get(token, b"")

    def bytes_of(self, token: int, first: bool) -> bytes:
        """The token's bytes, none for a special or unknown one; ``first`` when it begins the answer."""
        data = self._bytes.get(token, b"")
        return data[1:] if first and self._strips and data.startswith(b" ") else data


def read_tokens(folder: Path) -> Tokens:
    """Read ``tokenizer.json``; raise ``EngineStartFailed`` where it is missing or of an unknown kind."""
    path = folder / "tokenizer.json"
    remedy = "export the model again with the tokenizer.json of its Hugging Face folder beside it"
    try:
        return Tokens(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise EngineStartFailed(f"{path} is missing", remedy=remedy) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise EngineStartFailed(f"{path} cannot be used", why=why, remedy=remedy) from None


def _vocabulary(model: Mapping[str, Any]) -> dict[str, int]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # Unigram: (token, score) in the order of their ids
        return {token: number for number, (token, _) in enumerate(vocabulary)}
    return dict(vocabulary)


def _steps(decoder: Mapping[str, Any] | None, nested: str) -> list[Mapping[str, Any]]:
    if decoder is None:
        return []
    if decoder["type"] == "Sequence":
        return [step for inner in decoder[nested] for step in _steps(inner, nested)]
    return [decoder]


def _speller(steps: Sequence[Mapping[str, Any]]) -> Callable[[str], bytes]:
    kinds = {step["type"] for step in steps}
    unknown = kinds - {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}
    if unknown or not kinds:
        raise ValueError(f"decoder {', '.join(sorted(unknown)) or 'none'} is not known")
    if "ByteLevel" in kinds:
        return _byte_level
    replacements = [(step["pattern"]["String"], step["content"]) for step in steps if step["type"] == "Replace"]
    replacements += [(step.get("replacement", "▁"), " ") for step in steps if step["type"] == "Metaspace"]

    def spell(token: str) -> bytes:
        byte = BYTE.fullmatch(token)
        if byte and "ByteFallback" in kinds:
            return bytes([int(byte[1], 16)])
        for old, new in replacements:
            token = token.replace(old, new)
        return token.encode()

    return spell


def _byte_characters() -> dict[str, int]:
    """The printable character that stands for each byte in byte-level vocabularies (OpenAI's GPT-2 encoder)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(rest)}


_BYTES = _byte_characters()


def _byte_level(token: str) -> bytes:
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode()


def _frame(processor: Mapping[str, Any] | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids that the tokenizer puts before and after a single text."""
    prefix: list[int] = []
    suffix: list[int] = []
    for step in _steps(processor, "processors"):
        if step["type"] == "TemplateProcessing":
            side = prefix
            for part in step["single"]:
                if "Sequence" in part:
                    side = suffix
                else:
                    side += step["special_tokens"][part["SpecialToken"]["id"]]["ids"]
    return tuple(prefix), tuple(suffix)
