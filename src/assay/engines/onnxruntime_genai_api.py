"""ONNX Runtime GenAI through its C interface, as far as Assay needs it.

The package's Python classes hold the interpreter lock through every call, so that a token loop in one thread would
starve the thread that streams; calls through ``ctypes`` release it. Imported only inside a worker process.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import (
    CDLL,
    POINTER,
    Array,
    byref,
    c_bool,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_void_p,
    cast,
)
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assay.engines.onnxruntime_genai_graph import EVERY, FLOAT32, INT64, LAST, PLACES

NAMES = ("libonnxruntime-genai.so", "libonnxruntime-genai.dylib", "onnxruntime-genai.dll")
_Out = POINTER(c_void_p)
_Ids = POINTER(c_int32)
CHECKED: dict[str, tuple[Any, ...]] = {
    "OgaCreateConfig": (c_char_p, _Out),
    "OgaConfigOverlay": (c_void_p, c_char_p),
    "OgaConfigAddModelData": (c_void_p, c_char_p, c_char_p, c_size_t),
    "OgaCreateModelFromConfig": (c_void_p, _Out),
    "OgaCreateTokenizer": (c_void_p, _Out),
    "OgaCreateSequences": (_Out,),
    "OgaTokenizerEncode": (c_void_p, c_char_p, c_void_p),
    "OgaCreateGeneratorParams": (c_void_p, _Out),
    "OgaGeneratorParamsSetSearchNumber": (c_void_p, c_char_p, c_double),
    "OgaGeneratorParamsSetSearchBool": (c_void_p, c_char_p, c_bool),
    "OgaCreateGenerator": (c_void_p, c_void_p, _Out),
    "OgaCreateTensorFromBuffer": (c_void_p, POINTER(c_int64), c_size_t, c_int32, _Out),
    "OgaGenerator_SetModelInput": (c_void_p, c_char_p, c_void_p),
    "OgaGenerator_AppendTokens": (c_void_p, _Ids, c_size_t),
    "OgaGenerator_GenerateNextToken": (c_void_p,),
    "OgaGenerator_GetNextTokens": (c_void_p, POINTER(_Ids), POINTER(c_size_t)),
    "OgaGenerator_GetLogits": (c_void_p, _Out),
    "OgaGenerator_SetLogits": (c_void_p, c_void_p),
    "OgaGenerator_GetOutput": (c_void_p, c_char_p, _Out),
    "OgaTensorGetType": (c_void_p, POINTER(c_int32)),
    "OgaTensorGetShapeRank": (c_void_p, POINTER(c_size_t)),
    "OgaTensorGetShape": (c_void_p, POINTER(c_int64), c_size_t),
    "OgaTensorGetData": (c_void_p, _Out),
}
"""Functions that return an error object, or null when all went well, with their argument types."""
PLAIN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "OgaResultGetError": (c_char_p, (c_void_p,)),
    "OgaSequencesGetSequenceCount": (c_size_t, (c_void_p, c_size_t)),
    "OgaSequencesGetSequenceData": (_Ids, (c_void_p, c_size_t)),
    "OgaDestroyResult": (None, (c_void_p,)),
    "OgaDestroyConfig": (None, (c_void_p,)),
    "OgaDestroyModel": (None, (c_void_p,)),
    "OgaDestroyTokenizer": (None, (c_void_p,)),
    "OgaDestroySequences": (None, (c_void_p,)),
    "OgaDestroyGeneratorParams": (None, (c_void_p,)),
    "OgaDestroyGenerator": (None, (c_void_p,)),
    "OgaDestroyTensor": (None, (c_void_p,)),
}
"""The others: result type and argument types."""
PART = 256
"""Prompt tokens read at once when a prompt is alone, at most; between two parts other batches decode."""
PART_BYTES = 64 * 2**20
"""What their scores may take. Of a vocabulary for which that is less than ``PART`` it is faster, too."""
GREEDY: Mapping[str, float] = {
    "num_beams": 1,
    "num_return_sequences": 1,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "repetition_penalty": 1.0,
    "chunk_size": 0,
}
"""Search settings that undo whatever the model's own genai_config.json asks for; sampling is done on the logits, and
``alone`` cuts prompts."""


class GenAIError(Exception):
    """What the library said went wrong."""


class Library:
    """The loaded library: its functions by name, errors raised as ``GenAIError``."""

    def __init__(self) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # official packages send usage events unless told not to
        import onnxruntime_genai  # finds and loads ONNX Runtime itself, differently on each platform

        self.version: str = onnxruntime_genai.__version__
        folder = Path(onnxruntime_genai.__file__).parent
        path = next((folder / name for name in NAMES if (folder / name).exists()), None)
        if path is None:
            raise GenAIError(f"none of {', '.join(NAMES)} is in {folder}")
        library = CDLL(str(path))
        self._functions: dict[str, Any] = {}
        for name, arguments in CHECKED.items():
            self._functions[name] = self._declare(library, name, c_void_p, arguments)
        for name, (result, arguments) in PLAIN.items():
            self._functions[name] = self._declare(library, name, result, arguments)

    @staticmethod
    def _declare(library: CDLL, name: str, result: Any, arguments: tuple[Any, ...]) -> Any:
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
        return function

    def do(self, name: str, *arguments: Any) -> None:
        """Call a checked function; raise ``GenAIError`` with what it reports."""
        failure = self._functions[name](*arguments)
        if failure:
            text = self._functions["OgaResultGetError"](failure)
            message = text.decode("utf-8", "replace") if text else "unknown error"
            self._functions["OgaDestroyResult"](failure)
            raise GenAIError(message)

    def create(self, name: str, *arguments: Any) -> c_void_p:
        """Call a checked function whose last argument receives a new object."""
        out = c_void_p()
        self.do(name, *arguments, byref(out))
        return out

    def plain(self, name: str, *arguments: Any) -> Any:
        """Call a function that cannot fail."""
        return self._functions[name](*arguments)


class LoadedModel:
    """A model folder in memory, with its tokenizer.

    ``on_request`` tells whether it scores only the places that a ``Batch`` asks for; else it scores all that it reads.
    ``places`` names the output with their scores.
    """

    def __init__(
        self,
        library: Library,
        folder: Path,
        overlay: Mapping[str, Any],
        *,
        vocabulary: int,
        scores: str,
        graph: tuple[str, bytes] | None = None,
    ) -> None:
        """``scores`` names the output of the folder's graph.

        ``graph`` stands for the file of that name, with what ``onnxruntime_genai_graph.on_request`` made of it.
        """
        self.library = library
        self.vocabulary = vocabulary
        self.on_request = graph is not None
        self.places = PLACES if self.on_request else scores
        config = library.create("OgaCreateConfig", str(folder).encode())
        try:
            library.do("OgaConfigOverlay", config, json.dumps(overlay).encode())
            if graph is not None:
                library.do("OgaConfigAddModelData", config, graph[0].encode(), graph[1], len(graph[1]))
            self.handle = library.create("OgaCreateModelFromConfig", config)
        finally:
            library.plain("OgaDestroyConfig", config)
        self._tokenizer = library.create("OgaCreateTokenizer", self.handle)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of ``text``, special tokens recognised, none added. ``text`` holds no NUL character."""
        sequences = self.library.create("OgaCreateSequences")
        try:
            self.library.do("OgaTokenizerEncode", self._tokenizer, text.encode(), sequences)
            count = self.library.plain("OgaSequencesGetSequenceCount", sequences, 0)
            data = self.library.plain("OgaSequencesGetSequenceData", sequences, 0)
            return tuple(data[:count])
        finally:
            self.library.plain("OgaDestroySequences", sequences)

    def close(self) -> None:
        """Free the memory; no generator of this model may be alive."""
        self.library.plain("OgaDestroyTokenizer", self._tokenizer)
        self.library.plain("OgaDestroyModel", self.handle)


