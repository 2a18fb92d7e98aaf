"""One generation in a slot of llama.cpp: what it is asked for, and its stream as events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from msgspec import Struct, structs

from assay.engines.llamacpp_answer import Failure, Logprobs
from assay.engines.llamacpp_scores import Entry, Scores
from assay.engines.worker.grammar import grammar_of
from assay.engines.worker.model import READ, Echo, Emit, End, Generation, Piece, Sampling, TokenLogprob

_RANDOM_SEED = 0xFFFFFFFF
_MOST_TOP_K = 2**31 - 1
IdsOf = Callable[[str], Sequence[int]]
"""The tokens of a text, special ones recognised."""


class _Text(Struct, frozen=True):
    text: str = ""
    finish_reason: str | None = None
    logprobs: Logprobs[Entry] | None = None


class _Cached(Struct, frozen=True):
    cached_tokens: int = 0


class _Usage(Struct, frozen=True):
    completion_tokens: int
    prompt_tokens_details: _Cached = _Cached()


class _Timings(Struct, frozen=True):
    predicted_n: int = 0


class _Chunk(Struct, frozen=True):
    """What is read of one event of llama.cpp's stream."""

    choices: tuple[_Text, ...] = ()
    usage: _Usage | None = None
    timings: _Timings = _Timings()
    error: Failure | None = None


_read_chunk = msgspec.json.Decoder(_Chunk).decode


class Request:
    """One generation on a slot's thread."""

    future: Future[None]

    def __init__(self, generation: Generation, emit: Emit, ids_of: IdsOf, *, context: int, cache: bool) -> None:
        self._generation = generation
        self._ids_of = ids_of
        self._body = _body(generation, context=context, cache=cache)
        self._emit = emit
        self._cancelled = False
        self._tokens = 0
        self._end: End | None = None
        self._told: _ToldTokens | None = None

    def cancel(self) -> None:
        """Take effect at the next event of the stream: the next token, or the next step of the prompt."""
        self._cancelled = True
        if self.future.cancel():
            self._emit(End(reason="cancelled"))

    def run(self, server: Any, scores: Scores) -> None:
        """Blocks until the generation is over; llama.cpp releases the GIL."""
        try:
            if self._generation.top_logprobs is not None:
                self._told = _ToldTokens(self._generation, self._emit, scores)
            if self._generation.echo:
                self._echo(scores)
            if not self._cancelled:
                self._generate(server)
        except Exception as error:
            self._end = End(reason="error", error=f"llama.cpp: {error}")
        self._emit(self._end or End(reason="cancelled"))

    def _generate(self, server: Any) -> None:
        if self._generation.max_tokens == 0:
            self._end = End(reason="length", cached_tokens=0)
            return
        body = {**self._body, **_form(self._generation, self._ids_of)}
        server.handle_completions(msgspec.json.encode(body), self._take)
        if self._told and not self._cancelled:
            self._told.finish(ended=self._end is not None and self._end.reason == "stop")

    def _take(self, data: bytes) -> bool:
        """The stream callback; True stops the generation."""
        if self._cancelled:
            return True
        chunk = _read_chunk(data)
        if chunk.error:
            self._end = End(reason="error", error=f"llama.cpp: {chunk.error.message}")
            return False
        choice = chunk.choices[0] if chunk.choices else _Text()
        total = chunk.usage.completion_tokens if chunk.usage else chunk.timings.predicted_n
        if choice.text or total > self._tokens:
            if self._told:
                self._told.take(total - self._tokens, choice.logprobs)
            else:
                self._emit(Piece(choice.text.encode(), total - self._tokens))
            self._tokens = total
        elif not chunk.usage:
            self._emit(READ)
        if chunk.usage:
            cached = 0 if self._generation.echo else chunk.usage.prompt_tokens_details.cached_tokens
            reason = choice.finish_reason or "stop"
            self._end = End(reason="length" if reason == "length" else "stop", cached_tokens=cached)
        return False

    def _echo(self, scores: Scores) -> None:
        ids, top = self._generation.prompt.ids or (), self._generation.top_logprobs
        tokens: list[TokenLogprob] = []
        for token in scores.prompt(ids, top):
            if self._cancelled:
                return
            tokens.append(token)
            self._emit(READ)
        self._emit(Echo(tuple(tokens)))


