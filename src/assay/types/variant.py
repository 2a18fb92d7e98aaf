"""What can be run: artefacts and the engines that bring them up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from msgspec import Struct
from msgspec.json import encode as to_json

Format = Literal["gguf", "onnx", "openvino", "safetensors", "adapter", "remote"]
EMBEDDINGS = frozenset({"embeddings", "embedding", "feature-extraction", "sentence-similarity"})
TALKING = frozenset({"chat", "chat-completion", "completion", "text-generation", "code"})
"""Words for what a model does, as lists and hubs write them."""


class File(Struct, frozen=True, kw_only=True):
    """One file of a variant; ``path`` is relative to the variant's own folder."""

    path: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    """Name of the file as a git blob: what a hub tells of files that it keeps in git itself, in place of a SHA-256."""


class Variant(Struct, frozen=True, kw_only=True):
    """One exact artefact that an engine can run.

    ``id`` is unique among the candidates of a bench (``notes-4m:q8_0``). ``path`` is where its entry (the GGUF file,
    the model folder) lies on this machine and is no part of the digest; None while it is not here. ``source`` is
    ``hf:owner/name`` for what a hub has, with ``revision`` the commit and ``folder`` the folder of the repository that
    the files' paths start from. For ``format="remote"``, ``source`` is the base URL with ``/v1`` and ``served_id`` the
    model id to send. ``adapter`` is ``module:Class`` for ``format="adapter"``. ``base`` is the model that this one was
    made from (``owner/name``), ``device`` what it was made for.
    """

    id: str
    alias: str
    format: Format
    source: str
    revision: str | None = None
    quantisation: str | None = None
    path: str | None = None
    files: tuple[File, ...] = ()
    parameters: int | None = None
    context_length: int | None = None
    licence: str | None = None
    capabilities: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    engine: str | None = None
    served_id: str | None = None
    adapter: str | None = None
    folder: str | None = None
    base: str | None = None
    device: Literal["cpu", "gpu", "npu"] | None = None
    languages: tuple[str, ...] = ()
    min_memory: int | None = None
    notes: str | None = None
    key: str | None = None
    """Where the key of a remote one is kept: ``env:NAME`` or ``keyring:SERVICE/USER``; never the key itself."""

    @property
    def selector(self) -> str:
        """What its id says beside its alias: ``q8_0``, ``onnx-int4-cpu``; the id itself where that is nothing."""
        return self.id.removeprefix(f"{self.alias}:")

    @property
    def here(self) -> bool:
        """Whether it can be started on this machine without a download."""
        return self.path is not None or self.format in {"remote", "adapter"}

    @property
    def embeds(self) -> bool:
        """Whether its tasks, or without any its capabilities, name embeddings and nothing that makes text."""
        words = {word.lower() for word in self.tasks or self.capabilities}
        return bool(words & EMBEDDINGS) and not words & TALKING

    @property
    def disk(self) -> int | None:
        """Bytes of all files, or None where one size is unknown or there is no file."""
        sizes = [file.size for file in self.files]
        return sum(s for s in sizes if s is not None) if sizes and None not in sizes else None

    @property
    def digest(self) -> str:
        """SHA-256 over what the artefact is: format, quantisation and file hashes; where none is known, its source
        and the sizes of its files.
        """
        known = sorted((f.path, f.sha256) for f in self.files if f.sha256)
        sizes = sorted((f.path, f.size or 0) for f in self.files)
        identity: Any = known or [self.source, self.revision, self.served_id, self.adapter, sizes]
        return hashlib.sha256(to_json([self.format, self.quantisation, identity])).hexdigest()


class EngineOptions(Struct, frozen=True, kw_only=True):
    """How an engine is asked to run a variant. ``context_length`` is per slot, in tokens; None: the engine's choice."""

    context_length: int | None = None
    slots: int = 1
    threads: int | None = None
    device: str = "cpu"
    start_timeout_s: float = 300.0
    extra: dict[str, str] = {}


class Availability(Struct, frozen=True, kw_only=True):
    """Whether an engine can run here; when not, why, and the command that would change that."""

    ok: bool
    version: str | None = None
    why: str | None = None
    remedy: str | None = None


class EngineStatus(Struct, frozen=True, kw_only=True):
    """What an engine says of itself, or of one endpoint it has started."""

    name: str
    version: str | None
    formats: tuple[Format, ...]
    state: Literal["idle", "ready", "dead", "stopped"] = "idle"
    exit_code: int | None = None
    reason: str | None = None
    log_tail: str = ""
    arguments: dict[str, Any] = {}


PROMPT_TOKENS = "X-Assay-Prompt-Tokens"
"""Header of a worker's stream: the tokens of its prompts, for a service to count where ``usage`` was not asked for."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """A live OpenAI-compatible address. ``url`` ends in ``/v1``; ``pid`` is the root of the serving process tree."""

    url: str
    model: str
    engine: str
    engine_version: str | None = None
    pid: int | None = None
    context_length: int | None = None
    slots: int | None = None
    load_ns: int | None = None
    """From the start of the process to ready."""
    load_kind: Literal["cold", "warm"] | None = None
    """Whether the variant's files were in memory then: hardly any of them, or nearly all."""
    arguments: dict[str, Any] = {}
    headers: Mapping[str, str] = {}
    """They go with every request to it (a worker's key), and are shown and written nowhere."""

    def __repr__(self) -> str:
        return f"Endpoint({self.url})"


@runtime_checkable
class Engine(Protocol):
    """Brings a variant up as an endpoint. One file per engine; found by name, never by import from another stage."""

    name: str
    formats: tuple[Format, ...]

    def available(self) -> Availability:
        """Whether this engine can run on this machine; never raises."""
        ...

    async def start(self, variant: Variant, options: EngineOptions) -> Endpoint:
        """Bring ``variant`` up in a process of its own; raise ``EngineStartFailed`` with the reason."""
        ...

    async def stop(self, endpoint: Endpoint) -> None:
        """End the endpoint's process tree; no error when it is already gone."""
        ...

    def describe(self, endpoint: Endpoint | None = None) -> EngineStatus:
        """Status of the engine, or of one endpoint (alive, or dead with exit code and last log lines)."""
        ...
