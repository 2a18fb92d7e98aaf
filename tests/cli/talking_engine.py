"""A plug-in engine that answers by what it is asked: the entry point ``talking``, for GGUF files, which it never opens.

``count``: numbers without an end; ``die``: two words, and the process kills itself; ``forget``: refused as longer than
the context unless it is the first question; anything else: how many questions it has been told of, and the last one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from scripted_engine import ScriptedModel  # type: ignore[import-not-found,unused-ignore]

from assay.engines.worker.model import Emit, End, Generation, Handle, Message, Model, Piece, PromptInput, Refused, Spec
from assay.engines.worker_engine import WorkerEngine
from assay.types import Format


class TalkingEngine(WorkerEngine):
    name = "talking"
    formats: tuple[Format, ...] = ("gguf",)
    opener = "talking_engine:open_model"


def open_model(spec: Spec) -> Model:
    model: Model = TalkingModel(spec)
    return model


class TalkingModel(ScriptedModel):  # type: ignore[misc,unused-ignore]
    def __init__(self, spec: Spec) -> None:
        super().__init__({}, spec)
        self.context_length = spec.options.context_length or 2048

    def render(self, messages: Sequence[Message], *rest: Any) -> PromptInput:
        questions = [message["content"] for message in messages if message["role"] == "user"]
        if questions[-1] == "forget" and len(questions) > 1:
            raise Refused("the prompt is longer than the context length", code="context_length_exceeded")
        prompt: PromptInput = super().render(messages, *rest)
        return prompt

    def submit(self, generation: Generation, emit: Emit) -> Handle:
        told = bytes(generation.prompt.ids or ()).decode()
        questions = told.split("user:")[1:]
        asked = questions[-1].removesuffix(";")
        answer = Answer(asked, len(questions), emit)
        threading.Thread(target=answer.run, daemon=True).start()
        return answer


class Answer:
    def __init__(self, asked: str, number: int, emit: Emit) -> None:
        self.asked = asked
        self.number = number
        self.emit = emit
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def run(self) -> None:
        if self.asked == "count":
            number = 0
            while not self.cancelled.wait(0.02):
                number += 1
                self.emit(Piece(f"number {number} ".encode(), 2))
            self.emit(End(reason="cancelled"))
            return
        if self.asked == "die":
            self.emit(Piece(b"some words ", 2))
            time.sleep(0.3)  # lets them reach the client first
            os.kill(os.getpid(), signal.SIGKILL)
        for word in f"question {self.number} was **{self.asked}** ".split(" "):
            self.emit(Piece(f"{word} ".encode(), 1))
        self.emit(End(reason="stop"))
