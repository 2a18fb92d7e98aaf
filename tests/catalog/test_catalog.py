"""Names -> what is here and what to ask for, over all sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import Catalog, CuratedEntry, Found, HubName, Registry, read_registry
from assay.errors import BadInput, UnknownModel
from assay.types import File, Stored, Variant
from tests.formats.gguf_bytes import write_gguf

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def kept(name: str, source: str, **more: Any) -> Stored:
    alias, _, quantisation = name.partition(":")
    told = {"format": "gguf", "quantisation": quantisation, "revision": COMMIT, "path": f"/store/{name}", **more}
    return Stored(
        variant=Variant(id=name, alias=alias, source=source, files=(File(path="m.gguf", size=1),), **told),
        added="2026-01-01T00:00:00Z",
        origin="download",
    )


STORED = (
    kept("phi-4-mini:q4_k_m", "hf:bartowski/phi-4-mini-GGUF"),
    kept("phi-4-mini:q8_0", "hf:bartowski/phi-4-mini-GGUF"),
    kept("mine:q4_0", "mine.gguf", revision=None),
    kept("mine:safetensors-bf16", "mine", format="safetensors", quantisation="bf16"),
    kept("raw:safetensors-f32", "raw", format="safetensors", quantisation="f32"),
)
BUNDLED = (
    Variant(id="notes:q8_0", alias="notes", format="gguf", source="bundled", quantisation="q8_0"),
    Variant(id="notes:safetensors-f32", alias="notes", format="safetensors", source="bundled"),
)
CURATED = (
    CuratedEntry(
        alias="phi-4-mini",
        names=("phi-4-mini-instruct", "phi4:mini"),
        family="Phi",
        publisher="Microsoft",
        repo="microsoft/Phi-4-mini-instruct",
        gguf=("bartowski/phi-4-mini-GGUF", "unsloth/Phi-4-mini-GGUF"),
        onnx=("microsoft/Phi-4-mini-instruct-onnx",),
        pages=("p",),
    ),
    CuratedEntry(alias="far", family="Far", publisher="o", repo="o/far", pages=("p",)),
)
ALL = Catalog(stored=STORED, bundled=BUNDLED, curated=CURATED)


def registry(path: Path, content: Any) -> Registry:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_registry(path, bundled=BUNDLED)


def ids(found: Found) -> list[str]:
    return [variant.id for variant in found.variants]


def asked(found: Found) -> list[str]:
    return [str(wanted.name) for wanted in found.wanted]


PHI = ["hf:bartowski/phi-4-mini-GGUF", "hf:unsloth/Phi-4-mini-GGUF", "hf:microsoft/Phi-4-mini-instruct-onnx"]


@pytest.mark.parametrize(
    ("text", "origin", "found"),
    [
        ("phi-4-mini", "store", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("Phi-4-Mini-Instruct", "store", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("phi4:mini", "store", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("Phi-4-mini-instruct-generic-cpu:5", "store", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("microsoft/Phi-4-mini-instruct", "store", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("phi-4-mini:Q8_0", "store", ["phi-4-mini:q8_0"]),
        ("phi-4-mini:gguf", "store", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("mine", "store", ["mine:q4_0"]),
        ("mine:safetensors", "store", ["mine:safetensors-bf16"]),
        ("mine:bf16", "store", ["mine:safetensors-bf16"]),
        ("raw", "store", ["raw:safetensors-f32"]),
        ("notes", "bundled", ["notes:q8_0"]),
        ("notes:safetensors", "bundled", ["notes:safetensors-f32"]),
        ("bundled", "bundled", ["notes:q8_0"]),
        ("ALL", "store", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0", "mine:q4_0"]),
        ("hf:bartowski/PHI-4-mini-GGUF", "hub", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("hf:bartowski/phi-4-mini-GGUF:q8_0", "hub", ["phi-4-mini:q8_0"]),
        ("hf:bartowski/phi-4-mini-GGUF@0123456", "hub", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("hf:bartowski/phi-4-mini-GGUF@main", "hub", []),
        ("https://huggingface.co/bartowski/phi-4-mini-GGUF", "hub", ["phi-4-mini:q4_k_m", "phi-4-mini:q8_0"]),
        ("http://127.0.0.1:1/v1#m", "address", ["m@127.0.0.1:1"]),
    ],
)
def test_what_is_here(text: str, origin: str, found: list[str]) -> None:
    told = ALL.find(text)
    assert (told.origin, ids(told)) == (origin, found)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("phi-4-mini", [*PHI, "hf:microsoft/Phi-4-mini-instruct"]),
        ("phi-4-mini:q4_0", [f"{name}:q4_0" for name in PHI[:2]]),
        ("phi-4-mini:UD-Q4_K_XL", [f"{name}:UD-Q4_K_XL" for name in PHI[:2]]),
        ("phi-4-mini:onnx-int4-cpu", [f"{PHI[2]}:onnx-int4-cpu"]),
        ("phi-4-mini:int4", [f"{PHI[2]}:int4"]),
        ("phi-4-mini:safetensors", ["hf:microsoft/Phi-4-mini-instruct:safetensors"]),
        ("phi-4-mini:f16", [f"{name}:f16" for name in [*PHI, "hf:microsoft/Phi-4-mini-instruct"]]),
        ("far", ["hf:o/far"]),
        ("o/far", ["hf:o/far"]),
        ("hf:a/b:q4_0@main", ["hf:a/b:q4_0@main"]),
        ("notes", []),
        ("mine", []),
    ],
)
def test_what_the_hub_is_to_be_asked_for(text: str, names: list[str]) -> None:
    assert asked(ALL.find(text)) == names


def test_what_is_asked_for_carries_name_format_and_facts() -> None:
    gguf, _, onnx, source = ALL.find("phi-4-mini-instruct").wanted
    assert (gguf.alias, gguf.forms, gguf.curated) == ("phi-4-mini", ("gguf",), CURATED[0])
    assert (onnx.forms, source.forms) == (("onnx",), ("safetensors",))
    (by_name,) = ALL.find("hf:microsoft/Phi-4-mini-instruct-onnx").wanted
    assert (by_name.alias, by_name.forms, by_name.curated) == (None, (), CURATED[0])


def test_an_entry_that_is_a_name_and_no_more_leaves_it_to_the_rest(tmp_path: Path) -> None:
    """The shape that course material has."""
    course = registry(
        tmp_path / "models.json", [{"name": "phi-4-mini-instruct", "task": "chat-completion"}, {"name": "far"}]
    )
    whole = Catalog(registries=(course,), stored=STORED, bundled=BUNDLED, curated=CURATED)
    here = whole.find("phi-4-mini-instruct")
    assert ids(here) == ["phi-4-mini-instruct:q4_k_m", "phi-4-mini-instruct:q8_0"]
    assert here.variants[0].tasks == ("chat-completion",)
    assert asked(whole.find("far")) == ["hf:o/far"]
    assert whole.find("far").wanted[0].entry == course.entries[1]
    assert ids(whole.find("auto")) == ids(here)


@pytest.mark.parametrize("source", ["hf:a/b-GGUF:q8_0@v1", "a/b-GGUF"])
def test_an_entry_with_a_hub_source_is_a_wish(tmp_path: Path, source: str) -> None:
    one = registry(
        tmp_path / "models.json", [{"name": "Mine", "source": source, "quantisation": "Q8_0", "licence": "mit"}]
    )
    (wanted,) = Catalog(registries=(one,)).find("mine").wanted
    assert wanted.name == HubName("a/b-GGUF", "q8_0", "v1" if "@" in source else None)
    assert (wanted.alias, wanted.entry) == ("Mine", one.entries[0])
    (other,) = Catalog(registries=(one,)).find("mine:q4_0").wanted
    assert other.name.selector == "q4_0"


def test_an_entry_with_a_hub_source_that_is_in_the_store(tmp_path: Path) -> None:
    one = registry(
        tmp_path / "models.json",
        [{"name": "mine-too", "source": "hf:bartowski/phi-4-mini-GGUF", "quantisation": "q8_0", "notes": "x"}],
    )
    found = Catalog(registries=(one,), stored=STORED).find("mine-too")
    assert (ids(found), found.variants[0].notes) == (["mine-too:q8_0"], "x")


def test_an_entry_whose_source_is_a_curated_name(tmp_path: Path) -> None:
    one = registry(tmp_path / "models.json", [{"name": "small", "source": "far"}])
    (wanted,) = Catalog(registries=(one,), curated=CURATED).find("small").wanted
    assert (wanted.name.repo, wanted.alias) == ("o/far", "small")


def test_an_entry_whose_source_is_wrong(tmp_path: Path) -> None:
    one = registry(tmp_path / "models.json", [{"name": "bad", "source": "hf:a"}])
    with pytest.raises(UnknownModel) as caught:
        Catalog(registries=(one,), curated=CURATED).find("bad")
    assert "names no model of the Hub" in (caught.value.why or "")


def test_registries_come_first_and_in_their_order(tmp_path: Path) -> None:
    project = registry(tmp_path / "a/models.json", {"phi-4-mini": {"endpoint": "http://a"}, "x": {}})
    user = registry(
        tmp_path / "b/models.json", {"phi-4-mini": {"endpoint": "http://b"}, "x": {"endpoint": "http://x"}, "y": {}}
    )
    whole = Catalog(registries=(project, user), stored=STORED, bundled=BUNDLED, curated=CURATED)
    assert whole.find("phi-4-mini").variants[0].source == "http://a/v1"
    assert whole.find("x").variants[0].source == "http://x/v1"
    assert ids(whole.find("ALL")) == ["phi-4-mini"]
    with pytest.raises(UnknownModel, match=r"y of .*b.models\.json cannot be run here"):
        whole.find("y")
    found = {found.alias: found for found in whole.models()}
    assert list(found) == ["phi-4-mini", "x", "y", "mine", "raw", "notes", "far"]
    assert found["phi-4-mini"].variants[0].source == "http://a/v1"
    assert (ids(found["x"]), found["x"].problem) == (["x"], None)
    assert found["y"].problem


def test_every_model_once() -> None:
    assert [(found.alias, found.origin, len(found.variants), len(found.wanted)) for found in ALL.models()] == [
        ("phi-4-mini", "store", 2, 4),
        ("mine", "store", 2, 0),
        ("raw", "store", 1, 0),
        ("notes", "bundled", 2, 0),
        ("far", "curated", 0, 1),
    ]


def test_what_is_stored_under_another_name_of_a_curated_model_belongs_to_it() -> None:
    whole = Catalog(stored=(kept("phi-4-mini-instruct:q6_k", "x.gguf"),), curated=CURATED)
    assert ids(whole.find("phi-4-mini")) == ["phi-4-mini-instruct:q6_k"]
    assert [found.alias for found in whole.models()] == ["phi-4-mini", "far"]


def test_a_quantisation_that_a_model_does_not_have() -> None:
    for text in ("notes:q5_1", "mine:q5_1"):
        with pytest.raises(UnknownModel, match="there is no q5_1 of") as caught:
            ALL.find(text)
        assert text.partition(":")[0] in (caught.value.why or "")


def test_ids_that_do_not_begin_with_their_alias() -> None:
    odd = Variant(id="served@host", alias="m", format="remote", source="http://host/v1")
    assert ids(Catalog(bundled=(odd,)).find("SERVED@host")) == ["served@host"]


def test_a_path_after_all_names(tmp_path: Path) -> None:
    found = ALL.find(str(write_gguf(tmp_path / "tiny.gguf")))
    assert (found.alias, found.origin, ids(found)) == ("tiny", "path", ["tiny:q8_0"])


def test_a_name_with_a_slash_that_is_no_path_tells_of_the_hub() -> None:
    with pytest.raises(UnknownModel, match="there is nothing at some/model") as caught:
        ALL.find("some/model")
    assert "hf:some/model" in (caught.value.remedy or "")


def test_near_names_come_from_all_sources(tmp_path: Path) -> None:
    one = registry(tmp_path / "models.json", [{"name": "zephyr-7b"}])
    whole = Catalog(registries=(one,), stored=STORED, bundled=BUNDLED, curated=CURATED)
    for text, near in (
        ("zefyr-7b", "zephyr-7b"),
        ("phi4mini", "phi-4-mini"),
        ("note", "notes"),
        ("phi-4-mini-instrukt", "phi-4-mini-instruct"),
    ):
        with pytest.raises(UnknownModel) as caught:
            whole.find(text)
        assert near in (caught.value.why or "")


@given(
    st.text()
    | st.sampled_from(["phi-4-mini", "mine", "hf:a/b", "notes"]).flatmap(lambda name: st.text().map(name.__add__))
)
def test_any_text_is_found_or_refused(text: str) -> None:
    try:
        found = ALL.find(text)
    except BadInput:
        return
    assert found.variants or found.wanted
