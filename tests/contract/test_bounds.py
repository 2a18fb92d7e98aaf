"""What the estimate of memory says of the engines' bounds is what they are; the two rooms may not import each other."""

from __future__ import annotations

import pytest

from assay.app import directory
from assay.catalog import memory
from assay.engines import llamacpp, llamacpp_embeddings, llamacpp_server, onnxruntime_genai_api, onnxruntime_genai_batch


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


def test_what_is_listed_for_embeddings_is_what_the_engine_gives_them_of() -> None:
    told = (llamacpp_embeddings.WORDS, llamacpp_embeddings.TALKING)
    assert told == (directory.EMBEDDINGS, directory.TALKING)
