"""The worker side of ONNX Runtime GenAI: a model folder becomes a ``Model``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import TemplateSyntaxError
from msgspec import structs

from assay.engines.chat_template import ChatTemplate
from assay.engines.cpu_threads import default_threads
from assay.engines.onnxruntime_genai_api import Batch, GenAIError, Library, LoadedModel
from assay.engines.onnxruntime_genai_batch import TOGETHER, Scheduler, Vocabulary, together_length
from assay.engines.onnxruntime_genai_folder import Settings, read_settings, read_template
from assay.engines.onnxruntime_genai_grammar import Grammars, TokenTable
from assay.engines.onnxruntime_genai_graph import on_request
from assay.engines.onnxruntime_genai_tokens import read_tokens
from assay.engines.probe_onnxruntime_genai import GenAIProber
from assay.engines.worker.long_text import prompt_of
from assay.engines.worker.model import (
    EVERY_FEATURE,
    Emit,
    Feature,
    Generation,
    Handle,
    Message,
    Model,
    PromptInput,
    Refused,
    Spec,
)
from assay.errors import EngineStartFailed
from assay.types import EngineOptions

SPIN_US = 50
"""How long a thread without work stays awake: longer than from one operator to the next, since a thread that fell
asleep comes late (a token took up to 1.7 times as long); far shorter than the library's own choice, since threads that
spin take the cores from the rest of the machine, the streaming side of this process first of all (half the speed)."""
NEAR = 0.02
"""Of the range of scores: what rounding may change in a batch (nothing, where it was measured); wrong scores were off
by ten times that and more."""


def open_model(spec: Spec) -> Model:
    """Load the folder at ``spec.variant.path``; called inside the worker. Raise ``EngineStartFailed``."""
    folder = Path(spec.variant.path or "").resolve()
    settings = read_settings(folder)
    threads = spec.options.threads or default_threads(settings.weight_bytes, wait_asleep=True)
    try:
        library = Library()
        model = GenAIModel(library, folder, settings, spec.options, threads)
    except (GenAIError, ImportError, OSError) as error:
        raise EngineStartFailed(
            f"ONNX Runtime GenAI cannot load {folder}",
            why=str(error),
            remedy="check that the folder is complete (assay cache verify), or download the model again",
        ) from None
    return model


class GenAIModel:
    """One loaded model; all tokens are made by its scheduler's thread."""

    def __init__(
        self, library: Library, folder: Path, settings: Settings, options: EngineOptions, threads: int
    ) -> None:
        self.version: str | None = library.version
        self.slots = options.slots
        self.context_length: int | None = settings.context(options.context_length)
        tokens = read_tokens(folder)
        self._template = _compile(folder)
        self._frame = (tokens.prefix, tokens.suffix)
        self._settings = settings
        lockstep, everywhere = self._load(library, folder, _overlay(threads))
        self.features: frozenset[Feature] = EVERY_FEATURE if everywhere else EVERY_FEATURE - {"echo"}
        grammars = Grammars(
            partial(TokenTable, tokens, size=settings.vocabulary, ends=settings.ends, encode=self._encode)
        )
        vocabulary = Vocabulary(
            size=settings.vocabulary,
            ends=settings.ends,
            pad=settings.pad,
            spell=tokens.bytes_of,
            name=tokens.name_of,
            ids_of=self._encode,
            open_grammar=grammars.open,
        )
        self._scheduler = Scheduler(
            self._open_batch,
            vocabulary,
            self.slots,
            lockstep=lockstep,
            context=self.context_length,
            together=TOGETHER if self._loaded.on_request else together_length(settings.vocabulary),
        )
        self.arguments: Mapping[str, Any] = {
            "threads": threads,
            "slots": self.slots,
            "context_per_slot": self.context_length,
            "kv_memory": "prompt and max_tokens of each request, while it runs",
            "spin_us": SPIN_US,
            "lockstep": lockstep,
            "scores_on_request": self._loaded.on_request,
            "warmup": "a token, inside the load time",
        }

    @property
    def broken(self) -> str | None:
        return self._scheduler.broken

    @property
    def chat_template(self) -> str | None:
        """The folder's own."""
        return self._template.source if self._template else None

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> PromptInput:
        """The folder's own template; ``Refused`` where it has none."""
        if self._template is None:
            raise Refused(
                "this model's folder has no chat template; use /v1/completions",
                param="messages",
                code="no_chat_template",
            )
        return self._read(self._template.render(messages, options), "messages")

    def encode(self, text: str) -> PromptInput:
        """With the special tokens that the tokenizer puts around a text."""
        return self._read(text, "prompt", *self._frame)

    def wrap(self, ids: Sequence[int]) -> PromptInput:
        """Ids as they are."""
        outside = [token for token in ids if token >= self._settings.vocabulary]
        if outside:
            raise Refused(
                f"token id {outside[0]} is outside the vocabulary of {self._settings.vocabulary} tokens", param="prompt"
            )
        return PromptInput(ids=tuple(ids), length=len(ids))

    def count(self, text: str) -> int | None:
        """Never needed: every piece carries its count."""
        return self._read(text, "prompt").length

    def submit(self, generation: Generation, emit: Emit) -> Handle:
        """Queue for the next batch."""
        return self._scheduler.submit(generation, emit)

    def prober(self) -> GenAIProber:
        """Reads this model's distributions, in the caller's thread."""
        settings = self._settings
        return GenAIProber(self._open_batch, vocabulary=settings.vocabulary, pad=settings.pad, ends=settings.ends)

    def close(self) -> None:
        """End the thread and free the model."""
        self._scheduler.close()
        self._loaded.close()

    def _load(self, library: Library, folder: Path, overlay: Mapping[str, Any]) -> tuple[bool, bool]:
        """Load and warm up, with the graph changed to score what is asked for where it can be, and can be run."""
        name, scores = self._settings.graph, self._settings.scores
        load = partial(LoadedModel, library, folder, overlay, vocabulary=self._settings.vocabulary, scores=scores)
        changed = on_request(folder / name, scores) if name is not None else None
        if name is not None and changed is not None:
            with suppress(GenAIError):
                return self._warm(load(graph=(name, changed)))
        return self._warm(load())

    def _warm(self, loaded: LoadedModel) -> tuple[bool, bool]:
        self._loaded = loaded
        try:
            return self._warm_up()
        except GenAIError:
            loaded.close()
            raise

    def _warm_up(self) -> tuple[bool, bool]:
        """Make a token, so that a model that loads but cannot run fails here.

        Tell whether prompts may share a batch, and whether all places of a prompt are scored.

        They may where one that is padded is scored as it is alone. That is not so where the graph scores the last place
        only, padding or not, where it has a state that padding changes, or where it takes one prompt at a time.
        """
        some = [place * self._settings.vocabulary // 9 for place in range(1, 9)]
        some = [token for token in some if token != self._settings.pad]
        with self._filled([some], everywhere=True) as batch:
            everywhere = _scored_everywhere(batch)
            alone = _scores(batch)
        if self.slots == 1:
            return False, everywhere
        try:
            with self._filled([some, some * 2]) as batch:
                padded = _scores(batch)
        except GenAIError:
            return False, everywhere
        return bool(np.allclose(padded, alone, atol=NEAR * float(np.ptp(alone)))), everywhere

    @contextmanager
    def _filled(self, prompts: Sequence[Sequence[int]], *, everywhere: bool = False) -> Iterator[Batch]:
        """Prompts that were read, with room for two tokens."""
        batch = self._open_batch(prompts, 2, everywhere)
        try:
            batch.fill()
            yield batch
        finally:
            batch.close()

    def _open_batch(self, prompts: Sequence[Sequence[int]], room: int, everywhere: bool = False) -> Batch:
        return Batch(self._loaded, prompts, pad=self._settings.pad, room=room, everywhere=everywhere)

    def _encode(self, text: str) -> tuple[int, ...]:
        return self._loaded.encode(text.replace("\0", ""))

    def _read(self, text: str, param: str, before: Sequence[int] = (), behind: Sequence[int] = ()) -> PromptInput:
        if "\0" in text:
            raise Refused("this engine's tokenizer would cut the text at its NUL character; remove it", param=param)
        found = prompt_of(text, self.context_length, self._loaded.encode)
        prompt = self.wrap((*before, *(found.ids or ()), *behind))
        return structs.replace(prompt, more=found.more)


def _scored_everywhere(batch: Batch) -> bool:
    try:
        with batch.places():
            return True
    except GenAIError:
        return False


def _scores(batch: Batch) -> npt.NDArray[np.float32]:
    """The scores of the first prompt's first new token and of its second, (2, vocabulary)."""
    with batch.scores() as scores:
        first = scores[0].copy()
    batch.step()
    with batch.scores() as scores:
        return np.stack([first, scores[0]])


def _overlay(threads: int) -> dict[str, Any]:
    """Threads as asked, which wait for each other awake, but not for long."""
    session = {"intra_op_num_threads": threads, "session.intra_op.spin_duration_us": str(SPIN_US)}
    return {"model": {"decoder": {"session_options": session}}}


def _compile(folder: Path) -> ChatTemplate | None:
    found = read_template(folder)
    if found is None:
        return None
    try:
        return ChatTemplate(*found)
    except TemplateSyntaxError as error:
        raise EngineStartFailed(f"the chat template of {folder} cannot be compiled", why=str(error)) from None
