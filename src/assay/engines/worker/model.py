"""What an engine implements inside its worker process: the ``Model`` that turns prompt tokens into pieces of text.

Everything above it is done once, for all engines, by the worker: validation, SSE, whole characters, stop strings,
usage, ``n``, the context check and cancellation. An engine's file offers ``open_model(spec: Spec) -> Model``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from secrets import token_urlsafe
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from msgspec import Struct, field

from assay.types import EngineOptions, Variant

Feature = Literal[
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "n",
    "logprobs",
    "logit_bias",
    "json_schema",
    "grammar",
    "tools",
    "echo",
]
"""What a request may ask for; what a model does not list is refused with a 400 that names the field."""

EVERY_FEATURE: frozenset[Feature] = frozenset(get_args(Feature))

Message = Mapping[str, Any]
"""One chat message as received, its ``content`` already joined to one string."""


class Refused(Exception):
    """A request that this model cannot serve; becomes a 400 with ``message``, ``param`` and ``code``."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class Spec(Struct, frozen=True, kw_only=True):
    """What the parent hands to a worker. ``opener`` is ``module:function`` of the engine's ``open_model``."""

    opener: str
    model: str
    """The model id that requests must name."""
    variant: Variant
    options: EngineOptions
    key: str = field(default_factory=token_urlsafe)
    """What every request must bring; it goes by stdin, so that no list of processes shows it."""

    @property
    def headers(self) -> dict[str, str]:
        """What goes with every request to the worker."""
        return {"Authorization": f"Bearer {self.key}"}


class PromptInput(Struct, frozen=True, kw_only=True):
    """A prompt ready for the engine: token ids; or bare text or messages for a model that has no tokens of its own.

    Exactly one of the three is set. ``length`` is in tokens; None only where a text model cannot count. ``more``: it
    has more than the context takes, and was not read to its end; ``length`` is that of the part that was.
    """

    ids: tuple[int, ...] | None = None
    text: str | None = None
    messages: tuple[Message, ...] | None = None
    length: int | None = None
    more: bool = False

    @property
    def told_length(self) -> str:
        """``length`` in words."""
        return f"more than {self.length}" if self.more else str(self.length)


class Sampling(Struct, frozen=True, kw_only=True):
    """Sampling parameters, OpenAI's defaults filled in for all engines alike (not the engine's or the model's own).

    ``temperature`` 0 is greedy. ``top_k`` 0 and ``min_p`` 0 are off. ``seed`` None: a fresh random one. The same seed
    and request alone on the engine give the same text. What a model does not list in ``features`` is neutral here.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = {}
    """Token id -> what is added to its score before anything else, -100 to 100."""


class Generation(Struct, frozen=True, kw_only=True):
    """One text to generate. The worker has seen to it that ``prompt.length + max_tokens`` fits the context.

    ``max_tokens`` is >= 1, or 0 where only the ``echo`` is wanted; None only for a text model without a context length
    when the request names no limit.
    """

    prompt: PromptInput
    max_tokens: int | None
    sampling: Sampling
    top_logprobs: int | None = None
    """How many alternatives each token is to be told with, 0 for the token alone; None: no log-probabilities."""
    json_schema: str | None = None
    """JSON Schema (as JSON) that the answer must satisfy; ``{"type": "object"}`` for any object."""
    grammar: str | None = None
    """Instead of a schema, a grammar in llguidance's Lark that the answer must follow. ``marker_0`` in it stands for
    the first of ``markers``: the token of that spelling, or its characters where there is none."""
    markers: tuple[str, ...] = ()
    """Strings that must appear in the pieces' text even where they are special tokens, which are otherwise hidden."""
    echo: bool = False
    """Whether an ``Echo`` of the prompt is to come before the answer."""


class TokenLogprob(Struct, frozen=True):
    """A token as its bytes, its natural log-probability, and the likeliest ones in its place, likeliest first.

    Log-probabilities are logs of the softmax over the model's raw scores: before bias, penalties, temperature and cuts,
    in every engine. ``logprob`` is None for the first token of a prompt, which nothing comes before.
    """

    data: bytes
    logprob: float | None
    top: tuple[tuple[bytes, float], ...] = ()
    name: bytes = b""
    """What a special token is called that has no bytes in the text; among the likeliest it comes by that name."""
    ends: bool = False
    """Whether it ended the turn."""


