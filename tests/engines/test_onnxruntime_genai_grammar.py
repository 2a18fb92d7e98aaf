"""Grammars token by token, and rows with and without one in the same batch. Scores of our own, no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from assay.engines.onnxruntime_genai_batch import Group, Row, Vocabulary, prepared
from assay.engines.onnxruntime_genai_grammar import Constraint, GrammarError, Grammars, TokenTable
from assay.engines.onnxruntime_genai_sampling import Scores
from assay.engines.onnxruntime_genai_tokens import Tokens
from assay.engines.worker.model import End, Event, Generation, Piece, PromptInput, Sampling

ENDS, MARK = 128, 129
PLAIN = {chr(code) if 32 < code < 127 else chr(code + 256): code for code in range(128)}
ADDED = [{"id": ENDS, "content": "<end>", "special": True}, {"id": MARK, "content": "<call>", "special": True}]
TOKENS = Tokens({"model": {"vocab": PLAIN}, "decoder": {"type": "ByteLevel"}, "added_tokens": ADDED})
HEAD = "%llguidance {}\n"


def ids_of(text: str) -> tuple[int, ...]:
    return (MARK,) if text == "<call>" else tuple(text.encode())


def grammars() -> Grammars:
    return Grammars(lambda: TokenTable(TOKENS, size=132, ends={ENDS}, encode=ids_of))


def test_a_constraint_tells_what_may_come() -> None:
    constraint: Constraint = grammars().open(f'{HEAD}start: "ab" | "ac"\n')
    for token, allowed in ((ord("a"), b"a"), (ord("c"), b"bc")):
        assert bytes(constraint.allowed().tolist()) == allowed
        constraint.take(token)
    assert list(constraint.allowed()) == [ENDS]


def test_a_special_token_is_no_text() -> None:
    constraint = grammars().open(f'{HEAD}start: "<call>" | <[{MARK}]>\n')
    assert list(constraint.allowed()) == [ord("<"), MARK]


def test_what_cannot_be_followed_is_an_error() -> None:
    with pytest.raises(GrammarError):
        grammars().open(f"{HEAD}start: nothing\n")
    with pytest.raises(GrammarError):
        grammars().open(f'{HEAD}start: "ab"\n').take(ord("x"))
    with pytest.raises(GrammarError):
        grammars().open(f'{HEAD}start: "é"\n').allowed()


class Flat:
    """A batch in which ``x`` is likeliest, whatever came before."""

    def __init__(self, prompts: Sequence[Sequence[int]], room: int) -> None:
        self.rows, self.room = len(prompts), room
        self.given = np.zeros((self.rows, 132), dtype=np.float32)

    def fill(self) -> bool:
        return False

    @contextmanager
    def scores(self) -> Iterator[Scores]:
        self.given = np.zeros((self.rows, 132), dtype=np.float32)
        self.given[:, ord("x")] = 9
        yield self.given

    places = scores

    def step(self) -> Sequence[int]:
        return [int(row.argmax()) for row in self.given]

    def close(self) -> None:
        return None


def told(forms: Sequence[dict[str, object]]) -> list[tuple[bytes, str, str | None]]:
    """What each row of one batch said, and how it ended."""
    vocabulary = Vocabulary(
        size=132,
        ends=frozenset({ENDS}),
        pad=131,
        spell=TOKENS.bytes_of,
        ids_of=ids_of,
        open_grammar=grammars().open,
    )
    heard: list[list[Event]] = [[] for _ in forms]
    rows = [
        Row(
            Generation(prompt=PromptInput(ids=(1,)), max_tokens=6, sampling=Sampling(temperature=0), **form),  # type: ignore[arg-type]
            heard[i].append,
            vocabulary,
        )
        for i, form in enumerate(forms)
    ]
    group = Group([row for row in rows if prepared(row)], lambda prompts, room, _: Flat(prompts, room))
    group.read()
    while group.live:
        group.step()
    ends = [event for events in heard for event in events if isinstance(event, End)]
    texts = [b"".join(event.data for event in events if isinstance(event, Piece)) for events in heard]
    return [(text, end.reason, end.error) for text, end in zip(texts, ends, strict=True)]


def test_rows_with_and_without_a_grammar_share_a_batch() -> None:
    schema = '{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": false}'
    grammar = f'{HEAD}start: marker_0 "ok"\n'
    plain, held, marked, cut = told(
        [
            {"grammar": f"{HEAD}start: /x*/\n"},
            {"grammar": grammar, "markers": ("xy",)},
            {"grammar": grammar, "markers": ("<call>",)},
            {"json_schema": schema},
        ]
    )
    assert plain == (b"xxxxxx", "length", None)
    assert held == (b"xyok", "stop", None)
    assert marked == (b"<call>ok", "stop", None)
    assert cut == (b'{"a": ', "length", None)


def test_a_grammar_that_fails_ends_its_own_row_only() -> None:
    stuck, broken, plain = told(
        [
            {"grammar": f'{HEAD}start: "a" "é"\n'},
            {"grammar": f"{HEAD}start: nothing\n"},
            {"grammar": f"{HEAD}start: /x*/\n"},
        ]
    )
    assert stuck[:2] == (b"a", "error")
    assert "grammar" in (stuck[2] or "")
    assert broken[:2] == (b"", "error")
    assert plain == (b"xxxxxx", "length", None)
