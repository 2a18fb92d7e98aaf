"""People's own models: a Python class that loads weights and yields text gets the protocol, streaming and the rest.

An adapter is named by ``module:Class`` or by its entry point in the group ``assay.adapters``.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, cast

from assay.engines.worker.model import (
    EVERY_FEATURE,
    Emit,
    End,
    Feature,
    Generation,
    Handle,
    Message,
    Model,
    Piece,
    PromptInput,
    Refused,
    Sampling,
    Spec,
)
from assay.engines.worker_engine import WorkerEngine
from assay.errors import BadInput
from assay.types import EngineOptions, Format, Variant

ENTRY_POINTS = "assay.adapters"
FEATURES: frozenset[Feature] = (EVERY_FEATURE & set(Sampling.__struct_fields__)) - {"logit_bias"}
"""What an adapter may take as parameters; it has no tokens to bias or to tell of, and follows no grammar."""


class CustomModelAdapter:
    """What people write for a model of their own; the class is made without arguments, inside the worker.

    ``generate`` must take ``max_tokens``, and any of ``temperature``, ``top_p``, ``top_k``, ``min_p``, ``seed``,
    ``repetition_penalty``, ``frequency_penalty``, ``presence_penalty`` that the model honours, by name or as
    ``**params``; only what a request gives is passed, and a request for one that is not taken gets a 400.
    """

    slots: ClassVar[int] = 1
    """How many calls of ``generate`` may run at once, in threads; 1 unless the model is thread-safe."""
    context_length: int | None = None
    """Tokens of prompt and answer; where it is set together with ``count_tokens``, longer prompts get a 400."""
    version: str | None = None

    def load(self, weights_path: str) -> None:
        """Load the weights; called once, before any request. What it raises is why the start failed."""
        raise NotImplementedError

    generate: Callable[..., Iterable[str]]
    """``generate(prompt: str, **params)`` yields the answer in pieces of text; closed when the client leaves or a stop
    string is met. A generator may return ``"length"`` when it was cut by ``max_tokens``."""

    def count_tokens(self, text: str) -> int | None:  # noqa: ARG002 - the default knows no tokens
        """Tokens of ``text``; None (the default) leaves usage unknown."""
        return None

    # ``chat(messages, **params)`` may be defined too and is then called for chat requests instead of ``generate``
    # with the plain rendering of ``plain_prompt``.


class Custom(WorkerEngine):
    """Parent side of adapters."""

    name = "custom"
    formats: tuple[Format, ...] = ("adapter",)
    opener = "assay.engines.custom:open_model"

    def check(self, variant: Variant, options: EngineOptions) -> None:
        """Also refuse a variant that names no adapter."""
        super().check(variant, options)
        if not variant.adapter:
            raise BadInput(f"{variant.id} names no adapter", remedy="give --adapter module:Class or an entry point")


def open_model(spec: Spec) -> Model:
    """Find the adapter, load its weights; called inside the worker."""
    adapter = find_adapter(spec.variant.adapter or "")()
    adapter.load(spec.variant.path or "")
    return AdapterModel(adapter, spec)


def find_adapter(name: str) -> type[CustomModelAdapter]:
    """The class behind ``module:Class`` or an entry point's name; raise ``BadInput``."""
    if ":" in name:
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.append(here)  # at the end: a class beside the user's files is found, and hides nothing
        module, _, attribute = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise BadInput(f"adapter {name} cannot be imported", why=str(error)) from error
        return cast("type[CustomModelAdapter]", found)
    known = {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}
    if name not in known:
        installed = ", ".join(sorted(known)) or "none"
        raise BadInput(f"no adapter named {name!r} is installed", why=f"installed: {installed}")
    return cast("type[CustomModelAdapter]", known[name].load())


def plain_prompt(messages: Sequence[Message]) -> str:
    """Messages as plain text, for an adapter without ``chat``: ``Role: content`` lines, then ``Assistant:``.

    >>> plain_prompt([{"role": "user", "content": "Hello"}])
    'User: Hello\\nAssistant:'
    """
    lines = [f"{str(message['role']).capitalize()}: {message['content']}" for message in messages]
    return "\n".join([*lines, "Assistant:"])


