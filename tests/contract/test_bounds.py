"""What the estimate of memory says of the engines' bounds is what they are; the two rooms may not import each other."""

from __future__ import annotations

import pytest

from assay.catalog import memory
from assay.engines import llamacpp, llamacpp_server, onnxruntime_genai_api, onnxruntime_genai_batch
from assay.engines.llamacpp_embeddings import pooling_of
from assay.formats import GgufHeader
from assay.types import Variant
from assay.types.variant import EMBEDDINGS, TALKING


@pytest.mark.parametrize(
    ("room", "names"),
    [
        (onnxruntime_genai_api, ("PART", "PART_BYTES")),
        (onnxruntime_genai_batch, ("TOGETHER", "SCORES_BYTES")),
        (llamacpp_server, ("BATCH",)),
        (llamacpp, ("DEFAULT_CONTEXT",)),
    ],
    ids=["parts", "together", "llama.cpp", "llama.cpp's context"],
)
def test_bounds_are_told_as_they_are(room: object, names: tuple[str, ...]) -> None:
    assert [getattr(memory, name) for name in names] == [getattr(room, name) for name in names]


@pytest.mark.parametrize("words", [(), *((word,) for word in sorted(EMBEDDINGS | TALKING)), ("embeddings", "chat")])
def test_what_is_listed_for_embeddings_is_what_the_engine_gives_them_of(words: tuple[str, ...]) -> None:
    variant = Variant(id="m:q8_0", alias="m", format="gguf", source="test", tasks=words)
    header = GgufHeader(3, {"general.architecture": "qwen3"}, (), {}, {})
    assert variant.embeds is (words in {(word,) for word in EMBEDDINGS})
    assert (pooling_of(header, variant) == "mean") is variant.embeds
