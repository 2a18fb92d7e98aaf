"""The rows of the list of models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay.catalog import Catalog, CuratedEntry, Row, listing, parse_filter, read_registry
from assay.types import Estimate, File, Format, Stored, Variant

GB = 10**9
ENGINES: dict[Format, tuple[str, ...]] = {"gguf": ("llamacpp",), "onnx": ("onnxruntime_genai",)}


def kept(name: str, size: int, source: str = "hf:o/phi-GGUF", **more: Any) -> Stored:
    alias, _, quantisation = name.partition(":")
    told = {
        "format": "gguf",
        "quantisation": quantisation,
        "licence": "mit",
        "path": "/m",
        "parameters": 7 * GB,
        **more,
    }
    variant = Variant(id=name, alias=alias, source=source, files=(File(path="m.gguf", size=size),), **told)
    return Stored(variant=variant, added="2026-01-01T00:00:00Z", origin="download")


CURATED = (
    CuratedEntry(
        alias="phi", family="Phi", publisher="o", repo="o/phi", gguf=("o/phi-GGUF",), onnx=("o/phi-onnx",),
        pages=("p",), licence="mit", tasks=("chat",), capabilities=("chat",),
    ),
    CuratedEntry(
        alias="gemma", family="Gemma", publisher="g", repo="g/gemma", gguf=("x/gemma-GGUF",), pages=("p",),
        licence="gemma", tasks=("chat",), languages=("en",), notes="quick",
    ),
    CuratedEntry(alias="source", family="S", publisher="s", repo="s/source", pages=("p",)),
)  # fmt: skip
STORED = (
    kept("phi:q8_0", 8 * GB),
    kept("phi:q4_k_m", 4 * GB),
    kept("own:q4_0", 2 * GB, "own", tasks=("text-generation",)),
)
BUNDLED = (Variant(id="notes:q8_0", alias="notes", format="gguf", source="bundled", path="/n", tasks=("list", "json")),)
ALL = Catalog(stored=STORED, bundled=BUNDLED, curated=CURATED)


def rows(catalog: Catalog = ALL, budget: int | None = 6 * GB, filters: tuple[str, ...] = (), **how: Any) -> list[Row]:
    told = {"estimate_of": lambda _: None, "engines": ENGINES, **how}
    return listing(catalog, budget=budget, filters=map(parse_filter, filters), **told)


def ids(found: list[Row]) -> list[str]:
    return [row.id for row in found]


def test_a_row_for_each_alias_with_what_it_runs() -> None:
    found = rows()
    assert ids(found) == ["phi:q4_k_m", "own:q4_0", "notes:q8_0", "gemma:gguf", "source:safetensors"]
    phi, own, notes, gemma, source = found
    assert (phi.alias, phi.device, phi.task, phi.size, phi.licence_class) == ("phi", "cpu", None, 4 * GB, "permissive")
    assert (phi.runs, phi.cached, phi.origin, phi.fits, phi.engines) == (True, True, "store", "yes", ("llamacpp",))
    assert "llamacpp runs it" in phi.reason
    assert (own.task, notes.task) == ("text-generation", "list")
    assert (notes.origin, notes.size, notes.fits) == ("bundled", None, None)
    assert (gemma.origin, gemma.cached, gemma.size, gemma.task) == ("curated", False, None, "chat")
    assert (gemma.licence_class, gemma.fits) == ("restricted use", None)
    assert (source.runs, source.device) == (False, None)
    assert "assay model compile" in source.reason


def test_every_variant_best_first() -> None:
    found = rows(variants=True)
    assert ids(found)[:4] == ["phi:q4_k_m", "phi:onnx", "phi:q8_0", "own:q4_0"]
    assert [row.runs for row in found[:3]] == [True, False, False]
    assert found[2].fits == "no"


def test_only_what_is_on_this_machine() -> None:
    assert ids(rows(cached=True)) == ["phi:q4_k_m", "own:q4_0", "notes:q8_0"]
    assert ids(rows(cached=True, variants=True)) == ["phi:q4_k_m", "phi:q8_0", "own:q4_0", "notes:q8_0"]


def test_filters_look_at_every_variant() -> None:
    assert ids(rows(filters=("alias=phi", "provider=onnx*"))) == ["phi:onnx"]
    assert not rows(filters=("alias=phi", "provider=onnx*"))[0].runs
    assert ids(rows(filters=("licence=restricted use",))) == ["gemma:gguf"]
    assert rows(filters=("device=npu",)) == []


def test_search_finds_in_aliases_tasks_notes_and_languages() -> None:
    assert ids(rows(search="ph")) == ["phi:q4_k_m"]
    assert ids(rows(search="quick en")) == ["gemma:gguf"]
    assert ids(rows(search=" ")) == ids(rows())
    assert ids(rows(search="phi q", variants=True)) == ["phi:q4_k_m", "phi:q8_0"]


def test_estimates_decide_and_are_asked_for_once_and_only_where_needed() -> None:
    asked: list[str] = []

    def estimate_of(variant: Variant) -> Estimate | None:
        asked.append(variant.id)
        need = 9 * GB if variant.id == "phi:q4_k_m" else GB
        return Estimate(
            low=need, likely=need, high=need, weights=need, cache=0, buffers=0, base=0, engine="llamacpp",
            context_length=1, slots=1,
        )  # fmt: skip

    (phi,) = rows(filters=("alias=phi",), estimate_of=estimate_of)
    assert (phi.id, phi.fits) == ("phi:q8_0", "yes")
    assert sorted(asked) == ["phi:q4_k_m", "phi:q8_0"]


def test_entries_of_a_registry(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    content = [
        {"name": "phi", "task": "code", "notes": "ours"},
        {"name": "big", "size_mb": 9000, "source": "hf:o/big-GGUF", "quantisation": "q4_0"},
        {"name": "some", "min_ram_gb": 4, "size_mb": 100, "license": "apache-2.0", "capabilities": ["chat"]},
        {"name": "sized", "size_mb": 5500},
        {"name": "there", "endpoint": "http://h"},
    ]
    path.write_text(json.dumps(content), encoding="utf-8")
    catalog = Catalog(registries=(read_registry(path, bundled=()),), stored=STORED, curated=CURATED)
    phi, big, some, sized, there, own, *_ = rows(catalog)
    assert (phi.id, phi.task, phi.notes, phi.origin, phi.cached) == ("phi:q4_k_m", "code", "ours", "registry", True)
    assert (big.id, big.size, big.fits, big.cached) == ("big:q4_0", 9000 * 10**6, "no", False)
    assert big.variant is not None
    assert (big.variant.source, big.variant.path) == ("hf:o/big-GGUF", None)
    assert (some.id, some.task, some.fits, some.licence, some.variant) == ("some", "chat", "yes", "apache-2.0", None)
    assert "it is not on this machine" in some.reason
    assert (sized.fits, sized.size) == ("tight", 5500 * 10**6)
    assert (there.fits, there.cached, there.device, there.runs) == ("yes", False, None, True)
    assert own.alias == "own"


@pytest.mark.parametrize("budget", [None, 6 * GB])
def test_a_name_and_no_more(tmp_path: Path, budget: int | None) -> None:
    path = tmp_path / "models.json"
    path.write_text('["only-a-name"]', encoding="utf-8")
    (row,) = rows(Catalog(registries=(read_registry(path, bundled=()),)), budget)
    assert (row.id, row.fits, row.size, row.runs) == ("only-a-name", None, None, False)


def test_a_gpu_is_named_where_engines_use_it() -> None:
    assert [row.device for row in rows(devices=("cpu", "gpu"), filters=("alias=phi",), variants=True)] == [
        "gpu",
        "cpu",
        "gpu",
    ]
