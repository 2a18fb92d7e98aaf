"""One streamed answer as a client sees it, and several at once: for comparing servers, each asked alike."""

from __future__ import annotations

import asyncio
import json
import time
from typing import NamedTuple

import aiohttp


class Answer(NamedTuple):
    """Seconds until the first text, tokens per second after it, and tokens.

    ``tokens`` is the server's own count; where it tells none, that of the chunks that hold text.
    """

    ttft: float
    rate: float
    tokens: int


async def ask(session: aiohttp.ClientSession, base: str, model: str, words: str, tokens: int) -> Answer:
    """A greedy chat of at most ``tokens`` tokens, streamed. ``rate`` is tokens per second after the first chunk."""
    messages = [{"role": "user", "content": words}]
    body = {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 0, "stream": True}
    body["stream_options"] = {"include_usage": True}
    began = time.perf_counter()
    first = last = 0.0
    chunks, told = 0, None
    async with session.post(f"{base}/chat/completions", json=body) as response:
        if response.status != 200:
            raise RuntimeError(f"{base}: HTTP {response.status}: {(await response.text())[:500]}")
        async for line in response.content:
            now = time.perf_counter()
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(f"{base}: {event['error']}")
            for choice in event.get("choices") or ():
                if (choice.get("delta") or {}).get("content"):
                    first, last, chunks = first or now, now, chunks + 1
            told = (event.get("usage") or {}).get("completion_tokens", told)
    made = told if told is not None else chunks
    rate = (made - 1) / (last - first) if last > first and made > 1 else 0.0
    return Answer(first - began, rate, made)


async def together(session: aiohttp.ClientSession, base: str, model: str, prompts: list[str], tokens: int) -> float:
    """Tokens per second of all prompts asked at once, over the time until the last has ended."""
    began = time.perf_counter()
    answers = await asyncio.gather(*(ask(session, base, model, words, tokens) for words in prompts))
    return sum(answer.tokens for answer in answers) / (time.perf_counter() - began)