class Batch:
    """Several sequences that decode in lockstep. Used from one thread."""

    def __init__(
        self, model: LoadedModel, prompts: Sequence[Sequence[int]], *, pad: int, room: int, everywhere: bool = False
    ) -> None:
        """Take ``prompts``, to be read by ``fill``; ``room`` is the number of tokens that may be decoded.

        The library takes padding on the right: it numbers positions and counts the attended tokens of each row up to
        the last token that is not ``pad``. A prompt that ends in it must therefore be alone. Only where a lone prompt
        is scored ``everywhere`` may ``places`` be asked for.
        """
        self._library = model.library
        self._vocabulary = model.vocabulary
        self._places = model.places.encode()
        self.rows = len(prompts)
        self._everywhere = everywhere
        self._lengths = [len(prompt) for prompt in prompts]
        self._read = 0
        longest = max(self._lengths)
        length = PART if model.on_request and not everywhere else part_length(model.vocabulary)
        self._parts = deque(alone(prompts[0], pad, length) if self.rows == 1 else [_padded(prompts, pad, longest)])
        parameters = self._library.create("OgaCreateGeneratorParams", model.handle)
        try:
            for name, value in {**GREEDY, "batch_size": self.rows, "max_length": longest + room}.items():
                self._library.do("OgaGeneratorParamsSetSearchNumber", parameters, name.encode(), value)
            self._library.do("OgaGeneratorParamsSetSearchBool", parameters, b"do_sample", False)
            self._generator = self._library.create("OgaCreateGenerator", model.handle, parameters)
        finally:
            self._library.plain("OgaDestroyGeneratorParams", parameters)
        self._asked = _Asked(self._library, self._generator, self.rows) if model.on_request else None

    def fill(self) -> bool:
        """Read the next part of the prompts; False when that was the last, and ``step`` may follow."""
        self.read(self._parts.popleft())
        return bool(self._parts)

    def read(self, part: Sequence[int]) -> None:
        """Read tokens, so that ``scores`` are those after the last of them; a part is one of those ``alone`` gives."""
        self._read = len(part)
        if self._asked:
            self._asked.of_part(len(part), [len(part)] if self.rows == 1 else self._lengths, every=self._everywhere)
        ids: Array[c_int32] = (c_int32 * len(part))(*part)
        self._library.do("OgaGenerator_AppendTokens", self._generator, ids, len(part))
        if self._asked:
            self._asked.of_token()

    @contextmanager
    def scores(self) -> Iterator[npt.NDArray[np.float32]]:
        """The next token's scores, (rows, vocabulary); what is changed in them until the end of the block counts."""
        tensor = self._library.create("OgaGenerator_GetLogits", self._generator)
        try:
            data = self._library.create("OgaTensorGetData", tensor)
            yield np.ctypeslib.as_array(cast(data, POINTER(c_float)), (self.rows, self._vocabulary))
            self._library.do("OgaGenerator_SetLogits", self._generator, tensor)
        finally:
            self._library.plain("OgaDestroyTensor", tensor)

    @contextmanager
    def places(self) -> Iterator[npt.NDArray[np.float32]]:
        """The scores after each token of the part that was read last, (tokens, vocabulary), where there is one row.

        Raise ``GenAIError`` where the model's graph gives them for the last place only, or not in 32 bits.
        """
        tensor = self._library.create("OgaGenerator_GetOutput", self._generator, self._places)
        try:
            kind, rank = c_int32(), c_size_t()
            self._library.do("OgaTensorGetType", tensor, byref(kind))
            self._library.do("OgaTensorGetShapeRank", tensor, byref(rank))
            shape: Array[c_int64] = (c_int64 * rank.value)()
            self._library.do("OgaTensorGetShape", tensor, shape, rank.value)
            if kind.value != FLOAT32 or tuple(shape) != (1, self._read, self._vocabulary):
                raise GenAIError(f"scores of type {kind.value} and shape {tuple(shape)} are not of all places")
            data = self._library.create("OgaTensorGetData", tensor)
            yield np.ctypeslib.as_array(cast(data, POINTER(c_float)), (self._read, self._vocabulary))
        finally:
            self._library.plain("OgaDestroyTensor", tensor)

    def step(self) -> list[int]:
        """Decode one token of every row: the one with the highest score. Rows past an end token give padding."""
        self._library.do("OgaGenerator_GenerateNextToken", self._generator)
        tokens, count = _Ids(), c_size_t()
        self._library.do("OgaGenerator_GetNextTokens", self._generator, byref(tokens), byref(count))
        return tokens[: count.value]

    def close(self) -> None:
        """Free the KV memory."""
        self._library.plain("OgaDestroyGenerator", self._generator)


