"""Log-probabilities from llama.cpp's slots, beside the generations that run in them.

The server is made to sample the token that is asked about. It lists nothing for a token that ends within a character,
since it holds that back: such a token is looked for among the likeliest while another is sampled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise, product
from typing import Any

import msgspec
from msgspec import Struct, field

from assay.engines.llamacpp_answer import Answer, next_token, no_distribution
from assay.engines.worker.model import TokenLogprob

LIKELIEST = 256
"""Where a token is looked for first; a list of the whole vocabulary takes a second and more."""


class _Top(Struct, frozen=True):
    id: int
    logprob: float | None = None
    octets: tuple[int, ...] = field(default=(), name="bytes")

    @property
    def data(self) -> bytes:
        return bytes(self.octets)

    @property
    def told(self) -> float:
        """JSON has no infinity, and llama.cpp then writes nothing."""
        return float("-inf") if self.logprob is None else self.logprob


class Entry(_Top, frozen=True):
    """A sampled token with the likeliest in its place."""

    top_logprobs: tuple[_Top, ...] = ()


_decode = msgspec.json.Decoder(Answer[Entry]).decode


class Scores:
    """Asks a server context, from the slots' threads.

    ``whole`` is a token whose text is whole characters; ``spell`` gives a special token's name.
    """

    def __init__(self, server: Any, vocabulary: int, whole: int, spell: Callable[[int], str]) -> None:
        self._server = server
        self._vocabulary = vocabulary
        self._whole = whole
        self._spell = spell
        self._lock = threading.Lock()
        self._spelt: dict[int, bytes] = {}
        self._with_bytes: dict[bytes, list[int]] = {}
        self._names: dict[int, bytes] = {}
        self._last: tuple[int | None, tuple[int, ...], tuple[TokenLogprob, ...]] = (None, (), ())

    def prompt(self, ids: Sequence[int], top: int | None) -> Iterator[TokenLogprob]:
        """Every token of a prompt, without log-probabilities where ``top`` is None. A step of the model each.

        What the last prompt has in common with this one, from the start, is not asked for again.
        """
        known_top, known_ids, known = self._last
        same = 0
        if top is not None and top == known_top:
            while same < min(len(ids), len(known_ids)) and ids[same] == known_ids[same]:
                same += 1
        elif top is None:
            self._bytes_of_all()
        told: list[TokenLogprob] = []
        for place, token in enumerate(ids):
            if place < same:
                told.append(known[place])
            elif place == 0 or top is None:
                told.append(self._token(token, self._data_of(token)))
            else:
                told.append(self.next(ids[:place], token, top))
            yield told[-1]
        if top is not None:
            self._last = (top, tuple(ids), tuple(told))

    def next(self, ids: Sequence[int], token: int, top: int) -> TokenLogprob:
        """``token`` after ``ids``, with the ``top`` likeliest."""
        found: _Top | None = self._ask(ids, max(top, 1), token)
        tops = found.top_logprobs if isinstance(found, Entry) else ()
        if found is None:
            found, tops = self._looked_for(ids, token, max(top, 1))
        alternatives = tuple((self.written(other.id, other.data), other.told) for other in tops[:top])
        return self._token(token, found.data, found.told, alternatives)

    def within(self, ids: Sequence[int], data: bytes, count: int, last: int) -> tuple[int, ...] | None:
        """The tokens that were sampled after ``ids``, but for the last of the ``count`` that together are ``data``.

        Hardly ever can the bytes be made up of tokens in two ways; then it is the likelier one. None: in no way.
        """
        first = data.removesuffix(self._bytes_of_all().get(last, b""))
        found = self._with_bytes
        ways = [way for parts in _splits(first, count - 1) for way in product(*(found.get(p, ()) for p in parts))]
        if len(ways) < 2:
            return ways[0] if ways else None
        return max(ways, key=lambda way: self._likelihood(ids, way))

    def _likelihood(self, ids: Sequence[int], way: Sequence[int]) -> float:
        return sum(self.next([*ids, *way[:place]], token, 0).logprob or 0.0 for place, token in enumerate(way))

    def _looked_for(self, ids: Sequence[int], token: int, top: int) -> tuple[_Top, tuple[_Top, ...]]:
        for wanted in (max(top, LIKELIEST), self._vocabulary):
            tops = self._likeliest(ids, wanted)
            found = next((other for other in tops if other.id == token), None)
            if found is not None:
                return found, tops
        raise no_distribution(f"token {token} is not in it")

    def _likeliest(self, ids: Sequence[int], wanted: int) -> tuple[_Top, ...]:
        entry = self._ask(ids, wanted, self._whole)
        if entry is None:
            raise no_distribution("its answer is empty")
        return entry.top_logprobs

    def _ask(self, ids: Sequence[int], wanted: int, token: int) -> Entry | None:
        """Sample ``token``; None where it ends within a character."""
        logprobs = next_token(self._server, _decode, ids, wanted, certain=token).logprobs
        return logprobs.content[0] if logprobs and logprobs.content else None

    def _token(
        self, token: int, data: bytes, logprob: float | None = None, top: tuple[tuple[bytes, float], ...] = ()
    ) -> TokenLogprob:
        return TokenLogprob(data, logprob, top, b"" if data else self.written(token))

    def _data_of(self, token: int) -> bytes:
        """A token's bytes in a text."""
        if token not in self._spelt:
            entry = self._ask([self._whole], 1, token)
            return entry.data if entry else self._bytes_of_all().get(token, b"")
        return self._spelt[token]

    def written(self, token: int, data: bytes = b"") -> bytes:
        """A token's bytes; ``data`` is what the server told of them, which is nothing for a special token."""
        if data:
            return data
        if token not in self._names:
            self._names[token] = self._spell(token).encode()
        return self._names[token]

    def _bytes_of_all(self) -> dict[int, bytes]:
        """Asked for once, and only for an echo alone and for tokens that end within a character."""
        with self._lock:
            if not self._spelt:
                entries = self._likeliest([self._whole], self._vocabulary)
                for entry in entries:
                    self._with_bytes.setdefault(entry.data, []).append(entry.id)
                self._spelt = {entry.id: entry.data for entry in entries}
        return self._spelt


def _splits(data: bytes, count: int) -> Iterator[tuple[bytes, ...]]:
    """All ways to cut ``data`` into ``count`` parts that are not empty."""
    for cuts in combinations(range(1, len(data)), count - 1):
        edges = (0, *cuts, len(data))
        yield tuple(data[start:end] for start, end in pairwise(edges))
