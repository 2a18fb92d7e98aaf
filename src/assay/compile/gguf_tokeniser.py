"""A checkpoint's tokenizer in llama.cpp's terms: ``gpt2`` for byte-level BPE, ``llama`` for SentencePiece's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from assay.compile.checkpoint import Checkpoint
from assay.compile.gguf_pieces import IGNORES_MERGES, cut_of
from assay.errors import BadInput
from assay.formats.json_object import read_json_object

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Kinds of tokens, as llama.cpp counts them."""
BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
SPACE = "\u2581"
NO_MERGE = -1000.0
"""Score of a token that no merge makes."""
UNSUPPORTED = "look for a GGUF release of this model, or try --to onnx"


class GgufTokeniser(NamedTuple):
    """``tokens`` by id with their ``kinds``; ``merges`` for ``gpt2``, ``scores`` for ``llama``. An id may be None."""

    model: Literal["gpt2", "llama"]
    pre: str
    tokens: list[str]
    kinds: list[int]
    merges: list[str]
    scores: list[float]
    bos: int | None
    eos: int | None
    unknown: int | None
    padding: int | None
    ends: tuple[int, ...]
    """Ids besides ``eos`` at which generation ends, at most two."""
    add_bos: bool
    add_eos: bool
    add_space: bool
    strips: bool
    """Whether white space after special tokens is dropped."""
    notes: tuple[str, ...]


def tokeniser_of(checkpoint: Checkpoint) -> GgufTokeniser:
    """Read ``tokenizer.json`` and the settings beside it.

    Raises:
        BadInput: llama.cpp has no tokenizer that does the same.
    """
    if checkpoint.tokeniser is None:
        raise BadInput(
            f"the tokenizer of {checkpoint.folder} cannot be compiled to gguf",
            why="it has no tokenizer.json with byte-pair encoding",
            remedy="with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )
    path = checkpoint.folder / "tokenizer.json"
    content = read_json_object(path)
    rows = checkpoint.weights["model.embed_tokens.weight"].shape[0]
    tokens, kinds = _tokens(content, rows)
    ids = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(m.split(" ", 1)) if isinstance(m, str) else tuple(m) for m in content["model"].get("merges", [])]
    settings = _settings(checkpoint.folder)
    special = {role: ids.get(_content(settings.get(f"{role}_token")) or "") for role in ("bos", "eos", "unk", "pad")}
    ends = _ends(checkpoint)
    eos = special["eos"] if special["eos"] is not None else next(iter(ends), None)
    bytewise = checkpoint.tokeniser == "byte-bpe"
    pre, notes = _pre(path, content) if bytewise else ("default", ())
    bos = special["bos"] if special["bos"] is not None else checkpoint.config.get("bos_token_id")
    return GgufTokeniser(
        model="gpt2" if bytewise else "llama",
        pre=pre,
        tokens=tokens,
        kinds=kinds,
        merges=[" ".join(pair) for pair in merges] if bytewise else [],
        scores=[] if bytewise else _scores(tokens, kinds, merges),
        bos=bos if isinstance(bos, int) and 0 <= bos < rows else None,
        eos=eos,
        unknown=special["unk"],
        padding=special["pad"],
        ends=tuple(end for end in ends if end != eos and 0 <= end < rows)[:2],
        add_bos=_adds(settings, content, "bos", special["bos"]),
        add_eos=_adds(settings, content, "eos", special["eos"]),
        add_space=not bytewise and _adds_space(content),
        strips=any(entry.get("rstrip") for entry in content.get("added_tokens", [])),
        notes=notes,
    )