class _Asked:
    """Which places of a run are scored: memory that the graph reads anew in each, so it must live as long."""

    def __init__(self, library: Library, generator: c_void_p, rows: int) -> None:
        self._rows = np.arange(rows, dtype=np.int64)
        self._last = self._rows.copy()
        self._every = np.zeros((), np.int64)
        for name, numbers in ((LAST, self._last), (EVERY, self._every)):
            shape: Array[c_int64] = (c_int64 * numbers.ndim)(*numbers.shape)
            place = numbers.ctypes.data_as(c_void_p)
            tensor = library.create("OgaCreateTensorFromBuffer", place, shape, numbers.ndim, INT64)
            try:
                library.do("OgaGenerator_SetModelInput", generator, name.encode(), tensor)
            finally:
                library.plain("OgaDestroyTensor", tensor)

    def of_part(self, tokens: int, lengths: Sequence[int], *, every: bool) -> None:
        """The last token of each row, whose padding fills it to its part of all ``tokens``; or also ``every`` one."""
        self._last[:] = self._rows * (tokens // len(lengths)) + np.subtract(lengths, 1)
        self._every[...] = tokens if every else 0

    def of_token(self) -> None:
        """The one token that each row reads next."""
        self._last[:] = self._rows
        self._every[...] = 0


def _padded(prompts: Sequence[Sequence[int]], pad: int, longest: int) -> list[int]:
    """Several prompts as one part: the library takes a batch's prompts all at once."""
    return [token for prompt in prompts for token in (*prompt, *[pad] * (longest - len(prompt)))]


def part_length(vocabulary: int) -> int:
    """Tokens of a part: no more than ``PART``, and scores of no more than ``PART_BYTES``."""
    return max(1, min(PART, PART_BYTES // (4 * vocabulary)))


def alone(prompt: Sequence[int], pad: int, length: int = PART) -> Iterator[Sequence[int]]:
    """A lone prompt in parts of at most ``length`` tokens.

    The library makes scores for every token it reads, which for a long prompt take more memory than the model. It reads
    those after the last token that is not ``pad``; only in a part of one token does it not look for that.
    """
    for start in range(0, len(prompt), length):
        part = prompt[start : start + length]
        end = len(part)
        while end > 0 and part[end - 1] == pad:
            end -= 1
        if end > 0:
            yield part[:end]
        yield from ([token] for token in part[end:])