class Piece(Struct, frozen=True):
    """Text that the engine produced: raw bytes (a character may be split between pieces) and its token count.

    Send one piece per token. Every sampled token counts, the end-of-turn token too: that one is ``Piece(b"", 1)``.
    ``tokens`` is None where the model cannot tell.
    """

    data: bytes
    tokens: int | None = 1
    logprobs: tuple[TokenLogprob, ...] = ()
    """One for each token of the piece, where the generation asked for them; their bytes together are ``data``.

    Tokens of a character that the limit cuts may have none, and so may others that the engine cannot tell of.
    """


READ = Piece(b"", 0)
"""What an engine sends whenever it has read a part of a prompt, so that a long one is not taken for a stall."""


class Echo(Struct, frozen=True):
    """The prompt's tokens, sent once, before any text; with ``logprob`` where the generation asked for them."""

    tokens: tuple[TokenLogprob, ...]


class End(Struct, frozen=True, kw_only=True):
    """The last event of a generation. ``error`` set means that it failed; after a cancel an End is still sent."""

    reason: Literal["stop", "length", "cancelled", "error"]
    error: str | None = None
    cached_tokens: int | None = None
    """Prompt tokens taken from a prefix cache; None where the engine cannot tell."""


Event = Piece | Echo | End
Emit = Callable[[Event], None]
"""Takes an event from any thread; never blocks and never raises."""


class Handle(Protocol):
    """A generation under way."""

    def cancel(self) -> None:
        """Stop within one token. Called from the event loop; must not block; harmless when already over."""
        ...


class Model(Protocol):
    """A loaded model inside the worker process."""

    version: str | None
    """Of the engine."""
    context_length: int | None
    """Tokens of prompt and answer together, per slot; None for a text model without a limit."""
    slots: int
    """How many generations run at once; further ones wait inside the model, first come first served."""
    features: frozenset[Feature]
    arguments: Mapping[str, Any]
    """What the engine really runs with (threads, batch, device, what was warmed up), as JSON; goes into the run."""

    @property
    def broken(self) -> str | None:
        """Why the engine can no longer serve, though its process lives; None while it can."""
        ...

    @property
    def chat_template(self) -> str | None:
        """The source of the chat template, from which the worker knows how the model writes calls of functions.

        Asked only of models with the feature ``tools``; None where there is no template.
        """
        ...

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> PromptInput:
        """The chat template's own rendering with the generation prompt; raise ``Refused`` where there is none.

        ``options`` are the request's ``chat_template_kwargs``, and ``tools``, its functions, where it has any. Called
        from worker threads, possibly several at once.
        """
        ...

    def encode(self, text: str) -> PromptInput:
        """A bare prompt as the tokenizer sees it (with BOS where the model wants one). Called from worker threads."""
        ...

    def wrap(self, ids: Sequence[int]) -> PromptInput:
        """A prompt given as token ids; raise ``Refused`` for ids outside the vocabulary or a model without tokens."""
        ...

    def count(self, text: str) -> int | None:
        """Tokens of ``text``, for models whose pieces carry no count; None where unknown."""
        ...

    def submit(self, generation: Generation, emit: Emit) -> Handle:
        """Queue a generation and return at once; ``emit`` gets its pieces, then exactly one ``End``."""
        ...

    def close(self) -> None:
        """Free the engine; called once, when no generation runs."""
        ...


Vector = Sequence[float]


@runtime_checkable
class Embedder(Protocol):
    """A ``Model`` that gives embeddings, and nothing else: chats are refused, and ``submit`` is never called."""

    width: int
    """Numbers of a vector."""

    def embed(self, prompt: PromptInput) -> Future[Vector]:
        """Queue a prompt, of at most ``context_length`` tokens; its vector has length 1 by the Euclidean norm."""
        ...