def _tokens(content: dict[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """Every token by its id; rows of the embedding that no token has are filled."""
    vocabulary: dict[str, int] = content["model"]["vocab"]
    added = {entry["id"]: entry for entry in content.get("added_tokens", [])}
    by_id = {number: token for token, number in vocabulary.items()}
    by_id |= {number: entry["content"] for number, entry in added.items()}
    outside = [token for number, token in by_id.items() if number >= rows]
    if outside:
        raise BadInput(
            f"the tokenizer has {outside[0]!r}, for which the weights have no row",
            why=f"the embedding has {rows} rows; {len(outside)} tokens lie behind them",
            remedy="take tokenizer and weights from the same release",
        )
    unknown = content["model"].get("unk_token")
    tokens, kinds = [], []
    for number in range(rows):
        token = by_id.get(number)
        tokens.append(token if token is not None else f"[PAD{number}]")
        if token is None:
            kinds.append(UNUSED)
        elif token == unknown:
            kinds.append(UNKNOWN)
        elif number in added:
            kinds.append(CONTROL if added[number].get("special") else USER_DEFINED)
        elif content["model"].get("byte_fallback") and BYTE_TOKEN.fullmatch(token):
            kinds.append(BYTE)
        else:
            kinds.append(NORMAL)
    return tokens, kinds


def _pre(path: Path, content: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    cut = cut_of(path)
    if cut.name is None:
        raise BadInput(
            "llama.cpp cuts texts into pieces in no way that equals this tokenizer's",
            why=f"on a test text they part at {cut.differs}",
            remedy=UNSUPPORTED,
        )
    ignores = bool(content["model"].get("ignore_merges"))
    if ignores == (cut.name in IGNORES_MERGES):
        return cut.name, ()
    whole, merged = ("the original", "llama.cpp") if ignores else ("llama.cpp", "the original")
    return cut.name, (f"a piece that is a token is taken as such by {whole}, and merged step by step by {merged}",)


def _scores(tokens: list[str], kinds: list[int], merges: list[tuple[str, ...]]) -> list[float]:
    """SentencePiece merges the pair whose result scores best: the earlier a token is made, the higher it scores.

    That equals the list of merges only where the list holds every way to make each token, one token after another.
    """
    made: dict[str, int] = {}
    listed, last = set(merges), ""
    for pair in merges:
        result = "".join(pair)
        if result != last and result in made:
            raise BadInput(
                "the merges of this tokenizer are in no order of tokens",
                why=f"{result!r} is made at two places, as SentencePiece would not",
                remedy=UNSUPPORTED,
            )
        made.setdefault(result, len(made))
        last = result
    normal = {token for token, kind in zip(tokens, kinds, strict=True) if kind == NORMAL}
    for token in made:
        for cut in range(1, len(token)):
            pair = (token[:cut], token[cut:])
            if pair[0] in normal and pair[1] in normal and pair not in listed:
                raise BadInput(
                    "this tokenizer is not a SentencePiece vocabulary",
                    why=f"{token!r} is not made of {pair[0]!r} and {pair[1]!r}, though all three are tokens",
                    remedy=UNSUPPORTED,
                )
    unmade = {token for token in normal if len(token) > 1 and token not in made}
    return [
        NO_MERGE if kind != NORMAL or token in unmade else -float(made.get(token, len(made) + number))
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
    ]


def _settings(folder: Path) -> dict[str, Any]:
    """``tokenizer_config.json``, over what an older ``special_tokens_map.json`` says."""
    files = (folder / "special_tokens_map.json", folder / "tokenizer_config.json")
    read: dict[str, Any] = {}
    for file in files:
        if file.is_file():
            read |= {key: value for key, value in read_json_object(file).items() if value is not None}
    return read


def _content(token: Any) -> str | None:
    """A token is written as a text, or as an object that holds it."""
    return token.get("content") if isinstance(token, dict) else token if isinstance(token, str) else None


def _ends(checkpoint: Checkpoint) -> tuple[int, ...]:
    path = checkpoint.folder / "generation_config.json"
    told = read_json_object(path).get("eos_token_id") if path.is_file() else None
    told = told if told is not None else checkpoint.config.get("eos_token_id")
    listed: Iterable[Any] = told if isinstance(told, list) else [told]
    return tuple(end for end in listed if isinstance(end, int) and not isinstance(end, bool))


def _adds(settings: dict[str, Any], content: dict[str, Any], role: Literal["bos", "eos"], token: int | None) -> bool:
    """As the settings say; else as the template in ``tokenizer.json`` does it."""
    told = settings.get(f"add_{role}_token")
    if isinstance(told, bool):
        return told and token is not None
    after = content.get("post_processor") or {}
    for step in after.get("processors", [after]):
        template = step.get("single") or []
        edge = template[0 if role == "bos" else -1] if step.get("type") == "TemplateProcessing" and template else {}
        named = edge.get("SpecialToken", {}).get("id")
        if named is not None:
            return token is not None and token in step.get("special_tokens", {}).get(named, {}).get("ids", [])
    return False


def _adds_space(content: dict[str, Any]) -> bool:
    """Whether a text is read as if a space stood before it."""
    normaliser = content.get("normalizer") or {}
    steps = normaliser.get("normalizers", [normaliser])
    if any(step.get("type") == "Prepend" and step.get("prepend") == SPACE for step in steps):
        return True
    cutting = content.get("pre_tokenizer") or {}
    for step in cutting.get("pretokenizers", [cutting]):
        if step.get("type") == "Metaspace":
            return bool(
                step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never") != "never"
            )
    return False
