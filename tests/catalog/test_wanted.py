"""From what the Hub tells to variants under the names that were asked for."""

from __future__ import annotations

import pytest

from assay.catalog import CuratedEntry, Entry, HubName, Wanted, offered, promised
from assay.errors import UnknownModel
from tests.catalog.repos import CHECKPOINT, ONNX, repo, within

CURATED = CuratedEntry(
    alias="tiny",
    family="Tiny",
    publisher="o",
    repo="o/tiny",
    pages=("https://example.org",),
    gguf=("o/tiny-GGUF",),
    parameters=500,
    context_length=4096,
    licence="mit",
    tasks=("chat",),
    capabilities=("chat", "vision"),
    languages=("en",),
    notes="small",
)
GGUF = repo("o/tiny-GGUF", "tiny-q4_0.gguf", "tiny-q8_0.gguf", "mmproj-f16.gguf", parameters=512, licence="other")


def asked(selector: str | None = None, **more: object) -> Wanted:
    return Wanted(name=HubName("o/tiny-GGUF", selector), **more)  # type: ignore[arg-type]


def test_a_repository_by_its_own_name() -> None:
    found = offered([(asked(), GGUF)])
    assert [variant.id for variant in found.variants] == ["tiny:q4_0", "tiny:q8_0"]
    assert [out.paths for out in found.left_out] == [("mmproj-f16.gguf",)]


def test_what_was_wished_for() -> None:
    assert [variant.id for variant in offered([(asked("Q8_0"), GGUF)]).variants] == ["tiny:q8_0"]
    assert [variant.id for variant in offered([(asked("tiny-q4_0.gguf"), GGUF)]).variants] == ["tiny:q4_0"]


def test_the_publishers_words_and_the_files_own_figures() -> None:
    (small, _) = offered([(asked(alias="tiny", forms=("gguf",), curated=CURATED), GGUF)]).variants
    assert (small.licence, small.tasks, small.languages, small.notes) == ("mit", ("chat",), ("en",), "small")
    assert (small.parameters, small.context_length) == (512, 4096)
    assert small.capabilities == ("chat",)
    assert small.base == "o/tiny"


def test_an_entry_of_a_registry_says_the_last_word() -> None:
    entry = Entry(
        alias="Mine", licence="apache-2.0", tasks=("json",), engine="llamacpp", min_memory=7, quantisation="q4_0"
    )
    (variant,) = offered([(asked("q4_0", alias="Mine", curated=CURATED, entry=entry), GGUF)]).variants
    assert (variant.id, variant.alias, variant.quantisation) == ("Mine:q4_0", "Mine", "q4_0")
    assert (variant.licence, variant.tasks, variant.engine, variant.min_memory) == (
        "apache-2.0",
        ("json",),
        "llamacpp",
        7,
    )
    by_file = asked("tiny-q8_0.gguf", alias="Mine", entry=entry)
    assert offered([(by_file, GGUF)]).variants[0].quantisation == "q8_0"


def test_several_repositories_and_the_formats_that_were_meant() -> None:
    other = repo("p/tiny-GGUF", "tiny-Q8_0.gguf", "tiny-Q6_K.gguf")
    both = repo("o/tiny", *CHECKPOINT, "model.safetensors", *within("onnx/cpu-int4", *ONNX))
    found = offered([
        (asked(alias="tiny", forms=("gguf",)), GGUF),
        (asked(alias="tiny", forms=("gguf",)), other),
        (asked(alias="tiny", forms=("onnx",)), both),
    ])  # fmt: skip
    assert [variant.id for variant in found.variants] == ["tiny:q4_0", "tiny:q8_0", "tiny:q6_k", "tiny:onnx-int4-cpu"]
    assert found.variants[1].source == "hf:o/tiny-GGUF"


def test_a_quantisation_that_is_not_there() -> None:
    with pytest.raises(UnknownModel, match="nothing that is called so") as caught:
        offered([(asked("q5_k_m"), GGUF)])
    assert caught.value.why == "there is q4_0, q8_0"


def test_pickles_alone_are_refused_with_the_way_to_convert() -> None:
    with pytest.raises(UnknownModel, match=r"pytorch_model\.bin: weights as pickle") as caught:
        offered([(asked(), repo("o/old", "config.json", "pytorch_model.bin"))])
    assert "save_pretrained" in (caught.value.why or "")


@pytest.mark.parametrize("paths", [("README.md",), (), ("adapter_config.json", "adapter_model.safetensors")])
def test_a_repository_without_a_model(paths: tuple[str, ...]) -> None:
    with pytest.raises(UnknownModel, match="no model that can be run or compiled"):
        offered([(asked(), repo("o/x", *paths))])


def test_nothing_was_asked() -> None:
    with pytest.raises(UnknownModel):
        offered([])


def test_what_is_known_before_the_hub_was_asked() -> None:
    variant = promised(asked(alias="tiny", forms=("gguf",), curated=CURATED))
    assert (variant.id, variant.format, variant.source) == ("tiny:gguf", "gguf", "hf:o/tiny-GGUF")
    assert (variant.parameters, variant.licence, variant.capabilities) == (500, "mit", ("chat",))
    assert (variant.disk, variant.files, variant.here) == (None, (), False)
    entry = Entry(alias="mine", min_memory=8, quantisation="q4_0")
    mine = promised(asked("q4_0", alias="mine", entry=entry))
    assert (mine.id, mine.min_memory) == ("mine:q4_0", 8)
    assert promised(asked()).alias == "tiny"
