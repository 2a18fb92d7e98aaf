"""What people type -> variants that are here, without a hub."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import Catalog, Registry, read_registry
from assay.errors import BadInput, UnknownModel
from assay.types import Variant
from tests.formats.gguf_bytes import write_gguf
from tests.formats.onnx_bytes import write_onnx_folder


def one(name: str, kind: str = "gguf") -> Variant:
    alias = name.partition(":")[0]
    return Variant(id=name, alias=alias, format=kind, source="bundled")  # type: ignore[arg-type]


BUNDLED = (
    one("notes-4m:q8_0"),
    one("notes-4m:onnx-int4", "onnx"),
    one("notes-1m:q8_0"),
    one("notes-1m:f32", "safetensors"),
)


def ids(text: str, registry: Registry | None = None) -> list[str]:
    return [variant.id for variant in named(text, registry)]


def named(text: str, registry: Registry | None = None) -> tuple[Variant, ...]:
    return Catalog(registries=(registry,) if registry else (), bundled=BUNDLED).find(text).variants


def registry(tmp_path: Path, content: Any) -> Registry:
    path = tmp_path / "models.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_registry(path, bundled=BUNDLED)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("notes-4m", ["notes-4m:q8_0", "notes-4m:onnx-int4"]),
        ("Notes-4M", ["notes-4m:q8_0", "notes-4m:onnx-int4"]),
        ("notes-4m:q8_0", ["notes-4m:q8_0"]),
        (" NOTES-4M:Q8_0 ", ["notes-4m:q8_0"]),
        ("notes-1m", ["notes-1m:q8_0"]),
        ("notes-1m:f32", ["notes-1m:f32"]),
        ("bundled", ["notes-4m:q8_0", "notes-4m:onnx-int4", "notes-1m:q8_0"]),
        ("auto", ["notes-4m:q8_0", "notes-4m:onnx-int4", "notes-1m:q8_0"]),
        ("ALL", ["notes-4m:q8_0", "notes-4m:onnx-int4", "notes-1m:q8_0"]),
        ("http://127.0.0.1:9/v1#m", ["m@127.0.0.1:9"]),
    ],
)
def test_bundled_models_and_addresses(text: str, found: list[str]) -> None:
    assert ids(text) == found


def test_paths(tmp_path: Path) -> None:
    gguf, onnx = write_gguf(tmp_path / "a/tiny.gguf"), write_onnx_folder(tmp_path / "b")
    assert ids(str(gguf)) == ["tiny:q8_0"]
    assert ids(str(gguf.parent)) == ["tiny:q8_0"]
    assert ids(str(onnx)) == ["b:onnx-f32"]
    assert ids(os.path.relpath(gguf)) == ["tiny:q8_0"]


def test_a_registry(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    known = registry(
        tmp_path,
        [
            {"name": "Tiny", "path": "tiny.gguf"},
            {"name": "far", "endpoint": "http://h"},
            {"name": "phi-4-mini", "task": "chat"},
            {"name": "small", "source": "notes-1m"},
        ],
    )
    assert ids("tiny", known) == ["Tiny:q8_0"]
    assert ids("tiny:Q8_0", known) == ["Tiny:q8_0"]
    assert ids("small", known) == ["small:q8_0"]
    assert ids("notes-4m:q8_0", known) == ["notes-4m:q8_0"]
    assert ids("auto", known) == ids("ALL", known) == ["Tiny:q8_0", "far", "small:q8_0"]
    assert ids("bundled", known) == ids("bundled")


def test_a_registry_comes_before_the_bundled_models(tmp_path: Path) -> None:
    known = registry(tmp_path, {"notes-4m": {"endpoint": "http://h"}})
    assert named("notes-4m", known)[0].format == "remote"


def test_an_entry_that_is_not_on_this_machine(tmp_path: Path) -> None:
    known = registry(tmp_path, [{"name": "phi-4-mini"}])
    with pytest.raises(UnknownModel) as caught:
        ids("PHI-4-mini", known)
    assert caught.value.why == "it is not on this machine"
    assert '"path"' in (caught.value.remedy or "")


def test_a_registry_of_which_nothing_can_be_run(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="phi: it is not on this machine"):
        ids("auto", registry(tmp_path, [{"name": "phi"}]))
    with pytest.raises(UnknownModel, match="it has no entries"):
        ids("auto", registry(tmp_path, []))


def test_near_names_and_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel) as caught:
        ids("note-4m", registry(tmp_path, [{"name": "phi-4-mini"}]))
    assert "notes-4m" in (caught.value.why or "")
    assert "phi-4-mini, notes-4m, notes-1m" in (caught.value.remedy or "")


def test_many_names_are_counted(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="and 10 more"):
        ids("zzz", registry(tmp_path, [{"name": f"m{number}"} for number in range(20)]))


@pytest.mark.parametrize("text", ["", " ", "nothing-like-it", "none.gguf", "~/none/x", "a\0b", "x" * 9000])
def test_unknown(text: str) -> None:
    with pytest.raises(UnknownModel):
        ids(text)


def test_a_broken_file_is_no_unknown_name(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadInput, match="cut off"):
        ids(str(tmp_path / "m.gguf"))


@given(st.text())
def test_any_text_is_found_or_refused(text: str) -> None:
    try:
        found = Catalog(bundled=BUNDLED).find(text)
    except BadInput:
        return
    assert found.variants or found.wanted
