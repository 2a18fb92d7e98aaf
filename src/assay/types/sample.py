"""What came back: one request, one judgement, one meter reading."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Phase = Literal["warmup", "measure"]
TokenSource = Literal["server", "tokenizer", "chunks", "unknown"]
NS = 1_000_000_000


class RequestError(Struct, frozen=True, kw_only=True):
    """Why a request failed. ``kind``: connect, timeout, http, stream, protocol, empty, engine_died."""

    kind: str
    message: str
    status: int | None = None


class Sample(Struct, frozen=True, kw_only=True):
    """One measured request, failures included; a line of ``samples.jsonl``. ``*_ns`` are monotonic."""

    i: int
    variant: str
    engine: str
    prompt: str
    round: int
    phase: Phase
    concurrency: int = 1
    block: int = 0
    """Requests of one block ran under one load; wall time is taken per block."""
    attempt: int = 0
    """0 for the first try; a retry is a sample of its own."""
    scheduled_ns: int | None = None
    sent_ns: int | None = None
    """When the first byte of the request was written."""
    first_byte_ns: int | None = None
    first_text_ns: int | None = None
    first_answer_ns: int | None = None
    last_text_ns: int | None = None
    """Arrival of the last chunk with text or the finish reason."""
    done_ns: int | None = None
    chunk_ns: tuple[int, ...] = ()
    chunk_chars: tuple[int, ...] = ()
    first_chunk_tokens: int | None = None
    """Tokens in the first text chunk, where the server's own counts or one-token chunks tell."""
    text_tokens: int | None = None
    """Output tokens that had come with the last text chunk, where known; an end token that is counted comes later."""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    token_source: TokenSource = "unknown"  # noqa: S105 - not a secret
    finish: str | None = None
    error: RequestError | None = None
    text: str = ""
    reasoning: str = ""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded; a failed one is in no latency figure."""
        return self.error is None

    @property
    def key(self) -> tuple[str, str, int, str, int, str]:
        """What a planned request is known by: variant, engine, concurrency, phase, round, prompt."""
        return (self.variant, self.engine, self.concurrency, self.phase, self.round, self.prompt)

    @property
    def ttft(self) -> float | None:
        """Seconds from request written to the first chunk with text."""
        return _seconds(self.sent_ns, self.first_text_ns)

    @property
    def ttfa(self) -> float | None:
        """Seconds to the first chunk of the answer proper (reasoning excluded)."""
        return _seconds(self.sent_ns, self.first_answer_ns)

    @property
    def e2e(self) -> float | None:
        """Seconds to the last chunk that holds text or the finish reason."""
        return _seconds(self.sent_ns, self.last_text_ns)

    @property
    def tpot(self) -> float | None:
        """Seconds per output token after the first chunk: (t_last - t_first) / (output_tokens - first chunk's tokens).

        ``t_last`` is the arrival of the last *text* chunk, so a late finish event adds nothing; nor do tokens that came
        after it, where ``text_tokens`` tells (an end token makes an answer of four tokens look a third faster).
        """
        tokens = self.output_tokens if self.text_tokens is None else self.text_tokens
        if len(self.chunk_ns) < 2 or tokens is None or self.first_chunk_tokens is None:
            return None
        rest = tokens - self.first_chunk_tokens
        return (self.chunk_ns[-1] - self.chunk_ns[0]) / NS / rest if rest > 0 else None

    @property
    def decode_tps(self) -> float | None:
        """Output tokens per second after the first chunk: 1 / tpot."""
        tpot = self.tpot
        return 1 / tpot if tpot else None

    @property
    def prefill_tps(self) -> float | None:
        """Prompt tokens, less cached ones where told, per second of ttft."""
        if self.prompt_tokens is None or not self.ttft:
            return None
        return (self.prompt_tokens - (self.cached_tokens or 0)) / self.ttft

    @property
    def request_tps(self) -> float | None:
        """Output tokens per second of e2e."""
        return self.output_tokens / self.e2e if self.output_tokens is not None and self.e2e else None

    @property
    def total_tps(self) -> float | None:
        """(prompt + output tokens) / e2e: what simple scripts print as tokens/sec; never ranked on."""
        if self.prompt_tokens is None or self.output_tokens is None or not self.e2e:
            return None
        return (self.prompt_tokens + self.output_tokens) / self.e2e

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between neighbouring text chunks, raw."""
        return tuple((b - a) / NS for a, b in zip(self.chunk_ns, self.chunk_ns[1:], strict=False))

    @property
    def tokens_per_chunk(self) -> float | None:
        """Output tokens per text chunk; over 1 means that tokens arrived coalesced."""
        return self.output_tokens / len(self.chunk_ns) if self.output_tokens and self.chunk_ns else None


class Score(Struct, frozen=True, kw_only=True):
    """One judgement of one sample; a line of ``scores.jsonl``. ``value`` is 0..1; ``raw`` is as given (1..5)."""

    sample: int
    judge: Literal["check", "rubric", "model", "person"]
    criterion: str
    value: float
    raw: float | None = None
    why: str = ""
    who: str | None = None


class Reading(Struct, frozen=True, kw_only=True):
    """One meter reading of an engine's process tree; a line of ``meters.jsonl``."""

    variant: str
    engine: str
    t_ns: int
    memory: int | None = None
    """Bytes: PSS of the process tree, or RSS where PSS is not to be had."""
    memory_kind: Literal["pss", "rss"] | None = None
    gpu_memory: int | None = None
    cpu_s: float | None = None


def _seconds(start: int | None, end: int | None) -> float | None:
    return (end - start) / NS if start is not None and end is not None else None