class _ToldTokens:
    """Pieces with log-probabilities.

    llama.cpp tells the last token only of those that together make a character. The others are found out at the end,
    when a slot is free for that; what comes after such a character waits until then. Where that fails, since a special
    token lies within the character, its tokens are not told, nor are those of later ones.
    """

    def __init__(self, generation: Generation, emit: Emit, scores: Scores) -> None:
        self._scores = scores
        self._ids = list(generation.prompt.ids or ())
        self._top = generation.top_logprobs or 0
        self._emit = emit
        self._known = True
        """Whether ``_ids`` is all that was made."""
        self._held: list[tuple[bytes, int, Entry | None]] = []

    def take(self, count: int, logprobs: Logprobs[Entry] | None) -> None:
        """A token without text is held until the next, since it may be the one that ends the turn."""
        entry = logprobs.content[-1] if logprobs and logprobs.content else None
        self._held.append((entry.data if entry else b"", count, entry))
        while self._held:
            data, count, entry = self._held[0]
            if count != 1 or entry is None or (not data and len(self._held) == 1):
                return
            del self._held[0]
            self._tell(data, [self._told(data, entry)], entry.id)

    def finish(self, *, ended: bool) -> None:
        """Tell the rest; ``ended`` where the model ended its turn."""
        last = len(self._held) - 1
        for place, (data, count, entry) in enumerate(self._held):
            if entry is None:  # those of a character that the limit has cut
                self._emit(Piece(data, count))
                continue
            if place == last and ended and not data:
                self._emit(Piece(b"", count, (structs.replace(self._told(b"", entry), ends=True),)))
                continue
            missing = self._scores.within(self._ids, data, count, entry.id) if count > 1 else ()
            self._known = self._known and missing is not None
            if missing is None or (missing and not self._known):
                self._emit(Piece(data, count))
                continue
            told: list[TokenLogprob] = []
            rest = data
            for token in missing:
                found = self._scores.next(self._ids, token, self._top)
                told.append(found)
                self._ids.append(token)
                rest = rest.removeprefix(found.data)
            self._tell(data, [*told, self._told(rest, entry)], entry.id)
        self._held.clear()

    def _told(self, data: bytes, entry: Entry) -> TokenLogprob:
        likeliest = entry.top_logprobs[: self._top]
        tops = tuple((self._scores.written(top.id, top.data), top.told) for top in likeliest)
        return TokenLogprob(data, entry.told, tops, b"" if data else self._scores.written(entry.id))

    def _tell(self, data: bytes, tokens: Sequence[TokenLogprob], last: int) -> None:
        self._ids.append(last)
        self._emit(Piece(data, len(tokens), tuple(tokens)))


def _body(generation: Generation, *, context: int, cache: bool) -> dict[str, Any]:
    return {
        "prompt": generation.prompt.ids,
        "n_predict": generation.max_tokens,
        "stream": True,
        "cache_prompt": _may_reuse(generation, cache=cache),
        "timings_per_token": True,
        "return_progress": True,
        **_sampling(generation.sampling, context),
        **_told(generation),
    }


def _may_reuse(generation: Generation, *, cache: bool) -> bool:
    """Whether what the slot has read is kept. A part that was read alone has other last digits than within a whole.

    So with a seed, which is to repeat an answer, the prompt is read anew; an echo has just read it.
    """
    return generation.echo or (cache and generation.sampling.seed is None)


def _told(generation: Generation) -> dict[str, Any]:
    """What is only said where it is asked for. llama.cpp tells no log-probability at all for less than one of them."""
    bias, top = generation.sampling.logit_bias, generation.top_logprobs
    return {
        **({"logit_bias": list(bias.items())} if bias else {}),
        **({"n_probs": max(top, 1)} if top is not None else {}),
    }


def _form(generation: Generation, ids_of: IdsOf) -> dict[str, Any]:
    """The grammar to follow, and the special tokens whose text is wanted."""
    grammar = grammar_of(generation, ids_of)
    return {
        **({"grammar": grammar} if grammar is not None else {}),
        **({"preserved_tokens": generation.markers} if generation.markers else {}),
    }


def _sampling(sampling: Sampling, context: int) -> dict[str, Any]:
    """llama.cpp's names, in the order of Hugging Face's samplers: penalties, temperature, top_k, top_p, min_p."""
    penalties = {
        "repeat_penalty": sampling.repetition_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repeat_last_n": context,
    }
    if sampling.temperature == 0:
        return {**penalties, "temperature": 0.0, "top_k": 1, "samplers": ["penalties", "top_k"]}
    return {
        **penalties,
        "temperature": sampling.temperature,
        "top_k": min(sampling.top_k, _MOST_TOP_K),
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": _RANDOM_SEED if sampling.seed is None else sampling.seed % _RANDOM_SEED,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
    }