class AdapterModel:
    """Worker side: an adapter behind the worker's seam."""

    broken: str | None = None
    chat_template: str | None = None

    def __init__(self, adapter: CustomModelAdapter, spec: Spec) -> None:
        self._adapter = adapter
        if not hasattr(adapter, "generate"):
            raise BadInput(f"{type(adapter).__name__} has no method generate(prompt, **params)")
        self._chat = getattr(adapter, "chat", None)
        accepted = _accepted(adapter.generate)
        if self._chat is not None:
            accepted &= _accepted(self._chat)
        if "max_tokens" not in accepted:
            raise BadInput(f"{type(adapter).__name__}.generate must take max_tokens, by name or as **params")
        self.features: frozenset[Feature] = frozenset(name for name in FEATURES if name in accepted) | {"n"}
        self.slots = max(1, min(spec.options.slots, adapter.slots))
        self.context_length = adapter.context_length
        self.version = adapter.version
        self.arguments: Mapping[str, Any] = {
            "adapter": spec.variant.adapter,
            "slots": self.slots,
            "chat": "the adapter's own" if self._chat else "plain text",
        }
        self._threads = ThreadPoolExecutor(self.slots, thread_name_prefix="adapter")

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> PromptInput:
        """Messages for an adapter with ``chat``; the plain rendering for one without."""
        if options:
            raise Refused("this model has no chat template to give options to", param="chat_template_kwargs")
        text = plain_prompt(messages)
        if self._chat is not None:
            return PromptInput(messages=tuple(messages), length=self.count(text))
        return PromptInput(text=text, length=self.count(text))

    def encode(self, text: str) -> PromptInput:
        """The text as it is."""
        return PromptInput(text=text, length=self.count(text))

    def wrap(self, ids: Sequence[int]) -> PromptInput:  # noqa: ARG002 - refused whatever they are
        """Adapters take text."""
        raise Refused("this model takes text, not token ids", param="prompt")

    def count(self, text: str) -> int | None:
        """The adapter's own count."""
        return self._adapter.count_tokens(text)

    def submit(self, generation: Generation, emit: Emit) -> Handle:
        """Queue for a free thread."""
        call = _Call(self._iterate, generation, emit)
        call.future = self._threads.submit(call.run)
        return call

    def close(self) -> None:
        """Generators under way are left to the end of the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _iterate(self, generation: Generation) -> Iterable[str]:
        params = _given(generation)
        prompt = generation.prompt
        if prompt.messages is not None and self._chat is not None:
            return cast("Iterable[str]", self._chat([dict(message) for message in prompt.messages], **params))
        return self._adapter.generate(prompt.text or "", **params)


class _Call:
    """One call of the adapter, on a thread."""

    future: Future[None]

    def __init__(self, iterate: Any, generation: Generation, emit: Emit) -> None:
        self._iterate = iterate
        self._generation = generation
        self._emit = emit
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Take effect when the adapter yields next."""
        self._cancelled.set()
        if self.future.cancel():
            self._emit(End(reason="cancelled"))

    def run(self) -> None:
        """Yields become pieces; the end, an exception or a cancel becomes the End."""
        try:
            pieces = iter(self._iterate(self._generation))
            try:
                end = self._pass_on(pieces)
            finally:
                close = getattr(pieces, "close", None)
                if close:
                    close()
        except Exception as error:
            end = End(reason="error", error=f"{type(error).__name__}: {error}")
        self._emit(end)

    def _pass_on(self, pieces: Iterator[str]) -> End:
        while not self._cancelled.is_set():
            try:
                text: Any = next(pieces)
            except StopIteration as done:
                return End(reason="length" if done.value == "length" else "stop")
            if not isinstance(text, str):
                return End(reason="error", error=f"generate must yield text, not {type(text).__name__}")
            self._emit(Piece(text.encode("utf-8", "replace"), None))
        return End(reason="cancelled")


def _accepted(function: Any) -> set[str]:
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {*FEATURES, "max_tokens"}
    return set(parameters)


def _given(generation: Generation) -> dict[str, Any]:
    neutral = Sampling()
    params: dict[str, Any] = {}
    for name in FEATURES:
        value = getattr(generation.sampling, name)
        if value != getattr(neutral, name):
            params[name] = value
    if generation.max_tokens is not None:
        params["max_tokens"] = generation.max_tokens
    return params
