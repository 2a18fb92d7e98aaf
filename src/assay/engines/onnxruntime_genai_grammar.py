"""Which tokens a grammar allows next, for ONNX Runtime GenAI: its own guidance works for a whole batch only.

llguidance is given the bytes of every token and tells, row by row, which of them may follow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from assay.engines.onnxruntime_genai_tokens import Tokens

Ids = npt.NDArray[np.int64]
Encode = Callable[[str], Sequence[int]]


class GrammarError(Exception):
    """The grammar cannot be followed any further; the message says why."""


class Constraint:
    """Where one answer stands in its grammar."""

    def __init__(self, matcher: LLMatcher, size: int) -> None:
        self._matcher = matcher
        self._size = size

    def allowed(self) -> Ids:
        """The tokens that may come next, ends included; raise ``GrammarError`` when there is none."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        ids = np.flatnonzero(np.unpackbits(mask, bitorder="little")[: self._size])
        self._check()
        if not len(ids):
            raise GrammarError("the model has no token that its grammar allows")
        return ids

    def take(self, token: int) -> None:
        """``token``, one of those allowed, has become part of the answer."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GrammarError(f"the grammar cannot be followed: {self._matcher.get_error().splitlines()[0]}")


class Grammars:
    """Opens grammars over one model's tokens. Used from any thread.

    The tokens are read when the first is opened, which stops everything for half a second per 150,000 of them.
    """

    def __init__(self, tokens: Callable[[], TokenTable]) -> None:
        self._tokens = tokens
        self._tokenizer: LLTokenizer | None = None
        self._size = 0
        self._lock = threading.Lock()

    def open(self, grammar: str) -> Constraint:
        """The start of ``grammar``; raise ``GrammarError`` for one that cannot be compiled."""
        with self._lock:
            if self._tokenizer is None:
                table = self._tokens()
                self._size = len(table.tokens)
                self._tokenizer = LLTokenizer(TokenizerWrapper(table), eos_token=sorted(table.ends), slices=[])
        constraint = Constraint(LLMatcher(self._tokenizer, grammar), self._size)
        constraint._check()
        return constraint


class TokenTable:
    """The vocabulary as llguidance wants it: the bytes of every token, and which of them are special."""

    def __init__(self, tokens: Tokens, *, size: int, ends: Collection[int], encode: Encode) -> None:
        self.tokens = [tokens.special.get(i) or tokens.plain.get(i, b"") for i in range(size)]
        self.special_token_ids = sorted(token for token in tokens.special if token < size)
        self.ends = frozenset(ends)
        self.eos_token_id = min(ends)
        self.bos_token_id = None
        self._encode = encode

    def __call__(self, text: str) -> Sequence[int]:
        """Tokens of ``text``."""
        return self._encode(text)
