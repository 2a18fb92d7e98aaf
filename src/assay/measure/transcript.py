"""What one response says: reads with their stamps go in, the measured fields of a sample come out.

Bytes are kept as they were read and decoded some reads later, in batches, so that decoding one event never delays
the stamp of the next. Decisions where servers differ:

- Reasoning is what comes in ``reasoning_content`` or ``reasoning``, and what stands in ``<think>`` tags at the start of
  the content (the opening tag may be missing, as templates often write it into the prompt). It goes to ``reasoning``;
  ``text`` is the answer proper.
- A body that starts with ``{`` is a whole completion, whatever was asked. Its text has no arrival times, so there is
  no ``first_text_ns`` and no chunk; ``last_text_ns`` is the arrival of its last byte.
- A stream has ended well with a finish reason, ``[DONE]`` or a usage-only tail. Without any of them, text or not, it
  was cut. A finish reason without text is an empty answer and no error.
- Counts come from ``usage``, else from llama.cpp's ``timings``, else one per text chunk (``chunks``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from assay.measure.sse import EventTooLarge, SseSplitter
from assay.measure.wire import Alternative, Chunk, Timings, Usage, decode_chunk, error_in, short
from assay.types import RequestError, Sample, TokenSource

BATCH = 32
MAX_BODY_BYTES = 64 * 1024 * 1024
OPEN_SHARE = 0.02
"""How much of the tokens after the first chunk may be in doubt before the first chunk's count is called unknown."""
_DONE = b"[DONE]"
_ERROR = b'"error"'


