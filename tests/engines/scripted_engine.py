"""A real engine with stated behaviour, installed as a plug-in would be: the entry point ``scripted``.

``EngineOptions.extra["script"]`` is a JSON object:
``pieces``: list of ``[hex bytes, tokens]`` that every request answers with, ended by ``end`` (``stop`` or ``length``);
``every``: seconds before each piece;
``together``: this many generations must be under way before any goes on;
``endless``: after the pieces, wait for a cancel, and only then end;
``die_at``/``error_at``: before that piece, the process dies by SIGKILL / the generation fails;
``break_at``: as ``error_at``, and the engine says that it is broken;
``cached``: it calls so many tokens of each prompt cached;
``reads``: this many times it tells that a part of the prompt was read, before the pieces;
``tells``: it has log-probabilities, bias and echo: piece number i has the log-probability ``-(i + 1) / 8``, and so has
each byte of a prompt but the first; in its place ``|0|``, ``|1|`` and so on are the likeliest;
``features``: what else the model claims to do;
``template``: the source of a chat template, with which the model takes tools, too;
``start``: ``hang``, ``hang_holding_gil``, ``exit``, ``raise``, or ``child``, which starts a process of its own.
A token of this model is a byte; its chat rendering is ``role:content;`` per message; ``count`` counts words.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from assay.engines.chat_template import ChatTemplate
from assay.engines.worker.model import (
    READ,
    Echo,
    Emit,
    End,
    Feature,
    Generation,
    Handle,
    Message,
    Model,
    Piece,
    PromptInput,
    Spec,
    TokenLogprob,
)
from assay.engines.worker_engine import WorkerEngine
from assay.types import Format


class ScriptedEngine(WorkerEngine):
    name = "scripted"
    formats: tuple[Format, ...] = ("openvino",)
    opener = "scripted_engine:open_model"


def open_model(spec: Spec) -> Model:
    script = json.loads(spec.options.extra.get("script", "{}"))
    start = script.get("start")
    sys.stdout.write("a native library prints this to stdout\n")
    sys.stdout.flush()
    sys.stderr.write("loading the scripted model\n")
    if start == "hang":
        threading.Event().wait()
    elif start == "hang_holding_gil":
        ctypes.PyDLL(None).sleep(1000)
    elif start == "exit":
        os._exit(7)
    elif start == "raise":
        raise RuntimeError("the weights are torn")
    elif start == "child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    return ScriptedModel(script, spec)


class ScriptedModel:
    version: str | None = "1.0"
    features: frozenset[Feature] = frozenset({"temperature", "seed", "n"})

    def __init__(self, script: dict[str, Any], spec: Spec) -> None:
        self.script = script
        self.slots = spec.options.slots
        self.context_length = spec.options.context_length
        self.arguments: Mapping[str, Any] = {"script": sorted(script)}
        self.broken: str | None = None
        self.chat_template: str | None = script.get("template")
        self.features |= set(script.get("features", []))
        if self.chat_template:
            self.features |= {"tools"}
        if script.get("tells"):
            self.features |= {"logprobs", "logit_bias", "echo"}
        self.gate = threading.Barrier(script.get("together", 1))

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> PromptInput:
        if self.chat_template:
            return self.encode(ChatTemplate(self.chat_template, {}).render(messages, options))
        return self.encode("".join(f"{m['role']}:{m['content']};" for m in messages))

    def encode(self, text: str) -> PromptInput:
        return self.wrap(list(text.encode()))

    def wrap(self, ids: Sequence[int]) -> PromptInput:
        return PromptInput(ids=tuple(ids), length=len(ids))

    def count(self, text: str) -> int | None:
        return len(text.split())

    def submit(self, generation: Generation, emit: Emit) -> Handle:
        answer = Answer(self, generation, emit)
        threading.Thread(target=answer.run, daemon=True).start()
        return answer

    def close(self) -> None:
        return None


class Answer:
    def __init__(self, model: ScriptedModel, generation: Generation, emit: Emit) -> None:
        self.model = model
        self.limit = generation.max_tokens
        self.generation = generation
        self.emit = emit
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def run(self) -> None:
        self.emit(self.answer())

    def answer(self) -> End:
        script = self.model.script
        made = 0
        self.model.gate.wait()
        for _ in range(script.get("reads", 0)):
            self.emit(READ)
        if self.generation.echo:
            prompt = bytes(self.generation.prompt.ids or ())
            first, *others = [bytes([byte]) for byte in prompt]
            told = [self.told(i, data) or (TokenLogprob(data, None),) for i, data in enumerate(others)]
            self.emit(Echo((TokenLogprob(first, None), *[t for tokens in told for t in tokens])))
        if self.limit == 0:
            return End(reason="length")
        for i, (data, tokens) in enumerate(script.get("pieces", [])):
            if self.cancelled.wait(script.get("every", 0)):
                return End(reason="cancelled")
            if i == script.get("die_at"):
                time.sleep(0.2)  # lets what was emitted reach the client first
                os.kill(os.getpid(), signal.SIGKILL)
            if i in {script.get("error_at"), script.get("break_at")}:
                self.model.broken = "the device is lost" if "break_at" in script else None
                return End(reason="error", error="the scripted error")
            self.emit(Piece(bytes.fromhex(data), tokens, self.told(i, bytes.fromhex(data))))
            made += tokens or 0
            if self.limit is not None and made >= self.limit:
                return End(reason="length")
        if script.get("endless"):
            self.cancelled.wait()
            return End(reason="cancelled")
        return End(reason=script.get("end", "stop"), cached_tokens=script.get("cached"))

    def told(self, i: int, data: bytes) -> tuple[TokenLogprob, ...]:
        count = self.generation.top_logprobs
        if count is None:
            return ()
        top = tuple((b"|%d|" % rank, -rank / 64) for rank in range(count))
        return (TokenLogprob(data, -(i + 1) / 8, top, b"" if data else b"<end>", ends=not data),)
