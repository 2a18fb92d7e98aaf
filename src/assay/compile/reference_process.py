"""``python -m assay.compile.reference_process``: run an original checkpoint with transformers, and end.

stdin: a ``ReferenceJob`` as one line of JSON; its end of file means that the parent has died, and ends the process.
stdout: one JSON object a line: ``progress``, then ``done`` or ``failed``. What libraries print goes to stderr.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from msgspec.json import decode, encode
from numpy.lib.format import open_memmap
from transformers import AutoModelForCausalLM, AutoTokenizer

from assay.compile.positions import affordable, in_passage, spread
from assay.compile.reference import ReferenceJob
from assay.errors import AssayError, BadInput, CompileError
from assay.types import Probed, ProbeRequest, Scored

FAILED = 3
ORPHANED = 4
DISTRIBUTIONS = "original.npy"
LONGEST_PASSAGE = 256
"""Tokens of a passage that are read."""
MARGIN = 64
"""Tokens of context that a prompt and its answer leave free."""
BATCH = 10
"""Prompts that are continued together: reading the weights takes most of a token's time."""
BYTES_PER_THREAD = 16 * 1024 * 1024
SPARED_FROM = 4
"""Cores."""
Tell = Callable[[dict[str, Any]], None]


def main() -> int:
    """Run one job; the exit code is 0 when it was done, 3 when the reason has been told."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stdin = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a library that asks a question gets no answer
    job = decode(stdin.readline(), type=ReferenceJob)
    threading.Thread(target=_watch_parent, args=(stdin,), name="parent-watch", daemon=True).start()

    def tell(event: dict[str, Any]) -> None:
        events.write(encode(event) + b"\n")
        events.flush()

    try:
        asked = _Asked(job, tell)
        with torch.inference_mode():
            tell({"event": "done", **asked.answer()})
    except Exception as error:
        traceback.print_exc()
        message = error.message if isinstance(error, AssayError) else f"{type(error).__name__}: {error}"
        tell({"event": "failed", "message": "the original cannot be run", "why": message})
        return FAILED
    return 0


class _Asked:
    """A loaded original with its tokeniser."""

    def __init__(self, job: ReferenceJob, tell: Tell) -> None:
        self._job = job
        self._tell = tell
        self._tokeniser = AutoTokenizer.from_pretrained(job.folder, local_files_only=True)
        self._model, loading = AutoModelForCausalLM.from_pretrained(
            job.folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            attn_implementation="eager",  # the others leave out what some families do to their scores
            output_loading_info=True,
        )
        if loading["missing_keys"]:
            raise CompileError(f"the checkpoint lacks weights: {', '.join(sorted(loading['missing_keys'])[:3])}")
        self._model.eval()
        torch.set_num_threads(_threads(self._model))
        self._ends = _ends(self._model, self._tokeniser)
        text_config = self._model.config.get_text_config()
        self._context = int(getattr(text_config, "max_position_embeddings", None) or 4096)
        self._keeps = "logits_to_keep" in inspect.signature(self._model.forward).parameters

    def answer(self) -> dict[str, Any]:
        """The request for the products, and what the original gives to it."""
        job = self._job
        texts = [tuple(self._tokeniser(text).input_ids) for text in job.texts]
        rendered = [self._render(chat) for chat in job.chats]
        room = self._context - job.answer_tokens - MARGIN
        prompts = [
            ids if ids is not None else tuple(self._tokeniser(chat[-1]["content"]).input_ids)
            for ids, chat in zip(rendered, job.chats, strict=True)
        ]
        if room < 1 or min(map(len, prompts)) < 1:
            raise BadInput(f"a context of {self._context} tokens leaves no room for prompts and answers")
        prompts = [ids[-room:] for ids in prompts]
        said = self._continued(prompts)
        greedy = [made[: job.new_tokens] for made in said]
        request = ProbeRequest(
            sequences=self._sequences(texts, prompts, greedy),
            prompts=tuple(prompts),
            new_tokens=job.new_tokens,
            chats=job.chats if self._tokeniser.chat_template else (),
            answer_tokens=job.answer_tokens,
            texts=job.texts,
        )
        probed = Probed(
            distributions=self._score(request.sequences),
            vocabulary=self._vocabulary,
            tops=tuple(() for _ in texts) + tuple(greedy),
            greedy=tuple(greedy),
            answers=tuple(self._spell(made) for made in said) if request.chats else (),
            rendered=tuple(rendered) if request.chats else (),
            tokenised=tuple(texts),
            engine_version=_version(),
        )
        return {"request": request, "probed": probed, "passages": len(texts)}

    @property
    def _vocabulary(self) -> int:
        return int(self._model.get_output_embeddings().weight.shape[0])

    def _render(self, chat: Sequence[dict[str, str]]) -> tuple[int, ...] | None:
        """None where there is no template, or it refuses the conversation."""
        if not self._tokeniser.chat_template:
            return None
        try:
            text = self._tokeniser.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
        except Exception:  # whatever a template raises
            traceback.print_exc()
            return None
        return tuple(self._tokeniser(text, add_special_tokens=False).input_ids)

    def _sequences(
        self, texts: Sequence[tuple[int, ...]], prompts: Sequence[tuple[int, ...]], greedy: Sequence[tuple[int, ...]]
    ) -> tuple[Scored, ...]:
        """The text, then each prompt with its continuation but for the last token, which nothing follows."""
        in_text, in_continuations = affordable(self._vocabulary, len(texts), len(prompts))
        found = []
        for ids in texts:
            read = ids[: min(LONGEST_PASSAGE, self._context - 1)]
            found.append(Scored(ids=read, positions=in_passage(len(read), in_text)))
        for prompt, made in zip(prompts, greedy, strict=True):
            places = range(len(prompt) - 1, len(prompt) + len(made) - 1)
            ids = prompt + made[:-1]
            found.append(Scored(ids=ids, positions=spread(places, in_continuations), tops=tuple(places)))
        return tuple(found)

    def _continued(self, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Each prompt's most likely tokens, to an end token or the limit; sampling settings have no say."""
        made: list[tuple[int, ...]] = []
        for start in range(0, len(prompts), BATCH):
            made += self._continued_together(prompts[start : start + BATCH])
            self._progress(len(made), len(prompts), "answers of the original")
        return made

    def _continued_together(self, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """A batch, padded on the left, where the mask hides it and no position is counted."""
        longest = max(map(len, prompts))
        tokens = torch.tensor([(0,) * (longest - len(ids)) + ids for ids in prompts])
        mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
        places = (mask.cumsum(dim=1) - 1).clamp(min=0)
        keep = {"logits_to_keep": 1} if self._keeps else {}
        made: list[list[int]] = [[] for _ in prompts]
        past = None
        for _ in range(self._job.answer_tokens):
            given = self._model(
                input_ids=tokens, attention_mask=mask, position_ids=places, past_key_values=past, use_cache=True, **keep
            )
            tokens, past = given.logits[:, -1].argmax(dim=-1, keepdim=True), given.past_key_values
            for row, token in zip(made, tokens[:, 0].tolist(), strict=True):
                if not (row and row[-1] in self._ends):
                    row.append(token)
            if all(row[-1] in self._ends for row in made):
                break
            mask = torch.cat([mask, torch.ones_like(tokens)], dim=1)
            places = places[:, -1:] + 1
        return [tuple(row) for row in made]

    def _score(self, sequences: Sequence[Scored]) -> str:
        """Log-probabilities of all positions, written row by row."""
        path = Path(self._job.out) / DISTRIBUTIONS
        shape = (sum(len(scored.positions) for scored in sequences), self._vocabulary)
        file = open_memmap(path, mode="w+", dtype="float32", shape=shape)
        row = 0
        for i, scored in enumerate(sequences):
            if not scored.positions:
                continue
            wanted = torch.tensor(scored.positions, dtype=torch.long)
            keep = {"logits_to_keep": wanted} if self._keeps else {}
            logits = self._model(input_ids=torch.tensor([scored.ids]), use_cache=False, **keep).logits[0]
            for scores in logits if self._keeps else logits[wanted]:
                file[row] = torch.log_softmax(scores.double(), dim=-1).float().numpy()
                row += 1
            self._progress(i + 1, len(sequences), "text through the original")
        if any(np.isnan(part).any() for part in file):
            raise CompileError("the original itself gives probabilities that are no numbers")
        file.flush()
        return str(path)

    def _spell(self, made: tuple[int, ...]) -> str:
        return str(self._tokeniser.decode([token for token in made if token not in self._ends]))

    def _progress(self, done: int, total: int, text: str) -> None:
        self._tell({"event": "progress", "done": done, "total": total, "text": text})


def _threads(model: Any) -> int:
    """One a 16 MB of weights, and one core for the rest of the machine: torch's threads wait for each other in every
    operator, and where one must give its core to somebody else all of them stand."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    cores = torch.get_num_threads()
    return int(max(1, min(cores - 1 if cores >= SPARED_FROM else cores, weights // BYTES_PER_THREAD)))


def _ends(model: Any, tokeniser: Any) -> frozenset[int]:
    known = model.generation_config.eos_token_id if model.generation_config else None
    ends = known if isinstance(known, list) else [known]
    return frozenset(token for token in (*ends, tokeniser.eos_token_id) if token is not None)


def _version() -> str:
    return f"transformers {version('transformers')}, torch {version('torch')}"


def _watch_parent(stdin: BinaryIO) -> None:
    stdin.read()
    os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main())
