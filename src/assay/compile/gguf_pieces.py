"""How byte-level tokenizers cut a text into pieces before they merge bytes, and what llama.cpp calls that way.

The patterns are those of the publishers' own ``tokenizer.json`` files. Which one a tokenizer has is found by what it
does to ``PROBE``, because the same pattern is written in several ways.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{{end}}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{{end}}"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
HAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
PIECES = {
    "llama-bpe": (LLAMA3,),
    "qwen2": (LLAMA3.replace("{1,3}", ""),),
    "gpt-2": (GPT2,),
    "smollm": (r"\p{N}", GPT2),
    "gpt-4o": (CASED.replace("{end}", CONTRACTIONS + "?") + r"|\p{N}{1,3}" + TAIL,),
    "tekken": (CASED.replace("{end}", "") + r"|\p{N}" + TAIL,),
    "deepseek-coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN, r"\p{N}"),
}
"""llama.cpp's name -> the patterns that a text is cut by, one after the other."""
IGNORES_MERGES = frozenset({"llama-bpe", "tekken"})
"""Where llama.cpp takes a piece that is a token as a whole, whatever the merges say."""
PROBE = (
    "Hello, World! It's 3.14159 or 1234567 (we'LL see; I'VE 42). \n\n\n  Tabs\tand\t\tspaces   end  \r\n\r\nnext\n \n"
    " don't  DON'T he'd HE'D iPhone camelCaseWORD snake_case x=y+1;//comment /* a */ #tag @me http://a.b/c?d=e&f=%20\n"
    "Ünïcödé naïve café ÅNGSTRÖM Straße ǅ ʰ 日本語の 中文字符123 한국어 русский Ελλη العربية עברית हिन्दी ไทย"
    "\n\u0663\u0664\u0665 ½ ² Ⅷ ①②③ 12,345.67 $100 €5 5% 1e-10 0xFF"
    " 😀👍🏽 \u2018quoted\u2019 “text” — dash… \u00a0nbsp\u3000wide\u200bzero\n"
    "!!!???...---***   ~~~```python\n    def f(a, b=2):\n\t\treturn a**b\n```\n\n\n\n   \n    trailing   "
)


class Cut(NamedTuple):
    """``name`` is llama.cpp's; None where it has none for what this tokenizer does."""

    name: str | None
    differs: str
    """Where it is None: the first piece of ``PROBE`` that the nearest known way cuts otherwise."""


def cut_of(tokenizer: Path) -> Cut:
    """Which way ``tokenizer.json`` cuts texts. Needs the package ``tokenizers``."""
    content = json.loads(tokenizer.read_text("utf-8"))
    pieces = _cut(content.get("pre_tokenizer"))
    alike = {name: _alike(pieces, _cut(_pre_tokenizer(patterns))) for name, patterns in PIECES.items()}
    same = next((name for name, count in alike.items() if count is None), None)
    if same:
        return Cut(same, "")
    nearest = max(alike, key=lambda name: alike[name] or 0)
    index = alike[nearest] or 0
    return Cut(None, f"{pieces[index] if index < len(pieces) else ''!r} (nearest: {nearest})")


def _alike(pieces: list[str], others: list[str]) -> int | None:
    """How many pieces are the same from the start; None: all."""
    if pieces == others:
        return None
    return next(
        (i for i, (a, b) in enumerate(zip(pieces, others, strict=False)) if a != b), min(len(pieces), len(others))
    )


def _cut(pre_tokenizer: Any) -> list[str]:
    from tokenizers import Tokenizer

    empty = {"type": "BPE", "vocab": {}, "merges": []}
    whole = Tokenizer.from_str(
        json.dumps({"version": "1.0", "added_tokens": [], "model": empty, "pre_tokenizer": pre_tokenizer})
    )
    if whole.pre_tokenizer is None:
        return [PROBE]
    return [piece for piece, _ in whole.pre_tokenizer.pre_tokenize_str(PROBE)]


def _pre_tokenizer(patterns: tuple[str, ...]) -> dict[str, Any]:
    splits = [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in patterns]
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [*splits, last]}
