"""What is asked of an original and of its product alike, and what each gives back."""

from __future__ import annotations

from msgspec import Struct


class Scored(Struct, frozen=True, kw_only=True):
    """Token ids, and the places in them whose next token is wanted.

    Place ``p`` stands for the prediction after ``ids[: p + 1]``. ``positions`` are those whose whole distribution is
    wanted, ``tops`` those whose most likely token is; both rise and lie below ``len(ids)``.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...] = ()
    tops: tuple[int, ...] = ()


class ProbeRequest(Struct, frozen=True, kw_only=True):
    """What a model is asked.

    ``prompts`` are continued greedily by ``new_tokens`` tokens; ``chats``, each a conversation of messages with
    ``role`` and ``content``, are rendered by the model's own template and answered greedily with at most
    ``answer_tokens`` tokens, only so many of the first ones as ``answers`` says; ``texts`` are turned into ids by the
    model's own tokeniser.
    """

    sequences: tuple[Scored, ...] = ()
    prompts: tuple[tuple[int, ...], ...] = ()
    new_tokens: int = 32
    chats: tuple[tuple[dict[str, str], ...], ...] = ()
    answer_tokens: int = 128
    answers: int | None = None
    """None: all."""
    texts: tuple[str, ...] = ()


class Probed(Struct, frozen=True, kw_only=True):
    """What a model gave.

    ``distributions`` is the path of a ``.npy`` file of float32, (all positions of all sequences in order, vocabulary):
    natural logarithms of the next token's probabilities. ``tops`` holds a tuple of token ids a sequence. ``greedy``
    holds the new ids a prompt, the end token included. ``answers`` and ``rendered`` (the ids of the rendered
    conversation) are None for a conversation that the model's template refuses.
    """

    distributions: str
    vocabulary: int
    tops: tuple[tuple[int, ...], ...] = ()
    greedy: tuple[tuple[int, ...], ...] = ()
    answers: tuple[str | None, ...] = ()
    rendered: tuple[tuple[int, ...] | None, ...] = ()
    tokenised: tuple[tuple[int, ...], ...] = ()
    engine_version: str | None = None
    decode_tps: float | None = None
    """Median over the answers, each from its first to its last token; None where none had two."""
