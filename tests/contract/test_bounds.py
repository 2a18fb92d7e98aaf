"""What one room says of another that it may not import is what it is: bounds of engines, slots, words for vectors."""

from __future__ import annotations

import pytest

from assay.catalog import memory
from assay.engines import llamacpp, llamacpp_server, onnxruntime_genai_api, onnxruntime_genai_batch
from assay.engines.llamacpp_embeddings import pooling_of
from assay.engines.worker.choices import at_once
from assay.formats import GgufHeader
from assay.serve.model import Model
from assay.types import Variant
from assay.types.variant import EMBEDDINGS, TALKING
from tests.serve.asking import offer


@pytest.mark.parametrize(
    ("room", "names"),
    [
        (onnxruntime_genai_api, ("PART",)),
        (onnxruntime_genai_batch, ("TOGETHER",)),
        (llamacpp_server, ("BATCH",)),
        (llamacpp, ("DEFAULT_CONTEXT",)),
    ],
    ids=["parts", "together", "llama.cpp", "llama.cpp's context"],
)
def test_bounds_are_told_as_they_are(room: object, names: tuple[str, ...]) -> None:
    assert [getattr(memory, name) for name in names] == [getattr(room, name) for name in names]


@pytest.mark.parametrize("slots", [1, 2, 4, 8])
def test_the_door_reckons_with_as_many_slots_as_the_worker_takes(slots: int) -> None:
    model = Model(offer("a", slots=slots), 0.0)
    assert [model.cost(count) for count in range(1, 20)] == [at_once(count, slots) for count in range(1, 20)]


@pytest.mark.parametrize("words", [(), *((word,) for word in sorted(EMBEDDINGS | TALKING)), ("embeddings", "chat")])
def test_what_is_listed_for_embeddings_is_what_the_engine_gives_them_of(words: tuple[str, ...]) -> None:
    variant = Variant(id="m:q8_0", alias="m", format="gguf", source="test", tasks=words)
    header = GgufHeader(3, {"general.architecture": "qwen3"}, (), {}, {})
    assert variant.embeds is (words in {(word,) for word in EMBEDDINGS})
    assert (pooling_of(header, variant) == "mean") is variant.embeds
