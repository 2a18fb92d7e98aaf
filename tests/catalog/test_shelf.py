"""Models found by names, other names and repositories."""

from __future__ import annotations

import pytest

from assay.catalog import CuratedEntry, Entry, HubName, curated
from assay.catalog.shelf import Shelf
from assay.types import Stored, Variant


def entry(alias: str, *names: str, **more: object) -> CuratedEntry:
    told = {"family": "f", "publisher": "p", "repo": f"o/{alias}", "pages": ("p",), **more}
    return CuratedEntry(alias=alias, names=names, **told)  # type: ignore[arg-type]


def stored(alias: str, source: str, revision: str | None = None) -> Stored:
    variant = Variant(
        id=f"{alias}:q4_0", alias=alias, format="gguf", source=source, revision=revision, quantisation="q4_0"
    )
    return Stored(variant=variant, added="2026-01-01T00:00:00Z", origin="download")


ENTRIES = (entry("phi", "phi3", "gemma"), entry("gemma", gguf=("x/gemma-GGUF",)))


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        ("phi", "phi"), ("PHI3", "phi"), ("o/Phi", "phi"), ("gemma", "gemma"), ("phi-generic-cpu", "phi"),
        ("phi-cuda-gpu:2", "phi"), ("Phi-qnn-npu", "phi"), ("phi-openvino-npu:1", "phi"), ("phi-cpu", "phi"),
        ("phi-tpu", None), ("x/gemma-gguf", None), ("", None),
    ],
)  # fmt: skip
def test_an_alias_comes_before_another_models_other_name(text: str, alias: str | None) -> None:
    found = Shelf((), (), ENTRIES).curated_named(text)
    assert (found.alias if found else None) == alias


def test_the_model_of_a_repository_in_whichever_format() -> None:
    shelf = Shelf((), (), ENTRIES)
    assert shelf.curated_from("X/gemma-gguf") == shelf.curated_from("o/gemma") == ENTRIES[1]
    assert shelf.curated_from("x/other") is None


def test_commits_are_compared_and_branches_are_not() -> None:
    commit = "abcdef0123456789abcdef0123456789abcdef01"
    shelf = Shelf((stored("m", "hf:O/m", commit), stored("n", "hf:o/m", "v1")), (), ())

    def found(revision: str | None) -> list[str]:
        return [variant.alias for variant in shelf.stored_from(HubName("o/M", None, revision))]

    assert found(None) == ["m", "n"]
    assert found(commit) == found("abcdef0") == found("ABCDEF01") == ["m"]
    assert found("v1") == ["n"]
    assert found("main") == found("abcdef1") == found("abc") == []


def test_an_entry_with_a_source_takes_what_came_from_it_and_else_what_has_its_name() -> None:
    shelf = Shelf((stored("mine", "mine.gguf"), stored("other", "hf:o/m")), (), ())
    from_source, wanted, wrong = shelf.of_entry(Entry(alias="mine", source="o/m"), None)
    assert ([variant.alias for variant in from_source], len(wanted), wrong) == (["other"], 1, None)
    by_name, _, _ = shelf.of_entry(Entry(alias="mine", source="o/else"), None)
    assert [variant.alias for variant in by_name] == ["mine"]


def test_names_of_the_list_that_ships_lead_to_their_models() -> None:
    entries = curated()
    shelf = Shelf((), (), entries)
    for one in entries:
        assert shelf.curated_named(one.alias) == one
        assert shelf.wishes(one, None)[-1].name.repo == one.repo