@dataclass
class Transcript:
    """Collects one response. ``read`` while it comes, ``end`` when it has ended by itself, then ``onto``.

    ``heard`` is called with each piece of text as it comes, reasoning too; then nothing is kept for later decoding.
    """

    heard: Callable[[str], None] | None = None
    first_text_ns: int | None = None
    first_answer_ns: int | None = None
    last_text_ns: int | None = None
    error: RequestError | None = None
    ended: bool = False
    """Whether ``[DONE]`` or an error was seen: nothing that follows is of interest."""
    finish: str | None = None
    _reads: list[tuple[int, bytes]] = field(default_factory=list)
    _splitter: SseSplitter = field(default_factory=SseSplitter)
    _whole: bytearray | None = None
    _opened: bool = False
    _tail: bool = False
    _events: int = 0
    _last_ns: int = 0
    _ns: list[int] = field(default_factory=list)
    _chars: list[int] = field(default_factory=list)
    _content: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _content_ns: list[int] = field(default_factory=list)
    _usage: Usage | None = None
    _timings: Timings | None = None
    _first_count: int | None = None
    _last_count: int | None = None

    def read(self, ns: int, data: bytes) -> None:
        """Keep what was read at ``ns``; decode once a batch is full or the end may be in sight."""
        self._reads.append((ns, data))
        if self.heard or len(self._reads) >= BATCH or _DONE in data or _ERROR in data:
            self.settle()

    def settle(self) -> None:
        """Decode everything kept so far."""
        reads, self._reads = self._reads, []
        for ns, data in reads:
            if self.error:
                return
            try:
                self._take(ns, data)
            except EventTooLarge as error:
                self.fail("protocol", str(error))

    def end(self) -> None:
        """The response ended by itself: judge whether it was whole."""
        self.settle()
        if self.error:
            return
        if self._whole is not None:
            self._take_whole()
            return
        for payload in self._splitter.end():
            self._event(self._last_ns, payload, cut=True)
        if self.error or self.ended or self.finish is not None or self._tail:
            if not (self.error or self.finish or self._content or self._reasoning):
                self.fail("empty", "the stream ended without text and without a finish reason")
        elif not self._events:
            self.fail("empty", "the answer held no event")
        else:
            self.fail("stream", "the stream ended without a finish reason, [DONE] or usage: it was cut")

    def fail(self, kind: str, message: str, status: int | None = None) -> None:
        """Record why the request failed; the first reason stays."""
        if self.error is None:
            self.error = RequestError(kind=kind, message=short(message), status=status)
        self.ended = True

    @property
    def chunks(self) -> int:
        """Text chunks so far."""
        return len(self._ns)

    def onto(self, blank: Sample) -> Sample:
        """``blank`` with everything that this response tells; stamps of sending are the caller's."""
        content, reasoning = "".join(self._content), "".join(self._reasoning)
        thought, text, answer_at = split_thinking(content)
        first_answer = self.first_answer_ns
        if answer_at != 0 and self._ns:
            first_answer = None if answer_at is None else self._stamp_of(answer_at)
        prompt_tokens, output_tokens, cached, source = self._counts()
        return msgspec.structs.replace(
            blank,
            first_text_ns=self.first_text_ns,
            first_answer_ns=first_answer,
            last_text_ns=self.last_text_ns,
            chunk_ns=tuple(self._ns),
            chunk_chars=tuple(self._chars),
            first_chunk_tokens=first_chunk_tokens(len(self._ns), output_tokens, self._first_count),
            text_tokens=text_tokens(len(self._ns), output_tokens, self._last_count),
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached,
            token_source=source,
            finish=self.finish,
            error=self.error,
            text=text,
            reasoning=reasoning + thought,
        )

    def _take(self, ns: int, data: bytes) -> None:
        self._last_ns = ns
        if not self._opened:
            self._opened = True
            if data.lstrip()[:1] == b"{":
                self._whole = bytearray()
        if self._whole is None:
            for payload in self._splitter.feed(data):
                if not self.ended:
                    self._event(ns, payload)
            return
        self._whole += data
        self.last_text_ns = ns
        if len(self._whole) > MAX_BODY_BYTES:
            self.fail("protocol", f"the answer is larger than {MAX_BODY_BYTES} bytes")

    def _event(self, ns: int, payload: bytes, *, cut: bool = False) -> None:
        self._events += 1
        if payload.strip() == _DONE:
            self.ended = True
            return
        chunk = self._decode(payload, cut=cut)
        if chunk is None:
            return
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.timings is not None:
            self._timings = chunk.timings
        first = next((one for one in chunk.choices or () if one.index == 0), None)
        if first is None:
            self._tail = self._tail or chunk.usage is not None
            return
        self._words(ns, first, chunk)

    def _decode(self, payload: bytes, *, cut: bool) -> Chunk | None:
        try:
            chunk = decode_chunk(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if cut:
                self.fail("stream", "the stream ended in the middle of an event")
            else:
                excerpt = payload[:80].decode("utf-8", "replace")
                self.fail("protocol", f"an event is not a completion chunk ({error}): {excerpt}")
            return None
        told = error_in(chunk)
        if told is not None:
            self.fail("stream", f"the server reported in the stream: {told}")
            return None
        return chunk

    def _words(self, ns: int, choice: Alternative, chunk: Chunk) -> None:
        words = choice.delta or choice.message
        content = (words.content if words else choice.text) or ""
        thought = words.thought if words else ""
        if content or thought:
            if self.first_text_ns is None:
                self.first_text_ns = ns
                self._first_count = _count_so_far(chunk)
            if content:
                if self.first_answer_ns is None:
                    self.first_answer_ns = ns
                self._content.append(content)
                self._content_ns.append(ns)
            if thought:
                self._reasoning.append(thought)
            self._last_count = _count_so_far(chunk)
            self._ns.append(ns)
            self._chars.append(len(content) + len(thought))
            self.last_text_ns = ns
            if self.heard:
                self.heard(thought + content)
        if choice.finish_reason and self.finish is None:
            self.finish = choice.finish_reason
            self.last_text_ns = ns

    def _take_whole(self) -> None:
        chunk = self._decode(bytes(self._whole or b""), cut=False)
        if chunk is None:
            return
        if not chunk.choices:
            self.fail("protocol", "the answer is JSON but no completion: it has no choices")
            return
        first = chunk.choices[0]
        words = first.message or first.delta
        self._usage, self._timings, self.finish = chunk.usage, chunk.timings, first.finish_reason
        self._content = [(words.content if words else first.text) or ""]
        self._reasoning = [words.thought] if words else []
        if not self.finish and not self._content[0]:
            self.fail("empty", "the answer has no text and no finish reason")

    def _stamp_of(self, offset: int) -> int:
        """Arrival of the content character at ``offset``."""
        for ns, part in zip(self._content_ns, self._content, strict=True):
            offset -= len(part)
            if offset < 0:
                return ns
        return self._content_ns[-1]

    def _counts(self) -> tuple[int | None, int | None, int | None, TokenSource]:
        """Prompt, output and cached tokens, and who counted."""
        if self._usage is not None and self._usage.completion_tokens is not None and not self._partial_usage():
            details = self._usage.prompt_tokens_details
            cached = details.cached_tokens if details else None
            return self._usage.prompt_tokens, self._usage.completion_tokens, cached, "server"
        timings = self._timings
        if timings is not None and timings.predicted_n is not None:
            prompt = timings.prompt_n + (timings.cache_n or 0) if timings.prompt_n is not None else None
            return prompt, timings.predicted_n, timings.cache_n, "server"
        return (None, len(self._ns), None, "chunks") if self._ns else (None, None, None, "unknown")

    def _partial_usage(self) -> bool:
        """Whether the last usage seen is an empty stand-in: zero tokens although text has come."""
        return bool(self._ns) and self._usage is not None and not self._usage.completion_tokens


def split_thinking(content: str) -> tuple[str, str, int | None]:
    """Thinking, answer, and the offset at which the answer starts: 0 without tags, None where it never started."""
    head = content.lstrip()
    opened = head.startswith("<think>")
    start = content.index("<think>") + len("<think>") if opened else 0
    close = content.find("</think>", start)
    if close < 0:
        return (content[start:], "", None) if opened else ("", content, 0)
    if not opened and "<think>" in content[:close]:
        return "", content, 0
    answer = content[close + len("</think>") :].lstrip()
    return content[start:close], answer, len(content) - len(answer) if answer else None


def first_chunk_tokens(chunks: int, output_tokens: int | None, told: int | None) -> int | None:
    """Tokens in the first of ``chunks`` text chunks, or None where nothing tells.

    ``told``, the server's own count at that chunk, decides. Without it, every text chunk holds at least one token, so
    the first holds between 1 and ``output_tokens - (chunks - 1)``; when that range is no wider than one token (the end
    token may be counted without being text) or than ``OPEN_SHARE`` of the tokens that follow, which bounds the error of
    ``tpot`` by the same share, it is taken as 1. Otherwise the tokens came coalesced and it is unknown.
    """
    if not chunks or output_tokens is None:
        return None
    if told is not None and 0 < told <= output_tokens:
        return told
    doubt = output_tokens - chunks
    return 1 if doubt >= 0 and doubt <= max(1, OPEN_SHARE * (output_tokens - 1)) else None


def text_tokens(chunks: int, output_tokens: int | None, told: int | None) -> int | None:
    """Tokens that had come with the last of ``chunks`` text chunks, or None where nothing tells.

    ``told`` is the server's own count at that chunk. Without it, a count that is one over the number of text chunks is
    one token a chunk and an end token.
    """
    if not chunks or output_tokens is None:
        return None
    if told is not None and 0 < told <= output_tokens:
        return told
    return chunks if output_tokens - chunks in {0, 1} else None


def _count_so_far(chunk: Chunk) -> int | None:
    if chunk.usage is not None and chunk.usage.completion_tokens:
        return chunk.usage.completion_tokens
    return chunk.timings.predicted_n if chunk.timings is not None else None
