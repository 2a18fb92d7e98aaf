"""What is asked of every candidate."""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import Struct
from msgspec.json import encode as to_json


class Expect(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a good answer to a prompt holds; every field given is one check."""

    answer: str | None = None
    any_of: tuple[str, ...] | None = None
    regex: str | None = None
    json_schema: dict[str, Any] | None = None
    records: tuple[dict[str, str | None], ...] | None = None
    record_pattern: str | None = None
    aspects: tuple[str, ...] | None = None
    max_sentences: int | None = None
    min_items: int | None = None


class Prompt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One prompt of a workload."""

    id: str
    prompt: str
    system: str | None = None
    tags: tuple[str, ...] = ()
    expect: Expect | None = None


class Decoding(Struct, frozen=True, kw_only=True):
    """Decoding parameters sent with every request; None leaves a parameter out of the request."""

    max_tokens: int = 256
    temperature: float | None = 0.0
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Workload(Struct, frozen=True, kw_only=True):
    """What is asked of every candidate. ``concurrency`` lists closed-loop levels, measured one after another."""

    prompts: tuple[Prompt, ...]
    rounds: int = 3
    warmup: int = 1
    concurrency: tuple[int, ...] = (1,)
    decoding: Decoding = Decoding()
    stream: bool = True
    seed: int = 0
    request_timeout_s: float = 120.0
    retries: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of everything that makes two workloads comparable."""
        return hashlib.sha256(to_json(self)).hexdigest()
